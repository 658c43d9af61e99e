package io.jacquard.optim;

import io.jacquard.group.Group;
import io.jacquard.group.Pending;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.Weights;
import io.jacquard.nn.Weights.Segment;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/// The memory of the weights, divided among ranks that hold the same part of a model for different data: ZeRO
/// (Rajbhandari et al., arXiv:1910.02054). A rank updates its part of each segment, so it alone has the optimizer's
/// state of that. In stage 1 it holds all values and gradients; in stage 2 all values, and its parts of the gradients,
/// into which those of a block are summed as soon as backward has written them; in stage 3 its parts of the values,
/// too, and gathers those of a block when it runs.
///
/// **Memory**: of n ranks and p parameters in BF16 with F32 state, `4 p + 12 p / n` bytes in stage 1,
/// `2 p + 14 p / n` in stage 2, `16 p / n` in stage 3; in stages 2 and 3 also the wholes of two blocks and of all other
/// segments ([Memory]).
public final class Shards implements Weights.Keeper {
    /// The ranks that share the work.
    ///
    /// @param data those that hold the same part of the model, each for other data
    /// @param world all of them: the norm of the gradient is over the whole model
    public record Ranks(Group data, Group world) {
        private static final Group ALONE = new SoloGroup();

        /// A process of its own.
        public static final Ranks ONE = new Ranks(ALONE, ALONE);

        /// Ranks that divide the batch and nothing else.
        public static Ranks data(Group group) {
            return new Ranks(group, group);
        }
    }

    /// How the memory is divided, and when gradients are summed.
    ///
    /// @param stage of ZeRO: 1, 2 or 3
    /// @param backwards how often a step's backward reaches each block: with that, in stage 1, the sum over the
    /// ranks of a block's gradient begins while backward goes on; 0: all sums begin with the optimizer's step
    public record Plan(int stage, int backwards) {
        /// Checks the stage.
        ///
        /// @throws IllegalArgumentException if there is no such stage
        public Plan {
            if (stage < 1 || stage > 3) {
                throw new IllegalArgumentException("shards: there is no ZeRO stage " + stage + "; expected 1, 2 or 3");
            }
        }
    }

    /// Bytes on this rank, beside the optimizer's state.
    ///
    /// @param values what is kept of the weights
    /// @param gradients what is kept of the gradients
    /// @param buffers for the wholes of what is kept in parts
    public record Memory(long values, long gradients, long buffers) {}

    /// Consecutive elements of the slice that lie behind one another in all of its tensors.
    ///
    /// @param from the first one, in the slice
    /// @param counts whether this rank answers for them in the norm
    record Run(Tensor values, Tensor gradients, long from, boolean counts) {
        /// These elements of a flat tensor of the slice with one entry for each `unit`.
        Tensor of(Tensor flat, int unit) {
            return flat.slice(from / unit, Shape.of(Math.toIntExact(values.size() / unit)));
        }
    }

    private final Weights weights;
    private final Ranks ranks;
    private final Plan plan;
    private final Store values;
    private final Store gradients;
    private final List<Segment> segments;
    private final List<Segment> blocks;
    private final Map<String, Integer> indices = new HashMap<>();
    private final List<Run> runs;
    private final Tensor norm = Tensor.zeros(Shape.of(2), DType.F32);
    private final Tensor ofRuns;
    private final Tensor runNorms;
    private final Tensor rankNorms;

    // the state of one step; begin() makes it new
    private final Map<String, Integer> backwards = new HashMap<>();
    private final Set<String> summed = new HashSet<>();
    private final List<Pending> sums = new ArrayList<>();
    private final Map<String, Pending> gathered = new HashMap<>();
    private int runningBlock = -1;
    private @Nullable Runnable unfinished;

    private Shards(Weights weights, Ranks ranks, Plan plan, Store values, Store gradients) {
        this.weights = weights;
        this.ranks = ranks;
        this.plan = plan;
        this.values = values;
        this.gradients = gradients;
        segments = weights.segments();
        blocks = segments.stream().filter(Segment::isBlock).toList();
        for (int i = 0; i < blocks.size(); i++) {
            indices.put(blocks.get(i).name(), i);
        }
        runs = runs();
        int counted = Math.toIntExact(runs.stream().filter(Run::counts).count());
        ofRuns = Tensor.zeros(Shape.of(counted, 2), DType.F32);
        runNorms = Tensor.zeros(Shape.of(counted), DType.F32);
        rankNorms = Tensor.zeros(Shape.of(ranks.world.size()), DType.F32);
    }

    /// Stage 1 for weights that have memory, and are the same in all ranks of `ranks.data()`.
    ///
    /// @throws IllegalArgumentException if the weights were not made for as many shards
    public static Shards of(Weights weights, Ranks ranks) {
        int n = checked(weights, ranks);
        int rank = ranks.data.rank();
        Store values = Store.whole(weights, weights.values(), n, rank);
        Store gradients = Store.whole(weights, weights.gradients(), n, rank);
        return new Shards(weights, ranks, new Plan(1, 0), values, gradients);
    }

