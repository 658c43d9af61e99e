package io.jacquard.parallel;

import io.jacquard.parallel.Instruction.Kind;
import java.util.List;

/// What a schedule must be for ranks to run it; an `IllegalArgumentException` says what is wrong where.
final class ScheduleCheck {
    private final Schedule schedule;

    ScheduleCheck(Schedule schedule) {
        this.schedule = schedule;
    }

    void run() {
        int ranks = schedule.ranks();
        for (int r = 0; r < ranks; r++) {
            complete(r);
        }
        new ScheduleSimulation(schedule, Timeline.Cost.ONE).run();
        for (int r = 0; r < ranks; r++) {
            int next = (r + 1) % ranks;
            inOrder("activations", r, activations(r, true), next, activations(next, false));
            inOrder("gradients", next, gradients(next, true), r, gradients(r, false));
        }
    }

    private IllegalArgumentException wrong(String what) {
        return new IllegalArgumentException("schedule " + schedule.name() + ": " + what);
    }

    /// Each micro-batch passes each chunk forwards once and backwards once.
    private void complete(int rank) {
        int[][][] count = new int[schedule.microBatches()][schedule.chunks()][Kind.values().length];
        for (Instruction i : schedule.of(rank)) {
            if (i.microBatch() < 0 || i.chunk() < 0 || i.microBatch() >= count.length || i.chunk() >= count[0].length) {
                throw wrong("rank " + rank + " has a " + i + "; rank 0 has micro-batches 0 to " + (count.length - 1)
                        + " and chunks 0 to " + (count[0].length - 1));
            }
            count[i.microBatch()][i.chunk()][i.kind().ordinal()]++;
        }
        for (int m = 0; m < count.length; m++) {
            for (int c = 0; c < count[m].length; c++) {
                int[] of = count[m][c];
                int whole = of[Kind.BACKWARD.ordinal()];
                int input = of[Kind.BACKWARD_INPUT.ordinal()];
                int weight = of[Kind.BACKWARD_WEIGHT.ordinal()];
                if (of[Kind.FORWARD.ordinal()] != 1 || whole + input != 1 || input != weight) {
                    throw wrong("rank " + rank + " has " + of[Kind.FORWARD.ordinal()] + " forward, " + whole
                            + " backward, " + input + " backward input and " + weight
                            + " backward weight of micro-batch "
                            + m + ", chunk " + c + "; expected one forward, and one backward or one of each part");
                }
            }
        }
    }

    /// What passes between stage `below` and the next.
    private record Message(int microBatch, int below) {
        @Override
        public String toString() {
            return "micro-batch " + microBatch + " between stages " + below + " and " + (below + 1);
        }
    }

    /// Messages between two ranks arrive in the order in which they are sent.
    private void inOrder(String what, int from, List<Message> sent, int to, List<Message> taken) {
        for (int i = 0; i < sent.size(); i++) {
            if (!sent.get(i).equals(taken.get(i))) {
                throw wrong("of the " + what + " that rank " + from + " sends to rank " + to + ", it sends those of "
                        + sent.get(i) + " first, and rank " + to + " wants those of " + taken.get(i) + " first");
            }
        }
    }

    private List<Message> activations(int rank, boolean sent) {
        return schedule.of(rank).stream()
                .filter(i -> sent ? schedule.sendsActivations(rank, i) : schedule.takesActivations(rank, i))
                .map(i -> new Message(i.microBatch(), schedule.stage(rank, i) - (sent ? 0 : 1)))
                .toList();
    }

    private List<Message> gradients(int rank, boolean sent) {
        return schedule.of(rank).stream()
                .filter(i -> sent ? schedule.sendsGradient(rank, i) : schedule.takesGradient(rank, i))
                .map(i -> new Message(i.microBatch(), schedule.stage(rank, i) - (sent ? 1 : 0)))
                .toList();
    }
}
