package io.jacquard.parallel;

import io.jacquard.group.Group;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import java.util.List;
import java.util.stream.IntStream;

/// Looks at the clock, in the order of the launches, when a rank's instructions begin and end.
final class PipelineClock implements PipelineStep.Clock {
    private final Backend backend = Session.current().backend();
    private final long[] nanos;
    private long start;

    PipelineClock(int instructions) {
        nanos = new long[2 * instructions];
    }

    void start() {
        backend.inOrder(() -> start = System.nanoTime());
    }

    @Override
    public void begins(int index) {
        backend.inOrder(() -> nanos[2 * index] = System.nanoTime());
    }

    @Override
    public void ends(int index) {
        backend.inOrder(() -> nanos[2 * index + 1] = System.nanoTime());
    }

    /// The times of all ranks, since the [#start] of each.
    Timeline gather(Group group, Schedule schedule) {
        int longest = IntStream.range(0, group.size())
                .map(r -> 2 * schedule.of(r).size())
                .max()
                .orElseThrow();
        int[] micros = IntStream.range(0, longest)
                .map(i -> i < nanos.length ? Math.toIntExact((nanos[i] - start) / 1000) : 0)
                .toArray();
        try (Scope _ = Scope.openWithoutGrad("timeline")) {
            Tensor all = Tensor.empty(Shape.of(group.size(), longest), DType.I32);
            group.allGather(all, Tensor.of(Shape.of(longest), micros)).join();
            int[] times = all.toInts();
            return new Timeline(
                    schedule,
                    IntStream.range(0, group.size())
                            .mapToObj(r ->
                                    spans(times, r * longest, schedule.of(r).size()))
                            .toList());
        }
    }

    private static List<Timeline.Span> spans(int[] micros, int from, int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> new Timeline.Span(micros[from + 2 * i], micros[from + 2 * i + 1]))
                .toList();
    }
}
