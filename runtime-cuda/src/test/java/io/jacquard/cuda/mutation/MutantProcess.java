package io.jacquard.cuda.mutation;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/// A [MutantRunner] that is started again when a mutant hangs or kills it.
final class MutantProcess implements AutoCloseable {
    private final List<String> command;
    private final Path log;
    private Optional<Process> process = Optional.empty();
    private Optional<BufferedReader> answers = Optional.empty();

    MutantProcess(Path library, Family family, Path log) {
        this.log = log;
        command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Djacquard.cuda.driver=" + library,
                "-classpath",
                System.getProperty("java.class.path"),
                MutantRunner.class.getName(),
                Integer.toString(family.capability()),
                family.cases()));
        command.addAll(family.methods());
    }

    /// Which of the mutations 1 to `highest` the kernels have come past.
    Set<Integer> reached(int highest) throws IOException, InterruptedException {
        String numbers = failure(-highest, Duration.ofMinutes(1)).orElse("");
        return numbers.isEmpty()
                ? Set.of()
                : Arrays.stream(numbers.split(" ", -1)).map(Integer::valueOf).collect(Collectors.toSet());
    }

    /// The first failure with that mutation in force, "" when there is none, nothing when it did not end.
    Optional<String> failure(int number, Duration limit) throws IOException, InterruptedException {
        if (process.isEmpty()) {
            Process started = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            process = Optional.of(started);
            answers = Optional.of(
                    new BufferedReader(new InputStreamReader(started.getInputStream(), StandardCharsets.UTF_8)));
        }
        BufferedReader reader = answers.orElseThrow();
        CompletableFuture<Optional<String>> answer = CompletableFuture.supplyAsync(() -> answer(reader, number));
        try {
            OutputStream in = process.orElseThrow().getOutputStream();
            in.write((number + "\n").getBytes(StandardCharsets.UTF_8));
            in.flush();
            Optional<String> failure = answer.get(limit.toMillis(), TimeUnit.MILLISECONDS);
            if (failure.isEmpty()) {
                close();
            }
            return failure;
        } catch (TimeoutException | ExecutionException | IOException e) {
            close();
            return Optional.empty();
        }
    }

    private static Optional<String> answer(BufferedReader reader, int number) {
        try {
            String start = MutantRunner.ANSWER + number + " ";
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                if (line.startsWith(start)) {
                    return Optional.of(line.substring(start.length()));
                }
            }
            return Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    @Override
    public void close() {
        process.ifPresent(Process::destroyForcibly);
        process = Optional.empty();
    }
}