    /// Gives `weights` memory in the current scope, initialised as by [Weights#allocate].
    ///
    /// @throws IllegalArgumentException if the weights were not made for as many shards as there are data ranks
    public static Shards allocate(Weights weights, Ranks ranks, Plan plan, DType values, DType gradients, long seed) {
        int n = checked(weights, ranks);
        int rank = ranks.data.rank();
        Shape all = Shape.of(Math.toIntExact(weights.elements()));
        Store v = plan.stage < 3
                ? Store.whole(weights, Tensor.zeros(all, values).named("weights"), n, rank)
                : Store.parts(weights, "weights", values, n, rank);
        Store g = plan.stage < 2
                ? Store.whole(weights, Tensor.zeros(all, gradients).named("gradients"), n, rank)
                : Store.parts(weights, "gradients", gradients, n, rank);
        for (Segment s : weights.segments()) {
            weights.bind(s, v.whole(s), g.whole(s));
        }
        Shards shards = new Shards(weights, ranks, plan, v, g);
        shards.fill(s -> weights.initialise(s, seed));
        if (plan.stage > 1 || plan.backwards > 0) {
            weights.keep(shards);
        }
        return shards;
    }

    private static int checked(Weights weights, Ranks ranks) {
        int n = ranks.data.size();
        for (Segment s : weights.segments()) {
            if (s.elements() % ((long) Weights.ALIGNMENT * n) != 0) {
                throw new IllegalArgumentException("shards: segment " + s + " does not divide into " + n
                        + " parts of whole blocks of " + Weights.ALIGNMENT + "; make the weights by new Weights(" + n
                        + ")");
            }
        }
        return n;
    }

    private List<Run> runs() {
        boolean adjoin = values.adjoins() && gradients.adjoins();
        List<Run> list = new ArrayList<>();
        long from = 0;
        for (int i = 0; i < segments.size(); i++) {
            Segment s = segments.get(i);
            boolean goesOn =
                    adjoin && i + 1 < segments.size() && segments.get(i + 1).counts() == s.counts();
            if (!goesOn) {
                long to = (s.offset() + s.elements()) / ranks.data.size();
                Shape length = Shape.of(Math.toIntExact(to - from));
                list.add(new Run(
                        adjoin ? values.own().slice(from, length) : values.kept(s),
                        adjoin ? gradients.own().slice(from, length) : gradients.kept(s),
                        from,
                        s.counts()));
                from = to;
            }
        }
        return list;
    }

    // ---- values

    /// Has `writer` write the values of one segment after the other, all of them on each rank, through the
    /// parameters; keeps this rank's part. Outside of steps.
    public void fill(Consumer<Segment> writer) {
        begin();
        for (Segment s : segments) {
            writer.accept(s);
            if (!values.isWhole()) {
                Tensor kept = values.kept(s);
                kept.kernels().cast(kept, values.partOfWhole(s));
            }
        }
    }

    /// Sees to it that the parameters of `s` hold its values, until others are needed. All data ranks must call.
    /// Outside of steps.
    public void gather(Segment s) {
        if (!values.isWhole()) {
            begin();
            ranks.data.allGather(values.whole(s), values.kept(s)).join();
        }
    }

    /// This rank's part of a tensor for all of `s`.
    public Tensor part(Segment s, Tensor whole) {
        Shape part = Shape.of(Math.toIntExact(s.elements() / ranks.data.size()));
        return whole.slice(ranks.data.rank() * part.elements(), part);
    }

    /// What belongs to `s` in a flat tensor of this rank's slice, such as the optimizer's state, that has an entry
    /// for each `unit` elements.
    public Tensor stateOf(Segment s, Tensor slice, int unit) {
        int n = ranks.data.size() * unit;
        return slice.slice(s.offset() / n, Shape.of(Math.toIntExact(s.elements() / n)));
    }

    /// The ranks among which each segment is divided.
    public Group data() {
        return ranks.data;
    }

    /// The weights that are divided.
    public Weights weights() {
        return weights;
    }

    /// Before each step and outside of what is recorded: nothing of what was gathered or counted before holds.
    public void begin() {
        forgetGathered();
        backwards.clear();
        summed.clear();
        sums.clear();
        unfinished = null;
    }

    private void forgetGathered() {
        gathered.values().forEach(Pending::join);
        gathered.clear();
        runningBlock = -1;
    }

    @Override
    public void need(Segment block) {
        if (values.isWhole()) {
            return;
        }
        int now = index(block);
        present(block).join();
        int next = now + (now < runningBlock || now == blocks.size() - 1 ? -1 : 1); // backward, or the turn to it
        runningBlock = now;
        if (next >= 0 && next < blocks.size()) {
            Segment s = blocks.get(next);
            gathered.put(s.name(), present(s));
        }
    }

