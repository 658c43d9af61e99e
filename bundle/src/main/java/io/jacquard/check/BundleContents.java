package io.jacquard.check;

import io.jacquard.data.Corpus;
import io.jacquard.io.AtomicFiles;
import io.jacquard.io.Json;
import io.jacquard.train.DataPreparation;
import io.jacquard.train.QuickstartText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// What a bundle holds that is computed when it is made: `BundleContents OUT PROJECT VERSION` writes `manifest.json`
/// and the shards of the quickstart text into OUT. PROJECT is the checkout.
final class BundleContents {
    private static final int VOCABULARY = 4096;

    private BundleContents() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path out = Path.of(arguments[0]);
        Files.createDirectories(out);
        data(out);
        AtomicFiles.writeText(
                out.resolve(Manifest.FILE), Json.renderLines(manifest(Path.of(arguments[1]), arguments[2])));
    }

    private static Map<String, @Nullable Object> manifest(Path project, String version)
            throws IOException, InterruptedException {
        Map<String, @Nullable Object> values = new LinkedHashMap<>();
        values.put("version", version);
        values.put("commit", git(project, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"));
        values.put("commit_date", git(project, "log", "-1", "--format=%cI"));
        values.put("java", Runtime.version() + " of " + System.getProperty("java.vendor"));
        values.put("expected", expected());
        return values;
    }

    static Map<String, @Nullable Object> expected() {
        Map<String, @Nullable Object> counts = new TreeMap<>();
        for (Section section : Section.values()) {
            section.suites().forEach(name -> counts.put(name, SuiteSection.count(name)));
        }
        return counts;
    }

    /// Null outside of a git checkout.
    private static @Nullable String git(Path project, String... arguments) throws IOException, InterruptedException {
        ProcessBuilder process = new ProcessBuilder("git");
        process.command().addAll(List.of(arguments));
        Process running;
        try {
            running = process.directory(project.toFile())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            return null;
        }
        String text = new String(running.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        return running.waitFor() == 0 ? text : null;
    }

    private static void data(Path out) throws IOException {
        // beside the contents: the text itself does not travel
        Path text = QuickstartText.find(out.resolveSibling("quickstart-text"));
        DataPreparation.run(
                new DataPreparation.Request(
                        List.of(text),
                        out.resolve("data/quickstart"),
                        new Corpus.Options(Set.of("java"), Corpus.Options.DEFAULT.maxBytes(), null),
                        null,
                        VOCABULARY,
                        0.05,
                        100_000_000,
                        false,
                        Runtime.getRuntime().availableProcessors()),
                (_, _) -> {});
    }
}
