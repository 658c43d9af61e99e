package io.jacquard.parallel;

import java.util.List;

/// When each instruction of a schedule began and ended: of a simulation, in its units, or of a run, in microseconds.
///
/// @param starts of each rank's instructions, in their order
/// @param ends likewise
public record Timeline(Schedule schedule, List<List<Long>> starts, List<List<Long>> ends) {
    /// What instructions cost in a simulation; [Instruction.Kind#BACKWARD] costs its two halves.
    ///
    /// @param forward of a micro-batch in a chunk
    /// @param input of the gradients of the chunk's input
    /// @param weight of the gradients of its weights
    public record Cost(long forward, long input, long weight) {
        /// One each, as matrix products have it: backward is twice forward.
        public static final Cost ONE = new Cost(1, 1, 1);

        long of(Instruction.Kind kind) {
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
        long first =
                starts.stream().flatMap(List::stream).mapToLong(t -> t).min().orElse(0);
        long last = ends.stream().flatMap(List::stream).mapToLong(t -> t).max().orElse(0);
        return last - first;
    }

    /// Which part of the ranks' time between the first start and the last end no instruction uses.
    public double bubble() {
        long busy = 0;
        for (int r = 0; r < starts.size(); r++) {
            for (int i = 0; i < starts.get(r).size(); i++) {
                busy += ends.get(r).get(i) - starts.get(r).get(i);
            }
        }
        return 1 - busy / ((double) duration() * starts.size());
    }
}