    /// The gather of a block's values, begun if it has to.
    private Pending present(Segment block) {
        Pending known = gathered.get(block.name());
        if (known != null) {
            return known;
        }
        Tensor whole = values.whole(block);
        blocks.stream()
                .filter(b -> values.whole(b).address() == whole.address())
                .forEach(b -> gathered.remove(b.name()));
        Pending p = ranks.data.allGather(whole, values.kept(block));
        gathered.put(block.name(), p);
        return p;
    }

    private int index(Segment block) {
        Integer i = indices.get(block.name());
        if (i == null) {
            throw new AssertionError("no block " + block);
        }
        return i;
    }

    // ---- gradients

    @Override
    public void written(Segment block) {
        int times = backwards.merge(block.name(), 1, Integer::sum);
        if (!gradients.isWhole()) {
            Runnable before = unfinished;
            unfinished = sumIntoPart(block, times == 1);
            finish(before);
        } else if (times == plan.backwards) {
            sums.add(sum(block));
            summed.add(block.name());
        }
    }

    /// A backward is over: in stages 2 and 3 to be called after each, before the next begins.
    public void backwardDone() {
        finish(unfinished);
        unfinished = null;
    }

    private static void finish(@Nullable Runnable sum) {
        if (sum != null) {
            sum.run();
        }
    }

    private Pending sum(Segment s) {
        settle(s);
        return ranks.data.reduceScatter(gradients.partOfWhole(s), gradients.whole(s));
    }

    private void settle(Segment s) {
        weights.settleGradients(s);
        s.holders().allReduce(gradients.whole(s)).join();
    }

    /// Begins the sum of gradients whose memory others will use.
    ///
    /// @return what is left to do when it is there
    private Runnable sumIntoPart(Segment s, boolean isFirst) {
        settle(s);
        Tensor kept = gradients.kept(s);
        Tensor part = isFirst ? kept : gradients.partOfWhole(s);
        Pending p = ranks.data.reduceScatter(part, gradients.whole(s));
        return () -> {
            p.join();
            if (!isFirst) {
                kept.kernels().axpby(kept, 1f, part, 1f);
            }
            weights.freshGradients(s);
        };
    }

    /// Sums the gradients of all ranks into their parts and takes the norm of the whole.
    void reduce() {
        backwardDone();
        for (Segment s : segments) {
            if (gradients.isWhole() && !summed.contains(s.name())) {
                sums.add(sum(s));
            } else if (!gradients.isWhole() && !backwards.containsKey(s.name())) {
                sumIntoPart(s, true).run();
            }
        }
        sums.forEach(Pending::join);
        sums.clear();
        takeNorm();
    }

    /// The norm of the ranks' norms, each the norm of those of its runs. It is finite only if all gradients are.
    private void takeNorm() {
        int counted = runNorms.shape().dim(0);
        if (counted == 1 && ranks.world.size() == 1) { // one launch is all
            norm.kernels().norm(norm, runs.getFirst().gradients);
            return;
        }
        int i = 0;
        for (Run r : runs) {
            if (r.counts) {
                norm.kernels().norm(ofRuns.slice(2L * i++, Shape.of(2)), r.gradients);
            }
        }
        runNorms.kernels().copy(runNorms, 0, new long[] {1}, ofRuns, 0, new long[] {2}, new int[] {counted}, 0f);
        norm.kernels().norm(norm, runNorms);
        ranks.world.allGather(rankNorms, norm.slice(0, Shape.of(1))).join();
        norm.kernels().norm(norm, rankNorms);
    }

    /// As [Optimizer#norm].
    Tensor norm() {
        return norm;
    }

    /// The slice in as few pieces as its memory allows.
    List<Run> pieces() {
        return runs;
    }

    /// How many elements this rank updates.
    Shape slice() {
        return Shape.of(Math.toIntExact(weights.elements() / ranks.data.size()));
    }

    /// Copies this rank's part of the gradients, summed by the optimizer's step, into a flat tensor of its slice.
    public void gradients(Tensor slice) {
        for (Segment s : segments) {
            Tensor to = stateOf(s, slice, 1);
            to.kernels().cast(to, gradients.kept(s));
        }
    }

    /// Hands the updated values to all ranks; the next backward starts gradients anew.
    void publish() {
        forgetGathered(); // the values before the update
        List<Pending> gathers = new ArrayList<>();
        for (Segment s : segments) {
            if (values.isWhole() || !s.isBlock()) {
                gathers.add(ranks.data.allGather(values.whole(s), values.kept(s)));
            }
        }
        gathers.forEach(Pending::join);
        weights.freshGradients();
    }

    /// How the memory is divided.
    public Plan plan() {
        return plan;
    }

    /// The dtype that gradients accumulate in.
    public DType gradientDType() {
        return gradients.own().dtype();
    }

    /// What is on this rank.
    public Memory memory() {
        return new Memory(
                values.own().bytes(), gradients.own().bytes(), values.bufferBytes() + gradients.bufferBytes());
    }
}
