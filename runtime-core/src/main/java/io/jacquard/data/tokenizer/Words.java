package io.jacquard.data.tokenizer;

/// What stands before and after a place in UTF-8 text, for added tokens that strip or want to stand alone.
final class Words {
    private Words() {}

    static boolean endsAt(byte[] text, int from, int at) {
        return at > from && isWord(point(text, before(text, from, at), at));
    }

    static boolean beginsAt(byte[] text, int at, int to) {
        return at < to && isWord(point(text, at, to));
    }

    static int spaceStart(byte[] text, int from, int at) {
        int start = at;
        while (start > from) {
            int previous = before(text, from, start);
            if (!Gpt2Pieces.isSpace(point(text, previous, start))) {
                break;
            }
            start = previous;
        }
        return start;
    }

    static int spaceEnd(byte[] text, int at, int to) {
        int end = at;
        while (end < to && Gpt2Pieces.isSpace(point(text, end, to))) {
            end += text[end] >= 0 ? 1 : Utf8.length(text, end, to);
        }
        return end;
    }

    private static int before(byte[] text, int from, int at) {
        int lowest = Math.max(from, at - 4);
        for (int start = at - 1; start >= lowest; start--) {
            if ((text[start] & 0xC0) != 0x80) {
                boolean whole = text[start] >= 0 ? start + 1 == at : start + Utf8.length(text, start, at) == at;
                return whole ? start : at - 1;
            }
        }
        return at - 1;
    }

    private static int point(byte[] text, int at, int to) {
        if (text[at] >= 0) {
            return text[at];
        }
        int length = Utf8.length(text, at, to);
        return length == 1 ? 0xFFFD : Utf8.codePoint(text, at, length);
    }

    /// `\w` of Unicode's regular expressions (UTS 18).
    private static boolean isWord(int point) {
        return switch (Character.getType(point)) {
            case Character.NON_SPACING_MARK,
                    Character.ENCLOSING_MARK,
                    Character.COMBINING_SPACING_MARK,
                    Character.DECIMAL_DIGIT_NUMBER,
                    Character.CONNECTOR_PUNCTUATION -> true;
            default -> Character.isAlphabetic(point) || point == 0x200C || point == 0x200D;
        };
    }
}
