package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.fail;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.IntToDoubleFunction;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// One kernel call under test. A case declares operands, the call and what each output must be; [#execute] runs it
/// eagerly, eagerly again and captured, and checks values, guard bytes around every operand, unchanged inputs, the same
/// bits in all three runs, and that recording executes nothing.
final class Trial {
    /// In elements, so that the operand stays aligned to 256 bytes for every dtype.
    private static final int GUARD = 256;

    private static final byte GUARD_BYTE = (byte) 0xA5;

    /// In bytes; kernels load 16 at once at the most.
    private static final int HALF_LOAD = 8;

    private final Session session;
    private final Shift shift;
    private final SplittableRandom random;
    private final IntConsumer beforeRun;
    private final List<Operand> operands = new ArrayList<>();
    private final List<Runnable> checks = new ArrayList<>();
    private final List<Supplier<Outcome>> outcomes = new ArrayList<>();
    private @Nullable Consumer<Kernels> call;

    /// `beforeRun` is told the number of each run before it begins.
    Trial(Session session, long seed, Shift shift, IntConsumer beforeRun) {
        this.session = session;
        this.shift = shift;
        this.random = new SplittableRandom(seed);
        this.beforeRun = beforeRun;
    }

    /// By how many elements an operand, counted from 0, lies off its alignment.
    interface Shift {
        Shift NONE = (_, _) -> 0;

        int elements(int operand, DType dtype);
    }

    /// The content of an operand, element by element.
    interface Content {
        double at(SplittableRandom random, int index);
    }

    static Content normal(double deviation) {
        return (random, _) -> deviation * random.nextGaussian();
    }

    static Content normal(double mean, double deviation) {
        return (random, _) -> mean + deviation * random.nextGaussian();
    }

    static Content constant(double value) {
        return (_, _) -> value;
    }

    static Content below(int bound) {
        return (random, _) -> random.nextInt(bound);
    }

    static Content values(double... values) {
        return (_, i) -> values[i % values.length];
    }

    /// A tensor between guard bytes.
    final class Operand {
        final String name;
        final DType dtype;
        private final double[] initial;
        private final Tensor around;
        private final Tensor tensor;
        private final int before;
        private final byte[] start;
        private byte[] now = {};
        private boolean output;

        Operand(String name, DType dtype, Shape shape, Content content) {
            this.name = name;
            this.dtype = dtype;
            int n = (int) shape.elements();
            int perByte = dtype == DType.I4 ? 2 : 1;
            before = GUARD + perByte * shift.elements(operands.size(), dtype);
            around = Tensor.empty(Shape.of(before + n + GUARD), dtype);
            tensor = around.slice(before, shape);
            start = new byte[(int) around.bytes()];
            Arrays.fill(start, GUARD_BYTE);
            initial = new double[n];
            MemorySegment memory = MemorySegment.ofArray(start);
            for (int i = 0; i < n; i++) {
                initial[i] = Numbers.round(dtype, content.at(random, i));
                Numbers.write(memory, dtype, before + i, initial[i]);
            }
        }

        Tensor tensor() {
            return tensor;
        }

        /// What it held before the call, already rounded to the dtype.
        double[] initial() {
            return initial;
        }

        /// What it holds after the call.
        double[] got() {
            double[] values = new double[initial.length];
            MemorySegment memory = MemorySegment.ofArray(now);
            for (int i = 0; i < values.length; i++) {
                values[i] = Numbers.read(memory, dtype, before + i);
            }
            return values;
        }

        private void upload() {
            around.copyFrom(MemorySegment.ofArray(start));
        }

        private void download() {
            now = new byte[start.length];
            around.copyTo(MemorySegment.ofArray(now));
        }

        private void checkUntouched() {
            int from = (int) dtype.bytes(before);
            int to = from + (int) tensor.bytes();
            for (int i = 0; i < now.length; i++) {
                boolean inside = i >= from && i < to;
                if (now[i] != start[i] && (!inside || !output)) {
                    fail(
                            inside
                                    ? name + ": an input was changed, at byte " + (i - from)
                                    : name + ": written outside, at byte " + (i < from ? i - from : i - to)
                                            + (i < from ? " before its start" : " after its end"));
                }
            }
        }
    }

    Operand in(String name, DType dtype, Content content, int... dims) {
        Operand o = new Operand(name, dtype, Shape.of(dims), content);
        operands.add(o);
        return o;
    }

    /// An output that is overwritten: starts as NaN (or -1), so that a kernel that reads it or leaves a hole is
    /// seen.
    Operand out(String name, DType dtype, int... dims) {
        return in(name, dtype, constant(dtype.isFloating() ? Double.NaN : -1), dims);
    }

    /// An output that is overwritten when `beta` is 0 and accumulated into when 1.
    Operand out(String name, DType dtype, float beta, int... dims) {
        return beta == 0 ? out(name, dtype, dims) : in(name, dtype, normal(1), dims);
    }

    /// A tensor that is not where `o` is, but `elements` on: for tests of the guards.
    Tensor shifted(Operand o, int elements) {
        return o.around.slice(o.before + elements, o.tensor.shape());
    }

    void run(Consumer<Kernels> kernelCall) {
        call = kernelCall;
    }

    /// `o` must be `formula` up to [Tolerance].
    void expect(Operand o, Function<Arithmetic, double[]> formula) {
        o.output = true;
        checks.add(() -> Tolerance.derive(o.dtype, formula).check(o.name, o.got()));
        outcomes.add(() -> new Outcome(o.name, o.got(), () -> {
            Tolerance tolerance = Tolerance.derive(o.dtype, formula);
            return bounds(o, tolerance::bound);
        }));
    }

