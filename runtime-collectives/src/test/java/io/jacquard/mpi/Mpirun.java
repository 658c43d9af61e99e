package io.jacquard.mpi;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// The launchers of this machine, and JVMs run by them.
public enum Mpirun {
    /// Package `openmpi-bin`.
    OPEN_MPI("openmpi", "Open MPI", "openmpi-bin", "--oversubscribe --allow-run-as-root"),
    /// Package `mpich`.
    MPICH("mpich", "HYDRA", "mpich", "");

    private final String suffix;
    private final String version;
    private final String debianPackage;
    private final String options;

    Mpirun(String suffix, String version, String debianPackage, String options) {
        this.suffix = suffix;
        this.version = version;
        this.debianPackage = debianPackage;
        this.options = options;
    }

    /// What the processes printed, both streams, and how it ended.
    public record Ended(int code, String output, double seconds) {
        /// The lines that begin so.
        public List<String> lines(String prefix) {
            return output.lines().filter(l -> l.startsWith(prefix)).toList();
        }
    }

    /// Runs `main` of a class with the class path of this JVM; the test is skipped where the launcher is missing.
    public Ended run(int ranks, Map<String, String> environment, Class<?> main, String... arguments) {
        List<String> command = new ArrayList<>(List.of(needed().toString(), "-n", Integer.toString(ranks)));
        Stream.of(options.split(" ", -1)).filter(o -> !o.isEmpty()).forEach(command::add);
        command.addAll(java(main, arguments));
        return run(command, environment);
    }

    /// The launcher; without it the test is skipped.
    public Path needed() {
        Optional<Path> launcher = Stream.of("mpirun." + suffix, "mpirun")
                .flatMap(name -> onPath(name).stream())
                .filter(file -> run(List.of(file.toString(), "--version"), Map.of())
                        .output()
                        .contains(version))
                .findFirst();
        assumeTrue(
                launcher.isPresent(),
                () -> "skipped: no mpirun of " + version + " on PATH; apt-get install " + debianPackage);
        return launcher.get();
    }

    /// A file of that name on `PATH`.
    public static Optional<Path> onPath(String name) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
                .map(folder -> Path.of(folder, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /// A JVM that starts fast: there are several, on few cores.
    public static List<String> java(Class<?> main, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
        command.addAll(List.of(arguments));
        return command;
    }

    /// Runs a command to its end, five minutes at most: a busy machine is slow.
    public static Ended run(List<String> command, Map<String, String> environment) {
        try {
            Path output = Files.createTempFile("ranks", ".txt");
            ProcessBuilder builder = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                    .redirectOutput(output.toFile());
            builder.environment().put("JACQUARD_THREADS", "1");
            builder.environment().putAll(environment);
            long start = System.nanoTime();
            Process process = builder.start();
            boolean ended = process.waitFor(300, TimeUnit.SECONDS);
            double seconds = (System.nanoTime() - start) / 1e9;
            if (!ended) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
            }
            String text = new String(Files.readAllBytes(output), StandardCharsets.UTF_8);
            Files.delete(output);
            return new Ended(ended ? process.exitValue() : -1, text, seconds);
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(String.join(" ", command), e);
        }
    }
}
