package io.jacquard.group;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Graph;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.function.Executable;

/// What every engine must do, as work for the ranks of a group, each with a session of its own: whoever tests an
/// engine runs all cases, in threads or in processes.
public final class GroupContract {
    /// @param ranks how many the group must have
    /// @param graph whether it records a graph, which not every device can do with every engine
    /// @param ordered whether it wants sums in the order of ranks and rounded once, which not every engine promises
    /// @param work of each rank; throws if the group is not as it should be
    public record Case(String name, int ranks, boolean graph, boolean ordered, Consumer<Group> work) {}

    /// Element `i` of the operand of a rank.
    private interface Values {
        float of(int rank, int i);
    }

    /// Sums of these depend on the order in which they are taken.
    private static final Values SINES = (rank, i) -> (float) Math.sin(17 * rank + i + 1);

    /// And of these not, in any floating type.
    private static final Values WHOLE = (rank, i) -> (3 * rank + i) % 17 - 8;

    private static final List<Case> CASES = new ArrayList<>();

    private GroupContract() {}

    static {
        int[][] sums = {{1, 5}, {2, 1}, {2, 7}, {3, 2}, {3, 256}, {4, 1023}, {3, 30_001}, {4, 90_001}, {2, 1_100_003}};
        for (int[] s : sums) {
            ordered("allReduce adds in the order of ranks: " + s[1], s[0], g -> allReduce(g, SINES, s[1]));
        }
        for (int n = 1; n <= 4; n++) {
            for (int part : new int[] {1, 33, 40_000}) {
                ordered(
                        "reduceScatter and allGather make an allReduce: " + part,
                        n,
                        g -> scatterAndGather(g, SINES, part));
            }
        }
        for (int n = 1; n <= 4; n++) {
            add("allReduce adds whole numbers: 1023", n, g -> allReduce(g, WHOLE, 1023));
            add("reduceScatter and allGather add whole numbers: 33", n, g -> scatterAndGather(g, WHOLE, 33));
        }
        ordered("in-place forms use the rank's own part: 10", 3, g -> inPlace(g, SINES, 10));
        ordered("in-place forms use the rank's own part: 300000", 3, g -> inPlace(g, SINES, 300_000));
        add("in-place forms add whole numbers: 10", 3, g -> inPlace(g, WHOLE, 10));
        ordered("sums of 16 bits are rounded once", 4, GroupContract::roundedOnce);
        ordered("sums of many 16 bit values are those of F32, rounded", 3, GroupContract::manyHalves);
        add("16 bit types add whole numbers", 4, GroupContract::wholeHalves);
        add("a sum is close, and the same on all ranks", 4, GroupContract::closeAndTheSame);
        for (int root = 0; root < 3; root++) {
            int r = root;
            add("broadcast of any type from " + r, 3, g -> broadcast(g, r, 3));
            add("broadcast of much from " + r, 3, g -> broadcast(g, r, 100_003));
        }
        add("allToAll transposes parts: 2", 3, g -> allToAll(g, 2));
        add("allToAll transposes parts: 30000", 4, g -> allToAll(g, 30_000));
        add("a ring sends and receives at once: 9", 4, g -> ring(g, 9));
        add("a ring sends and receives at once: 2200000", 4, g -> ring(g, 2_200_000));
        add("a chain sends one after the other", 3, GroupContract::chain);
        add("several messages keep their order", 2, GroupContract::ordered);
        add("a send waits for nobody: 3", 2, g -> sendsFirst(g, 3));
        add("a send waits for nobody: 2200000", 2, g -> sendsFirst(g, 2_200_000));
        add("receives may be started early", 2, GroupContract::receivesFirst);
        add("groups do not hold each other up", 2, GroupContract::twoGroups);
        add("split makes groups that work on their own", 4, GroupContract::split);
        add("recorded collectives run at every replay", 2, GroupContract::recorded);
        add("recorded messages run at every replay", 2, GroupContract::recordedMessages);
        add("recorded messages travel while others begin", 2, GroupContract::recordedEarly);
        add("different operations are named", 2, GroupContract::differentOperations);
        add("wrong operands are refused", 2, GroupContract::wrongOperands);
    }