    /// `o` must be `formula + beta * o` up to [Tolerance].
    void expect(Operand o, float beta, Function<Arithmetic, double[]> formula) {
        expect(o, m -> {
            double[] y = formula.apply(m);
            for (int i = 0; beta != 0 && i < y.length; i++) {
                y[i] = m.add(y[i], o.initial[i]);
            }
            return y;
        });
    }

    /// `o` must hold exactly these values, rounded once; the sign of zero counts, the payload of NaN does not.
    void expectExactly(Operand o, double... values) {
        o.output = true;
        outcomes.add(() -> new Outcome(o.name, o.got(), () -> bounds(o, _ -> 0)));
        checks.add(() -> {
            double[] got = o.got();
            assertEquals(values.length, got.length, o.name);
            for (int i = 0; i < got.length; i++) {
                if (Double.compare(Numbers.round(o.dtype, values[i]), got[i]) != 0) {
                    fail(o.name + "[" + i + "] is " + got[i] + ", not " + values[i]);
                }
            }
        });
    }

    /// `o` is written; `check` looks at it after the call.
    void expectThat(Operand o, Consumer<double[]> check) {
        o.output = true;
        outcomes.add(() -> {
            double[] got = o.got();
            double largest =
                    Arrays.stream(got).filter(Double::isFinite).map(Math::abs).reduce(0, Math::max);
            return new Outcome(o.name, got, () -> bounds(o, i -> 0x1p-12 * largest + Numbers.ulp(o.dtype, got[i])));
        });
        checks.add(() -> check.accept(o.got()));
    }

    void execute() {
        Consumer<Kernels> kernelCall = call;
        if (kernelCall == null || checks.isEmpty()) {
            throw new AssertionError("the case calls or expects nothing");
        }
        Kernels kernels = session.backend().kernels();
        kernelRun(0, () -> kernelCall.accept(kernels));
        operands.forEach(Operand::checkUntouched);
        checks.forEach(Runnable::run);
        List<byte[]> first = operands.stream().map(o -> o.now).toList();
        kernelRun(1, () -> kernelCall.accept(kernels));
        same("the second run", first);
        beforeRun.accept(2);
        operands.forEach(Operand::upload);
        try (Graph graph =
                session.capture(() -> kernelCall.accept(session.backend().kernels()))) {
            operands.forEach(Operand::download);
            for (Operand o : operands) {
                assertEquals(-1, Arrays.mismatch(o.start, o.now), () -> o.name + ": changed while recording");
            }
            graph.replay();
            operands.forEach(Operand::download);
        }
        same("the replayed graph", first);
        assertFalse(operands.stream().noneMatch(o -> o.output), "no operand is an output");
    }

    /// An output after one run, and how far each element may be from the reference; where there is none, the bounds
    /// are those of approximations that take another path on another device.
    record Outcome(String output, double[] values, Supplier<double[]> bounds) {}

    private static double[] bounds(Operand o, IntToDoubleFunction bound) {
        double[] bounds = new double[o.initial.length];
        Arrays.setAll(bounds, bound);
        return bounds;
    }

    private List<Outcome> outcomes() {
        Kernels kernels = session.backend().kernels();
        kernelRun(0, () -> Objects.requireNonNull(call).accept(kernels));
        operands.forEach(Operand::checkUntouched);
        return outcomes.stream().map(Supplier::get).toList();
    }

    private void kernelRun(int number, Runnable work) {
        beforeRun.accept(number);
        operands.forEach(Operand::upload);
        work.run();
        operands.forEach(Operand::download);
    }

    private void same(String run, List<byte[]> first) {
        for (int i = 0; i < first.size(); i++) {
            Operand o = operands.get(i);
            int at = Arrays.mismatch(first.get(i), o.now);
            assertEquals(-1, at, () -> o.name + ": " + run + " gave other bits");
        }
    }

    /// One row of the case table.
    record Case(String method, String name, Consumer<Trial> body) {
        /// Runs it with all operands on their alignment.
        void run(Session session, IntConsumer beforeRun) {
            run(session, Shift.NONE, beforeRun);
        }

        /// Runs it with all operands off their alignment, and then with each alone: by one element, and by half
        /// a load, where each half is aligned.
        void runOffAlignment(Session session, IntConsumer beforeRun) {
            int operands = run(session, (_, _) -> 1, beforeRun);
            for (int i = 0; i < operands; i++) {
                int alone = i;
                run(session, (operand, _) -> operand == alone ? 1 : 0, beforeRun);
                run(session, (operand, dtype) -> operand == alone ? HALF_LOAD / (int) dtype.bytes(1) : 0, beforeRun);
            }
        }

        /// Says how many operands there are.
        private int run(Session session, Shift shift, IntConsumer beforeRun) {
            try (var _ = Scope.open(method)) {
                Trial trial = new Trial(session, (method + name).hashCode(), shift, beforeRun);
                body.accept(trial);
                trial.execute();
                return trial.operands.size();
            }
        }

        /// What one run on operands drawn from `seed` leaves.
        List<Outcome> outcomes(Session session, long seed) {
            try (var _ = Scope.open(method)) {
                Trial trial = new Trial(session, seed + (method + name).hashCode(), Shift.NONE, _ -> {});
                body.accept(trial);
                return trial.outcomes();
            }
        }
    }

    /// The table, in the making.
    static final class Table {
        final List<Case> cases = new ArrayList<>();

        void add(String method, String name, Consumer<Trial> body) {
            cases.add(new Case(method, name, body));
        }
    }
}
