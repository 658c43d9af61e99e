package io.jacquard.cuda.mutation;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/// `docs/mutations.md`.
final class MutationReport {
    private final List<String> families;
    private final List<Verdict> verdicts;
    private final Survivors survivors;

    /// `families` are those that there are, with verdicts or without.
    MutationReport(List<String> families, List<Verdict> verdicts, Survivors survivors) {
        this.families = families;
        this.verdicts = verdicts;
        this.survivors = survivors;
    }

    /// The whole page.
    String page() {
        long caught = verdicts.stream().filter(Verdict::caught).count();
        long equivalent = verdicts.stream().filter(survivors::equivalent).count();
        StringBuilder page = new StringBuilder("""
                # Mutation run

                How far can the tests of the kernels be trusted? A program breaks the kernels in one place at a time: drops a
                barrier or a store, moves a bound, an index, a mask or a thread, swaps operands, leaves out a factor or a zero.
                Each mutant runs through the cases of the kernel contract on the checking build of the
                [emulator](emulator.md), and should be caught: stopped with a message (out of bounds, a race, uninitialised
                memory ...), by wrong results, or because it never ends.

                ```sh
                native/mutations/run            # every family
                native/mutations/run norm loss  # these two
                ```

                All mutants of a family are compiled at once, each behind a number that is chosen while the kernels run: one
                compilation and a second or so per mutant. Which places are broken follows from a hash of their lines, so the
                same sources give the same mutants, and operators take turns. The cases run on an emulated device of one
                multiprocessor, where loops over a grid take several turns, and if that notices nothing on one of four, where
                sums are split. The unbroken kernels run before and after every family: an alarm then fails the run, and the
                family's results are not written. Of attention and matrix products a few sizes are run, named in
                `native/mutations/families.txt`. `mvn verify` runs a sample of two families. Survivors are explained in
                `native/mutations/survivors.txt`.

                """);
        page.append("## Score\n\n");
        page.append(String.format(
                Locale.ROOT,
                "%d mutants, %d caught: **%.1f %%**. Of the %d survivors %d compute the same as the kernel; without those the"
                        + " score is %.1f %%. %s All mutants are listed in `native/mutations/results`.%n%n",
                verdicts.size(),
                caught,
                100.0 * caught / verdicts.size(),
                verdicts.size() - caught,
                equivalent,
                100.0 * caught / (verdicts.size() - equivalent),
                alarms()));
        table(page, "family", Verdict::family);
        page.append('\n');
        table(page, "operator", Verdict::operator);
        page.append("\n## Survivors\n\n");
        for (Verdict verdict : verdicts) {
            if (!verdict.caught()) {
                page.append("- ")
                        .append(verdict.family())
                        .append(", `")
                        .append(verdict.key())
                        .append("`: ");
                page.append(survivors.reason(verdict).orElse("not explained.")).append('\n');
            }
        }
        return page.toString();
    }

    // A family's verdicts are kept only when its unbroken kernels raised no alarm.
    private String alarms() {
        List<String> missing = families.stream()
                .filter(family -> verdicts.stream().noneMatch(v -> v.family().equals(family)))
                .toList();
        return missing.isEmpty()
                ? "No false alarm on the unbroken kernels of all " + families.size() + " families."
                : "Without a result so far: " + String.join(", ", missing) + ".";
    }

    private void table(StringBuilder page, String title, Function<Verdict, String> group) {
        Map<String, List<Verdict>> groups =
                verdicts.stream().collect(Collectors.groupingBy(group, TreeMap::new, Collectors.toList()));
        page.append("| ").append(title).append(" | mutants | message | wrong result | no end | survived |\n");
        page.append("| --- | --- | --- | --- | --- | --- |\n");
        groups.forEach((name, list) -> {
            page.append("| ").append(name).append(" | ").append(list.size());
            for (Verdict.Kind kind : Verdict.Kind.values()) {
                page.append(" | ")
                        .append(list.stream().filter(v -> v.kind() == kind).count());
            }
            page.append(" |\n");
        });
    }
}
