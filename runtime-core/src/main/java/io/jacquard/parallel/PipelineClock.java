package io.jacquard.parallel;

import io.jacquard.group.Group;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/// Looks at the clock, in the order of the launches, when a rank's instructions begin and end. Clocks of ranks need not
/// agree: all look at theirs whenever they leave a barrier together.
final class PipelineClock implements PipelineStep.Clock {
    /// Barriers; the median of what is between two clocks there is their difference, even where some wake up late.
    private static final int LOOKS = 9;

    private final Backend backend = Session.current().backend();
    private final long[] looks = new long[LOOKS];
    private final long[] nanos;

    PipelineClock(int instructions) {
        nanos = new long[2 * instructions];
    }

    void start(Group group) {
        for (int i = 0; i < LOOKS; i++) {
            int look = i;
            group.barrier();
            backend.inOrder(() -> looks[look] = System.nanoTime());
        }
    }

    @Override
    public void begins(int index) {
        backend.inOrder(() -> nanos[2 * index] = System.nanoTime());
    }

    @Override
    public void ends(int index) {
        backend.inOrder(() -> nanos[2 * index + 1] = System.nanoTime());
    }

    /// The times of all ranks, by the clock of rank 0 since its first look.
    Timeline gather(Group group, Schedule schedule) {
        int length = LOOKS
                + 2
                        * IntStream.range(0, group.size())
                                .map(r -> schedule.of(r).size())
                                .max()
                                .orElseThrow();
        int[] micros = LongStream.concat(Arrays.stream(looks), Arrays.stream(nanos))
                .mapToInt(t -> Math.toIntExact((t - looks[0]) / 1000))
                .toArray();
        try (Scope _ = Scope.openWithoutGrad("timeline")) {
            Tensor all = Tensor.empty(Shape.of(group.size(), length), DType.I32);
            group.allGather(all, Tensor.of(Shape.of(length), Arrays.copyOf(micros, length)))
                    .join();
            int[] times = all.toInts();
            int[] first = Arrays.copyOf(times, length);
            return new Timeline(
                    schedule,
                    IntStream.range(0, group.size())
                            .mapToObj(r -> spans(
                                    Arrays.copyOfRange(times, r * length, (r + 1) * length),
                                    first,
                                    schedule.of(r).size()))
                            .toList());
        }
    }

    private static List<Timeline.Span> spans(int[] micros, int[] first, int count) {
        int ahead = IntStream.range(0, LOOKS)
                .map(i -> micros[i] - first[i])
                .sorted()
                .toArray()[LOOKS / 2];
        return IntStream.range(0, count)
                .map(i -> LOOKS + 2 * i)
                .mapToObj(i -> new Timeline.Span(micros[i] - ahead, micros[i + 1] - ahead))
                .toList();
    }
}
