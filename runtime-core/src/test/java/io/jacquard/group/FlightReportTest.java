package io.jacquard.group;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.Operation.Kind;
import io.jacquard.group.RankState.Doing;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class FlightReportTest {
    private static final Watch WATCH = new Watch(Duration.ofSeconds(12), Duration.ofMinutes(8), null);

    private static FlightEntry sum(long number, boolean open) {
        Operation sum = new Operation(Kind.ALL_REDUCE, Shape.of(100_000), DType.F32, 0);
        return new FlightEntry(
                number, "", number, sum, "Step.java:31", 1_000_000, open ? 0 : 3_500_000, open, false, 0);
    }

    private static FlightEntry message(boolean open, boolean waits) {
        Operation receive = new Operation(Kind.RECEIVE, Shape.of(8), DType.BF16, 2);
        return new FlightEntry(3, "ranks 2, 3", 0, receive, "", 1_000_000, open ? 0 : 2_000_000, waits, false, 5);
    }

    private static RankState state(int rank, Doing doing, double quiet, double circling, FlightEntry... flights) {
        return new RankState(
                rank,
                doing,
                (long) (quiet * 1e9),
                (long) (circling * 1e9),
                List.of(flights),
                doing == Doing.COMPUTES ? "Loop.spin(Loop.java:7) < Loop.main(Loop.java:3)" : "");
    }

    @Test
    void ranksAtTheSamePlaceShareARow() {
        List<RankState> states = List.of(
                state(4, Doing.WAITS, 12.06, 0, sum(20, false), sum(21, true)),
                state(3, Doing.SILENT, 12.44, 0, sum(20, false)),
                state(0, Doing.WAITS, 12.11, 0, sum(20, false), sum(21, true)),
                state(1, Doing.WAITS, 12.01, 0, sum(20, false), sum(21, true)),
                state(2, Doing.WAITS, 12.02, 0, sum(20, false), sum(21, true)));
        assertEquals("""
                group: because
                  ranks   what          for     operation                    called at
                  0-2, 4  waits in      12.1 s  #21 all-reduce [100000] F32  Step.java:31
                  3       silent after  12.4 s  #20 all-reduce [100000] F32  Step.java:31""", FlightReport.of("group: because", states));
    }

    @Test
    void whatRanksDoIsInWords() {
        List<RankState> states = List.of(
                state(0, Doing.WAITS, 3, 0, message(true, false), message(true, true), sum(4, false)),
                state(1, Doing.COMPUTES, 61.5, 0, sum(20, false)),
                state(2, Doing.COMPUTES, 0.04, 0),
                state(3, Doing.SILENT, 3, 0, sum(20, false), sum(21, true)),
                state(4, Doing.UNKNOWN, 3, 0, sum(20, false)),
                state(5, Doing.ENDED, 3, 0, sum(20, false)),
                state(6, Doing.FAILED, 3, 0, message(true, true)));
        assertEquals("""
                group: because
                  ranks  what             for     operation                                                            called at
                  0      waits in         3.0 s   receive [8] BF16 from rank 2 among ranks 2, 3 (replay 5) and 1 more
                  1      computes after   61.5 s  #20 all-reduce [100000] F32                                          Step.java:31
                  2      computes         0.0 s   no operation
                  3      silent in        3.0 s   #21 all-reduce [100000] F32                                          Step.java:31
                  4      silent, seen in          #20 all-reduce [100000] F32                                          Step.java:31
                  5      ended after      3.0 s   #20 all-reduce [100000] F32                                          Step.java:31
                  6      failed in        3.0 s   receive [8] BF16 from rank 2 among ranks 2, 3 (replay 5)
                  rank 1 is at Loop.spin(Loop.java:7) < Loop.main(Loop.java:3)
                  rank 2 is at Loop.spin(Loop.java:7) < Loop.main(Loop.java:3)""", FlightReport.of("group: because", states));
    }

    @Test
    void differentOperations() {
        assertEquals(
                "group: ranks came to different operations: ranks 0, 2 #21 all-reduce [100000] F32; rank 1 receive [8]"
                        + " BF16 from rank 2; rank 3 none",
                FlightReport.different(List.of(
                        state(0, Doing.WAITS, 0, 0, sum(21, true)),
                        state(1, Doing.WAITS, 0, 0, message(true, true)),
                        state(2, Doing.WAITS, 0, 0, sum(21, true)),
                        state(3, Doing.WAITS, 0, 0))));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "WAITS, SILENT | 12.5 | 0 | rank 1 does not answer (stopped, or cut off)",
                "UNKNOWN, SILENT, WAITS | 12.5 | 0 | ranks 0, 1 do not answer (stopped, or cut off)",
                "WAITS, SILENT, ENDED | 12.5 | 0 | rank 2 has ended",
                "WAITS, WAITS | 12.5 | 0 | all ranks wait for each other",
                "WAITS, WAITS | 11.5 | 0 |",
                "WAITS, COMPUTES | 100 | 17.9 |",
                "WAITS, COMPUTES, COMPUTES | 12.5 | 18.1 | ranks 1, 2 compute in a circle, without an operation, a tensor, input, output or a pause",
                "WAITS, COMPUTES | 481 | 0 | rank 1 does not come",
            })
    void verdicts(String doings, double quiet, double circling, String why) {
        List<RankState> states = new ArrayList<>();
        for (String doing : doings.split(", ", -1)) {
            Doing d = Doing.valueOf(doing.strip());
            states.add(state(states.size(), d, quiet, d == Doing.COMPUTES ? circling : 0));
        }
        assertEquals(
                why == null ? null : "group: nothing has moved for " + (int) quiet + " s: " + why,
                Verdict.of(states, (long) (quiet * 1e9), WATCH));
    }

    /// One of those that wait has only begun to.
    @Test
    void whoHasOnlyBegunToWaitMayBeServed() {
        List<RankState> states = List.of(state(0, Doing.WAITS, 13, 0), state(1, Doing.WAITS, 2, 0));
        assertNull(Verdict.of(states, 13_000_000_000L, WATCH));
    }

    @Test
    void ranksTellEachOtherTheirState() {
        MemorySegment letter = MemorySegment.ofArray(new long[RankState.BYTES / 8]);
        FlightEntry[] many = new FlightEntry[9];
        for (int i = 0; i < many.length; i++) {
            many[i] = sum(i + 1, i == 8);
        }
        RankState state = state(7, Doing.COMPUTES, 1.5, 2.5, many);
        state.write(letter);
        RankState read = RankState.read(letter);
        assertEquals(List.of(many).subList(3, 9), read.flights());
        assertEquals(
                state,
                new RankState(
                        read.rank(),
                        read.doing(),
                        read.quietNanos(),
                        read.circlingNanos(),
                        List.of(many),
                        read.where()));
    }

    @Test
    void theFileHasTheOperationsBefore(@TempDir Path directory) throws IOException {
        FlightReport.write(
                directory.resolve("new"),
                "group: because",
                List.of(
                        state(0, Doing.WAITS, 1, 0, message(false, false), sum(21, true)),
                        state(1, Doing.ENDED, 1, 0)));
        assertEquals("""
                group: because

                before:
                  rank 0 receive [8] BF16 from rank 2 among ranks 2, 3 (replay 5), 1.000 ms
                  rank 0 #21 all-reduce [100000] F32, not ended, called at Step.java:31
                """, Files.readString(directory.resolve("new").resolve(FlightReport.FILE)));
    }

    @Test
    void recordersTellOfRanksThatCouldNot(@TempDir Path directory) throws IOException {
        assertEquals("", FlightReport.ofDirectory(directory.resolve("nowhere")));
        assertEquals("", FlightReport.ofDirectory(directory));
        for (int r = 0; r < 3; r++) {
            Flight flight =
                    FlightRecorder.in(directory, r, r < 2 ? 2 : 3).track("").begin(Operation.of(Kind.BARRIER));
            flight.enter();
            flight.waits(r == 0);
            if (r == 1) {
                flight.leave();
            }
        }
        String text = FlightReport.ofDirectory(directory)
                .replaceAll("\\d+\\.\\d s", "N s")
                .replaceAll(":\\d+", ":N");
        assertEquals("""
                group: the ranks run
                  ranks  what            for    operation   called at
                  0      waits in        N s  #1 barrier  FlightReportTest.java:N
                  1      computes after  N s  #1 barrier  FlightReportTest.java:N""", text);
        RankState silent = FlightReport.ofSilent(directory, 0, true);
        assertEquals(Doing.ENDED, silent.doing());
        assertEquals("ended in", silent.words());
        assertTrue(silent.quietNanos() < 10_000_000_000L);
        assertNull(FlightReport.ofSilent(directory, 7, true));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {"3 | rank 3", "0 1 | ranks 0, 1", "0 1 2 | ranks 0-2", "0 2 3 4 7 8 10 | ranks 0, 2-4, 7, 8, 10"})
    void ranksInWords(String ranks, String words) {
        List<Integer> list = new ArrayList<>();
        for (String r : ranks.split(" ", -1)) {
            list.add(Integer.parseInt(r));
        }
        assertEquals(words, Ranks.words(list));
    }

    @ParameterizedTest
    @CsvSource({"0, 5", "2000, 1999"})
    void impossibleWatches(long timeout, long patience) {
        GroupContract.fails(
                "watch: a timeout of " + timeout + " ms and a patience of " + patience
                        + " ms; expected a positive timeout and a patience that is not shorter",
                IllegalArgumentException.class,
                () -> new Watch(Duration.ofMillis(timeout), Duration.ofMillis(patience), null));
    }
}
