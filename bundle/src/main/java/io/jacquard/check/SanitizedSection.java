package io.jacquard.check;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.nn.TinyTraining;
import io.jacquard.nn.TinyTraining.Features;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.ContractRun;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/// NVIDIA's memory checker over one case of each kernel method and two trainings, where it is installed.
final class SanitizedSection {
    private static final String TOOL = "compute-sanitizer";

    /// What the tool ends with when it found something.
    private static final int FOUND = 86;

    private static final int CASES = 40;

    private SanitizedSection() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        if (arguments.length > 0) {
            shortRun();
            return;
        }
        Optional<Path> tool = find();
        if (tool.isEmpty() || Driver.get().isEmulator()) {
            Findings.expect(0);
            Findings.test(
                    "memcheck",
                    "absent: "
                            + (tool.isEmpty()
                                    ? TOOL
                                            + " is neither on PATH nor under /usr/local/cuda; it comes with CUDA's toolkit"
                                    : "the emulator has checks of its own"));
            return;
        }
        Findings.expect(1);
        Findings.fact("tool", tool.get().toString());
        Path log = Files.createTempFile("jacquard-sanitizer", ".log");
        List<String> command = new ArrayList<>(List.of(
                tool.get().toString(),
                "--tool",
                "memcheck",
                "--error-exitcode",
                Integer.toString(FOUND),
                "--log-file",
                log.toString()));
        command.addAll(Child.command(List.of(), SanitizedSection.class.getName(), "run"));
        int code = new ProcessBuilder(command).inheritIO().start().waitFor();
        List<String> lines = Files.readAllLines(log);
        Files.delete(log);
        Findings.fact("summary", lines.isEmpty() ? "" : lines.getLast());
        if (code == 0) {
            Findings.passed("memcheck");
        } else {
            Findings.failed(
                    "memcheck",
                    (code == FOUND ? "it found errors" : "it ended with " + code) + ": "
                            + String.join(" | ", lines.stream().limit(12).toList()));
        }
    }

    private static void shortRun() {
        try (Session session = Session.open("cuda")) {
            for (String name : ContractRun.sample(1, CASES)) {
                ContractRun.outcomes(session, name, 1);
            }
            TinyTraining.train(session, new Features("gpt2", true, true, true, false, true));
            TinyTraining.train(session, new Features("llama", false, false, false, true, false));
        }
    }

    private static Optional<Path> find() {
        String path = Objects.requireNonNullElse(System.getenv("PATH"), "");
        String home = Objects.requireNonNullElse(System.getenv("CUDA_HOME"), "/usr/local/cuda");
        return Stream.concat(
                        Stream.of(path.split(File.pathSeparator, -1)),
                        Stream.of(home + "/bin", home + "/compute-sanitizer", "/usr/local/cuda/bin"))
                .filter(folder -> !folder.isEmpty())
                .map(folder -> Path.of(folder, TOOL))
                .filter(Files::isExecutable)
                .findFirst();
    }
}
