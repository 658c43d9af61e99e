package io.jacquard.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.FlightRecorder;
import io.jacquard.group.Operation;
import io.jacquard.io.ModelDirectory;
import io.jacquard.io.SafetensorsEntry;
import io.jacquard.tensor.Debug;
import io.jacquard.train.LoadedModel;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
                "quantize nowhere out --method awq | 2 | jacquard: --method is 'awq'; expected fp8, rtn, gptq or adaround",
                "quantize nowhere out --method fp8 --group 64 | 2 | jacquard: --method fp8 has a scale for each row;"
                        + " --group and --asymmetric are for four bits",
                "quantize nowhere out | 2 | jacquard: --method gptq needs --data to calibrate on; or take --method rtn",
                "quantize nowhere . --method rtn | 1 | jacquard: quantize: . exists already; choose another directory",
                "train --precision int4-group | 2 | jacquard: --precision: training.precision is 'int4-group'; expected"
                        + " another one: these weights are frozen",
                "quickstart --precision fp4 --steps 9 | 2 | jacquard: --precision: training.precision is 'fp4'; expected",
                "train --precision fp4 | 2 | jacquard: --precision: training.precision is 'fp4'; expected",
                "inspect nowhere | 1 | jacquard: inspect: there is no nowhere",
                "quickstart --steps 0 | 2 | jacquard: --minutes and --steps must be positive",
                "train --debug 4 | 2 | jacquard: --debug: 4 is not one of 0, 1, 2, 3",
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
                bench:
                bundle: --output
                completion:
                doctor: --device --json
                eval: --batch --data --debug --device --dtype --int4 --json --sequences --split --sync
                generate: --debug --device --dtype --int4 --json --prompt --seed --sync --temperature --tokens --top-k --top-p
                inspect: --json
                prepare: --bytes --extensions --field --json --max-bytes --out --overwrite --separator --shard-tokens --threads\
                 --tokenizer --validation --vocabulary
                quantize: --asymmetric --data --device --dtype --group --int4 --json --method --sequences
                quickstart: --debug --device --minutes --precision --ranks --run --steps --sync --text
                resume: --debug --device --json --precision --ranks --set --sync
                train: --config --data --debug --device --dry-run --json --launcher --precision --ranks --restarts --resume --run --set --supervise --sync""", all);
    }

    private static String options(CommandLine command) {
        return command.getCommandSpec().options().stream()
                .map(CommandLine.Model.OptionSpec::longestName)
                .filter(n -> !n.equals("--help") && !n.equals("--version") && !n.equals("--stack-trace"))
                .sorted()
                .map(n -> " " + n)
                .collect(Collectors.joining());
    }

    /// Beside the line that every failure has.
    @Test
    void reportsOfRanksAreWhole() throws Exception {
        Exception together = new IllegalStateException("group: because\n  ranks  what\n  0      waits in");
        Exception one = new IllegalArgumentException("no more data\nat all");
        one.addSuppressed(new IllegalStateException("group: rank 1 of 2 failed: no more data\n  ranks  what"));
        one.addSuppressed(new IllegalStateException("leak: never closed: scope 'step'"));
        CommandLine line = Main.commandLine(new PrintWriter(out, true), new PrintWriter(err, true));
        for (Exception e : new Exception[] {together, one}) {
            assertEquals(Main.FAILED, line.getExecutionExceptionHandler().handleExecutionException(e, line, null));
        }
        assertEquals("""
                jacquard: group: because
                  ranks  what
                  0      waits in
                jacquard: no more data
                group: rank 1 of 2 failed: no more data
                  ranks  what
                """, err.toString());
    }

    @Test
    void whatRanksDidIsInspected(@TempDir Path directory) {
        FlightRecorder.in(directory, 0, 1)
                .track("")
                .begin(Operation.of(Operation.Kind.BARRIER))
                .enter();
        assertEquals(0, run("inspect", directory.toString()), err.toString());
        String text = out.toString().replaceAll("\\d+\\.\\d s", "N s").replaceAll("java:\\d+", "java:N");
        assertEquals("recorders: " + directory + """

                ranks:
                  group: the ranks run
                    ranks  what            for    operation   called at
                    0      computes after  N s  #1 barrier  MainTest.java:N
                """, text);
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
        theKernelsOf("resume", run, "--set", "training.steps=6", "--set", "training.graph=true");
        theKernelsOf("eval", run, "--data", data);
        assertEquals(0, run("eval", run, "--data", data, "--json"), err.toString());
        String small = directory.resolve("small").toString();
        assertEquals(0, run("quantize", run, small, "--data", data, "--group", "16"), err.toString());
        assertTrue(
                out.toString()
                        .matches("(?s).*\n[\\d,]+ bytes of weights became [\\d,]+ \\(0\\.\\d+ of them\\); linear"
                                + " layers have 6\\.00 bits a weight\nperplexity .*\nworst layers, error of outputs.*"),
                out.toString());
        assertEquals(0, run("eval", small, "--data", data), err.toString());
        assertEquals(0, run("eval", small, "--data", data, "--int4"), err.toString());
        assertEquals(1, run("eval", run, "--data", data, "--int4"), out.toString());
        String eight = directory.resolve("eight").toString();
        assertEquals(
                0, run("quantize", run, eight, "--data", data, "--method", "fp8", "--dtype", "bf16"), err.toString());
        try (ModelDirectory files = ModelDirectory.open(LoadedModel.find(Path.of(run), _ -> {}))) {
            long bytes = files.tensors().values().stream()
                    .mapToLong(SafetensorsEntry::bytes)
                    .sum(); // of F32
            assertTrue(
                    out.toString().contains(String.format(Locale.ROOT, "\n%,d bytes of weights became ", bytes)),
                    out.toString());
        }
        assertTrue(out.toString().contains("; linear layers have 9.50 bits a weight\n"), out.toString());
        assertEquals(0, run("eval", eight, "--data", data), err.toString());
        assertEquals(0, run("generate", run, "--prompt", "one", "--tokens", "5"), err.toString());
        assertTrue(out.toString().contains("\none"), out.toString());
        assertEquals(0, run("inspect", run), err.toString());
        assertEquals(0, run("inspect", data + "/train-00000.bin"), err.toString());
        assertEquals(0, run("inspect", data + "/tokenizer.json", "--json"), err.toString());
        assertEquals(0, run("doctor"), out.toString());
        assertEquals(0, run("completion"));
    }

    /// What `--debug` tells beside the command's own lines: times by kernel of a whole step, or of all the work.
    private void theKernelsOf(String... arguments) {
        PrintStream before = System.err;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        System.setErr(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        try {
            String[] debugged = Stream.concat(Arrays.stream(arguments), Stream.of("--debug", "2", "--sync"))
                    .toArray(String[]::new);
            assertEquals(0, run(debugged), err.toString());
        } finally {
            System.clearProperty(Debug.LEVEL);
            System.clearProperty(Debug.SYNC);
            System.setErr(before);
        }
        String told = bytes.toString(StandardCharsets.UTF_8);
        assertTrue(told.contains("\nmatmul  "), told);
        if (arguments[0].equals("resume")) {
            assertTrue(told.matches("(?s).*\nstep 6: \\d+ kernel calls, .*\n  adamW +1 calls .*"), told);
            assertTrue(err.toString().contains("training.graph is set aside"), err.toString());
        } else {
            assertTrue(told.matches("(?s).*\nuntil the close of cpu:0: \\d+ kernel calls, .*"), told);
        }
    }
}
