package io.jacquard.cuda.mutation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/// A sample of the mutation run; `native/mutations/run` starts the whole of it here.
final class MutationTest {
    private static final List<String> SAMPLE_FAMILIES = List.of("reduce", "softmax");
    private static final int SAMPLE = 6;

    /// Of those that change anything.
    private static final double CAUGHT = 0.97;

    private final Path nativeFolder = Path.of("..", "native").toAbsolutePath().normalize();
    private final Path mutations = nativeFolder.resolve("mutations");
    private final Path page = nativeFolder.resolveSibling("docs").resolve("mutations.md");

    @Test
    void brokenKernelsAreNoticed() throws IOException, InterruptedException {
        String wanted = System.getProperty("jacquard.mutations", "");
        boolean sample = wanted.isBlank();
        List<String> names = sample ? SAMPLE_FAMILIES : List.of(wanted.split(" ", -1));
        MutationRun run =
                new MutationRun(nativeFolder, Path.of("target", "mutations").toAbsolutePath(), !sample);
        List<Verdict> verdicts = run.run(run.families().stream()
                .filter(family -> wanted.equals("all") || names.contains(family.name()))
                .map(family -> sample ? family.withCount(SAMPLE) : family)
                .toList());
        if (!sample) {
            Files.writeString(page, report(run).page());
        }
        Survivors survivors = survivors();
        long caught = verdicts.stream().filter(Verdict::caught).count();
        long changing = verdicts.stream().filter(v -> !survivors.equivalent(v)).count();
        assertTrue(
                caught >= CAUGHT * changing,
                () -> caught + " of " + changing + " mutants are noticed; not noticed are "
                        + unexplained(verdicts, survivors)
                        + ": add a case to the contract, or to native/mutations/survivors.txt the reason why the"
                        + " mutant computes the same");
    }

    @Test
    void pageIsUpToDate() throws IOException {
        MutationRun run = new MutationRun(nativeFolder, Path.of("target"), false);
        assertEquals(report(run).page(), Files.readString(page));
        assertEquals(List.of(), unexplained(run.kept(), survivors()));
    }

    @Test
    void resultsAreOfTheKernelsAsTheyAre() throws IOException {
        MutationRun run = new MutationRun(nativeFolder, Path.of("target"), false);
        Set<String> possible = run.families().stream()
                .flatMap(f -> f.choose(Integer.MAX_VALUE).stream().map(m -> f.name() + " " + m.key()))
                .collect(Collectors.toSet());
        List<String> gone = run.kept().stream()
                .map(v -> v.family() + " " + v.key())
                .filter(mutant -> !possible.contains(mutant))
                .toList();
        assertEquals(
                List.of(), gone, "their lines have changed: native/mutations/run FAMILY tries such families again");
    }

    private MutationReport report(MutationRun run) throws IOException {
        return new MutationReport(run.families().stream().map(Family::name).toList(), run.kept(), survivors());
    }

    private Survivors survivors() throws IOException {
        return Survivors.read(mutations.resolve("survivors.txt"));
    }

    private static List<String> unexplained(List<Verdict> verdicts, Survivors survivors) {
        return verdicts.stream()
                .filter(v -> !v.caught() && survivors.reason(v).isEmpty())
                .map(v -> v.family() + " " + v.key())
                .toList();
    }
}
