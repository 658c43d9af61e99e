package io.jacquard.parallel;

import io.jacquard.group.Pending;
import io.jacquard.parallel.Instruction.Kind;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// One run of a rank's list: what is in flight, and what is on its way.
final class PipelineStep implements AutoCloseable {
    /// Told when the computing of instruction `index` begins and ends, waiting and messages not included.
    interface Clock {
        Clock NONE = new Clock() {
            @Override
            public void begins(int index) {}

            @Override
            public void ends(int index) {}
        };

        void begins(int index);

        void ends(int index);
    }

    private record Place(int microBatch, int chunk) {}

    /// A micro-batch in a chunk. The gradient for the rank before may be on its way when all else is over: it
    /// belongs to the outer scope.
    private static final class Passage {
        final Scope outer;
        final Scope scope;
        Pending arriving = Pending.DONE;
        Pending activations = Pending.DONE;
        Pending gradient = Pending.DONE;
        boolean over;
        boolean taken = true;

        @Nullable
        Tensor x;

        @Nullable
        Tensor y;

        @Nullable
        Tensor dy;

        Gradients.@Nullable Split weights;

        Passage(Instruction i) {
            String name = "micro-batch " + i.microBatch() + ", chunk " + i.chunk();
            outer = Scope.create("gradient from " + name);
            try (var _ = outer.enter()) {
                scope = Scope.create(name);
            }
        }
    }

    private final int rank;
    private final Schedule schedule;
    private final List<? extends Stage> chunks;
    private final PipelineLinks links;
    private final Clock clock;
    private final List<Instruction> list;
    private final Deque<Integer> takenBefore;
    private final Map<Place, Passage> inFlight = new HashMap<>();
    private final Deque<Passage> sending = new ArrayDeque<>();
    private int position;
    private int started;
    private int taken;

    PipelineStep(int rank, Schedule schedule, List<? extends Stage> chunks, PipelineLinks links, Clock clock) {
        this.rank = rank;
        this.schedule = schedule;
        this.chunks = chunks;
        this.links = links;
        this.clock = clock;
        this.list = schedule.of(rank);
        this.takenBefore = takenBefore();
    }

    /// For each of the activations that come from the rank before: how many gradients of this rank that one has
    /// taken before it sends them.
    private Deque<Integer> takenBefore() {
        int before = (rank + schedule.ranks() - 1) % schedule.ranks();
        Deque<Integer> counts = new ArrayDeque<>();
        int count = 0;
        for (Instruction i : schedule.of(before)) {
            if (schedule.takesGradient(before, i)) {
                count++;
            } else if (schedule.sendsActivations(before, i)) {
                counts.add(count);
            }
        }
        return counts;
    }

    Instruction current() {
        return list.get(Math.min(position, list.size() - 1));
    }

    void run() {
        for (position = 0; position < list.size(); position++) {
            while (started < list.size() && started <= position + 1 && receives(list.get(started))) {
                started++;
            }
            Instruction i = current();
            Passage p = passage(i);
            switch (i.kind()) {
                case FORWARD -> forward(i, p);
                case BACKWARD, BACKWARD_INPUT -> backward(i, p);
                case BACKWARD_WEIGHT -> weights(p);
            }
            if (i.kind().ends()) {
                end(i, p);
            }
        }
        settle(taken + sending.size());
    }

    private Passage passage(Instruction i) {
        return inFlight.computeIfAbsent(new Place(i.microBatch(), i.chunk()), _ -> new Passage(i));
    }

    /// Starts to receive what `i` needs from another rank, unless it is too early to know what that looks like.
    private boolean receives(Instruction i) {
        Passage p = passage(i);
        try (var _ = p.scope.enter()) {
            if (schedule.takesActivations(rank, i)) {
                Stage stage = chunks.get(i.chunk());
                Tensor x = Tensor.empty(stage.inputShape(), stage.inputDType());
                p.arriving = links.receiveActivations(x);
                p.x = x.leaf();
            } else if (schedule.takesGradient(rank, i)) {
                if (p.y == null) {
                    return false;
                }
                p.dy = Tensor.empty(p.y.shape(), p.y.dtype());
                p.arriving = links.receiveGradient(p.dy);
            }
            return true;
        }
    }

    private void forward(Instruction i, Passage p) {
        try (var _ = p.scope.enter()) {
            if (p.x != null) {
                p.arriving.join();
                settle(takenBefore.remove());
            }
            clock.begins(position);
            Tensor y = chunks.get(i.chunk()).forward(p.x, i.microBatch());
            clock.ends(position);
            if (schedule.sendsActivations(rank, i)) {
                p.activations = links.sendActivations(y.detach());
            } else if (y.size() != 1) {
                throw new IllegalStateException(
                        "pipeline: the last stage returned " + y + "; expected the loss, [1] F32");
            }
            p.y = y;
        }
    }

    private void backward(Instruction i, Passage p) {
        try (var _ = p.scope.enter()) {
            if (p.dy != null) {
                p.arriving.join();
                p.activations.join(); // whoever sends their gradient has them
            }
            Tensor y = Objects.requireNonNull(p.y);
            Tensor[] wanted = p.x == null ? new Tensor[0] : new Tensor[] {p.x};
            List<@Nullable Tensor> gradients;
            clock.begins(position);
            if (i.kind() == Kind.BACKWARD_INPUT) {
                p.weights = Gradients.split(y, p.dy, wanted);
                gradients = p.weights.wanted();
            } else {
                gradients = Gradients.of(y, p.dy, wanted);
            }
            clock.ends(position);
            if (p.x != null) {
                send(i, p, gradients.getFirst());
            }
        }
    }

    private void send(Instruction i, Passage p, @Nullable Tensor dx) {
        if (dx == null) {
            throw new IllegalStateException("pipeline: chunk " + i.chunk() + " of rank " + rank
                    + " computes nothing from its input, whose gradient the stage before waits for");
        }
        p.gradient = links.sendGradient(p.scope.keep(dx));
        p.taken = false;
        sending.add(p);
    }

    private void weights(Passage p) {
        try (var _ = p.scope.enter()) {
            clock.begins(position);
            Objects.requireNonNull(p.weights).weights();
            clock.ends(position);
        }
    }

    private void end(Instruction i, Passage p) {
        inFlight.remove(new Place(i.microBatch(), i.chunk()));
        p.scope.close();
        p.over = true;
        closeIfOver(p);
        chunks.get(i.chunk()).backwardDone(i.microBatch());
    }

    /// The first `count` gradients that this rank sends have been taken.
    private void settle(int count) {
        for (; taken < count; taken++) {
            Passage p = sending.remove();
            p.gradient.join();
            p.taken = true;
            closeIfOver(p);
        }
    }

    private static void closeIfOver(Passage p) {
        if (p.over && p.taken) {
            p.outer.close();
        }
    }

    /// After a failure: what was in flight.
    @Override
    public void close() {
        for (Passage p : inFlight.values()) {
            p.scope.close();
            p.outer.close();
        }
        sending.forEach(p -> p.outer.close());
    }
}
