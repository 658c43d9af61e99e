package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.Trial.normal;
import static io.jacquard.tensor.spi.Trial.values;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;

/// NaN, infinities, signed zeros, denormals and empty tensors.
final class SpecialCases {
    private static final double INF = Double.POSITIVE_INFINITY;
    private static final double[] SPECIAL = {
        0.0,
        -0.0,
        INF,
        -INF,
        Double.NaN,
        1,
        -1,
        Float.MIN_VALUE,
        -Float.MIN_VALUE,
        1e-39,
        Float.MIN_NORMAL,
        Float.MAX_VALUE,
        -Float.MAX_VALUE,
        65504,
        65519.9,
        65520,
        65536,
        6e-8,
        2.9e-8,
        3e-8,
        1e-5,
        1 + 0x1p-8,
        1 + 0x1.8p-7,
        1 + 0x1p-8 + 0x1p-20,
        1 + 0x1p-11,
        1 + 0x1.8p-10,
        3.39e38,
        0.1,
        1.0 / 3
    };

    private SpecialCases() {}

    static void into(Table table) {
        for (DType from : FLOATS) {
            for (DType to : FLOATS) {
                table.add("cast", "special: values " + from + " to " + to, t -> {
                    Operand x = t.in("x", from, values(SPECIAL), SPECIAL.length * 3);
                    Operand out = t.out("out", to, SPECIAL.length * 3);
                    t.run(k -> k.cast(out.tensor(), x.tensor()));
                    t.expectExactly(out, x.initial());
                });
            }
        }
        table.add("cast", "special: every f16 to f32", t -> every(t, DType.F16, DType.F32));
        table.add("cast", "special: every bf16 to f32", t -> every(t, DType.BF16, DType.F32));
        table.add("cast", "special: f32 near every f16 to f16", t -> near(t, DType.F16));
        table.add("cast", "special: f32 near every bf16 to bf16", t -> near(t, DType.BF16));
        for (DType dtype : FLOATS) {
            for (double value : new double[] {Double.NaN, INF, -INF, -0.0, 1e-40, 1e5, 3.39e38}) {
                table.add("fill", "special: " + value + " " + dtype, t -> {
                    Operand out = t.in("out", dtype, normal(1), 33);
                    t.run(k -> k.fill(out.tensor(), (float) value));
                    t.expectExactly(out, Reference.map(Arithmetic.EXACT, 33, (_, _) -> value));
                });
            }
            many(table, dtype);
            pointwise(table, dtype);
            rows(table, dtype);
            EmptyCases.into(table, dtype);
        }
    }

    /// All 65536 bit patterns.
    private static void every(Trial t, DType from, DType to) {
        Operand x = t.in("x", from, (_, i) -> pattern(from, i), 65536);
        Operand out = t.out("out", to, 65536);
        t.run(k -> k.cast(out.tensor(), x.tensor()));
        t.expectExactly(out, x.initial());
    }

    /// Below, at and above the middle between each value and the next: rounding to nearest even, one ulp apart.
    private static void near(Trial t, DType to) {
        Operand x = t.in(
                "x",
                DType.F32,
                (_, i) -> {
                    float low = (float) pattern(to, i / 3);
                    float high = (float) pattern(to, Math.min(i / 3 + 1, 65535));
                    float middle = (float) ((low + (double) high) / 2);
                    return i % 3 == 0 ? Math.nextDown(middle) : i % 3 == 1 ? middle : Math.nextUp(middle);
                },
                3 * 65536);
        Operand out = t.out("out", to, 3 * 65536);
        t.run(k -> k.cast(out.tensor(), x.tensor()));
        t.expectExactly(out, x.initial());
    }

    private static double pattern(DType dtype, int bits) {
        return dtype == DType.F16 ? Float.float16ToFloat((short) bits) : Numbers.fromBf16((short) bits);
    }

    /// More elements than the threads of a small grid take at once.
    private static void many(Table table, DType dtype) {
        int n = 300_001;
        table.add("axpby", "special: many " + dtype, t -> {
            Operand x = t.in("x", dtype, (_, i) -> i % 127, n);
            Operand out = t.out("out", dtype, n);
            t.run(k -> k.axpby(out.tensor(), 1f, x.tensor(), 0f));
            t.expectExactly(out, x.initial());
        });
        table.add("sum", "special: many " + dtype, t -> {
            Operand x = t.in("x", dtype, (_, i) -> i % 5 == 0 ? 1 : 0, n);
            Operand out = t.out("out", DType.F32, 1);
            t.run(k -> k.sum(out.tensor(), x.tensor()));
            t.expectExactly(out, Math.ceilDiv(n, 5)); // whole numbers below 2^24: exact in any order
        });
    }

