package io.jacquard.cli;

import io.jacquard.data.Corpus;
import io.jacquard.data.Prepare;
import io.jacquard.train.DataPreparation;
import java.util.Locale;
import java.util.stream.Collectors;

/// Shows a preparation.
final class PrepareProgress implements DataPreparation.Progress {
    private static final int BAR = 24;

    private final Terminal terminal;
    private String before = "";

    PrepareProgress(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public void update(String doing, double share) {
        if (terminal.isLive()) {
            int full = (int) Math.round(BAR * Math.clamp(share, 0, 1));
            terminal.status(String.format(
                    Locale.ROOT,
                    "%-16s [%s%s]%s",
                    doing,
                    "#".repeat(full),
                    " ".repeat(BAR - full),
                    share < 0 ? "" : String.format(Locale.ROOT, " %3.0f%%", 100 * share)));
        } else if (!doing.equals(before)) {
            terminal.line(doing);
        }
        before = doing;
    }

    static String summary(Prepare.Result r) {
        String skipped = r.skipped().entrySet().stream()
                .map(e -> String.format(Locale.ROOT, "%,d %s", e.getValue(), reason(e.getKey())))
                .collect(Collectors.joining(", "));
        return String.format(
                Locale.ROOT,
                "%,d documents: %,d tokens to train on, %,d to validate%s%s",
                r.documents(),
                r.tokens(Prepare.Split.TRAIN),
                r.tokens(Prepare.Split.VALIDATION),
                skipped.isEmpty() ? "" : "; left out: " + skipped,
                r.fresh() ? "" : " (was there already)");
    }

    private static String reason(Corpus.Skip skip) {
        return switch (skip) {
            case HIDDEN -> "hidden";
            case EXTENSION -> "of other extensions";
            case TOO_LARGE -> "too large";
            case EMPTY -> "empty";
            case BINARY -> "binary";
            case INVALID_UTF8 -> "not UTF-8";
            case DUPLICATE -> "seen before";
            case MALFORMED -> "lines of .jsonl that are not JSON";
            case NO_FIELD -> "lines of .jsonl without text in the field (--field names it)";
        };
    }
}