    private static void add(String name, int ranks, Consumer<Group> work) {
        add(name, ranks, false, work);
    }

    private static void ordered(String name, int ranks, Consumer<Group> work) {
        add(name, ranks, true, work);
    }

    private static void add(String name, int ranks, boolean ordered, Consumer<Group> work) {
        CASES.add(new Case(
                name + " (" + ranks + (ranks == 1 ? " rank)" : " ranks)"),
                ranks,
                name.startsWith("recorded"),
                ordered,
                work));
    }

    /// In the order in which all ranks must run them.
    public static List<Case> cases() {
        return List.copyOf(CASES);
    }

    // ---- values

    static float[] values(int rank, int size) {
        return values(SINES, rank, size);
    }

    private static float[] values(Values values, int rank, int size) {
        float[] v = new float[size];
        for (int i = 0; i < size; i++) {
            v[i] = values.of(rank, i);
        }
        return v;
    }

    static Tensor tensor(int rank, int size) {
        return tensor(SINES, rank, size);
    }

    private static Tensor tensor(Values values, int rank, int size) {
        return Tensor.of(Shape.of(size), values(values, rank, size));
    }

    static float[] sum(int ranks, int size) {
        return sum(SINES, ranks, size);
    }

    /// The F32 sum over ranks, rank 0 first.
    private static float[] sum(Values values, int ranks, int size) {
        float[] s = values(values, 0, size);
        for (int r = 1; r < ranks; r++) {
            float[] v = values(values, r, size);
            for (int i = 0; i < size; i++) {
                s[i] += v[i];
            }
        }
        return s;
    }

    static void fails(String message, Class<? extends RuntimeException> type, Executable call) {
        assertEquals(message, assertThrows(type, call).getMessage());
    }

    // ---- cases

    private static void allReduce(Group g, Values values, int size) {
        Tensor t = tensor(values, g.rank(), size);
        g.allReduce(t).join();
        assertArrayEquals(sum(values, g.size(), size), t.toFloats());
    }

    private static void scatterAndGather(Group g, Values values, int part) {
        int n = g.size();
        Tensor in = tensor(values, g.rank(), n * part);
        Tensor out = Tensor.empty(Shape.of(part), DType.F32);
        g.reduceScatter(out, in).join();
        assertArrayEquals(values(values, g.rank(), n * part), in.toFloats()); // an operand of its own is kept
        Tensor all = Tensor.empty(Shape.of(n * part), DType.F32);
        g.allGather(all, out).join();
        assertArrayEquals(sum(values, n, n * part), all.toFloats());
    }

    private static void inPlace(Group g, Values values, int part) {
        Tensor t = tensor(values, g.rank(), g.size() * part);
        Tensor mine = t.slice((long) part * g.rank(), Shape.of(part));
        g.reduceScatter(mine, t).join();
        g.allGather(t, mine).join();
        assertArrayEquals(sum(values, g.size(), g.size() * part), t.toFloats());
    }

