package io.jacquard.benchmarks.report;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.jsoup.parser.Parser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/// The page as a browser reads it.
final class ReportTest {
    private static final String HOSTILE = "<script>alert('&')</script>";

    @TempDir
    private Path directory;

    private static Map<String, Object> row(String family, String name, double micros, Map<String, Double> peers) {
        Map<String, Object> row = new LinkedHashMap<>(Records.quiet().timed(name, micros, peers));
        row.put("family", family);
        row.put("bytes", 1_000_000);
        row.put("operations", 500_000);
        row.put("gigabytes_per_second", 1000 / micros);
        row.put("roofline_fraction", 0.83);
        row.put("low", 0.9 * micros);
        row.put("high", 1.1 * micros);
        row.put("error_fp64", 2e-7);
        row.put("error_allowed", 1e-5);
        row.put("allocated_bytes", 2048);
        return row;
    }

    private static Records records() {
        return Records.quiet()
                .put(
                        "contenders",
                        Map.of(
                                "pytorch", Map.of("present", true, "torch", "2.13.0"),
                                "nd4j", Map.of("present", false, "why", "no jar of its own")))
                .row(row("norms", "layer norm", 100, Map.of("pytorch eager", 400.0, "pytorch compile", 200.0)))
                .row(row("norms", "rms norm", 100, Map.of("pytorch eager", 50.0)))
                .row(row("matmul", HOSTILE, 10, Map.of("pytorch eager", 40.0)))
                .row(Map.of("name", "copy", "family", "moving", "status", "refused", "why", "off by 2 < 3"));
    }

    private Document page(List<JsonNode> records, JsonNode current, Comparison comparison) throws IOException {
        Path file = Report.write(directory, records, current, comparison);
        assertEquals(directory.resolve("index.html"), file);
        Parser parser = Parser.htmlParser().setTrackErrors(20);
        Document page = parser.parseInput(Files.readString(file), "");
        assertEquals(List.of(), List.copyOf(parser.getErrors()));
        return page;
    }

    private Document page() throws IOException {
        return page(List.of(), records().build(), null);
    }

    private static List<String> cells(Document page, String table, String row) {
        Element line = page.select(table + " tr").stream()
                .filter(tr -> tr.selectFirst("th").text().equals(row))
                .findFirst()
                .orElseThrow();
        return line.select("td").eachText();
    }

    private static JsonNode figures(Document page) {
        return Records.JSON.readTree(page.getElementById("figures").data());
    }

    @Test
    void everyRowIsThere() throws IOException {
        Document page = page();
        String rows = "div[aria-label=Rows] table";
        assertEquals(
                List.of("100.0", "90.00–110.0", "10.00 GB/s", "83 %", "2.00", "2.0e-07", "2.0 KiB"),
                cells(page, rows, "layer norm"));
        assertEquals(
                List.of("10.00", "9.000–11.00", "100.0 GB/s", "83 %", "4.00", "2.0e-07", "2.0 KiB"),
                cells(page, rows, HOSTILE));
        assertEquals(List.of("refused: off by 2 < 3"), cells(page, rows, "copy"));
        String ways = "div[aria-label^=Ways] table";
        assertEquals(List.of("pytorch eager", "50.00", "–", "0.50", "–"), cells(page, ways, "rms norm"));
        assertEquals(4, page.select(ways + " tbody tr").size());
    }

    @Test
    void theSummaryHasGeometricMeans() throws IOException {
        Document page = page();
        assertEquals(List.of("1.00 2 rows"), cells(page, ".sums", "norms")); // 2 and 0.5
        assertEquals(List.of("4.00 1 row"), cells(page, ".sums", "matmul"));
        assertEquals(List.of("1.59 3 rows"), cells(page, ".sums", "all rows")); // the third root of 4
    }

    @Test
    void theHeadSaysWhatRanAndWhatWasMissing() throws IOException {
        String head = page().selectFirst("header").text();
        for (String fact : List.of(
                "cpu, 2 threads, f32",
                "Commit abc1234",
                "Command bench --device cpu",
                "Host AMD EPYC, 2 processors",
                "pytorch torch 2.13.0",
                "nd4j missing: no jar of its own")) {
            assertTrue(head.contains(fact), head);
        }
    }

    @Test
    void nothingIsLoadedFromAnywhere() throws IOException {
        Document page = page();
        assertEquals(List.of(), page.select("[src], [href], [srcset], [action], [data], [poster]"));
        assertFalse(page.selectFirst("style").data().matches("(?s).*(url\\(|@import).*"));
        assertEquals(
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
                page.selectFirst("meta[http-equiv=Content-Security-Policy]").attr("content"));
        try (Stream<Path> files = Files.list(directory)) {
            assertEquals(List.of(directory.resolve("index.html")), files.toList());
        }
    }

    @Test
    void namesAreTextAndNoMarkup() throws IOException {
        Document page = page();
        assertEquals(3, page.select("script").size()); // figures, Chart.js, ours
        assertTrue(page.select("th").eachText().contains(HOSTILE));
        assertEquals(
                HOSTILE,
                figures(page)
                        .path("roofline")
                        .path("points")
                        .path(2)
                        .path("name")
                        .asString());
    }

