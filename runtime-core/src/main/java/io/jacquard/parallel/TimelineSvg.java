package io.jacquard.parallel;

import io.jacquard.io.Svg;
import io.jacquard.io.Svg.Anchor;
import io.jacquard.parallel.Timeline.Span;
import java.util.List;
import java.util.Locale;

/// A timeline as a picture: a row for each rank, a box with the number of the micro-batch for each instruction.
final class TimelineSvg {
    private static final int WIDTH = 960;
    private static final int LEFT = 60;
    private static final int RIGHT = 15;
    private static final int TOP = 32;
    private static final int ROW = 26;
    private static final int LEGEND = 34;
    private static final int DIGIT = 8;

    /// Colors by kind; those of every second chunk are the second ones.
    private static final List<List<String>> COLORS = List.of(
            List.of("#3b6ea5", "#7fa8d1"),
            List.of("#3f8f4f", "#85c290"),
            List.of("#3f8f4f", "#85c290"),
            List.of("#a06a2c", "#d0a468"));

    private final Timeline timeline;
    private final long first;
    private final double scale;
    private final int bottom;
    private final Svg svg;

    private TimelineSvg(Timeline timeline) {
        this.timeline = timeline;
        first = timeline.spans().stream()
                .mapToLong(spans -> spans.getFirst().start())
                .min()
                .orElse(0);
        scale = (WIDTH - LEFT - RIGHT) / (double) timeline.duration();
        bottom = TOP + timeline.spans().size() * ROW;
        svg = new Svg(WIDTH, bottom + LEGEND);
    }

    static String draw(Timeline timeline) {
        TimelineSvg picture = new TimelineSvg(timeline);
        picture.svg.text(
                LEFT,
                20,
                Anchor.START,
                "black",
                timeline.schedule() + String.format(Locale.ROOT, ": bubble %.1f %%", 100 * timeline.bubble()));
        for (int r = 0; r < timeline.spans().size(); r++) {
            picture.row(r);
        }
        picture.legend();
        return picture.svg.toString();
    }

    private void row(int rank) {
        int top = TOP + rank * ROW;
        svg.text(LEFT - 8, top + 17, Anchor.END, "black", "rank " + rank);
        svg.box(LEFT, top, WIDTH - LEFT - RIGHT, ROW - 2, "#eeeeee");
        List<Instruction> list = timeline.schedule().of(rank);
        for (int i = 0; i < list.size(); i++) {
            box(top, list.get(i), timeline.spans().get(rank).get(i));
        }
    }

    private void box(int top, Instruction i, Span span) {
        double x = LEFT + (span.start() - first) * scale;
        double width = span.length() * scale;
        String number = Integer.toString(i.microBatch());
        svg.box(x, top, width, ROW - 2, COLORS.get(i.kind().ordinal()).get(i.chunk() % 2));
        if (width > DIGIT * number.length()) {
            svg.text(x + width / 2, top + 17, Anchor.MIDDLE, "white", number);
        }
    }

    /// The kinds that there are.
    private void legend() {
        double x = LEFT;
        for (Instruction.Kind kind : Instruction.Kind.values()) {
            if (timeline.schedule().of(0).stream().anyMatch(i -> i.kind() == kind)) {
                svg.box(x, bottom + 10, 14, 14, COLORS.get(kind.ordinal()).getFirst());
                svg.text(x + 20, bottom + 21, Anchor.START, "black", kind.words());
                x += 130;
            }
        }
    }
}