    private static void wholeHalves(Group g) {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            Tensor t = Tensor.empty(Shape.of(1023), dtype);
            t.kernels().cast(t, tensor(WHOLE, g.rank(), 1023));
            g.allReduce(t).join();
            assertArrayEquals(sum(WHOLE, g.size(), 1023), t.toFloats());
        }
    }

    /// In whatever order: each of the `size - 1` additions rounds by half a unit in the last place at most.
    private static void closeAndTheSame(Group g) {
        int size = 1023;
        for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            Tensor t = Tensor.empty(Shape.of(size), dtype);
            t.kernels().cast(t, tensor(g.rank(), size));
            g.allReduce(t).join();
            Tensor all = Tensor.empty(Shape.of(size * g.size()), dtype);
            g.allGather(all, t).join();
            float[] got = all.toFloats();
            double unit = Math.scalb(1.0, dtype == DType.F32 ? -24 : dtype == DType.BF16 ? -8 : -11);
            for (int i = 0; i < size; i++) {
                double sum = 0;
                double magnitude = 0;
                for (int r = 0; r < g.size(); r++) {
                    assertEquals(got[i], got[r * size + i], 0f, dtype + " of rank " + r);
                    sum += SINES.of(r, i);
                    magnitude += Math.abs(SINES.of(r, i));
                }
                assertEquals(sum, got[i], g.size() * unit * magnitude, dtype + " element " + i);
            }
        }
    }

    private static void roundedOnce(Group g) {
        // 256 + 1 is 256 in bf16; the sum of 256, 1, 1, 1 rounds to 260 (spacing 2, ties to even)
        Tensor f = Tensor.of(Shape.of(4), g.rank() == 0 ? new float[] {256, 1, 1, 1} : new float[] {1, 1, 1, 1});
        Tensor t = Tensor.empty(Shape.of(4), DType.BF16);
        t.kernels().cast(t, f);
        g.allReduce(t).join();
        assertArrayEquals(new float[] {260f, 4f, 4f, 4f}, t.toFloats());
    }

    private static void manyHalves(Group g) {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            int size = 150_000;
            Tensor t = Tensor.empty(Shape.of(size), dtype);
            t.kernels().cast(t, tensor(g.rank(), size));
            float[] expected = new float[size];
            for (int r = 0; r < g.size(); r++) {
                Tensor of = Tensor.empty(Shape.of(size), dtype);
                of.kernels().cast(of, tensor(r, size));
                float[] v = of.toFloats();
                for (int i = 0; i < size; i++) {
                    expected[i] += v[i];
                }
            }
            Tensor rounded = Tensor.empty(Shape.of(size), dtype);
            rounded.kernels().cast(rounded, Tensor.of(Shape.of(size), expected));
            g.allReduce(t).join();
            assertArrayEquals(rounded.toFloats(), t.toFloats());
        }
    }

    private static void broadcast(Group g, int root, int size) {
        int[] v = new int[size];
        for (int i = 0; i < size; i++) {
            v[i] = 1000 * g.rank() + i;
        }
        Tensor t = Tensor.of(Shape.of(size), v);
        g.broadcast(t, root).join();
        for (int i = 0; i < size; i++) {
            v[i] = 1000 * root + i;
        }
        assertArrayEquals(v, t.toInts());
    }

    /// Element i of part p of rank r's operand is 1000 r + 100 p + i mod 100.
    private static void allToAll(Group g, int part) {
        int n = g.size();
        int[] mine = new int[n * part];
        int[] expected = new int[n * part];
        for (int p = 0; p < n; p++) {
            for (int i = 0; i < part; i++) {
                mine[p * part + i] = 1000 * g.rank() + 100 * p + i % 100;
                expected[p * part + i] = 1000 * p + 100 * g.rank() + i % 100;
            }
        }
        Tensor in = Tensor.of(Shape.of(n * part), mine);
        Tensor out = Tensor.empty(Shape.of(n * part), DType.I32);
        g.allToAll(out, in).join();
        assertArrayEquals(expected, out.toInts());
    }

    private static void ring(Group g, int size) {
        int n = g.size();
        Tensor mine = tensor(g.rank(), size);
        Tensor got = Tensor.empty(Shape.of(size), DType.F32);
        g.grouped(() -> {
                    g.send(mine, (g.rank() + 1) % n);
                    g.receive(got, (g.rank() + n - 1) % n);
                })
                .join();
        assertArrayEquals(values((g.rank() + n - 1) % n, size), got.toFloats());
    }

    private static void chain(Group g) {
        Tensor t = tensor(0, 5);
        if (g.rank() > 0) {
            t.kernels().fill(t, -1f);
            g.receive(t, g.rank() - 1).join();
        }
        if (g.rank() < g.size() - 1) {
            g.send(t, g.rank() + 1).join();
        }
        assertArrayEquals(values(0, 5), t.toFloats());
    }

    private static void ordered(Group g) {
        Tensor a = Tensor.of(Shape.of(2), 1f, 2f);
        Tensor b = Tensor.of(Shape.of(1), 7);
        if (g.rank() == 0) {
            g.grouped(() -> {
                        g.send(a, 1);
                        g.send(b, 1);
                    })
                    .join();
            g.receive(a, 1).join();
        } else {
            Tensor first = Tensor.empty(Shape.of(2), DType.F32);
            Tensor second = Tensor.empty(Shape.of(1), DType.I32);
            g.grouped(() -> {
                        g.receive(first, 0);
                        g.receive(second, 0);
                    })
                    .join();
            assertArrayEquals(new int[] {7}, second.toInts());
            g.send(first, 0).join();
        }
        assertArrayEquals(new float[] {1f, 2f}, a.toFloats());
    }

    /// From each of two ranks to the other, with a group for each direction, as [Group#send] wants it.
    private record Ways(Group out, Group in, int other) {
        static Ways of(Group g) {
            Group forth = g.split(0);
            Group back = g.split(0);
            return g.rank() == 0 ? new Ways(forth, back, 1) : new Ways(back, forth, 0);
        }
    }

    private static void sendsFirst(Group g, int size) {
        Ways ways = Ways.of(g);
        List<Pending> sent = new ArrayList<>();
        for (int i = 1; i <= 3; i++) {
            sent.add(ways.out.send(tensor(10 * g.rank() + i, size / i), ways.other));
        }
        for (int i = 1; i <= 3; i++) {
            Tensor got = Tensor.empty(Shape.of(size / i), DType.F32);
            ways.in.receive(got, ways.other).join();
            assertArrayEquals(values(10 * ways.other + i, size / i), got.toFloats());
        }
        sent.forEach(Pending::join);
        sent.forEach(Pending::join); // the second time does nothing
    }

    private static void receivesFirst(Group g) {
        Ways ways = Ways.of(g);
        List<Tensor> got = new ArrayList<>();
        List<Pending> receives = new ArrayList<>();
        for (int size : new int[] {5, 70_000, 1}) {
            got.add(Tensor.empty(Shape.of(size), DType.F32));
            receives.add(ways.in.receive(got.getLast(), ways.other));
        }
        List<Pending> sends = new ArrayList<>();
        got.forEach(t -> sends.add(ways.out.send(tensor(g.rank(), Math.toIntExact(t.size())), ways.other)));
        receives.forEach(Pending::join);
        sends.forEach(Pending::join);
        got.forEach(t -> assertArrayEquals(values(ways.other, Math.toIntExact(t.size())), t.toFloats()));
    }

    /// Rank 0 sends in one order, rank 1 receives in the other: with a group for each that is no difference.
    private static void twoGroups(Group g) {
        Group one = g.split(0);
        Group two = g.split(0);
        Tensor a = tensor(1, 50_000);
        Tensor b = tensor(2, 50_000);
        if (g.rank() == 0) {
            Pending first = one.send(a, 1);
            Pending second = two.send(b, 1);
            second.join();
            first.join();
        } else {
            Tensor got = Tensor.empty(b.shape(), DType.F32);
            two.receive(got, 0).join();
            assertArrayEquals(b.toFloats(), got.toFloats());
            one.receive(got, 0).join();
            assertArrayEquals(a.toFloats(), got.toFloats());
        }
    }

    private static void split(Group g) {
        boolean even = g.rank() % 2 == 0;
        Group part = g.split(even ? -5 : g.rank() == 1 ? 3 : 4);
        assertEquals(even ? 2 : 1, part.size());
        assertEquals(even ? g.rank() / 2 : 0, part.rank());
        Tensor t = Tensor.of(Shape.of(1), (float) g.rank());
        part.allReduce(t).join();
        assertEquals(even ? 2f : g.rank(), t.item());
        Group again = g.split(7);
        assertEquals(4, again.size());
        assertEquals(g.rank(), again.rank());
        again.barrier();
    }

    private static void recorded(Group g) {
        for (int size : new int[] {3, 100_000}) {
            float[] ones = new float[size];
            Arrays.fill(ones, 1f);
            Tensor t = Tensor.of(Shape.of(size), ones);
            try (Scope _ = Scope.openArena("recorded", 8 << 20);
                    Graph graph = Session.current().capture(() -> {
                        t.kernels().axpby(t, g.rank() + 1f, t, 0f);
                        g.allReduce(t).join();
                    })) {
                graph.replay(); // 1 + 2 of it
                graph.replay();
                Arrays.fill(ones, 9f);
                assertArrayEquals(ones, t.toFloats());
            }
        }
    }

    private static void recordedMessages(Group g) {
        Tensor t = Tensor.of(Shape.of(1), 1f);
        Tensor other = Tensor.zeros(Shape.of(1), DType.F32);
        try (Graph graph = Session.current().capture(() -> {
            t.kernels().axpby(t, g.rank() + 2f, t, 0f);
            g.grouped(() -> {
                        g.send(t, 1 - g.rank());
                        g.receive(other, 1 - g.rank());
                    })
                    .join();
        })) {
            graph.replay();
            graph.replay();
            assertEquals(g.rank() == 0 ? 9f : 4f, other.item());
        }
    }

    /// Each rank starts its messages before it needs the other's.
    private static void recordedEarly(Group g) {
        Ways ways = Ways.of(g);
        Tensor t = tensor(g.rank(), 1000);
        Tensor doubled = Tensor.zeros(t.shape(), DType.F32);
        Tensor first = Tensor.zeros(t.shape(), DType.F32);
        Tensor second = Tensor.zeros(t.shape(), DType.F32);
        float[] mine = t.toFloats();
        float[] theirs = values(ways.other, 1000);
        try (Graph graph = Session.current().capture(() -> {
            Pending early = ways.in.receive(first, ways.other);
            Pending sent = ways.out.send(t, ways.other);
            doubled.kernels().axpby(doubled, 2f, t, 0f);
            Pending also = ways.out.send(doubled, ways.other);
            early.join();
            ways.in.receive(second, ways.other).join();
            sent.join();
            also.join();
            t.kernels().axpby(t, 1f, second, 0f);
        })) {
            graph.replay(); // t = 2 theirs
            assertArrayEquals(theirs, first.toFloats());
            graph.replay(); // t = 4 mine
            for (int i = 0; i < 1000; i++) {
                mine[i] *= 4;
            }
            assertArrayEquals(mine, t.toFloats());
        }
    }

    private static void differentOperations(Group g) {
        Tensor t = tensor(0, g.rank() == 0 ? 4 : 6);
        g.barrier();
        fails(
                "group: ranks came to different operations: rank 0 #2 all-reduce [4] F32; rank 1 #2"
                        + " all-reduce [6] F32",
                IllegalStateException.class,
                () -> g.allReduce(t));
        assertThrows(IllegalStateException.class, g::barrier);
    }

    private static void wrongOperands(Group g) {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        Tensor four = tensor(0, 4);
        Tensor ints = Tensor.of(Shape.of(1), 3);
        fails(
                "allReduce: [1] I32 cannot be summed over ranks; expected F32, BF16 or F16",
                type,
                () -> g.allReduce(ints));
        Tensor bytes = Tensor.empty(Shape.of(1), DType.F8E4M3);
        fails(
                "allReduce: [1] F8E4M3 cannot be summed over ranks; expected F32, BF16 or F16",
                type,
                () -> g.allReduce(bytes));
        fails(
                "reduceScatter: [4] F32 is not 2 times [4] F32; expected 8 elements of F32",
                type,
                () -> g.reduceScatter(four, four));
        fails(
                "allGather: [4] F32 is not 2 times [4] F32; expected 8 elements of F32",
                type,
                () -> g.allGather(four, four));
        fails(
                "allToAll: out [4] F32, in [5] F32; expected as many elements of the same dtype, a"
                        + " multiple of the 2 ranks",
                type,
                () -> g.allToAll(four, tensor(0, 5)));
        fails("broadcast: there is no rank 2; expected 0 to 1", type, () -> g.broadcast(four, 2));
        fails("send: rank " + g.rank() + " is this rank", type, () -> g.send(four, g.rank()));
        g.barrier(); // and it is as good as before
    }
}
