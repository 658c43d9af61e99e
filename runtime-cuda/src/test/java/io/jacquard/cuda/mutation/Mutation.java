package io.jacquard.cuda.mutation;

import java.util.List;

/// One way to break a kernel: `source[from, to)` becomes `broken`. All mutations of a family are compiled into one
/// library; there `edits` let a number choose, while the kernel runs, which of them is in force. `occurrence` counts,
/// from 1, those of the file that look the same.
record Mutation(Source source, int occurrence, String operator, int from, int to, String broken, List<Edit> edits) {
    /// Puts `before` and `after` around `source[from, to)`; `@` in them stands for the mutation's number.
    record Edit(int from, int to, String before, String after) {}

    int line() {
        return source.line(from);
    }

    /// The line as it is.
    String original() {
        return source.lineText(line()).strip();
    }

    /// The line as the mutant has it (its first line, when the range is longer).
    String mutated() {
        int start = source.lineStart(line());
        int end = source.text.indexOf('\n', to);
        String text = source.text.substring(start, from)
                + broken
                + source.text.substring(to, end < 0 ? source.text.length() : end);
        return text.strip().replaceAll("\\s*\n\\s*", " ");
    }

    /// What names it across changes elsewhere in the file.
    String key() {
        return source.file + (occurrence > 1 ? " (" + occurrence + ")" : "") + ": " + original() + " => " + mutated();
    }
}
