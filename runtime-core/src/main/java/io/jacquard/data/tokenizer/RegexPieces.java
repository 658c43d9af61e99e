package io.jacquard.data.tokenizer;

import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/// Cuts UTF-8 text at the matches of regular expressions, one after another: what matches is a piece, and what lies
/// between matches is one, too. Not for two threads at once.
///
/// Hugging Face's library matches with Oniguruma, this with `java.util.regex`, whose `\s`, `\w`, `\d` and `(?i)` are
/// told to follow Unicode as there. A byte that is not part of well-formed UTF-8 is an unpaired surrogate to the
/// pattern.
final class RegexPieces {
    /// One pattern.
    ///
    /// @param literal the text is to be found as it is, not as an expression
    record Split(String pattern, boolean literal) {
        /// @throws PatternSyntaxException where `java.util.regex` does not know the syntax
        Pattern compile() {
            return Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS | (literal ? Pattern.LITERAL : 0));
        }
    }

    /// Takes the pieces in order.
    @FunctionalInterface
    interface Sink {
        void piece(int from, int to);
    }

    private static final int LARGEST_KEPT = 1 << 22;

    private final Matcher[] matchers;
    private char[] chars = new char[256];
    // The byte at which each character begins; a low surrogate of a pair begins where the pair does.
    private int[] starts = new int[257];

    RegexPieces(List<Split> splits) {
        matchers = splits.stream().map(s -> s.compile().matcher("")).toArray(Matcher[]::new);
    }

    void cut(byte[] text, int from, int to, Sink sink) {
        if (chars.length < to - from) {
            chars = new char[to - from];
            starts = new int[to - from + 1];
        }
        int n = decode(text, from, to);
        String decoded = new String(chars, 0, n);
        for (Matcher m : matchers) {
            m.reset(decoded);
        }
        try {
            cut(0, 0, n, sink);
        } catch (StackOverflowError e) { // repeated groups recurse once per turn; repeated characters do not
            throw new IllegalArgumentException("tokenizer: a pattern of " + Arrays.toString(patterns())
                    + " repeats a group too often on a text of " + (to - from) + " bytes; encode shorter texts");
        }
        if (chars.length > LARGEST_KEPT) {
            chars = new char[256];
            starts = new int[257];
        }
    }

    private String[] patterns() {
        return Arrays.stream(matchers).map(m -> m.pattern().pattern()).toArray(String[]::new);
    }

    private void cut(int level, int from, int to, Sink sink) {
        if (from == to) {
            return;
        }
        if (level == matchers.length) {
            sink.piece(starts[from], starts[to]);
            return;
        }
        Matcher m = matchers[level].region(from, to);
        int done = from;
        while (m.find()) {
            cut(level + 1, done, m.start(), sink);
            cut(level + 1, m.start(), m.end(), sink);
            done = m.end();
        }
        cut(level + 1, done, to, sink);
    }

    private int decode(byte[] text, int from, int to) {
        int n = 0;
        for (int at = from; at < to; ) {
            int length = text[at] >= 0 ? 1 : Utf8.length(text, at, to);
            starts[n] = at;
            if (length == 1) {
                chars[n++] = (char) (text[at] >= 0 ? text[at] : Character.MIN_LOW_SURROGATE + (text[at] & 0xFF));
            } else {
                int point = Utf8.codePoint(text, at, length);
                int units = Character.toChars(point, chars, n);
                Arrays.fill(starts, n, n + units, at);
                n += units;
            }
            at += length;
        }
        starts[n] = to;
        return n;
    }
}
