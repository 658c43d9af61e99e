package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class AddedTokensTest {
    private static List<AddedToken> tokens(int first) {
        return List.of(
                AddedToken.special(first, "<|end|>"),
                AddedToken.special(first + 1, "<|end|>more"),
                new AddedToken(first + 2, "<left>", false, true, false, false, true),
                new AddedToken(first + 3, "<right>", false, false, true, false, true),
                new AddedToken(first + 4, "<both>", false, true, true, false, false),
                new AddedToken(first + 5, "word", true, false, false, false, false),
                new AddedToken(first + 6, "later", false, false, false, true, false),
                new AddedToken(first + 7, "lat", false, false, false, false, false),
                new AddedToken(first + 8, "   ", false, false, false, true, false),
                new AddedToken(first + 9, "漢字", false, false, false, true, true),
                new AddedToken(first + 10, "wordy", true, true, true, true, false));
    }

    private static final String[] PARTS = {
        "<|end|>",
        "<|end|>more",
        "<|end",
        "<left>",
        "<right>",
        "<both>",
        "word",
        "later",
        "lat",
        "e",
        " ",
        "  ",
        "   ",
        "\n",
        "\u3000",
        "\u00A0",
        "漢字",
        "漢",
        "_",
        "9",
        "é",
        "\u0301",
        "-",
        "wordy",
        "s",
        "\u200D",
        "a",
        "<",
    };

    @TempDir
    Path directory;

    private void sameAsHuggingFace(boolean prefixSpace, boolean pattern) throws IOException {
        BytePairTokenizer trained = BpeTrainer.ofVocabularySize(300)
                .specialTokens()
                .train(List.of("wor  wor - <|en <|en <wo é é", "la la e e"));
        BytePairTokenizer ours = new BytePairTokenizer(
                new BytePairTokenizer.Model(
                        trained.model().vocabulary(), trained.model().merges(), prefixSpace, pattern),
                new AddedTokens(tokens(trained.vocabularySize())));
        Path file = directory.resolve("added.json");
        ours.save(file);
        Tokenizer read = Tokenizer.read(file);
        Random random = new Random(8);
        try (HuggingFace theirs = new HuggingFace(file)) {
            for (int i = 0; i < 3000; i++) {
                StringBuilder text = new StringBuilder();
                for (int n = random.nextInt(8); n >= 0; n--) {
                    text.append(PARTS[random.nextInt(PARTS.length)]);
                }
                int[] expected = theirs.encode(text.toString());
                assertArrayEquals(expected, ours.encode(text.toString()), () -> "text: '" + text + "'");
                assertArrayEquals(expected, read.encode(text.toString()));
            }
            assertArrayEquals(theirs.encode(""), ours.encode(""));
        }
    }

    @Test
    void areFoundLikeHuggingFaceFindsThem() throws IOException {
        sameAsHuggingFace(false, true);
    }

    @Test
    void areFoundBeforeThePrefixSpace() throws IOException {
        sameAsHuggingFace(true, true);
    }

    @Test
    void areFoundWithoutThePattern() throws IOException {
        sameAsHuggingFace(false, false);
        sameAsHuggingFace(true, false);
    }

    @Test
    void decodeToTheirText() {
        BytePairTokenizer tokenizer = new BytePairTokenizer(ByteTokenizer.model(), new AddedTokens(tokens(300)));
        assertEquals("a<|end|>漢字   ", tokenizer.decode('a', 300, 309, 308));
        assertEquals(311, tokenizer.vocabularySize());
        assertEquals(
                List.of(300, 301, 302, 303, 309),
                List.copyOf(tokenizer.specialTokens().values()));
    }

    @Test
    void damagedTextAroundThemIsNoWord() {
        BytePairTokenizer tokenizer = new BytePairTokenizer(ByteTokenizer.model(), new AddedTokens(tokens(300)));
        byte[] text = {(byte) 0xE4, 'w', 'o', 'r', 'd', (byte) 0xB8};
        assertEquals("[228, 305, 184]", Arrays.toString(tokenizer.encode(text)));
    }
}
