package io.jacquard.cuda.mutation;

import java.util.ArrayList;
import java.util.List;

/// A kernel source, and beside it the same text with everything blank that is no code: comments, strings, lines of the
/// preprocessor, template parameters, static assertions. Both have the same length.
final class Source {
    final String file;
    final String text;
    final String code;
    private final List<Integer> lineStarts = new ArrayList<>();

    Source(String file, String text) {
        this.file = file;
        this.text = text;
        this.code = blankDeclarations(blankComments(text));
        lineStarts.add(0);
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) == '\n') {
                lineStarts.add(i + 1);
            }
        }
    }

    /// From 1.
    int line(int at) {
        int line = 0;
        while (line < lineStarts.size() && lineStarts.get(line) <= at) {
            line++;
        }
        return line;
    }

    String lineText(int line) {
        int from = lineStarts.get(line - 1);
        int to = text.indexOf('\n', from);
        return text.substring(from, to < 0 ? text.length() : to);
    }

    int lineStart(int line) {
        return lineStarts.get(line - 1);
    }

    private static String blankComments(String text) {
        StringBuilder code = new StringBuilder(text);
        int i = 0;
        boolean lineIsEmpty = true;
        while (i < text.length()) {
            char c = text.charAt(i);
            int to = i + 1;
            if (text.startsWith("//", i)) {
                to = end(text, "\n", i, 0);
            } else if (text.startsWith("/*", i)) {
                to = end(text, "*/", i, 2);
            } else if (c == '"') {
                to = end(text, "\"", i + 1, 1);
            } else if (c == '#' && lineIsEmpty) {
                to = end(text, "\n", i, 0);
                while (text.charAt(to - 1) == '\\') {
                    to = end(text, "\n", to + 1, 0);
                }
            } else {
                lineIsEmpty = c == '\n' || lineIsEmpty && Character.isWhitespace(c);
                i = to;
                continue;
            }
            blank(code, i, to);
            i = to;
        }
        return code.toString();
    }

    private static int end(String text, String mark, int from, int after) {
        int at = text.indexOf(mark, from);
        return at < 0 ? text.length() : at + after;
    }

    private static String blankDeclarations(String commentFree) {
        StringBuilder code = new StringBuilder(commentFree);
        for (String word : List.of("template <", "static_assert(", "if constexpr (", "__launch_bounds__(")) {
            for (int at = code.indexOf(word); at >= 0; at = code.indexOf(word, at + 1)) {
                int open = at + word.length() - 1;
                blank(code, open, closing(code, open) + 1);
            }
        }
        // Computed by the compiler: nothing can be decided there while the kernel runs.
        for (int at = code.indexOf("constexpr "); at >= 0; at = code.indexOf("constexpr ", at + 1)) {
            blank(code, at, Math.max(at, code.indexOf(";", at)));
        }
        return code.toString();
    }

    private static void blank(StringBuilder code, int from, int to) {
        for (int i = from; i < to; i++) {
            if (code.charAt(i) != '\n') {
                code.setCharAt(i, ' ');
            }
        }
    }

    /// Where the bracket at `open` closes, or the last character when it does not.
    static int closing(CharSequence code, int open) {
        char opening = code.charAt(open);
        char closing = switch (opening) {
            case '(' -> ')';
            case '[' -> ']';
            case '{' -> '}';
            case '<' -> '>';
            default -> throw new IllegalArgumentException("no bracket: " + opening);
        };
        int depth = 0;
        for (int i = open; i < code.length(); i++) {
            char c = code.charAt(i);
            if (c == opening) {
                depth++;
            } else if (c == closing && --depth == 0) {
                return i;
            }
        }
        return code.length() - 1;
    }

    /// Whether a statement may begin at `at`.
    boolean startsStatement(int at) {
        int before = at - 1;
        while (before >= 0 && Character.isWhitespace(code.charAt(before))) {
            before--;
        }
        return before >= 0 && "{};)".indexOf(code.charAt(before)) >= 0;
    }
}
