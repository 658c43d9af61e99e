package io.jacquard.cuda.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;

/// Breaks kernels and counts how often the contract on the checking emulator notices.
final class MutationRun {
    private final Path nativeFolder;
    private final Path work;
    private final boolean keep;

    /// Libraries are built under `work`. With `keep` each family's verdicts go to `native/mutations/results`.
    MutationRun(Path nativeFolder, Path work, boolean keep) {
        this.nativeFolder = nativeFolder;
        this.work = work;
        this.keep = keep;
    }

    /// What was kept.
    List<Verdict> kept() throws IOException {
        List<Verdict> verdicts = new ArrayList<>();
        for (Family family : families()) {
            Path file = nativeFolder.resolve("mutations").resolve("results").resolve(family.name() + ".txt");
            if (Files.exists(file)) {
                Files.readAllLines(file).forEach(line -> verdicts.add(Verdict.parse(family.name(), line)));
            }
        }
        return verdicts;
    }

    List<Family> families() throws IOException {
        return Family.read(nativeFolder.resolve("mutations").resolve("families.txt"), nativeFolder);
    }

    /// What becomes of the mutants of each family, some families side by side. Fails when the contract fails with
    /// none in force.
    List<Verdict> run(List<Family> families) throws InterruptedException {
        int parallel = Integer.getInteger(
                "jacquard.mutations.parallel", Math.max(1, Runtime.getRuntime().availableProcessors() / 2));
        List<Future<List<Verdict>>> running = new ArrayList<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(parallel)) {
            families.forEach(family -> running.add(pool.submit(() -> run(family))));
        }
        List<Verdict> verdicts = new ArrayList<>();
        for (Future<List<Verdict>> family : running) {
            try {
                verdicts.addAll(family.get());
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause());
            }
        }
        return verdicts;
    }

    private List<Verdict> run(Family family) throws IOException, InterruptedException {
        Path folder = Files.createDirectories(work.resolve(family.name()));
        MutantLibrary library = MutantLibrary.build(
                family,
                2 * family.count(), // some do not compile, some are in parts of headers that this family does not use
                nativeFolder.resolve("target").resolve("emulator").resolve("check"),
                folder,
                nativeFolder.resolve("mutations"));
        List<Verdict> verdicts = new ArrayList<>();
        try (MutantProcess process = new MutantProcess(library.file(), family, folder.resolve("process.log"))) {
            Duration whole = unbroken(process, family, Duration.ofMinutes(10));
            Duration limit = whole.multipliedBy(3).plusSeconds(30);
            for (int number : chosen(family, library.mutations(), process)) {
                Mutation mutation = Objects.requireNonNull(library.mutations().get(number));
                Verdict verdict = Verdict.of(family.name(), mutation, process.failure(number, limit));
                verdicts.add(verdict);
                System.out.println(family.name() + ": " + verdict.line()
                        + (verdict.detail().isEmpty() ? "" : " | " + verdict.detail()));
            }
            // After all that was broken before it, the same process must still find nothing.
            unbroken(process, family, limit);
        }
        if (keep) {
            Path results =
                    Files.createDirectories(nativeFolder.resolve("mutations").resolve("results"));
            String lines = verdicts.stream().map(Verdict::line).collect(Collectors.joining("\n", "", "\n"));
            Files.writeString(results.resolve(family.name() + ".txt"), lines);
        }
        return verdicts;
    }

    // In the family's own file also what no case reaches, which then survives; in a header that is another family's
    // part.
    private static List<Integer> chosen(Family family, Map<Integer, Mutation> mutations, MutantProcess process)
            throws IOException, InterruptedException {
        Set<Integer> reached = process.reached(Collections.max(mutations.keySet()));
        return mutations.entrySet().stream()
                .filter(m -> reached.contains(m.getKey())
                        || m.getValue().source().file.equals(family.name() + ".cu"))
                .map(Map.Entry::getKey)
                .limit(family.count())
                .toList();
    }

    private static Duration unbroken(MutantProcess process, Family family, Duration limit)
            throws IOException, InterruptedException {
        long start = System.nanoTime();
        Optional<String> failure = process.failure(0, limit);
        if (!failure.equals(Optional.of(""))) {
            throw new IllegalStateException("false alarm on the unbroken kernels of " + family.name() + ": "
                    + failure.orElse("no end within " + limit));
        }
        return Duration.ofNanos(System.nanoTime() - start);
    }
}