    @Test
    void chartsAreDrawnFromTheRows() throws IOException {
        JsonNode figures = figures(page());
        JsonNode point = figures.path("roofline").path("points").path(0);
        assertEquals(0.5, point.path("x").asDouble());
        assertEquals(5e9, point.path("y").asDouble());
        assertEquals(20e9, figures.path("roofline").path("bandwidth").asDouble());
        assertEquals(
                3e11,
                figures.path("roofline").path("ceilings").path("f32 products").asDouble());
        JsonNode norms = figures.path("ratios").path(0);
        assertEquals("norms", norms.path("family").asString());
        assertEquals("[\"layer norm\",\"rms norm\"]", norms.path("rows").toString());
        assertEquals(
                "[2.0,0.5]", norms.path("contenders").path(0).path("values").toString());
    }

    @Test
    void withoutPeers() throws IOException {
        JsonNode alone = Records.quiet()
                .put("contenders", Map.of("pytorch", Map.of("present", false, "why", "no torch")))
                .row(row("norms", "layer norm", 100, Map.of()))
                .build();
        Document page = page(List.of(), alone, null);
        assertTrue(page.text().contains("No peer was timed"));
        assertNull(page.getElementById("ratios"));
        assertEquals(
                List.of("100.0", "90.00–110.0", "10.00 GB/s", "83 %", "2.0e-07", "2.0 KiB"),
                cells(page, "div[aria-label=Rows] table", "layer norm"));
    }

    @Test
    void historyIsOfTheSameMachine() throws IOException {
        JsonNode current = records().build();
        assertNull(page(List.of(current), current, null).getElementById("history"));
        JsonNode older = Records.quiet()
                .put("date", "2026-11-20T00:00:00Z")
                .put("commit", "0ld")
                .row(row("norms", "rms norm", 200, Map.of("pytorch eager", 300.0)))
                .build();
        JsonNode elsewhere = Records.quiet()
                .put("processors", 64)
                .row(row("norms", "rms norm", 1, Map.of()))
                .build();
        JsonNode other = Records.quiet().put("benchmark", "step").build();
        Document page = page(List.of(current, elsewhere, older, other), current, null);
        JsonNode history = figures(page).path("history");
        assertEquals(
                "[\"0ld 2026-11-20\",\"abc1234 2026-11-29\"]",
                history.path("runs").toString());
        assertEquals(
                "{\"family\":\"norms\",\"rows\":[{\"name\":\"rms norm\",\"micros\":[200.0,100.0],\"ratios\":[1.5,0.5]}]}",
                history.path("families").path(0).toString());
        assertEquals(List.of("200.0", "100.0"), cells(page, "div[aria-label=History] table", "rms norm"));
    }

    @Test
    void aComparisonIsShown() throws IOException {
        JsonNode before = records().build();
        JsonNode after =
                Records.quiet().row(row("norms", "layer norm", 150, Map.of())).build();
        Document page = page(List.of(), after, Comparison.of(before, after, Comparison.THRESHOLD));
        String table = "div[aria-label=Comparison] table";
        assertEquals(List.of("100.0", "150.0", "0.667", "0.667 to 0.667", "slower"), cells(page, table, "layer norm"));
        assertEquals(List.of("only before"), cells(page, table, "rms norm"));
        assertTrue(page.text().contains("geometric mean of 1: 0.667"), page.text());
    }

    @Test
    void whatTheFiguresAreNotIsSaid() throws IOException {
        JsonNode cut = Records.quiet()
                .put("machine", "emulated")
                .put("complete", false)
                .put("skipped", List.of("a", "b"))
                .build();
        List<String> notices =
                page(List.of(), cut, null).select("header .notice").eachText();
        assertEquals(
                List.of(
                        "Times of an emulated device mean nothing: this page shows that everything runs, not how fast.",
                        "The run was cut off: this is what it had measured until then.",
                        "Not run, out of time: a, b"),
                notices);
    }

    @Test
    void aMissingFileOfOursIsNamed() {
        String message = assertThrows(IOException.class, () -> Report.resource("none.css"))
                .getMessage();
        assertEquals("report: no none.css on the class path, where a build puts it; build again", message);
    }

    /// Chart.js gives a canvas its size when it draws; a script that fails leaves the rest without.
    @Test
    void aBrowserDrawsEveryChart() throws IOException {
        JsonNode older = Records.quiet()
                .put("date", "2026-11-20T00:00:00Z")
                .row(row("norms", "rms norm", 200, Map.of("pytorch eager", 300.0)))
                .build();
        page(List.of(older), records().build(), null);
        Document drawn = inBrowser(directory.resolve("index.html"));
        List<String> charts = drawn.select("canvas").eachAttr("aria-label");
        assertEquals(4, charts.size(), charts.toString()); // norms, matmul, roofline, history
        for (Element canvas : drawn.select("canvas")) {
            assertTrue(canvas.attr("style").matches(".*width: [1-9]\\d+px.*"), canvas.outerHtml());
        }
        assertEquals(List.of("norms"), drawn.select("#family option").eachText(), "of the rows that both runs have");
    }

    private static Document inBrowser(Path file) throws IOException {
        for (String browser : List.of("chromium", "chromium-browser", "google-chrome")) {
            Process p;
            try {
                p = new ProcessBuilder(
                                browser,
                                "--headless",
                                "--no-sandbox",
                                "--disable-gpu",
                                "--virtual-time-budget=3000",
                                "--dump-dom",
                                file.toUri().toString())
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
            } catch (IOException e) {
                continue; // not this one
            }
            return Parser.htmlParser().parseInput(new String(p.getInputStream().readAllBytes(), UTF_8), "");
        }
        return abort("no Chromium or Chrome on the path");
    }
}
