package io.jacquard.cli;

import io.jacquard.tensor.Debug;
import java.io.Console;
import java.io.PrintWriter;

/// Standard error as a person or a log sees it: one line that is rewritten, or plain lines.
final class Terminal {
    private static final long REDRAW_NANOS = 200_000_000;

    private final PrintWriter err;
    private final boolean live;
    private int drawn;
    private long drawnAt;

    private Terminal(PrintWriter err, boolean live) {
        this.err = err;
        this.live = live;
    }

    @SuppressWarnings("SystemConsoleNull") // the specification still allows null
    static Terminal of(PrintWriter err) {
        Console console = System.console();
        boolean dumb = "dumb".equals(System.getenv("TERM"));
        // the lines about kernels would run into the line that is rewritten
        boolean alone = Debug.level() == 0;
        return new Terminal(err, console != null && console.isTerminal() && !dumb && alone);
    }

    /// See no-color.org.
    static boolean colors() {
        String none = System.getenv("NO_COLOR");
        return none == null || none.isEmpty();
    }

    boolean isLive() {
        return live;
    }

    /// Rewrites the status line, now and then; nothing where nobody watches.
    void status(String text) {
        long now = System.nanoTime();
        if (live && (drawn == 0 || now - drawnAt >= REDRAW_NANOS)) {
            drawnAt = now;
            err.print("\r" + text + " ".repeat(Math.max(0, drawn - text.length())));
            err.flush();
            drawn = text.length();
        }
    }

    /// Prints a line that stays.
    void line(String text) {
        if (drawn > 0) {
            err.print("\r" + " ".repeat(drawn) + "\r");
            drawn = 0;
        }
        err.println(text);
        err.flush();
    }
}
