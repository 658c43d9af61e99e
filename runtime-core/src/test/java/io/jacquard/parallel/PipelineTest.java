package io.jacquard.parallel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.ops.Ops;
import io.jacquard.parallel.CutModel.Features;
import io.jacquard.parallel.CutModel.Result;
import io.jacquard.parallel.Instruction.Kind;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Stages on several ranks train the model that one rank trains, bit for bit.
@Timeout(120)
final class PipelineTest {
    private static final int MICRO_BATCHES = 12;

    private static final Map<Features, Result> WHOLE = new ConcurrentHashMap<>();

    private static Result whole(Features f) {
        return WHOLE.computeIfAbsent(f, x -> {
            try (Session session = Session.open("cpu")) {
                return CutModel.whole(session, x, MICRO_BATCHES);
            }
        });
    }

    static Stream<Arguments> cases() {
        List<Arguments> list = new ArrayList<>();
        for (int ranks = 1; ranks <= 4; ranks++) {
            List<Schedule> schedules = List.of(
                    Schedule.gpipe(ranks, MICRO_BATCHES),
                    Schedule.oneForwardOneBackward(ranks, MICRO_BATCHES),
                    Schedule.interleaved(ranks, MICRO_BATCHES, ranks == 4 ? 1 : 2),
                    Schedule.zeroBubble(ranks, MICRO_BATCHES));
            for (Schedule s : schedules) {
                for (Features f : Features.all()) {
                    list.add(Arguments.of(s, f));
                }
            }
        }
        return list.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void trainsAsOneRank(Schedule schedule, Features f) {
        Result whole = whole(f.plain());
        LocalGroup.run(schedule.ranks(), Watch.of(Duration.ofSeconds(10)), g -> {
            try (Session session = Session.open("cpu")) {
                CutModel.train(session, g, f, schedule).assertSame(whole);
            }
        });
    }

    private static long[] peaks(Schedule schedule) {
        long[] peaks = new long[schedule.ranks()];
        LocalGroup.run(schedule.ranks(), Watch.of(Duration.ofSeconds(20)), g -> {
            try (Session session = Session.open("cpu")) {
                peaks[g.rank()] = CutModel.peakBytes(session, g, schedule);
            }
        });
        return peaks;
    }

    /// What a rank needs is what the micro-batches in flight keep: in GPipe all of them, in 1F1B as many as there
    /// are ranks behind, and one; what divided backward adds is less than a micro-batch of the last rank.
    @Test
    void memoryFollowsTheSchedule() {
        long[] many = peaks(Schedule.oneForwardOneBackward(3, 12));
        long[] more = peaks(Schedule.oneForwardOneBackward(3, 24));
        long[] all = peaks(Schedule.gpipe(3, 12));
        long[] zero = peaks(Schedule.zeroBubble(3, 12));
        for (int r = 0; r < 3; r++) {
            assertEquals(many[r], more[r], "1F1B of 12 and of 24 micro-batches, rank " + r);
        }
        long each = (all[1] - many[1]) / (12 - 2); // of a middle rank
        assertEquals(12.0, (double) all[1] / each, 1.5, "micro-batches of GPipe");
        assertEquals(3.0, (double) many[0] / each, 1.5, "micro-batches of 1F1B, first rank");
        assertEquals(2.0, (double) many[1] / each, 1.5, "micro-batches of 1F1B, second rank");
        for (int r = 0; r < 3; r++) {
            assertTrue(zero[r] <= many[0] + each, zero[r] + " bytes of ZB-H1, " + many[0] + " of 1F1B at most");
        }
    }

    /// A number that is doubled, after some milliseconds.
    private record Slow() implements Stage {
        private static final long NANOS = 4_000_000;

        @Override
        public Shape inputShape() {
            return Shape.of(1);
        }

        @Override
        public DType inputDType() {
            return DType.F32;
        }

        @Override
        public Tensor forward(@Nullable Tensor x, int microBatch) {
            for (long end = System.nanoTime() + NANOS; System.nanoTime() < end; ) {
                LockSupport.parkNanos(NANOS);
            }
            return Ops.scale(x == null ? Tensor.of(Shape.of(1), 1f).leaf() : x, 2f);
        }
    }

    static Stream<Schedule> schedules() {
        return Stream.of(
                Schedule.oneForwardOneBackward(1, 3),
                Schedule.gpipe(2, 4),
                Schedule.interleaved(2, 4, 2),
                Schedule.zeroBubble(3, 5));
    }

    /// Every rank sees the times of all: one instruction after the other, and each forward when that of the stage
    /// before was over.
    @ParameterizedTest
    @MethodSource("schedules")
    void timesAreThoseOfTheInstructions(Schedule s) {
        Timeline[] seen = new Timeline[s.ranks()];
        LocalGroup.run(s.ranks(), Watch.of(Duration.ofSeconds(20)), g -> {
            List<Slow> chunks = Stream.generate(Slow::new).limit(s.chunks()).toList();
            try (Session session = Session.open("cpu");
                    Pipeline pipeline = new Pipeline(g, s, chunks)) {
                long used = session.usedBytes();
                seen[g.rank()] = pipeline.timed();
                assertEquals(used, session.usedBytes(), "bytes in use");
            }
        });
        long[][] ends = new long[s.microBatches()][s.stages()];
        for (int r = 0; r < s.ranks(); r++) {
            assertEquals(seen[0], seen[r]);
            long before = Long.MIN_VALUE;
            for (int i = 0; i < s.of(r).size(); i++) {
                Timeline.Span span = seen[0].spans().get(r).get(i);
                assertTrue(before <= span.start() && span.start() <= span.end(), span + " after " + before);
                before = span.end();
                if (s.of(r).get(i).kind() == Kind.FORWARD) {
                    assertTrue(span.length() >= Slow.NANOS / 1000, span.toString());
                    ends[s.of(r).get(i).microBatch()][s.stage(r, s.of(r).get(i))] = span.end();
                }
            }
        }
        for (long[] stages : ends) {
            for (int i = 1; i < stages.length; i++) { // clocks agree to half of what a stage takes
                assertTrue(stages[i] - stages[i - 1] >= Slow.NANOS / 2000, Arrays.toString(stages));
            }
        }
        double bubble = seen[0].bubble();
        assertTrue(bubble >= 0 && bubble < 1, () -> "a bubble of " + bubble);
        assertTrue(seen[0].cost().forward() >= Slow.NANOS / 1000, seen[0].cost().toString());
    }

    @Test
    void aPictureHasABoxForEachInstruction() {
        Schedule s = Schedule.zeroBubble(2, 3);
        String svg = s.simulate(Timeline.Cost.ONE).toSvg();
        assertTrue(svg.contains(">ZB-H1 of 2 ranks, 3 micro-batches: bubble 10.0 %</text>"), svg);
        assertEquals(1 + 2 + 2 * 9 + 3, svg.split("<rect", -1).length - 1, "paper, rows, instructions, legend");
        assertEquals(18, svg.split("fill=\"white\">[012]</text>", -1).length - 1);
        assertTrue(svg.contains(">backward weight</text>"), svg);
    }
}
