package io.jacquard.parallel;

import io.jacquard.parallel.Timeline.Span;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;

/// Runs a schedule without computing: each instruction begins when its rank is free and what it needs is there.
/// Messages take no time and wait for nobody.
final class ScheduleSimulation {
    private static final long NEVER = -1;

    private final Schedule schedule;
    private final Timeline.Cost cost;
    private final List<List<Span>> spans = new ArrayList<>();
    private final long[][] forward;
    private final long[][] gradient;

    ScheduleSimulation(Schedule schedule, Timeline.Cost cost) {
        this.schedule = schedule;
        this.cost = cost;
        forward = never();
        gradient = never();
    }

    /// When each micro-batch has passed each stage.
    private long[][] never() {
        long[][] times = new long[schedule.microBatches()][schedule.stages()];
        for (long[] t : times) {
            Arrays.fill(t, NEVER);
        }
        return times;
    }

    /// @throws IllegalArgumentException if some instruction never begins
    Timeline run() {
        int ranks = schedule.ranks();
        for (int r = 0; r < ranks; r++) {
            spans.add(new ArrayList<>());
        }
        boolean moved = true;
        while (moved) {
            moved = false;
            for (int r = 0; r < ranks; r++) {
                while (begins(r)) {
                    moved = true;
                }
            }
        }
        StringJoiner stuck = new StringJoiner("; ");
        for (int r = 0; r < ranks; r++) {
            if (spans.get(r).size() < schedule.of(r).size()) {
                stuck.add("rank " + r + " cannot begin the "
                        + schedule.of(r).get(spans.get(r).size()));
            }
        }
        if (stuck.length() > 0) {
            throw new IllegalArgumentException("schedule " + schedule.name() + ": " + stuck);
        }
        return new Timeline(schedule, spans);
    }

    private boolean begins(int rank) {
        List<Span> before = spans.get(rank);
        int next = before.size();
        if (next == schedule.of(rank).size()) {
            return false;
        }
        Instruction i = schedule.of(rank).get(next);
        long ready = ready(i, schedule.stage(rank, i));
        if (ready == NEVER) {
            return false;
        }
        long start = Math.max(ready, next == 0 ? 0 : before.getLast().end());
        long end = start + cost.of(i.kind());
        before.add(new Span(start, end));
        if (i.kind() == Instruction.Kind.FORWARD) {
            forward[i.microBatch()][schedule.stage(rank, i)] = end;
        } else if (i.kind().passesGradient()) {
            gradient[i.microBatch()][schedule.stage(rank, i)] = end;
        }
        return true;
    }

    /// When what `i` needs is there, or [#NEVER] if it is not yet.
    private long ready(Instruction i, int stage) {
        long[] forwards = forward[i.microBatch()];
        long[] gradients = gradient[i.microBatch()];
        return switch (i.kind()) {
            case FORWARD -> stage == 0 ? 0 : forwards[stage - 1];
            case BACKWARD, BACKWARD_INPUT -> {
                long above = stage == schedule.stages() - 1 ? 0 : gradients[stage + 1];
                yield above == NEVER || forwards[stage] == NEVER ? NEVER : Math.max(above, forwards[stage]);
            }
            case BACKWARD_WEIGHT -> gradients[stage];
        };
    }
}
