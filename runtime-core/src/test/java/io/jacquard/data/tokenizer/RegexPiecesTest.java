package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Files in the manner of Llama 3: text cut by a pattern of the file, whole pieces that ignore the merges, special
/// tokens around a text.
final class RegexPiecesTest {
    private static final String LLAMA_3 =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}"
                    + "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+";
    private static final String BYTE_LEVEL =
            "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}";
    private static final String TEMPLATE = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
            + "\"<|endoftext|>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":"
            + "{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{"
            + "\"<|endoftext|>\":{\"id\":\"<|endoftext|>\",\"ids\":[0],\"tokens\":[\"<|endoftext|>\"]}}}";
    private static final String LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitaen";

    @TempDir
    static Path directory;

    private static Path file;
    private static Tokenizer ours;
    private static HuggingFace theirs;

    @BeforeAll
    static void make() throws IOException {
        List<String> corpus = new ArrayList<>(Texts.sources());
        Random random = new Random(1);
        for (int i = 0; i < 200; i++) {
            corpus.add(Texts.random(random, 500));
        }
        file = directory.resolve("tokenizer.json");
        BpeTrainer.ofVocabularySize(2000).train(corpus).save(file);
        String json = Files.readString(file)
                .replaceFirst("\"pre_tokenizer\":\\{[^}]*}", "\"pre_tokenizer\":" + escaped(sequence(split(LLAMA_3))))
                .replace(
                        "\"post_processor\":null",
                        "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" + BYTE_LEVEL + "," + TEMPLATE
                                + "]}")
                .replace("\"ignore_merges\":false", "\"ignore_merges\":true")
                // tokens that no merges lead to: only a whole piece can be one
                .replace("\"vocab\":{", "\"vocab\":{\"" + LONG_WORD + "\":2000,\"Ġxyzzy\":2001,\"(((\":2002,");
        Files.writeString(file, json);
        ours = Tokenizer.read(file);
        theirs = new HuggingFace(file);
    }

    private static String escaped(String replacement) {
        return java.util.regex.Matcher.quoteReplacement(replacement);
    }

    private static String split(String regex) {
        return "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" + regex
                + "\"},\"behavior\":\"Isolated\",\"invert\":false}";
    }

    private static String sequence(String splits) {
        return "{\"type\":\"Sequence\",\"pretokenizers\":[" + splits + "," + BYTE_LEVEL + "]}";
    }

    @AfterAll
    static void close() {
        theirs.close();
    }

    private static void same(String text) {
        assertArrayEquals(theirs.encode(text), ours.encode(text), () -> "text: " + JsonTree.quoted(text));
    }

    @Test
    void encodesLikeHuggingFace() throws IOException {
        Texts.TRICKY.forEach(RegexPiecesTest::same);
        Texts.sources().forEach(RegexPiecesTest::same);
        Random random = new Random(42);
        for (int i = 0; i < 3000; i++) {
            same(Texts.random(random, 1 + random.nextInt(120)));
        }
    }

    @Test
    void wholePiecesIgnoreTheMerges() {
        assertArrayEquals(new int[] {2000, 2001, 2002}, ours.encode(LONG_WORD + " xyzzy((("));
        same(LONG_WORD + "s " + LONG_WORD + " xyzzy xyzzys ((( ((((");
        assertEquals(LONG_WORD + " xyzzy(((", ours.decode(2000, 2001, 2002));
    }

    /// Bytes that are not UTF-8 come back as they were.
    @Test
    void losesNoByte() {
        Random random = new Random(3);
        for (int i = 0; i < 500; i++) {
            byte[] bytes = new byte[random.nextInt(60)];
            random.nextBytes(bytes);
            assertArrayEquals(bytes, ours.decodeBytes(ours.encode(bytes)));
        }
    }

    @Test
    void savedAndReadAgainItIsTheSame() throws IOException {
        Path copy = directory.resolve("copy.json");
        ours.save(copy);
        Path again = directory.resolve("again.json");
        Tokenizer.read(copy).save(again);
        assertEquals(Files.readString(copy), Files.readString(again));
        try (HuggingFace saved = new HuggingFace(copy)) {
            for (String text : Texts.TRICKY) {
                assertArrayEquals(saved.encode(text), ours.encode(text));
            }
        }
        assertTrue(Files.readString(copy).contains(TEMPLATE), "the post-processor is kept");
    }

    /// Several patterns cut one after another, text between matches is a piece, GPT-2's pattern may come last.
    @Test
    void patternsFollowOneAnother() throws IOException {
        String two =
                split("\\\\p{N}") + ",{\"type\":\"Split\",\"pattern\":{\"String\":\"'s.\"},\"behavior\":\"Isolated\","
                        + "\"invert\":false},"
                        + split("[aeiou]+(?!\\\\S)");
        for (String last : new String[] {BYTE_LEVEL, BYTE_LEVEL.replace("\"use_regex\":false", "\"use_regex\":true")}) {
            Path other = directory.resolve("two.json");
            Files.writeString(
                    other,
                    Files.readString(file)
                            .replace(sequence(split(LLAMA_3)), sequence(two).replace(BYTE_LEVEL, last)));
            Tokenizer mine = Tokenizer.read(other);
            try (HuggingFace oracle = new HuggingFace(other)) {
                Random random = new Random(5);
                for (int i = 0; i < 500; i++) {
                    String text = Texts.random(random, 1 + random.nextInt(80)) + " it's. 1234 'S. aei ou";
                    assertArrayEquals(oracle.encode(text), mine.encode(text), text);
                }
            }
        }
    }

    /// `java.util.regex` recurses where a group repeats.
    @Test
    void hostilePatternsEndInOneMessage() throws IOException {
        Path hostile = directory.resolve("hostile.json");
        String good = Files.readString(file);
        Files.writeString(hostile, good.replace(LLAMA_3, "(?:a|b)+"));
        Tokenizer tokenizer = Tokenizer.read(hostile);
        String text = "ab".repeat(1 << 19);
        assertEquals(
                "tokenizer: a pattern of [(?:a|b)+] repeats a group too often on a text of 1048576 bytes; encode"
                        + " shorter texts",
                assertThrows(IllegalArgumentException.class, () -> tokenizer.encode(text))
                        .getMessage());
        Files.writeString(hostile, good.replace(LLAMA_3, "(".repeat(60_000)));
        String message = assertThrows(IllegalArgumentException.class, () -> Tokenizer.read(hostile))
                .getMessage();
        assertTrue(message.contains("java.util.regex knows (Stack overflow"), message);
    }

    @Test
    void whatIsNotDoneIsRefusedByName() throws IOException {
        String good = Files.readString(file);
        String way = "; export the tokenizer again as byte-level BPE, or train one with BpeTrainer";
        String[][] cases = {
            {
                "Isolated",
                "Removed",
                "'pre_tokenizer.pretokenizers[0].behavior' is 'Removed', which is not supported, expected"
                        + " 'Isolated'"
            },
            {
                "\"invert\":false",
                "\"invert\":true",
                "'pre_tokenizer.pretokenizers[0].invert' is true, which is not supported," + " expected false"
            },
            {
                "\"Split\"",
                "\"Digits\"",
                "'pre_tokenizer.pretokenizers[0]' is 'Digits', which is not supported, expected" + " 'Split'"
            },
            {
                "\"add_prefix_space\":false",
                "\"add_prefix_space\":true",
                "'pre_tokenizer.pretokenizers[1].add_prefix_space' is"
                        + " true behind a 'Split', which is not supported, expected false"
            },
            {
                LLAMA_3,
                "(",
                "'pre_tokenizer.pretokenizers[0].pattern.Regex' is '(', expected a regular expression that"
                        + " java.util.regex knows (Unclosed group at 1)"
            },
            {
                split(LLAMA_3) + "," + BYTE_LEVEL,
                "",
                "'pre_tokenizer.pretokenizers' is empty, expected 'Split's and" + " 'ByteLevel'"
            },
        };
        Path bad = directory.resolve("bad.json");
        for (String[] c : cases) {
            int at = good.indexOf(c[0]);
            Files.writeString(bad, good.substring(0, at) + c[1] + good.substring(at + c[0].length()));
            IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> Tokenizer.read(bad), c[1]);
            assertEquals(bad + ": " + c[2] + way, e.getMessage());
        }
    }
}
