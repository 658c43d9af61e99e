package io.jacquard.data.tokenizer;

import java.nio.charset.StandardCharsets;

final class Utf8 {
    private static final char REPLACEMENT = '\uFFFD';

    private Utf8() {}

    /// `String.getBytes` alone would turn an unpaired surrogate into a question mark.
    static byte[] bytes(String text) {
        int at = unpairedSurrogate(text, 0);
        if (at < 0) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
        StringBuilder repaired = new StringBuilder(text);
        for (; at >= 0; at = unpairedSurrogate(text, at + 1)) {
            repaired.setCharAt(at, REPLACEMENT);
        }
        return repaired.toString().getBytes(StandardCharsets.UTF_8);
    }

    static int unpairedSurrogate(String text, int from) {
        int n = text.length();
        for (int i = from; i < n; i++) {
            char c = text.charAt(i);
            if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                if (c > Character.MAX_HIGH_SURROGATE || i + 1 == n || !Character.isLowSurrogate(text.charAt(i + 1))) {
                    return i;
                }
                i++;
            }
        }
        return -1;
    }

    /// Length of the well-formed sequence at `from`, which does not begin with an ASCII byte; 1 if there is none.
    static int length(byte[] text, int from, int to) {
        return Math.max(1, signedLength(text, from, to));
    }

    /// Length of the well-formed sequence, or minus that of the part that could have become one.
    private static int signedLength(byte[] text, int from, int to) {
        int lead = text[from] & 0xFF;
        int n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (lead < 0xC2 || lead > 0xF4 || from + 1 == to) {
            return -1;
        }
        int second = text[from + 1] & 0xFF;
        // The second byte carries what rules out overlong forms, surrogates and everything above U+10FFFF.
        int lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        int highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (second < lowest || second > highest) {
            return -1;
        }
        for (int i = 2; i < n; i++) {
            if (from + i == to || (text[from + i] & 0xC0) != 0x80) {
                return -i;
            }
        }
        return n;
    }

    /// One U+FFFD for each longest part that could have become a character, as Unicode recommends (3.9, table 3-8)
    /// and Rust does; the decoder of the JDK replaces some of them together.
    static String decode(byte[] text) {
        StringBuilder repaired = new StringBuilder();
        int done = 0;
        for (int at = 0; at < text.length; ) {
            int length = text[at] >= 0 ? 1 : signedLength(text, at, text.length);
            if (length < 0) {
                repaired.append(new String(text, done, at - done, StandardCharsets.UTF_8))
                        .append(REPLACEMENT);
                done = at - length;
            }
            at += Math.abs(length);
        }
        String rest = new String(text, done, text.length - done, StandardCharsets.UTF_8);
        return done == 0 ? rest : repaired.append(rest).toString();
    }

    /// The code point of a well-formed sequence of `length` 2 to 4.
    static int codePoint(byte[] text, int from, int length) {
        int point = text[from] & (0x7F >> length);
        for (int i = from + 1; i < from + length; i++) {
            point = point << 6 | text[i] & 0x3F;
        }
        return point;
    }
}
