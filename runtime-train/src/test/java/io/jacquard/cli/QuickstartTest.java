package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.train.QuickstartText;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The quickstart from text to sample, with a few steps; a directory's name may have spaces.
final class QuickstartTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        return Main.run(new PrintWriter(out, true), new PrintWriter(err, true), arguments);
    }

    @Test
    void fromTextToSample(@TempDir Path directory) throws IOException {
        Path text = directory.resolve("my notes.txt");
        Files.writeString(text, "The quick brown fox jumps over the lazy dog.\n".repeat(2000));
        Path run = directory.resolve("my run");
        String[] command = {"quickstart", "--text", text.toString(), "--steps", "2", "--run", run.toString()};
        assertEquals(0, run(command), err.toString());
        String told = err.toString();
        for (String line : List.of(
                "reading " + text + "\n",
                "guessing by token frequency alone would score a loss of ",
                "2 steps on cpu",
                "step 2  validation loss ",
                "the model writes:",
                "validation loss ",
                "try next:",
                "  jacquard resume " + run + " --set training.steps=4")) {
            assertTrue(told.contains(line), () -> "no '" + line + "' in\n" + told);
        }
        for (String file : List.of(
                "config.yaml",
                "metrics.jsonl",
                "loss.png",
                "data/tokenizer.json",
                "checkpoints/step-2/model.safetensors")) {
            assertTrue(Files.exists(run.resolve(file)), file);
        }
        assertTrue(out.toString().startsWith(run.resolve("checkpoints/step-2") + "\n"), out.toString());

        assertEquals(0, run(command), err.toString());
        assertTrue(err.toString().startsWith(run + " holds a run already: going on with it"), err.toString());
        assertEquals(
                0, run("eval", run.toString(), "--data", run.resolve("data").toString(), "--sequences", "1"));
        assertEquals(0, run("generate", run.toString(), "--prompt", "public final class ", "--tokens", "3"));
        assertTrue(out.toString().startsWith("public final class "), out.toString());
    }

    /// What `--text` stands in for: the JDK's sources, unpacked once.
    @Test
    void sourcesOfThisJdk(@TempDir Path directory) throws IOException {
        Assumptions.assumeTrue(Files.exists(Path.of(System.getProperty("java.home"), "lib", "src.zip")));
        Path found = QuickstartText.find(directory.resolve("text"));
        assertEquals(directory.resolve("text"), found);
        try (Stream<Path> files = Files.walk(found)) {
            assertTrue(files.filter(f -> f.toString().endsWith(".java")).count() > 500);
        }
        assertEquals(found, QuickstartText.find(directory.resolve("text")));
    }
}
