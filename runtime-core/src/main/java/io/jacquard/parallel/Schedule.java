package io.jacquard.parallel;

import io.jacquard.parallel.Instruction.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/// What each rank of a pipeline does in one optimizer step, in which order: a list of instructions for each. Stage
/// `chunk * ranks + rank` of the model is chunk `chunk` of rank `rank`: with several chunks the activations run round
/// the ranks several times.
///
/// Whoever makes a schedule has it checked: each micro-batch passes each chunk once in each direction, every
/// instruction can begin at some time, and messages between two ranks are wanted in the order in which they are sent.
public final class Schedule {
    private final String name;
    private final List<List<Instruction>> lists;
    private final int microBatches;
    private final int chunks;

    /// A schedule made by hand.
    ///
    /// @param name in messages and pictures
    /// @param lists the instructions of each rank
    /// @throws IllegalArgumentException saying what is wrong where
    public Schedule(String name, List<List<Instruction>> lists) {
        this.name = name;
        this.lists = lists.stream().map(List::copyOf).toList();
        if (lists.isEmpty() || lists.getFirst().isEmpty()) {
            throw new IllegalArgumentException("schedule " + name + ": no instructions for rank 0");
        }
        microBatches = count(Instruction::microBatch);
        chunks = count(Instruction::chunk);
        new ScheduleCheck(this).run();
    }

    private int count(ToIntFunction<Instruction> index) {
        return 1 + lists.getFirst().stream().mapToInt(index).max().orElseThrow();
    }

    /// All forwards, then all backwards (Huang et al., arXiv:1811.06965). Each rank keeps the activations of all
    /// micro-batches.
    public static Schedule gpipe(int ranks, int microBatches) {
        positive("GPipe", ranks, microBatches, 1);
        return new Schedule("GPipe", each(ranks, _ -> {
            List<Instruction> list = new ArrayList<>();
            IntStream.range(0, microBatches).forEach(i -> list.add(new Instruction(Kind.FORWARD, i, 0)));
            IntStream.range(0, microBatches).forEach(i -> list.add(new Instruction(Kind.BACKWARD, i, 0)));
            return list;
        }));
    }

    /// Forwards and backwards in turns, after one forward for each rank behind (Narayanan et al.,
    /// arXiv:2006.09503): rank r keeps at most `ranks - r` micro-batches, whatever their number.
    public static Schedule oneForwardOneBackward(int ranks, int microBatches) {
        positive("1F1B", ranks, microBatches, 1);
        return new Schedule("1F1B", each(ranks, rank -> {
            int ahead = ranks - 1 - rank;
            List<Instruction> list = new ArrayList<>();
            for (int i = 0; i < microBatches + ahead; i++) {
                if (i < microBatches) {
                    list.add(new Instruction(Kind.FORWARD, i, 0));
                }
                if (i >= ahead) {
                    list.add(new Instruction(Kind.BACKWARD, i - ahead, 0));
                }
            }
            return list;
        }));
    }

    /// As [#oneForwardOneBackward] with `chunks` parts of the model on each rank (Narayanan et al.,
    /// arXiv:2104.04473): the bubble is that many times smaller, messages are that many times more. Ranks keep more
    /// micro-batches.
    ///
    /// @throws IllegalArgumentException if the micro-batches are not a multiple of the ranks
    public static Schedule interleaved(int ranks, int microBatches, int chunks) {
        positive("interleaved 1F1B", ranks, microBatches, chunks);
        if (microBatches % ranks != 0) {
            int less = microBatches / ranks * ranks;
            throw new IllegalArgumentException("interleaved 1F1B: " + microBatches
                    + " micro-batches are not a multiple of the " + ranks + " ranks; take "
                    + (less == 0 ? "" : less + " or ") + (less + ranks));
        }
        int count = microBatches * chunks;
        return new Schedule("interleaved 1F1B", each(ranks, rank -> {
            int ahead = Math.min(count, 2 * (ranks - 1 - rank) + (chunks - 1) * ranks);
            List<Instruction> list = new ArrayList<>();
            for (int i = 0; i < count + ahead; i++) {
                if (i < count) {
                    list.add(inGroups(Kind.FORWARD, i, ranks, chunks));
                }
                if (i >= ahead) {
                    list.add(inGroups(Kind.BACKWARD, i - ahead, ranks, chunks));
                }
            }
            return list;
        }));
    }

