package io.jacquard.benchmarks.report;

import com.samskivert.mustache.Mustache;
import io.jacquard.benchmarks.report.Tables.Cell;
import io.jacquard.benchmarks.report.Tables.Line;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/// One page of HTML with the figures of a run: tables, charts, history. It has everything inside, Chart.js too, so that
/// the file can be opened, moved and sent as it is; its content security policy lets it load nothing.
public final class Report {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final String CHARTS = "org.webjars.npm/chart.js";

    /// A line of the page's head.
    record Fact(String name, String text) {}

    private Report() {}

    /// Writes `index.html`.
    ///
    /// @param records older runs, for the history; those of other machines and benchmarks are passed over
    /// @param comparison of `current` with another run
    /// @return the page
    public static Path write(Path directory, List<JsonNode> records, JsonNode current, @Nullable Comparison comparison)
            throws IOException {
        Files.createDirectories(directory);
        Run run = new Run(current);
        String page = Mustache.compiler()
                .nullValue("")
                .emptyStringIsFalse(true)
                .compile(resource("report.html"))
                .execute(page(run, new History(records, run), comparison));
        return Files.writeString(directory.resolve("index.html"), page);
    }

    private static Map<String, Object> page(Run run, History history, @Nullable Comparison comparison)
            throws IOException {
        Tables tables = new Tables(run);
        Figures figures = Figures.of(run, tables.contenders(), history);
        Map<String, Object> page = new LinkedHashMap<>(head(run));
        page.put("contenders", tables.contenders());
        page.put("summary", tables.summary());
        page.put("rows", tables.rows());
        page.put("width", tables.width());
        page.put("ways", tables.ways());
        page.put("isAlone", tables.contenders().isEmpty());
        page.put("hasHistory", !history.isEmpty());
        page.put("history", history.table());
        page.put("runs", history.labels());
        page.put("comparison", comparison == null ? List.of() : List.of(comparison(comparison)));
        page.put("style", resource("report.css"));
        page.put("charts", charts());
        page.put("script", resource("report.js"));
        page.put("figures", JSON.writeValueAsString(figures).replace("<", "\\u003c"));
        return page;
    }

    private static Map<String, Object> head(Run run) {
        Map<String, Object> head = new LinkedHashMap<>();
        head.put("title", run.text("device") + ", " + run.text("dtype"));
        List<Fact> facts = new ArrayList<>();
        facts.add(new Fact("Commit", run.text("commit")));
        facts.add(new Fact("Date", run.text("date")));
        facts.add(new Fact("Command", run.text("command")));
        facts.add(new Fact("Host", run.text("cpu") + ", " + run.text("processors") + " processors"));
        facts.add(new Fact("Java", run.text("java") + flags(run)));
        facts.add(new Fact("Roofline", Words.pairs(run.json().path("roofline"))));
        facts.add(new Fact("Protocol", Words.pairs(run.json().path("protocol"))));
        run.contenders().forEach((name, about) -> facts.add(new Fact(name, contender(about))));
        head.put("facts", facts);
        head.put("isEmulated", run.text("machine").equals("emulated"));
        head.put("isIncomplete", !run.json().path("complete").asBoolean(true));
        head.put("skipped", joined(run.json().path("skipped")));
        return head;
    }

    private static String flags(Run run) {
        String flags = joined(run.json().path("flags"));
        return flags.isEmpty() ? "" : ", " + flags;
    }

    private static String joined(JsonNode array) {
        return array.valueStream().map(JsonNode::asString).collect(Collectors.joining(", "));
    }

    private static String contender(JsonNode about) {
        if (!about.path("present").asBoolean(true)) {
            return "missing: " + about.path("why").asString("no reason recorded");
        }
        return Words.pairs(about).replaceFirst("^present true(, )?", "");
    }

    private static Map<String, Object> comparison(Comparison comparison) {
        List<Line> lines = new ArrayList<>();
        for (Comparison.Row row : comparison.rows()) {
            lines.add(new Line(
                    row.name(),
                    List.of(
                            Cell.of(Words.number(row.microsBefore()), row.microsBefore()),
                            Cell.of(Words.number(row.microsAfter()), row.microsAfter()),
                            Cell.of(row.ratio().text(), row.ratio().ratio()),
                            new Cell(row.ratio().range(), "", ""),
                            new Cell(row.verdict().toString(), "", "")),
                    ""));
        }
        comparison.leftOut().forEach((name, why) -> lines.add(new Line(name, List.of(), why)));
        return Map.of("head", comparison.head(), "summary", comparison.summary(), "lines", lines);
    }

    /// Chart.js, whatever its version.
    private static String charts() throws IOException {
        Properties artifact = new Properties();
        artifact.load(new StringReader(resource("/META-INF/maven/" + CHARTS + "/pom.properties")));
        String version = artifact.getProperty("version");
        return resource("/META-INF/resources/webjars/chart.js/" + version + "/dist/chart.umd.min.js")
                .replaceFirst("//# sourceMappingURL=.*", "");
    }

    static String resource(String name) throws IOException {
        try (InputStream in = Report.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IOException("report: no " + name + " on the class path, where a build puts it; build again");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
