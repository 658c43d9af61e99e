package io.jacquard.train;

import io.jacquard.io.AtomicFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/// The loss over the steps as pictures, `loss.png` and `loss.svg`, drawn from the metrics.
final class LossCurve {
    private static final int WIDTH = 900;
    private static final int HEIGHT = 500;
    private static final int POINTS = 1000;

    /// One line of the picture.
    record Series(String name, List<Double> steps, List<Double> losses) {
        void add(double step, double loss) {
            steps.add(step);
            losses.add(loss);
        }

        /// At most `POINTS` points, each the mean of its neighbourhood.
        Series thinned() {
            int each = Math.ceilDiv(steps.size(), POINTS);
            if (each <= 1) {
                return this;
            }
            Series thin = new Series(name, new ArrayList<>(), new ArrayList<>());
            for (int i = 0; i < steps.size(); i += each) {
                int to = Math.min(i + each, steps.size());
                thin.add(mean(steps.subList(i, to)), mean(losses.subList(i, to)));
            }
            return thin;
        }

        private static double mean(List<Double> values) {
            return values.stream().mapToDouble(d -> d).average().orElse(Double.NaN);
        }
    }

    private LossCurve() {}

    /// Draws the pictures beside the metrics. A machine without fonts gets the SVG and a note.
    static void draw(Path metrics, TrainListener listener) throws IOException {
        List<Series> series = read(metrics);
        if (series.stream().noneMatch(s -> s.steps.size() > 1)) {
            return;
        }
        AtomicFiles.writeText(metrics.resolveSibling("loss.svg"), LossSvg.render(series, WIDTH, HEIGHT));
        try {
            byte[] png = png(series);
            AtomicFiles.write(
                    metrics.resolveSibling("loss.png"),
                    out -> AtomicFiles.writeFully(out, ByteBuffer.wrap(png)),
                    _ -> {});
        } catch (LinkageError | RuntimeException e) {
            // AWT cannot draw text without freetype and one font: no reason to end a run. A bundle is without AWT, as
            // its documentation says; a word at every validation would be too many.
            if (ModuleLayer.boot().findModule("java.desktop").isPresent()) {
                listener.noted("loss.png is not drawn: " + e + "; install fontconfig and a font, or see loss.svg");
            }
        }
    }

    private static List<Series> read(Path metrics) throws IOException {
        Series training = new Series("training", new ArrayList<>(), new ArrayList<>());
        Series validation = new Series("validation", new ArrayList<>(), new ArrayList<>());
        for (Map<String, @Nullable Object> line : Metrics.read(metrics)) {
            if (line.get("step") instanceof Long step) {
                if (line.get("loss") instanceof Number n) {
                    training.add(step, n.doubleValue());
                }
                if (line.get("validation_loss") instanceof Number n) {
                    validation.add(step, n.doubleValue());
                }
            }
        }
        return List.of(training.thinned(), validation.thinned());
    }

    private static byte[] png(List<Series> series) throws IOException {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title("Loss")
                .xAxisTitle("step")
                .yAxisTitle("nats per token")
                .build();
        chart.getStyler().setLegendPosition(Styler.LegendPosition.InsideNE);
        for (Series s : series) {
            if (!s.steps.isEmpty()) {
                chart.addSeries(s.name, s.steps, s.losses).setMarker(SeriesMarkers.NONE);
            }
        }
        return ChartEncoder.getBytes(chart, "png");
    }
}
