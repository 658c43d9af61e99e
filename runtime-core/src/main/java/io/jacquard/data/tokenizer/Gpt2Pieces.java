package io.jacquard.data.tokenizer;

/// The pieces between which no merge happens, after GPT-2's pattern
///
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
///
/// written as a scanner over UTF-8. A byte that is not part of well-formed UTF-8 counts as a symbol of its own.
final class Gpt2Pieces {
    static final int SPACE = 0;
    private static final int LETTER = 1;
    private static final int NUMBER = 2;
    private static final int SYMBOL = 3;
    private static final int CLASS = 3;

    private static final int LETTERS = 1 << Character.UPPERCASE_LETTER
            | 1 << Character.LOWERCASE_LETTER
            | 1 << Character.TITLECASE_LETTER
            | 1 << Character.MODIFIER_LETTER
            | 1 << Character.OTHER_LETTER;
    private static final int NUMBERS =
            1 << Character.DECIMAL_DIGIT_NUMBER | 1 << Character.LETTER_NUMBER | 1 << Character.OTHER_NUMBER;
    private static final int SEPARATORS =
            1 << Character.SPACE_SEPARATOR | 1 << Character.LINE_SEPARATOR | 1 << Character.PARAGRAPH_SEPARATOR;

    // A byte per code point of the basic plane, 64 KiB: Character.getType costs two dependent loads and a shift more.
    private static final byte[] BASIC_PLANE = new byte[1 << 16];

    static {
        for (int point = 0; point < BASIC_PLANE.length; point++) {
            BASIC_PLANE[point] = (byte) classify(point);
        }
    }

    private Gpt2Pieces() {}

    private static int classify(int point) {
        int type = 1 << Character.getType(point);
        if ((type & LETTERS) != 0) {
            return LETTER;
        }
        if ((type & NUMBERS) != 0) {
            return NUMBER;
        }
        boolean space = (type & SEPARATORS) != 0 || point >= '\t' && point <= '\r' || point == 0x85;
        return space ? SPACE : SYMBOL;
    }

    static boolean isSpace(int point) {
        return classify(point) == SPACE;
    }

    /// End of the piece that begins at `from`, which lies below `to`.
    static int end(byte[] text, int from, int to) {
        byte first = text[from];
        if (first == '\'') {
            int contraction = contraction(text, from, to);
            return contraction > 0 ? from + contraction : runEnd(text, from + 1, to, SYMBOL);
        }
        int lead = first == ' ' && from + 1 < to ? from + 1 : from;
        int unit = unit(text, lead, to);
        int kind = unit & CLASS;
        return kind == SPACE ? spaceEnd(text, from, to) : runEnd(text, lead + (unit >> 2), to, kind);
    }

    private static int contraction(byte[] text, int from, int to) {
        if (from + 1 == to) {
            return 0;
        }
        byte a = text[from + 1];
        if (a == 's' || a == 't' || a == 'm' || a == 'd') {
            return 2;
        }
        if (from + 2 == to) {
            return 0;
        }
        byte b = text[from + 2];
        return b == 'e' && (a == 'r' || a == 'v') || b == 'l' && a == 'l' ? 3 : 0;
    }

    private static int runEnd(byte[] text, int from, int to, int kind) {
        int at = from;
        while (at < to) {
            byte b = text[at];
            if (b >= 0) {
                if (BASIC_PLANE[b] != kind) {
                    return at;
                }
                at++;
            } else {
                int unit = unit(text, at, to);
                if ((unit & CLASS) != kind) {
                    return at;
                }
                at += unit >> 2;
            }
        }
        return to;
    }

    /// All of the white space at the end of the text, or else all but its last character, which may begin the next
    /// piece.
    private static int spaceEnd(byte[] text, int from, int to) {
        int last = from;
        for (int at = from; at < to; ) {
            int unit = unit(text, at, to);
            if ((unit & CLASS) != SPACE) {
                return last == from ? at : last;
            }
            last = at;
            at += unit >> 2;
        }
        return to;
    }

    /// Class in the low two bits, length in bytes above.
    private static int unit(byte[] text, int at, int to) {
        byte b = text[at];
        if (b >= 0) {
            return 1 << 2 | BASIC_PLANE[b];
        }
        int length = Utf8.length(text, at, to);
        if (length == 1) {
            return 1 << 2 | SYMBOL;
        }
        int point = Utf8.codePoint(text, at, length);
        return length << 2 | (length < 4 ? BASIC_PLANE[point] : classify(point));
    }
}
