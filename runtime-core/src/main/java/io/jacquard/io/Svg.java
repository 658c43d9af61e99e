package io.jacquard.io;

import java.util.Locale;

/// A picture as SVG, written by hand: it needs neither AWT nor a font of this machine. Lengths are pixels, y counts
/// down; each method draws over what is there.
public final class Svg {
    private final StringBuilder out = new StringBuilder();

    /// Where a text lies relative to its x.
    public enum Anchor {
        START,
        MIDDLE,
        END
    }

    /// A white area.
    public Svg(int width, int height) {
        out.append(String.format(Locale.ROOT, """
                <svg xmlns="http://www.w3.org/2000/svg" width="%1$d" height="%2$d" viewBox="0 0 %1$d %2$d"
                  font-family="sans-serif" font-size="12">
                <rect width="%1$d" height="%2$d" fill="white"/>
                """, width, height));
    }

    /// A horizontal line.
    public Svg line(double x, double y, double toX, String color) {
        out.append(String.format(Locale.ROOT, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"%s\"/>\n", x, y, toX, color));
        return this;
    }

    /// A filled rectangle with a thin white rim, so that neighbours can be told apart.
    public Svg box(double x, double y, double width, double height, String color) {
        out.append(String.format(Locale.ROOT, """
                <rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="white" stroke-width="0.5"/>
                """, x, y, width, height, color));
        return this;
    }

    /// A text whose base line is at `y`.
    public Svg text(double x, double y, Anchor anchor, String color, String text) {
        String where = anchor.name().toLowerCase(Locale.ROOT);
        String escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
        out.append(String.format(Locale.ROOT, """
                <text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>
                """, x, y, where, color, escaped));
        return this;
    }

    /// A line through points.
    public Svg curve(double[] x, double[] y, String color) {
        out.append(String.format(
                Locale.ROOT, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", color));
        for (int i = 0; i < x.length; i++) {
            out.append(String.format(Locale.ROOT, "%.1f,%.1f ", x[i], y[i]));
        }
        out.append("\"/>\n");
        return this;
    }

    /// The file.
    @Override
    public String toString() {
        return out + "</svg>\n";
    }
}
