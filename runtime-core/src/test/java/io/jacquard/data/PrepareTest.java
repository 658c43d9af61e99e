package io.jacquard.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.data.Corpus.Skip;
import io.jacquard.data.Prepare.Division;
import io.jacquard.data.Prepare.Result;
import io.jacquard.data.Prepare.Settings;
import io.jacquard.data.Prepare.Split;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

final class PrepareTest {
    private static final int END = 256;
    private static final Function<String, int[]> BYTES = text -> {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = Byte.toUnsignedInt(bytes[i]);
        }
        return ids;
    };

    @TempDir
    Path root;

    private Path source;

    @BeforeEach
    void makeSource() throws IOException {
        source = Files.createDirectory(root.resolve("source"));
    }

    @Test
    void skipsAndCountsWhatIsNoText() throws IOException {
        write("b/one.txt", "one");
        write("a.txt", "\uFEFFfirst");
        write("z.md", "not wanted");
        write("copy.txt", "one");
        write("empty.txt", " \n\t");
        write(".git/config.txt", "hidden");
        write(".hidden.txt", "hidden");
        write("big.txt", "x".repeat(101));
        write("fits.TXT", "y".repeat(100));
        Files.write(source.resolve("binary.txt"), new byte[] {65, 0, 66});
        Files.write(source.resolve("latin.txt"), new byte[] {65, (byte) 0xe9});
        Path zip = zip("src.zip", Map.of("p/B.txt", "from zip", "p/C.txt", "one", "p/D.class", "no"));
        Corpus corpus =
                Corpus.open(List.of(source, zip, source.resolve("z.md")), new Corpus.Options(Set.of("txt"), 100, null));
        List<String> found = new ArrayList<>();
        corpus.visit((document, done) -> found.add(document.name() + "=" + document.text()));
        assertEquals(
                List.of(
                        "a.txt=first",
                        "b/one.txt=one",
                        "fits.TXT=" + "y".repeat(100),
                        "src.zip!p/B.txt=from zip",
                        "z.md=not wanted"),
                found);
        assertEquals(
                Map.of(
                        Skip.HIDDEN,
                        2L,
                        Skip.EXTENSION,
                        2L,
                        Skip.TOO_LARGE,
                        1L,
                        Skip.EMPTY,
                        1L,
                        Skip.BINARY,
                        1L,
                        Skip.INVALID_UTF8,
                        1L,
                        Skip.DUPLICATE,
                        2L),
                corpus.skipped());
    }

    @Test
    void separatorLinesDivideAFile() throws IOException {
        write(
                "stories.txt",
                "a\nb\n<|end|>\n\n<|end|>\r\nc\r\n<|end|>\na\nb\n<|end|>\n" + "d".repeat(50) + "\n<|end|>");
        Corpus corpus = Corpus.open(List.of(source), new Corpus.Options(Set.of(), 20, "<|end|>"));
        List<String> found = new ArrayList<>();
        corpus.visit((document, done) -> found.add(document.name() + "=" + document.text()));
        assertEquals(List.of("stories.txt#1=a\nb\n", "stories.txt#3=c\n"), found);
        assertEquals(Map.of(Skip.EMPTY, 1L, Skip.DUPLICATE, 1L, Skip.TOO_LARGE, 1L), corpus.skipped());
    }

    @Test
    void linesOfJsonAreDocuments() throws IOException {
        String lines = """
                {"text": "one\\nline", "meta": {"text": "not this"}}
                {"id": 3, "text": "second \\u00e9 \\ud83d\\ude00"}

                {"story": "another field"}
                {"text": 5}
                ["text"]
                {"text": "cut off
                {"text": "goes on"} x
                {"text": "one\\nline"}
                {"text": " "}
                {"text": "zero \\u0000"}
                {"text": "yyyyyyyyyyyyyyyyyyyyy"}
                {"text": "last"}""";
        write("a.jsonl", lines);
        Corpus corpus = Corpus.open(List.of(source), new Corpus.Options(Set.of(), 20, null));
        List<String> found = new ArrayList<>();
        corpus.visit((document, done) -> found.add(document.name() + "=" + document.text()));
        assertEquals(List.of("a.jsonl#1=one\nline", "a.jsonl#2=second é 😀", "a.jsonl#13=last"), found);
        assertEquals(
                Map.of(
                        Skip.NO_FIELD,
                        3L,
                        Skip.MALFORMED,
                        2L,
                        Skip.DUPLICATE,
                        1L,
                        Skip.EMPTY,
                        1L,
                        Skip.BINARY,
                        1L,
                        Skip.TOO_LARGE,
                        1L),
                corpus.skipped());
        found.clear();
        Corpus.open(List.of(source), new Corpus.Options(Set.of(), 20, null, "story"))
                .visit((document, done) -> found.add(document.name() + "=" + document.text()));
        assertEquals(List.of("a.jsonl#4=another field"), found);
    }

    @Test
    void shardsHoldEveryDocumentOnce() throws IOException {
        fill(200);
        Result result = run("out", 1, false);
        assertTrue(result.fresh());
        assertEquals(200, result.documents());
        assertEquals(Division.DOCUMENTS, result.division());
        assertTrue(result.shards().size() > 6, result.shards().toString());
        Set<String> texts = new HashSet<>();
        for (Split split : Split.values()) {
            List<String> part = texts("out", result, split);
            assertTrue(part.size() > (split == Split.TRAIN ? 140 : 20), split + " " + part.size());
            texts.addAll(part);
        }
        assertEquals(200, texts.size());
        assertEquals(
                200,
                result.shards().stream().mapToLong(Prepare.Shard::documents).sum());
    }

    @Test
    void anyNumberOfThreadsAndACutOffRunGiveTheSameBytes() throws IOException {
        fill(300);
        run("one", 1, false);
        run("three", 3, false);
        assertEquals(contents("one"), contents("three"));
        for (int failAfter : new int[] {0, 1, 50, 120, 299}) {
            String out = "cut" + failAfter;
            int[] count = new int[1];
            Function<String, int[]> failing = text -> {
                if (count[0]++ == failAfter) {
                    throw new IllegalStateException("power cut");
                }
                return BYTES.apply(text);
            };
            IllegalStateException e = assertThrows(
                    IllegalStateException.class,
                    () -> Prepare.run(settings(out), failing, 1, false, (done, total, documents) -> {}));
            assertTrue(e.getMessage().endsWith("the tokenizer failed: java.lang.IllegalStateException: power cut"));
            int[] encoded = new int[1];
            Result result = Prepare.run(
                    settings(out),
                    text -> {
                        encoded[0]++;
                        return BYTES.apply(text);
                    },
                    1,
                    false,
                    (done, total, documents) -> {});
            assertTrue(result.fresh());
            assertEquals(contents("one"), contents(out));
            assertTrue(failAfter < 100 || encoded[0] < 300 - failAfter / 2, encoded[0] + " encoded again");
        }
    }

    @Test
    void aSecondRunDoesNothingAndOtherSettingsAreRefused() throws IOException {
        fill(50);
        run("out", 1, false);
        Result again = Prepare.run(
                settings("out"),
                text -> {
                    throw new AssertionError("encoded again");
                },
                1,
                false,
                (done, total, documents) -> {});
        assertFalse(again.fresh());
        assertEquals(50, again.documents());
        Path out = root.resolve("out");
        Settings other =
                new Settings(List.of(source), out, Corpus.Options.DEFAULT, Division.AUTO, 0.2, 1000, "gpt2", 257, END);
        assertRefused(
                out + ": was prepared with tokenizer bytes, now it is gpt2; use another directory, or --overwrite"
                        + " to replace what is there",
                () -> Prepare.run(other, BYTES, 1, false, (a, b, c) -> {}));
        assertTrue(Prepare.run(other, BYTES, 1, true, (a, b, c) -> {}).fresh());
        assertTrue(Files.readString(out.resolve("prepare.json")).contains("\"gpt2\""));

        Path shard = out.resolve("train-00000.bin");
        Files.delete(shard);
        assertRefused(
                shard + ": listed in prepare.json but missing; use another directory, or --overwrite to replace"
                        + " what is there",
                () -> Prepare.run(other, BYTES, 1, false, (a, b, c) -> {}));
        Files.delete(out.resolve("prepare.json"));
        assertRefused(
                out + ": has token files but no prepare.json; use another directory, or --overwrite to replace"
                        + " what is there",
                () -> Prepare.run(other, BYTES, 1, false, (a, b, c) -> {}));
        Files.writeString(out.resolve("prepare.json"), "{\"format\":2}");
        assertRefused(
                out.resolve("prepare.json") + ": not a manifest of format 1; use another directory, or"
                        + " --overwrite to replace what is there",
                () -> Prepare.run(other, BYTES, 1, false, (a, b, c) -> {}));
    }

    @Test
    void documentsStayInTheirPartWhenOthersAreAdded() throws IOException {
        fill(100);
        Result before = run("before", 1, false);
        Set<String> validation = new HashSet<>(texts("before", before, Split.VALIDATION));
        fill(200);
        Result after = run("after", 1, false);
        Set<String> all = new HashSet<>(texts("after", after, Split.VALIDATION));
        assertTrue(all.containsAll(validation));
        assertTrue(texts("after", after, Split.TRAIN).stream().noneMatch(validation::contains));
    }

    @Test
    void aSingleFileIsDividedAtItsTail() throws IOException {
        Path file = write("book.txt", "line\n".repeat(99) + "end");
        Settings settings = new Settings(
                List.of(file),
                root.resolve("out"),
                Corpus.Options.DEFAULT,
                Division.AUTO,
                0.1,
                1_000_000,
                "bytes",
                257,
                END);
        List<Long> progress = new ArrayList<>();
        Result result = Prepare.run(settings, BYTES, 1, false, (done, total, documents) -> progress.add(done));
        assertEquals(Division.TAILS, result.division());
        assertEquals(List.of("line\n".repeat(90)), texts("out", result, Split.TRAIN));
        assertEquals(List.of("line\n".repeat(9) + "end"), texts("out", result, Split.VALIDATION));
        assertEquals(List.of(498L, 498L), progress);
        assertEquals(451, result.tokens(Split.TRAIN));
    }

    @Test
    void tailsAreCutAtLinesOrCodePoints() {
        assertEquals(4, Prepare.cut("abc\ndef\n", 0.5));
        assertEquals(4, Prepare.cut("abc\ndefghij", 0.5));
        assertEquals(5, Prepare.cut("abcdefghij", 0.5));
        assertEquals(6, Prepare.cut("abcd\uD83D\uDE00efghi".substring(0, 10), 0.5));
        assertEquals(3, Prepare.cut("abc", 0));
        assertEquals(0, Prepare.cut("", 0.5));
        assertEquals(5, Prepare.cut("abcdefghi\n", 0.5));
    }

    @Test
    void saysWhatIsWrong() throws IOException {
        Path none = root.resolve("none");
        assertRefused(none + ": no such file or folder", () -> Corpus.open(List.of(none), Corpus.Options.DEFAULT));
        assertRefused(
                "corpus: no file to read in [" + source + "]; skipped {}, extensions wanted: all",
                () -> Corpus.open(List.of(source), Corpus.Options.DEFAULT));
        Path bad = root.resolve("bad.zip");
        Files.writeString(bad, "PK no zip");
        assertRefused(
                bad + ": damaged archive: zip END header not found",
                () -> Corpus.open(List.of(bad), Corpus.Options.DEFAULT));
        write("a.txt", "aa");
        write("b.txt", "bb");
        assertRefused(
                "prepare: the output " + source.resolve("out") + " lies inside the source " + source
                        + "; choose a directory outside",
                () -> Prepare.run(
                        new Settings(
                                List.of(source),
                                source.resolve("out"),
                                Corpus.Options.DEFAULT,
                                Division.AUTO,
                                0.1,
                                1000,
                                "bytes",
                                257,
                                END),
                        BYTES,
                        1,
                        false,
                        (a, b, c) -> {}));
        assertRefused(
                "prepare: none of 2 documents fell into the validation part of 1.0E-4; raise the fraction, set it"
                        + " to 0, or divide by tails",
                () -> Prepare.run(
                        new Settings(
                                List.of(source),
                                root.resolve("small"),
                                Corpus.Options.DEFAULT,
                                Division.AUTO,
                                1e-4,
                                1000,
                                "bytes",
                                257,
                                END),
                        BYTES,
                        1,
                        false,
                        (a, b, c) -> {}));
        assertRefused(
                "prepare: a.txt: token 300 at position 1; expected 0 to 256",
                () -> Prepare.run(settings("tokens"), text -> new int[] {300}, 1, false, (a, b, c) -> {}));
        assertRefused(
                "prepare: validation fraction 1.0; expected 0 to below 1",
                () -> new Settings(List.of(), root, Corpus.Options.DEFAULT, Division.AUTO, 1, 1000, "bytes", 257, END));
        assertRefused(
                "prepare: end of text 257; expected 0 to 256",
                () -> new Settings(List.of(), root, Corpus.Options.DEFAULT, Division.AUTO, 0, 1000, "bytes", 257, 257));
    }

    private static void assertRefused(String message, Executable code) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, code).getMessage());
    }

    private Settings settings(String out) {
        return new Settings(
                List.of(source),
                root.resolve(out),
                Corpus.Options.DEFAULT,
                Division.AUTO,
                0.2,
                1000,
                "bytes",
                257,
                END);
    }

    private Result run(String out, int threads, boolean overwrite) throws IOException {
        return Prepare.run(settings(out), BYTES, threads, overwrite, (done, total, documents) -> {});
    }

    private void fill(int documents) throws IOException {
        for (int i = 0; i < documents; i++) {
            write(i % 7 + "/" + i + ".txt", "text number " + i + " ä " + "x".repeat(i % 40));
        }
    }

    private Path write(String name, String text) throws IOException {
        Path file = source.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, text);
    }

    private Path zip(String name, Map<String, String> entries) throws IOException {
        Path file = root.resolve(name);
        try (OutputStream out = Files.newOutputStream(file);
                ZipOutputStream zip = new ZipOutputStream(out)) {
            for (Map.Entry<String, String> entry :
                    new TreeMap<>(entries).descendingMap().entrySet()) {
                zip.putNextEntry(new ZipEntry(entry.getKey()));
                zip.write(entry.getValue().getBytes(StandardCharsets.UTF_8));
            }
        }
        return file;
    }

    /// The documents of one part, back as text.
    private List<String> texts(String out, Result result, Split split) throws IOException {
        List<String> texts = new ArrayList<>();
        for (Prepare.Shard shard : result.shards()) {
            if (shard.split() != split) {
                continue;
            }
            try (TokenFile file = TokenFile.open(root.resolve(out).resolve(shard.file()))) {
                assertEquals(shard.tokens(), file.length());
                int[] tokens = new int[(int) file.length()];
                file.copy(0, tokens, 0, tokens.length);
                assertEquals(END, tokens[0]);
                StringBuilder latin = new StringBuilder();
                for (int token : tokens) {
                    latin.append((char) token);
                }
                Stream.of(latin.substring(1).split("\u0100", -1))
                        .forEach(text -> texts.add(
                                new String(text.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8)));
            }
        }
        return texts;
    }

    private Map<String, String> contents(String out) throws IOException {
        Map<String, String> contents = new HashMap<>();
        try (Stream<Path> files = Files.list(root.resolve(out))) {
            for (Path file : files.toList()) {
                contents.put(
                        file.getFileName().toString(),
                        new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
            }
        }
        assertTrue(contents.containsKey("prepare.json"));
        return contents;
    }
}