    /// Every special value with every other.
    private static void pointwise(Table table, DType dtype) {
        int n = SPECIAL.length;
        table.add("add", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, (_, i) -> SPECIAL[i % n], n * n);
            Operand y = t.in("y", dtype, (_, i) -> SPECIAL[i / n], n * n);
            Operand out = t.out("out", dtype, n * n);
            t.run(k -> k.add(out.tensor(), x.tensor(), y.tensor()));
            t.expectExactly(out, Reference.map(Arithmetic.EXACT, n * n, (_, i) -> x.initial()[i] + y.initial()[i]));
        });
        table.add("mul", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, (_, i) -> SPECIAL[i % n], n * n);
            Operand y = t.in("y", dtype, (_, i) -> SPECIAL[i / n], n * n);
            Operand out = t.out("out", dtype, n * n);
            t.run(k -> k.mul(out.tensor(), x.tensor(), y.tensor(), 0f));
            t.expect(out, m -> Reference.map(m, n * n, (_, i) -> m.mul(x.initial()[i], y.initial()[i])));
        });
        table.add("axpby", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, values(SPECIAL), n);
            Operand out = t.out("out", dtype, n);
            t.run(k -> k.axpby(out.tensor(), 1f, x.tensor(), 0f));
            t.expectExactly(out, x.initial());
        });
        table.add("copy", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, values(SPECIAL), n);
            Operand out = t.out("out", dtype, n);
            t.run(k -> k.copy(out.tensor(), 0, new long[] {1}, x.tensor(), 0, new long[] {1}, new int[] {n}, 0f));
            t.expectExactly(out, x.initial());
        });
        // without -inf: the formula gives inf * 0 = NaN, the limit is 0, and a kernel may give either
        double[] x1 = {0.0, INF, Double.NaN, -30, 30, 88, -88, 200, -200, 1e-30, Float.MIN_VALUE, 6e4, -6e4};
        table.add("gelu", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, values(x1), 3 * x1.length);
            Operand out = t.out("out", dtype, 3 * x1.length);
            t.run(k -> k.gelu(out.tensor(), x.tensor()));
            t.expect(out, m -> Reference.map(m, 3 * x1.length, (_, i) -> Reference.gelu(m, x.initial()[i])));
        });
        double[] finite = {0.0, -30, 30, 88, -88, 200, -200, 1e-30, Float.MIN_VALUE, 6e4, -6e4};
        table.add("geluGrad", "special: values " + dtype, t -> {
            Operand x = t.in("x", dtype, values(finite), 3 * finite.length);
            Operand dy = t.in("dy", dtype, normal(1), 3 * finite.length);
            Operand dx = t.out("dx", dtype, 3 * finite.length);
            t.run(k -> k.geluGrad(dx.tensor(), dy.tensor(), x.tensor(), 0f));
            t.expect(
                    dx,
                    m -> Reference.map(
                            m, 3 * finite.length, (_, i) -> Reference.geluGrad(m, dy.initial()[i], x.initial()[i])));
        });
        table.add("swiGlu", "special: values " + dtype, t -> {
            int f = finite.length;
            Operand x = t.in("x", dtype, (r, i) -> i % (2 * f) < f ? finite[i % f] : r.nextGaussian(), 3, 2 * f);
            Operand out = t.out("out", dtype, 3, f);
            t.run(k -> k.swiGlu(out.tensor(), x.tensor()));
            t.expect(out, m -> Reference.swiGlu(m, x.initial(), f));
        });
    }

    /// Rows of softmax: ordinary, masked, all equal, very large, one NaN, one +inf.
    private static void rows(Table table, DType dtype) {
        int c = 33;
        table.add("softmax", "special: rows " + dtype, t -> {
            Operand x = t.in(
                    "x",
                    dtype,
                    (r, i) -> switch (i / c) {
                        case 0 -> r.nextGaussian();
                        case 1 -> i % 3 == 0 ? -INF : r.nextGaussian();
                        case 2 -> -7;
                        case 3 -> 10000 * r.nextGaussian();
                        case 4 -> i % c == 13 ? Double.NaN : r.nextGaussian();
                        default -> i % c == 13 ? INF : r.nextGaussian();
                    },
                    6,
                    c);
            Operand out = t.out("out", dtype, 6, c);
            t.run(k -> k.softmax(out.tensor(), x.tensor()));
            t.expect(out, m -> ReferenceRows.softmax(m, x.initial(), c));
        });
        table.add("sum", "special: NaN and infinity " + dtype, t -> {
            Operand x = t.in("x", dtype, (_, i) -> i == 31 ? INF : 1, 33);
            Operand out = t.out("out", DType.F32, 1);
            t.run(k -> k.sum(out.tensor(), x.tensor()));
            t.expect(out, m -> new double[] {Reference.sum(m, x.initial())});
        });
    }
}
