package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class Gpt2PiecesTest {
    private static final Pattern PATTERN =
            Pattern.compile("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{IsWhite_Space}\\p{L}\\p{N}]+"
                    + "|\\p{IsWhite_Space}+(?!\\P{IsWhite_Space})|\\p{IsWhite_Space}+");

    // With 1 it is every code point, and passes too; that takes 21 s, nearly all of it in the other library.
    private static final int SAMPLED = 61;

    @TempDir
    static Path directory;

    @Test
    void piecesAreThoseOfThePattern() {
        Random random = new Random(9);
        List<String> texts = new ArrayList<>(Texts.TRICKY);
        for (int i = 0; i < 5000; i++) {
            texts.add(Texts.random(random, 1 + random.nextInt(60)));
        }
        for (String text : texts) {
            List<String> expected =
                    PATTERN.matcher(text).results().map(MatchResult::group).toList();
            assertEquals(expected, pieces(text));
        }
    }

    private static List<String> pieces(String text) {
        byte[] utf8 = Utf8.bytes(text);
        List<String> pieces = new ArrayList<>();
        for (int at = 0; at < utf8.length; ) {
            int end = Gpt2Pieces.end(utf8, at, utf8.length);
            pieces.add(Utf8.decode(Arrays.copyOfRange(utf8, at, end)));
            at = end;
        }
        return pieces;
    }

    @Test
    void codePointsHaveTheClassesOfHuggingFace() throws IOException {
        BytePairTokenizer ours = revealing();
        Path file = directory.resolve("revealing.json");
        ours.save(file);
        List<String> different = new ArrayList<>();
        try (HuggingFace theirs = new HuggingFace(file)) {
            List<Integer> points = new ArrayList<>();
            for (int point = 0x80; point <= Character.MAX_CODE_POINT; point++) {
                if (isWorthwhile(point)) {
                    points.add(point);
                }
            }
            for (int i = 0; i < points.size(); i += 256) {
                List<Integer> block = points.subList(i, Math.min(points.size(), i + 256));
                if (!Arrays.equals(theirs.encode(around(block)), ours.encode(around(block)))) {
                    for (int point : block) {
                        String text = around(List.of(point));
                        if (!Arrays.equals(theirs.encode(text), ours.encode(text))) {
                            different.add("U+%04X".formatted(point));
                        }
                    }
                }
            }
        }
        assertEquals(List.of(), different);
    }

    /// All of the small scripts, and a sample of those that are large or unassigned.
    private static boolean isWorthwhile(int point) {
        return switch (Character.getType(point)) {
            case Character.SURROGATE -> false;
            case Character.UNASSIGNED, Character.PRIVATE_USE -> point % SAMPLED == 0;
            default ->
                switch (Character.UnicodeScript.of(point)) {
                    case HAN, HANGUL, EGYPTIAN_HIEROGLYPHS, TANGUT, CUNEIFORM -> point % SAMPLED == 0;
                    default -> true;
                };
        };
    }

    /// A tokenizer in which `a`, `1` and `!` merge with the first byte of what follows in the same piece: with a
    /// letter, a number, a symbol, and none of them with white space.
    private static BytePairTokenizer revealing() {
        List<String> vocabulary =
                new ArrayList<>(Arrays.asList(ByteTokenizer.model().vocabulary()));
        List<Integer> merges = new ArrayList<>();
        for (char before : new char[] {'a', '1', '!'}) {
            for (int lead = 0xC2; lead <= 0xF4; lead++) {
                merges.addAll(List.of((int) before, lead, vocabulary.size()));
                vocabulary.add("" + before + ByteAlphabet.symbol(lead));
            }
        }
        int[] triples = merges.stream().mapToInt(Integer::intValue).toArray();
        return new BytePairTokenizer(
                new BytePairTokenizer.Model(vocabulary.toArray(String[]::new), triples, false, true),
                new AddedTokens(List.of()));
    }

    private static String around(List<Integer> points) {
        StringBuilder text = new StringBuilder();
        for (int point : points) {
            text.append('a').appendCodePoint(point).append('1').appendCodePoint(point);
            text.append('!').appendCodePoint(point).append('\n');
        }
        return text.toString();
    }
}
