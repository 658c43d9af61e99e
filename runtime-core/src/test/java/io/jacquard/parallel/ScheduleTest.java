package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.parallel.Instruction.Kind;
import io.jacquard.parallel.Timeline.Cost;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Schedules against the formulas of their papers.
final class ScheduleTest {
    private static final List<Cost> COSTS = List.of(Cost.ONE, new Cost(3, 4, 2), new Cost(5, 5, 5), new Cost(7, 9, 6));

    private static void bubble(double expected, Schedule schedule, Cost cost) {
        assertEquals(expected, schedule.simulate(cost).bubble(), 1e-12, schedule + ", " + cost);
    }

    /// (p - 1) / (m + p - 1), whatever forward and backward take.
    @ParameterizedTest
    @CsvSource({"1,1", "1,5", "2,1", "2,2", "2,8", "3,2", "3,7", "4,4", "4,8", "8,32", "16,5"})
    void oneChunk(int p, int m) {
        double expected = (p - 1) / (m + p - 1.0);
        for (Cost c : COSTS) {
            bubble(expected, Schedule.gpipe(p, m), c);
            bubble(expected, Schedule.oneForwardOneBackward(p, m), c);
        }
        for (int r = 0; r < p; r++) {
            assertEquals(m, Schedule.gpipe(p, m).peakInFlight(r));
            assertEquals(
                    Math.min(m, p - r), Schedule.oneForwardOneBackward(p, m).peakInFlight(r));
        }
    }

    /// (p - 1) / (v m + p - 1).
    @ParameterizedTest
    @CsvSource({"1,3,2", "2,2,2", "2,8,2", "2,4,3", "3,6,2", "4,4,2", "4,8,2", "4,16,4", "8,32,2"})
    void interleaved(int p, int m, int v) {
        Schedule s = Schedule.interleaved(p, m, v);
        for (Cost c : COSTS) {
            bubble((p - 1) / ((double) v * m + p - 1), s, c);
        }
        for (int r = 0; r < p; r++) {
            assertEquals(Math.min(v * m, 2 * (p - 1 - r) + (v - 1) * p + 1), s.peakInFlight(r), "rank " + r);
        }
    }

    /// The bubble is (p - 1) (F + B - W) of time: a third of that of 1F1B where the three are equal.
    @ParameterizedTest
    @CsvSource({"1,4", "2,2", "2,8", "3,3", "3,9", "4,4", "4,8", "4,5", "8,16", "8,32"})
    void zeroBubble(int p, int m) {
        Schedule s = Schedule.zeroBubble(p, m);
        for (Cost c : COSTS) {
            double gap = (p - 1.0) * (c.forward() + c.input() - c.weight());
            double work = m * (c.forward() + c.input() + c.weight());
            bubble(gap / (work + gap), s, c);
        }
        for (int r = 0; r < p; r++) {
            assertEquals(Math.min(m, p), s.peakInFlight(r), "rank " + r);
        }
    }

    private static String letters(Schedule s, int rank) {
        return s.of(rank).stream()
                .map(i -> List.of("F", "B", "I", "W").get(i.kind().ordinal())
                        + i.microBatch()
                        + (s.chunks() == 1 ? "" : "abc".substring(i.chunk(), i.chunk() + 1)))
                .collect(Collectors.joining(" "));
    }

    /// The figures of the papers, as far as one can read them.
    @Test
    void lists() {
        assertEquals("F0 F1 F2 B0 F3 B1 B2 B3", letters(Schedule.oneForwardOneBackward(3, 4), 0));
        assertEquals("F0 B0 F1 B1 F2 B2 F3 B3", letters(Schedule.oneForwardOneBackward(3, 4), 2));
        assertEquals("F0 F1 F2 F3 I0 W0 I1 W1 I2 W2 I3 W3", letters(Schedule.zeroBubble(4, 4), 0));
        assertEquals("F0 I0 F1 I1 F2 I2 F3 I3 W0 F4 I4 W1 W2 W3 W4", letters(Schedule.zeroBubble(4, 5), 3));
        assertEquals(
                "F0a F1a F0b F1b F2a B0b F3a B1b F2b B0a F3b B1a B2b B3b B2a B3a",
                letters(Schedule.interleaved(2, 4, 2), 0));
        assertEquals(
                "F0a F1a F0b B0b F1b B1b F2a B0a F3a B1a F2b B2b F3b B3b B2a B3a",
                letters(Schedule.interleaved(2, 4, 2), 1));
    }

