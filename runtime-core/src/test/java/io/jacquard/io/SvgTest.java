package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.io.Svg.Anchor;
import java.util.Locale;
import org.junit.jupiter.api.Test;

final class SvgTest {
    /// Texts are escaped, and numbers are written as SVG wants them wherever this runs.
    @Test
    void writesEachElement() {
        Locale before = Locale.getDefault();
        Locale.setDefault(Locale.GERMANY);
        try {
            assertEquals(
                    """
                    <svg xmlns="http://www.w3.org/2000/svg" width="30" height="20" viewBox="0 0 30 20"
                      font-family="sans-serif" font-size="12">
                    <rect width="30" height="20" fill="white"/>
                    <path d="M1.5 2.0H9.0" stroke="#dddddd"/>
                    <rect x="1.0" y="2.0" width="3.3" height="4.0" fill="red" stroke="white" stroke-width="0.5"/>
                    <text x="5.0" y="6.0" text-anchor="middle" fill="black">a &lt; b &amp; c &gt; d</text>
                    <polyline fill="none" stroke="blue" stroke-width="1.5" points="0.0,1.0 2.5,3.0 "/>
                    </svg>
                    """,
                    new Svg(30, 20)
                            .line(1.5, 2, 9, "#dddddd")
                            .box(1, 2, 3.25, 4, "red")
                            .text(5, 6, Anchor.MIDDLE, "black", "a < b & c > d")
                            .curve(new double[] {0, 2.5}, new double[] {1, 3}, "blue")
                            .toString());
        } finally {
            Locale.setDefault(before);
        }
    }
}
