package io.jacquard.train;

import io.jacquard.io.Svg;
import io.jacquard.io.Svg.Anchor;
import java.util.List;
import java.util.Locale;

/// The loss curve as SVG by [Svg]: XChart's way to it goes through a library under the LGPL.
final class LossSvg {
    private static final int LEFT = 60;
    private static final int RIGHT = 20;
    private static final int TOP = 30;
    private static final int BOTTOM = 50;
    private static final int TICKS = 5;
    private static final List<String> COLORS = List.of("#1f77b4", "#d62728");

    private final Svg svg;
    private final int width;
    private final int height;
    private final double lastStep;
    private final double least;
    private final double most;

    private LossSvg(List<LossCurve.Series> series, int width, int height) {
        svg = new Svg(width, height);
        this.width = width;
        this.height = height;
        lastStep = Math.max(
                1,
                series.stream()
                        .flatMap(s -> s.steps().stream())
                        .mapToDouble(d -> d)
                        .max()
                        .orElse(1));
        double low = series.stream()
                .flatMap(s -> s.losses().stream())
                .mapToDouble(d -> d)
                .min()
                .orElse(0);
        double high = series.stream()
                .flatMap(s -> s.losses().stream())
                .mapToDouble(d -> d)
                .max()
                .orElse(1);
        least = low;
        most = high > low ? high : low + 1;
    }

    static String render(List<LossCurve.Series> series, int width, int height) {
        LossSvg picture = new LossSvg(series, width, height);
        picture.frame();
        for (int i = 0; i < series.size(); i++) {
            picture.curve(series.get(i), COLORS.get(i % COLORS.size()), i);
        }
        return picture.svg.toString();
    }

    private void frame() {
        for (int i = 0; i <= TICKS; i++) {
            double loss = least + (most - least) * i / TICKS;
            double step = lastStep * i / TICKS;
            svg.line(LEFT, y(loss), width - RIGHT, "#dddddd")
                    .text(LEFT - 8, y(loss) + 4, Anchor.END, "black", String.format(Locale.ROOT, "%.2f", loss))
                    .text(x(step), height - BOTTOM + 20, Anchor.MIDDLE, "black", Long.toString(Math.round(step)));
        }
        svg.text((LEFT + width - RIGHT) / 2.0, height - 10, Anchor.MIDDLE, "black", "step")
                .text(LEFT, 18, Anchor.START, "black", "nats per token");
    }

    private void curve(LossCurve.Series s, String color, int index) {
        if (s.steps().isEmpty()) {
            return;
        }
        svg.curve(
                        s.steps().stream().mapToDouble(this::x).toArray(),
                        s.losses().stream().mapToDouble(this::y).toArray(),
                        color)
                .text(width - RIGHT - 10, TOP + 20 + 18 * index, Anchor.END, color, s.name());
    }

    private double x(double step) {
        return LEFT + (width - LEFT - RIGHT) * step / lastStep;
    }

    private double y(double loss) {
        return TOP + (height - TOP - BOTTOM) * (most - loss) / (most - least);
    }
}