    /// As many micro-batches as there are ranks pass one chunk, then the next; backwards from the last chunk.
    private static Instruction inGroups(Kind kind, int i, int ranks, int chunks) {
        int chunk = i / ranks % chunks;
        int microBatch = i / (ranks * chunks) * ranks + i % ranks;
        return new Instruction(kind, microBatch, kind == Kind.FORWARD ? chunk : chunks - 1 - chunk);
    }

    /// ZB-H1 (Qi et al., arXiv:2401.10241): as [#oneForwardOneBackward], with the gradients of the weights put off
    /// to where the rank would wait, a third of the bubble if forward and both parts of backward take as long.
    /// Every rank keeps at most `ranks` micro-batches, as many as the first one of 1F1B.
    public static Schedule zeroBubble(int ranks, int microBatches) {
        positive("ZB-H1", ranks, microBatches, 1);
        return new Schedule("ZB-H1", each(ranks, rank -> {
            int ahead = ranks - 1 - rank;
            List<Instruction> list = new ArrayList<>();
            for (int i = 0; i < microBatches + ranks - 1; i++) {
                if (i < microBatches) {
                    list.add(new Instruction(Kind.FORWARD, i, 0));
                }
                if (i >= ahead && i - ahead < microBatches) {
                    list.add(new Instruction(Kind.BACKWARD_INPUT, i - ahead, 0));
                }
                if (i >= ranks - 1) {
                    list.add(new Instruction(Kind.BACKWARD_WEIGHT, i - ranks + 1, 0));
                }
            }
            return list;
        }));
    }

    private static List<List<Instruction>> each(int ranks, IntFunction<List<Instruction>> list) {
        return IntStream.range(0, ranks).mapToObj(list).toList();
    }

    private static void positive(String name, int ranks, int microBatches, int chunks) {
        if (ranks < 1 || microBatches < 1 || chunks < 1) {
            throw new IllegalArgumentException(name + ": " + ranks + " ranks, " + microBatches + " micro-batches, "
                    + chunks + " chunks on each rank; expected at least 1 of each");
        }
    }

    /// The name in messages and pictures.
    public String name() {
        return name;
    }

    /// How many ranks there are.
    public int ranks() {
        return lists.size();
    }

    /// How many micro-batches a step has.
    public int microBatches() {
        return microBatches;
    }

    /// How many parts of the model each rank has.
    public int chunks() {
        return chunks;
    }

    /// How many parts the model has.
    public int stages() {
        return lists.size() * chunks;
    }

    /// What `rank` does.
    public List<Instruction> of(int rank) {
        return lists.get(rank);
    }

    /// The most micro-batches that `rank` keeps activations of at a time; one that is in several chunks counts in
    /// each.
    public int peakInFlight(int rank) {
        int now = 0;
        int most = 0;
        for (Instruction i : of(rank)) {
            now += i.kind() == Kind.FORWARD ? 1 : 0;
            most = Math.max(most, now);
            now -= i.kind().ends() ? 1 : 0;
        }
        return most;
    }

    /// When what would happen on ranks that take exactly `cost` and send in no time.
    public Timeline simulate(Timeline.Cost cost) {
        return new ScheduleSimulation(this, cost).run();
    }

    // ---- what passes between ranks: forwards to the next, gradients back

    int stage(int rank, Instruction i) {
        return i.chunk() * ranks() + rank;
    }

    boolean takesActivations(int rank, Instruction i) {
        return i.kind() == Kind.FORWARD && stage(rank, i) > 0;
    }

    boolean sendsActivations(int rank, Instruction i) {
        return i.kind() == Kind.FORWARD && stage(rank, i) < stages() - 1;
    }

    boolean takesGradient(int rank, Instruction i) {
        return i.kind().passesGradient() && stage(rank, i) < stages() - 1;
    }

    boolean sendsGradient(int rank, Instruction i) {
        return i.kind().passesGradient() && stage(rank, i) > 0;
    }

    @Override
    public String toString() {
        return name + " of " + ranks() + " ranks, " + microBatches + " micro-batches"
                + (chunks == 1 ? "" : ", " + chunks + " chunks on each rank");
    }
}
