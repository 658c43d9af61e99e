package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class MainTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int run(String... arguments) {
        return Main.run(new PrintWriter(out, true), new PrintWriter(err, true), arguments);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "train --set model.widht=3 | 2 | jacquard: --set model.widht=3: unknown key 'model.widht';"
                        + " did you mean 'model.width'?",
                "train -c nowhere.yaml | 2 | jacquard: no such configuration file: nowhere.yaml",
                "train --colour | 2 | jacquard: Unknown option: '--colour'",
                "resume nowhere | 2 | jacquard: nowhere is not the directory of a run: there is no nowhere/config.yaml",
                "eval nowhere --data nowhere2 | 1 | jacquard: NoSuchFile: nowhere2",
                "generate nowhere | 1 | jacquard: nowhere holds neither a model (config.json) nor a run (checkpoints/)",
                "inspect nowhere | 1 | jacquard: inspect: there is no nowhere",
                "quickstart --steps 0 | 2 | jacquard: --minutes and --steps must be positive",
                "prepare nowhere --out /dev/null/x | 1 | jacquard:",
            })
    void failuresAreOneLineAndACode(String line, int code, String message) {
        assertEquals(code, run(line.split(" ")), err.toString());
        assertTrue(err.toString().startsWith(message), err.toString());
        assertEquals("", out.toString());
    }

    @Test
    void helpAndVersionSucceed() {
        assertEquals(0, run("--help"));
        assertTrue(out.toString().contains("quickstart"), out.toString());
        assertEquals(0, run("--version"));
        assertEquals(2, run());
    }

    @Test
    void everyCommandHasAnExample() {
        Main.commandLine(new PrintWriter(out), new PrintWriter(err))
                .getSubcommands()
                .forEach((name, command) -> assertTrue(command.getUsageMessage().contains("Example:"), name));
    }

    // A flag never appears or vanishes by accident.
    @Test
    void listOfOptions() {
        String all = Main.commandLine(new PrintWriter(out), new PrintWriter(err)).getSubcommands().entrySet().stream()
                .map(e -> e.getKey() + ":" + options(e.getValue()))
                .sorted()
                .collect(Collectors.joining("\n"));
        assertEquals("""
                completion:
                doctor: --device --json
                eval: --batch --data --device --dtype --json --sequences --split
                generate: --device --dtype --json --prompt --seed --temperature --tokens --top-k --top-p
                inspect: --json
                prepare: --bytes --extensions --field --json --max-bytes --out --overwrite --separator --shard-tokens --threads\
                 --tokenizer --validation --vocabulary
                quickstart: --device --minutes --run --steps --text
                resume: --device --json --set
                train: --config --data --device --dry-run --json --resume --run --set""", all);
    }

    private static String options(CommandLine command) {
        return command.getCommandSpec().options().stream()
                .map(CommandLine.Model.OptionSpec::longestName)
                .filter(n -> !n.equals("--help") && !n.equals("--version") && !n.equals("--debug"))
                .sorted()
                .map(n -> " " + n)
                .collect(Collectors.joining());
    }

    @Test
    void theWholeWay(@TempDir Path directory) throws Exception {
        Path text = directory.resolve("text.txt");
        Files.writeString(text, "one two three four five six seven\n".repeat(400));
        String data = directory.resolve("data").toString();
        String run = directory.resolve("run").toString();
        assertEquals(
                0, run("prepare", text.toString(), "--out", data, "--vocabulary", "270", "--json"), err.toString());
        assertTrue(out.toString().startsWith("{\"directory\":"), out.toString());
        assertEquals(
                0,
                run(
                        "train",
                        "--data",
                        data,
                        "--run",
                        run,
                        "-s",
                        "model.layers=1",
                        "-s",
                        "model.heads=1",
                        "-s",
                        "model.width=16",
                        "-s",
                        "model.context=16",
                        "-s",
                        "training.steps=3",
                        "-s",
                        "optimizer.warmup=1"),
                err.toString());
        assertEquals(1, run("train", "--data", data, "--run", run), err.toString());
        assertEquals(0, run("resume", run, "--set", "training.steps=5", "--json"), err.toString());
        assertTrue(out.toString().contains("\"step\":5,\"complete\":true"), out.toString());
        assertTrue(out.toString().matches("(?s).*\"first_step_at\":\"\\d{4}-[0-9T:.-]+Z\".*"), out.toString());
        assertEquals(0, run("eval", run, "--data", data, "--json"), err.toString());
        assertEquals(0, run("generate", run, "--prompt", "one", "--tokens", "5"), err.toString());
        assertTrue(out.toString().contains("\none"), out.toString());
        assertEquals(0, run("inspect", run), err.toString());
        assertEquals(0, run("inspect", data + "/train-00000.bin"), err.toString());
        assertEquals(0, run("inspect", data + "/tokenizer.json", "--json"), err.toString());
        assertEquals(0, run("doctor"), out.toString());
        assertEquals(0, run("completion"));
    }
}
