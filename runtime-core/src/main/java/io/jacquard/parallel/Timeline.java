package io.jacquard.parallel;

import io.jacquard.parallel.Instruction.Kind;
import java.util.List;
import java.util.stream.IntStream;

/// When each rank computed what: in a simulation, in its units, or in a run, in microseconds.
///
/// @param spans of each rank's instructions, in their order
public record Timeline(Schedule schedule, List<List<Span>> spans) {
    /// When an instruction began and ended.
    public record Span(long start, long end) {
        /// How long it took.
        public long length() {
            return end - start;
        }
    }

    /// What the instructions cost; [Kind#BACKWARD] costs its two parts.
    ///
    /// @param forward of a micro-batch in a chunk
    /// @param input of the gradients of the chunk's input
    /// @param weight of the gradients of its weights
    public record Cost(long forward, long input, long weight) {
        /// One each, as it is for matrix products: backward takes twice as long as forward.
        public static final Cost ONE = new Cost(1, 1, 1);

        long of(Kind kind) {
            return switch (kind) {
                case FORWARD -> forward;
                case BACKWARD -> input + weight;
                case BACKWARD_INPUT -> input;
                case BACKWARD_WEIGHT -> weight;
            };
        }
    }

    /// From the first start to the last end.
    public long duration() {
        long first = spans.stream()
                .flatMap(List::stream)
                .mapToLong(Span::start)
                .min()
                .orElse(0);
        long last =
                spans.stream().flatMap(List::stream).mapToLong(Span::end).max().orElse(0);
        return last - first;
    }

    /// Which part of the ranks' time between the first start and the last end they do not compute in.
    public double bubble() {
        long busy = spans.stream().flatMap(List::stream).mapToLong(Span::length).sum();
        return 1 - busy / ((double) duration() * spans.size());
    }

    /// A picture: a row for each rank, a box with the number of the micro-batch for each instruction, paler in
    /// every second chunk.
    public String toSvg() {
        return TimelineSvg.draw(this);
    }

    /// What the instructions cost on the average of all ranks: simulated, it gives the bubble of ranks that are
    /// equally fast and messages that take no time. An undivided backward counts as input.
    public Cost cost() {
        return new Cost(
                mean(Kind.FORWARD),
                Math.max(mean(Kind.BACKWARD), mean(Kind.BACKWARD_INPUT)),
                mean(Kind.BACKWARD_WEIGHT));
    }

    /// 0 where there is none of this kind.
    private long mean(Kind kind) {
        return Math.round(IntStream.range(0, spans.size())
                .boxed()
                .flatMapToLong(r -> IntStream.range(0, spans.get(r).size())
                        .filter(i -> schedule.of(r).get(i).kind() == kind)
                        .mapToLong(i -> spans.get(r).get(i).length()))
                .average()
                .orElse(0));
    }
}
