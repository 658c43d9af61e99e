package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Whatever the bytes: a tokenizer, or one line that names the file.
@Tag("fuzz")
final class TokenizerFuzzTest {
    @TempDir
    static Path directory;

    private static final byte[] TEXT = "hello <|endoftext|> wörld \uD83D\uDE00".getBytes(StandardCharsets.UTF_8);

    private static final String[] PIECES = {
        "null",
        "true",
        "-1",
        "4194303",
        "1e9",
        "{}",
        "[]",
        "\"\"",
        "\"a b\"",
        "\"\\ud800\"",
        "\"Ġ\"",
        "{\"type\":\"Fuse\"}",
        ",",
        ":",
        "\"",
        "}",
        "]",
        "\"merges\":[]",
        "\"pre_tokenizer\":null",
        "\"id\":257",
        "257",
    };

    private static boolean isRead(byte[] content) {
        Tokenizer tokenizer;
        try {
            tokenizer = TokenizerReader.tokenizer(JsonTree.parse(Path.of("hostile.json"), content));
        } catch (IllegalArgumentException e) {
            assertTrue(e.getMessage().startsWith("hostile.json:"), e.getMessage());
            assertFalse(e.getMessage().contains("\n"), e.getMessage());
            return false;
        }
        try {
            byte[] back = tokenizer.decodeBytes(tokenizer.encodeOrdinary(TEXT, 0, TEXT.length));
            if (tokenizer instanceof BytePairTokenizer pairs && !pairs.model().prefixSpace()) {
                assertArrayEquals(TEXT, back);
            }
        } catch (IllegalArgumentException e) {
            assertTrue(tokenizer instanceof CharTokenizer, e.getMessage());
        }
        return true;
    }

    @FuzzTest(maxDuration = "60s")
    void reads(FuzzedDataProvider data) {
        isRead(data.consumeRemainingAsBytes());
    }

    private static byte[] saved(Tokenizer tokenizer) throws IOException {
        Path file = directory.resolve("saved.json");
        tokenizer.save(file);
        return Files.readAllBytes(file);
    }

    private static byte[] small() throws IOException {
        return saved(BpeTrainer.ofVocabularySize(262).train(List.of("hello hello world world")));
    }

    @Test
    void readsThousandsOfMutations() throws IOException {
        byte[] pairs = small();
        byte[] characters = saved(CharTokenizer.of("hello wörld\uD83D\uDE00", Tokenizer.END_OF_TEXT));
        Random random = new Random(77);
        int read = 0;
        for (int i = 0; i < 4000; i++) {
            byte[] mutated = random.nextBoolean() ? pairs : characters;
            for (int n = random.nextInt(3); n >= 0; n--) {
                mutated = mutate(mutated, random);
            }
            read += isRead(mutated) ? 1 : 0;
        }
        // Most mutations hurt, and some must not, or nothing behind the parser has been tried.
        assertTrue(read > 30 && read < 3000, read + " of 4000 are read");
    }

    private static byte[] mutate(byte[] bytes, Random random) {
        if (bytes.length < 2) {
            return bytes;
        }
        int at = random.nextInt(bytes.length);
        byte[] head = Arrays.copyOf(bytes, at);
        return switch (random.nextInt(6)) {
            case 0 -> head;
            case 1 -> {
                byte[] flipped = bytes.clone();
                flipped[at] ^= (byte) (1 << random.nextInt(8));
                yield flipped;
            }
            case 2 -> {
                int resume = Math.min(bytes.length, at + 1 + random.nextInt(20));
                yield join(head, Arrays.copyOfRange(bytes, resume, bytes.length));
            }
            case 3 -> {
                int from = random.nextInt(bytes.length);
                byte[] piece = Arrays.copyOfRange(bytes, from, Math.min(bytes.length, from + random.nextInt(40)));
                yield join(join(head, piece), Arrays.copyOfRange(bytes, at, bytes.length));
            }
            default -> replaceValue(bytes, at, PIECES[random.nextInt(PIECES.length)]);
        };
    }

    /// From the next colon to the next comma, so that the result is often JSON.
    private static byte[] replaceValue(byte[] bytes, int from, String value) {
        int start = from;
        while (start < bytes.length && bytes[start] != ':') {
            start++;
        }
        int end = start;
        while (end < bytes.length && bytes[end] != ',' && bytes[end] != '}') {
            end++;
        }
        if (start == bytes.length) {
            return bytes;
        }
        byte[] head = join(Arrays.copyOf(bytes, start + 1), value.getBytes(StandardCharsets.UTF_8));
        return join(head, Arrays.copyOfRange(bytes, end, bytes.length));
    }

    private static byte[] join(byte[] a, byte[] b) {
        byte[] joined = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, joined, a.length, b.length);
        return joined;
    }

    @Test
    void everyTruncationIsRefused() throws IOException {
        byte[] whole = small();
        for (int length = 0; length < whole.length; length += length < 600 ? 1 : 29) {
            assertFalse(isRead(Arrays.copyOf(whole, length)));
        }
    }
}
