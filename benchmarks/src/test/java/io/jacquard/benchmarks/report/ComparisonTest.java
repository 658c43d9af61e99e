package io.jacquard.benchmarks.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.benchmarks.report.Comparison.Verdict;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/// What two records say of each other, by records whose truth is known.
final class ComparisonTest {
    private static final int SEEDS = 40;

    /// Ten rows with two peers each; the first row takes `first` times as long as it should, everything `machine`
    /// times.
    private static JsonNode noisy(long seed, double first, double machine) {
        Records records = new Records(seed, 0.01, 0.02);
        for (int i = 0; i < 10; i++) {
            double micros = 100 * (i + 1) * machine;
            records.row(
                    "row " + i,
                    i == 0 ? first * micros : micros,
                    Map.of("pytorch eager", 1.3 * micros, "pytorch compile", 1.1 * micros));
        }
        return records.build();
    }

    private static Comparison compare(JsonNode before, JsonNode after) {
        return Comparison.of(before, after, Comparison.THRESHOLD);
    }

    @Test
    void noiseIsNoChange() {
        int alarms = 0;
        int covered = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            Comparison c = compare(noisy(2L * seed, 1, 1), noisy(2L * seed + 1, 1, 1));
            alarms += c.slower() ? 1 : 0;
            covered += (int) c.rows().stream()
                    .filter(r -> r.ratio().low() <= 1 && 1 <= r.ratio().high())
                    .count();
        }
        assertTrue(alarms < 0.05 * SEEDS, alarms + " false alarms in " + SEEDS);
        assertTrue(covered > 0.95 * 10 * SEEDS, covered + " intervals of " + 10 * SEEDS + " hold the truth");
    }

    @Test
    void aRowThatTakesATenthLongerIsFound() {
        int found = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            Comparison c = compare(noisy(2L * seed, 1, 1), noisy(2L * seed + 1, 1.1, 1));
            boolean alone =
                    c.count(Verdict.SLOWER) == 1 && c.rows().getFirst().name().equals("row 0");
            found += c.slower() && alone ? 1 : 0;
        }
        assertTrue(found > 0.75 * SEEDS, found + " found of " + SEEDS);
    }

    /// A machine on which rounds differ by a tenth, as those of shared ones do.
    @Test
    void muchNoiseIsNoChangeEither() {
        int alarms = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            Comparison c = compare(loud(2L * seed), loud(2L * seed + 1));
            alarms += c.slower() ? 1 : 0;
        }
        assertTrue(alarms <= 0.05 * SEEDS, alarms + " false alarms in " + SEEDS);
    }

    private static JsonNode loud(long seed) {
        Records records = new Records(seed, 0.1, 0.05);
        for (int i = 0; i < 20; i++) {
            records.row("row " + i, 100, Map.of("pytorch eager", 130.0));
        }
        return records.build();
    }

    @Test
    void whatPeersDifferByIsNoChange() {
        Map<String, Double> before = Map.of("pytorch eager", 100.0, "pytorch compile", 100.0, "pytorch flash", 100.0);
        Map<String, Double> after = Map.of("pytorch eager", 90.0, "pytorch compile", 110.0, "pytorch flash", 101.0);
        JsonNode was = Records.quiet().row("a", 100, before).build();
        JsonNode now = Records.quiet().row("a", 106, after).build();
        Comparison c = compare(was, now);
        assertFalse(c.slower(), c.text());
        double distance = 1.4826 * Math.log(1.1); // the middle one; the mean of the logarithms is 0.0000
        assertEquals(0.152, Math.expm1(distance), 1e-3);
        String summary = "0 slower, 0 faster, 1 the same within 15.2 %, which peers differ by too; ratio";
        assertTrue(c.text().contains(summary), c.text());
    }

    @Test
    void aFasterRowIsFaster() {
        Comparison c = compare(noisy(1, 1, 1), noisy(2, 0.8, 1));
        assertEquals(Verdict.FASTER, c.rows().getLast().verdict());
        assertEquals("row 0", c.rows().getLast().name());
        assertFalse(c.slower());
    }

    @Test
    void aSlowerMachineIsNoSlowerRow() {
        Comparison c = compare(noisy(1, 1, 1), noisy(2, 1, 1.2));
        assertFalse(c.slower(), c.text());
        assertEquals(1, c.mean().ratio(), 0.02);
        assertTrue(c.text().contains("of its speed before, by times of peers (20);"), c.text());
        Comparison worse = compare(noisy(1, 1, 1), noisy(2, 1.15, 1.2));
        assertTrue(worse.slower(), worse.text());
    }

    @Test
    void withoutPeersTheProbesKnowTheMachine() {
        JsonNode before = Records.quiet().row("a", 100, Map.of()).build();
        Records after = Records.quiet().row("a", 125, Map.of());
        assertTrue(compare(before, after.build()).slower());
        after.put("roofline", Map.of("gigabytes_per_second", 16.0, "teraflops_f32", 0.24));
        Comparison c = compare(before, after.build());
        assertFalse(c.slower(), c.text());
        assertEquals(1, c.rows().getFirst().ratio().ratio(), 1e-9);
        assertTrue(c.text().contains("machine: 0.800 of its speed before, by probes of the roofline (2);"), c.text());
    }

    @Test
    void anotherVersionOfAPeerIsNoMeasure() {
        JsonNode before =
                Records.quiet().row("a", 100, Map.of("pytorch eager", 100.0)).build();
        JsonNode after = Records.quiet()
                .put("contenders", Map.of("pytorch", Map.of("present", true, "torch", "2.14.0")))
                .row("a", 125, Map.of("pytorch eager", 125.0))
                .build();
        Comparison c = compare(before, after);
        assertTrue(c.slower());
        assertTrue(c.text().contains("probes of the roofline (2); not by what changed too: pytorch;"), c.text());
    }

    @Test
    void theWholeText() {
        JsonNode before = Records.quiet()
                .row("a", 100, Map.of("pytorch eager", 110.0))
                .row("b", 50, Map.of("pytorch eager", 60.0))
                .row("gone", 50, Map.of())
                .row("wrong", 50, Map.of())
                .build();
        JsonNode after = Records.quiet()
                .put("date", "2026-11-30T00:00:00Z")
                .put("commit", "def5678")
                .row("b", 55, Map.of("pytorch eager", 60.0))
                .row("a", 100, Map.of("pytorch eager", 110.0))
                .row(Map.of("name", "wrong", "status", "refused", "why", "the result is wrong: off by 2"))
                .row("new", 50, Map.of())
                .build();
        assertEquals("""
                before: 2026-11-29T01:02:03Z, commit abc1234, Java 25.0.3+9-LTS
                after:  2026-11-30T00:00:00Z, commit def5678, Java 25.0.3+9-LTS
                machine: 1.000 of its speed before, by times of peers (2); taken out of the ratios

                row     us before    us after   ratio  95 %             verdict
                b           50.00       55.00   0.909  0.909 to 0.909   slower
                a           100.0       100.0   1.000  1.000 to 1.000   same
                gone  only before
                wrong timed before, refused (the result is wrong: off by 2) after
                new   only after
                1 slower, 0 faster, 1 the same within 3.0 %; ratio: time before over after, above 1 is faster now
                geometric mean of 2: 0.953 (0.953 to 0.953)
                """, compare(before, after).text());
    }

    @Test
    void nothingInBoth() {
        JsonNode before = Records.quiet().row("a", 100, Map.of()).build();
        JsonNode after = Records.quiet().row("b", 100, Map.of()).build();
        Comparison c = compare(before, after);
        assertFalse(c.slower());
        assertTrue(c.text().endsWith("no row was timed in both\n"), c.text());
        assertEquals(Map.of("a", "only before", "b", "only after"), c.leftOut());
    }

    @Test
    void theThresholdIsTheCallers() {
        JsonNode before = Records.quiet().row("a", 100, Map.of()).build();
        JsonNode after = Records.quiet().row("a", 110, Map.of()).build();
        assertTrue(Comparison.of(before, after, 0.05).slower());
        assertFalse(Comparison.of(before, after, 0.15).slower());
    }

    @Test
    void recordsOfDifferentMachinesAreRefused() {
        JsonNode before = Records.quiet().build();
        JsonNode after = Records.quiet()
                .put("machine", "gpu")
                .put("device", "NVIDIA H200")
                .put("dtype", "bf16")
                .build();
        String message = assertThrows(IllegalArgumentException.class, () -> compare(before, after))
                .getMessage();
        assertEquals(
                "compare: the results do not belong together: machine cpu before, gpu after; device cpu, 2 threads"
                        + " before, NVIDIA H200 after; dtype f32 before, bf16 after; record both on one machine with one"
                        + " --dtype",
                message);
    }

    @Test
    void recordsOfOtherBenchmarksAreRefused() {
        JsonNode before = Records.quiet().put("benchmark", "step").build();
        String message = assertThrows(
                        IllegalArgumentException.class,
                        () -> compare(before, Records.quiet().build()))
                .getMessage();
        assertEquals("compare: a record of 'step', expected one that `bench --out FILE` wrote", message);
    }

    /// Format 1: no rounds, one peer, `peer` in place of `contenders`.
    @Test
    void olderRecordsAreRead() {
        JsonNode before = Records.quiet()
                .put("benchmark", "gpu-bench")
                .put("contenders", null)
                .put("peer", Map.of("present", true, "torch", "2.13.0"))
                .row(Map.of(
                        "name",
                        "a",
                        "micros",
                        100.0,
                        "samples",
                        Collections.nCopies(30, 100.0),
                        "peers",
                        Map.of("eager", Map.of("micros", 120.0, "samples", Collections.nCopies(30, 120.0)))))
                .build();
        Comparison c = compare(before, before);
        assertEquals(new Interval(1, 1, 1), c.rows().getFirst().ratio());
        assertTrue(c.text().contains("by times of peers (1)"), c.text());
    }

    /// The same thirty times, once with the rounds apart and once dealt out to all of them.
    @Test
    void roundsThatDifferMakeTheMedianUncertain() {
        List<double[]> apart = new ArrayList<>();
        List<Double> all = new ArrayList<>();
        Random random = new Random(7);
        for (int i = 0; i < 5; i++) {
            double[] round = new double[6];
            for (int j = 0; j < round.length; j++) {
                round[j] = 100 + 10 * i + random.nextDouble();
                all.add(round[j]);
            }
            apart.add(round);
        }
        Collections.shuffle(all, random);
        List<double[]> dealt = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            dealt.add(all.subList(6 * i, 6 * i + 6).stream()
                    .mapToDouble(Double::doubleValue)
                    .toArray());
        }
        assertEquals(new Times(apart).median(), new Times(dealt).median());
        double far = scatter(new Times(apart));
        double near = scatter(new Times(dealt));
        assertTrue(far > 1.4 * near, far + " beside " + near);
    }

    private static double scatter(Times times) {
        SplittableRandom random = new SplittableRandom(1);
        double median = times.median();
        double squares = 0;
        for (int i = 0; i < 1000; i++) {
            squares += Math.pow(times.drawMedian(random) - median, 2);
        }
        return Math.sqrt(squares / 1000);
    }
}
