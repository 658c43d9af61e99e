package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BytePairTokenizerTest {
    @TempDir
    static Path directory;

    private static BytePairTokenizer ours;
    private static HuggingFace theirs;

    @BeforeAll
    static void train() throws IOException {
        List<String> corpus = new ArrayList<>(Texts.sources());
        Random random = new Random(1);
        for (int i = 0; i < 200; i++) {
            corpus.add(Texts.random(random, 500));
        }
        ours = BpeTrainer.ofVocabularySize(2000).train(corpus);
        Path file = directory.resolve("tokenizer.json");
        ours.save(file);
        theirs = new HuggingFace(file);
    }

    @AfterAll
    static void close() {
        theirs.close();
    }

    private static void same(String text) {
        assertArrayEquals(theirs.encode(text), ours.encode(text), () -> "text: " + JsonTree.quoted(text));
    }

    @Test
    void encodesTrickyTextLikeHuggingFace() {
        Texts.TRICKY.forEach(BytePairTokenizerTest::same);
    }

    @Test
    void encodesRandomTextLikeHuggingFace() {
        Random random = new Random(42);
        for (int i = 0; i < 3000; i++) {
            same(Texts.random(random, 1 + random.nextInt(120)));
        }
    }

    @Test
    void encodesSourcesLikeHuggingFace() throws IOException {
        Texts.sources().forEach(BytePairTokenizerTest::same);
    }

    @Test
    void encodesLongPiecesLikeHuggingFace() {
        Random random = new Random(7);
        for (int length : new int[] {31, 32, 63, 64, 65, 66, 127, 300, 5000}) {
            same("a".repeat(length));
            same(" ".repeat(length) + "x");
            StringBuilder letters = new StringBuilder();
            for (int i = 0; i < length; i++) {
                letters.append((char) ('a' + random.nextInt(6)));
            }
            same(letters.toString());
            same("e".repeat(length / 2) + "\u00E9".repeat(length / 2));
        }
    }

    @Test
    void decodesAnyIdsLikeHuggingFace() {
        Random random = new Random(3);
        for (int i = 0; i < 3000; i++) {
            int[] ids = random.ints(1 + random.nextInt(12), 0, random.nextBoolean() ? 257 : ours.vocabularySize())
                    .toArray();
            assertEquals(theirs.decode(ids), ours.decode(ids), () -> Arrays.toString(ids));
        }
    }

    @Test
    void everyCodePointComesBack() {
        StringBuilder all = new StringBuilder();
        for (int point = 0; point <= Character.MAX_CODE_POINT; point++) {
            if (point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE) {
                all.appendCodePoint(point);
            }
        }
        String text = all.toString();
        assertEquals(text, ours.decode(ours.encode(text)));
    }

    @Test
    void anyBytesComeBack() {
        Random random = new Random(5);
        for (int i = 0; i < 5000; i++) {
            byte[] bytes = new byte[random.nextInt(100)];
            random.nextBytes(bytes);
            if (random.nextBoolean()) {
                for (int j = 0; j < bytes.length; j++) {
                    bytes[j] = (byte) (bytes[j] & 0x3F | (random.nextInt(3) == 0 ? 0xC0 : 0x80));
                }
            }
            assertArrayEquals(bytes, ours.decodeBytes(ours.encode(bytes)));
        }
    }

    @Test
    void bytesThatAreNotUtf8AreSymbols() {
        // One piece: the damaged character and the punctuation around it.
        byte[] bytes = {'a', '!', (byte) 0xE4, (byte) 0xB8, '!', 'b'};
        assertEquals(1, Gpt2Pieces.end(bytes, 0, bytes.length));
        assertEquals(5, Gpt2Pieces.end(bytes, 1, bytes.length));
    }

    @Test
    void anUnpairedSurrogateIsTheReplacementCharacter() {
        assertArrayEquals(ours.encode("a\uFFFDb"), ours.encode("a\uD800b"));
        assertArrayEquals(ours.encode("\uFFFD\uFFFD"), ours.encode("\uDC00\uD800"));
        assertArrayEquals(ours.encode("\uFFFD\uD83D\uDE00"), ours.encode("\uD83D\uD83D\uDE00"));
    }

    @Test
    void encodesAPartOfAnArray() {
        byte[] bytes = "xx hello world yy".getBytes(StandardCharsets.UTF_8);
        assertArrayEquals(ours.encode("hello world"), ours.encode(bytes, 3, 14));
        assertThrows(IndexOutOfBoundsException.class, () -> ours.encode(bytes, 3, 18));
    }

    @Test
    void ordinaryTextHasNoSpecialTokens() {
        int end = ours.endOfText().orElseThrow();
        assertEquals(Map.of("<|endoftext|>", end), ours.specialTokens());
        assertEquals(
                1,
                Arrays.stream(ours.encode("a<|endoftext|>b"))
                        .filter(id -> id == end)
                        .count());
        int[] ordinary = ours.encodeOrdinary("a<|endoftext|>b");
        assertEquals(0, Arrays.stream(ordinary).filter(id -> id == end).count());
        assertEquals("a<|endoftext|>b", ours.decode(ordinary));
    }

    @Test
    void anUnknownIdIsRefused() {
        assertEquals(
                "decode: no token has id 2000, found at position 1 (ids are below 2000); decode with the tokenizer that"
                        + " made the ids",
                assertThrows(IllegalArgumentException.class, () -> ours.decode(5, 2000))
                        .getMessage());
    }

    @Test
    void savesWhatItRead() throws IOException {
        Path first = directory.resolve("first.json");
        ours.save(first);
        Tokenizer read = Tokenizer.read(first);
        Path second = directory.resolve("second.json");
        read.save(second);
        assertEquals(Files.readString(first), Files.readString(second));
        assertEquals(ours.toString(), read.toString());
        String text = Texts.random(new Random(11), 5000);
        assertArrayEquals(ours.encode(text), read.encode(text));
    }

    @Test
    void threadsShareOneTokenizer() throws Exception {
        String text = Texts.random(new Random(12), 20_000);
        int[] expected = ours.encode(text);
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            Callable<int[]> encode = () -> ours.encode(text);
            for (Future<int[]> ids : threads.invokeAll(Collections.nCopies(40, encode))) {
                assertArrayEquals(expected, ids.get());
            }
        }
    }
}
