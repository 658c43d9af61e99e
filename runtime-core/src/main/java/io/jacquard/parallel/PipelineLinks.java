package io.jacquard.parallel;

import io.jacquard.group.Group;
import io.jacquard.group.Pending;
import io.jacquard.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// The ways between a rank and its neighbours, each with a group of its own: engines run the messages of one group one
/// after the other, and none may wait behind another that waits for something else.
final class PipelineLinks implements AutoCloseable {
    /// One end of a way between two ranks, for messages in one direction.
    interface Link {
        Pending send(Tensor tensor);

        Pending receive(Tensor out);
    }

    private record Wire(Group group) implements Link {
        @Override
        public Pending send(Tensor tensor) {
            return group.send(tensor, 1 - group.rank());
        }

        @Override
        public Pending receive(Tensor out) {
            return group.receive(out, 1 - group.rank());
        }
    }

    /// From a rank to itself, where there is one only.
    private record Loop(Deque<Tensor> sent) implements Link {
        @Override
        public Pending send(Tensor tensor) {
            sent.add(tensor);
            return Pending.DONE;
        }

        @Override
        public Pending receive(Tensor out) {
            return () -> out.kernels().axpby(out, 1f, sent.remove(), 0f);
        }
    }

    /// Ways from the rank before this one and to the next; null where there is none.
    private record Ends(@Nullable Link before, @Nullable Link next) {}

    private final List<Group> groups = new ArrayList<>();
    private final Ends activations;
    private final Ends gradients;

    /// Splits `pipeline`; all its ranks must call.
    ///
    /// @param ring whether the last rank is before the first
    PipelineLinks(Group pipeline, boolean ring) {
        activations = ends(pipeline, ring);
        gradients = ends(pipeline, ring);
    }

    /// Pair e is ranks e and e + 1. Pairs that share no rank are split off at once: those with even e, those with
    /// odd e, and the last of a ring of odd size.
    private Ends ends(Group pipeline, boolean ring) {
        int size = pipeline.size();
        if (size == 1) {
            Link loop = new Loop(new ArrayDeque<>());
            return new Ends(loop, loop);
        }
        int pairs = ring ? size : size - 1;
        int rank = pipeline.rank();
        int before = (rank + size - 1) % size;
        Link toBefore = null;
        Link toNext = null;
        int turns = 1 + IntStream.range(0, pairs).map(e -> turn(e, size)).max().orElseThrow();
        for (int turn = 0; turn < turns; turn++) {
            if (rank < pairs && turn(rank, size) == turn) {
                toNext = split(pipeline, rank);
            } else if (before < pairs && turn(before, size) == turn) {
                toBefore = split(pipeline, before);
            } else {
                pipeline.split(size + rank).close(); // alone, but all ranks must call
            }
        }
        return new Ends(toBefore, toNext);
    }

    private static int turn(int pair, int size) {
        return pair == size - 1 && size % 2 == 1 ? 2 : pair % 2;
    }

    private Link split(Group pipeline, int color) {
        Group group = pipeline.split(color);
        groups.add(group);
        return new Wire(group);
    }

    /// To the next rank.
    Pending sendActivations(Tensor y) {
        return Objects.requireNonNull(activations.next).send(y);
    }

    /// From the rank before.
    Pending receiveActivations(Tensor x) {
        return Objects.requireNonNull(activations.before).receive(x);
    }

    /// To the rank before.
    Pending sendGradient(Tensor dx) {
        return Objects.requireNonNull(gradients.before).send(dx);
    }

    /// From the next rank.
    Pending receiveGradient(Tensor dy) {
        return Objects.requireNonNull(gradients.next).receive(dy);
    }

    @Override
    public void close() {
        groups.reversed().forEach(Group::close);
    }
}