    // ---- what is refused

    private static void refused(String message, org.junit.jupiter.api.function.Executable call) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
    }

    /// A list for each rank of words such as `F0`, `B1`, with `a` or `b` for the chunk.
    private static Schedule of(String... lists) {
        return new Schedule(
                "by hand", Arrays.stream(lists).map(ScheduleTest::list).toList());
    }

    private static List<Instruction> list(String words) {
        return Arrays.stream(words.split(" ", -1))
                .filter(w -> !w.isEmpty())
                .map(w -> new Instruction(
                        Kind.values()["FBIW".indexOf(w.charAt(0))],
                        w.charAt(1) - '0',
                        w.length() > 2 ? w.charAt(2) - 'a' : 0))
                .toList();
    }

    @Test
    void numbersThatDoNotFit() {
        refused(
                "interleaved 1F1B: 6 micro-batches are not a multiple of the 4 ranks; take 4 or 8",
                () -> Schedule.interleaved(4, 6, 2));
        refused(
                "interleaved 1F1B: 3 micro-batches are not a multiple of the 4 ranks; take 4",
                () -> Schedule.interleaved(4, 3, 2));
        refused(
                "1F1B: 4 ranks, 0 micro-batches, 1 chunks on each rank; expected at least 1 of each",
                () -> Schedule.oneForwardOneBackward(4, 0));
    }

    @Test
    void listsThatAreNotComplete() {
        refused("schedule by hand: no instructions for rank 0", () -> of("", "F0 B0"));
        refused(
                "schedule by hand: rank 1 has 1 forward, 0 backward, 0 backward input and 0 backward weight of"
                        + " micro-batch 0, chunk 0; expected one forward, and one backward or one of each part",
                () -> of("F0 B0", "F0"));
        refused(
                "schedule by hand: rank 0 has 1 forward, 1 backward, 0 backward input and 1 backward weight of"
                        + " micro-batch 0, chunk 0; expected one forward, and one backward or one of each part",
                () -> of("F0 B0 W0"));
        refused(
                "schedule by hand: rank 1 has a forward of micro-batch 2, chunk 0; rank 0 has micro-batches 0 to 1 and"
                        + " chunks 0 to 0",
                () -> of("F0 B0 F1 B1", "F0 B0 F2 B2"));
    }

    @Test
    void listsThatCannotRun() {
        refused(
                "schedule by hand: rank 0 cannot begin the backward of micro-batch 0, chunk 0; rank 1 cannot begin the"
                        + " forward of micro-batch 1, chunk 0",
                () -> of("F0 B0 F1 B1", "F1 B1 F0 B0"));
        refused(
                "schedule by hand: rank 0 cannot begin the backward weight of micro-batch 0, chunk 0",
                () -> of("F0 W0 I0"));
    }

    /// Rank 1 could wait for micro-batch 1, which rank 0 sends second; an engine would give it the first.
    @Test
    void messagesThatOvertake() {
        refused(
                "schedule by hand: of the activations that rank 0 sends to rank 1, it sends those of micro-batch 0"
                        + " between stages 0 and 1 first, and rank 1 wants those of micro-batch 1 between stages 0 and 1"
                        + " first",
                () -> of("F0 F1 B1 B0", "F1 F0 B1 B0"));
        refused(
                "schedule by hand: of the gradients that rank 1 sends to rank 0, it sends those of micro-batch 1 between"
                        + " stages 0 and 1 first, and rank 0 wants those of micro-batch 0 between stages 0 and 1 first",
                () -> of("F0 F1 B0 B1", "F0 F1 B1 B0"));
    }

    @Test
    void sizes() {
        Schedule s = Schedule.interleaved(2, 4, 3);
        assertEquals(List.of(2, 4, 3, 6), List.of(s.ranks(), s.microBatches(), s.chunks(), s.stages()));
        assertEquals("interleaved 1F1B of 2 ranks, 4 micro-batches, 3 chunks on each rank", s.toString());
        assertEquals(
                s.of(0).size(),
                IntStream.of(12, 12).sum(),
                "forward and backward of four micro-batches in three chunks");
    }
}
