package io.jacquard.train;

import java.util.List;
import java.util.Locale;

/// The loss curve as SVG, written by hand: it needs neither AWT nor a font on this machine, and XChart's way to SVG
/// goes through a library under the LGPL.
final class LossSvg {
    private static final int LEFT = 60;
    private static final int RIGHT = 20;
    private static final int TOP = 30;
    private static final int BOTTOM = 50;
    private static final int TICKS = 5;
    private static final List<String> COLORS = List.of("#1f77b4", "#d62728");

    private final StringBuilder out = new StringBuilder();
    private final int width;
    private final int height;
    private final double lastStep;
    private final double least;
    private final double most;

    private LossSvg(List<LossCurve.Series> series, int width, int height) {
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
        LossSvg svg = new LossSvg(series, width, height);
        svg.frame();
        for (int i = 0; i < series.size(); i++) {
            svg.line(series.get(i), COLORS.get(i % COLORS.size()), i);
        }
        return svg.out.append("</svg>\n").toString();
    }

    private void frame() {
        out.append(String.format(Locale.ROOT, """
                <svg xmlns="http://www.w3.org/2000/svg" width="%1$d" height="%2$d" viewBox="0 0 %1$d %2$d"
                  font-family="sans-serif" font-size="12">
                <rect width="%1$d" height="%2$d" fill="white"/>
                """, width, height));
        for (int i = 0; i <= TICKS; i++) {
            double loss = least + (most - least) * i / TICKS;
            double step = lastStep * i / TICKS;
            out.append(String.format(
                    Locale.ROOT,
                    """
                    <path d="M%d %.1fH%d" stroke="#dddddd"/>
                    <text x="%d" y="%.1f" text-anchor="end">%.2f</text>
                    <text x="%.1f" y="%d" text-anchor="middle">%.0f</text>
                    """,
                    LEFT,
                    y(loss),
                    width - RIGHT,
                    LEFT - 8,
                    y(loss) + 4,
                    loss,
                    x(step),
                    height - BOTTOM + 20,
                    step));
        }
        out.append(String.format(
                Locale.ROOT,
                "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">step</text>%n",
                (LEFT + width - RIGHT) / 2,
                height - 10));
        out.append(String.format(Locale.ROOT, "<text x=\"%d\" y=\"18\">nats per token</text>%n", LEFT));
    }

    private void line(LossCurve.Series s, String color, int index) {
        if (s.steps().isEmpty()) {
            return;
        }
        out.append("<polyline fill=\"none\" stroke=\"").append(color).append("\" stroke-width=\"1.5\" points=\"");
        for (int i = 0; i < s.steps().size(); i++) {
            out.append(String.format(
                    Locale.ROOT, "%.1f,%.1f ", x(s.steps().get(i)), y(s.losses().get(i))));
        }
        out.append(String.format(
                Locale.ROOT,
                "\"/>%n<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"%s\">%s</text>%n",
                width - RIGHT - 10,
                TOP + 20 + 18 * index,
                color,
                s.name()));
    }

    private double x(double step) {
        return LEFT + (width - LEFT - RIGHT) * step / lastStep;
    }

    private double y(double loss) {
        return TOP + (height - TOP - BOTTOM) * (most - loss) / (most - least);
    }
}
