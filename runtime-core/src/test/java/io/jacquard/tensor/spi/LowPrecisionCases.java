package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.MovingCases.SIZES;
import static io.jacquard.tensor.spi.Trial.normal;
import static io.jacquard.tensor.spi.Trial.values;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.spi.Scaled.Blocks;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Conversions, scales and low-precision copies: exact.
final class LowPrecisionCases {
    static final DType[] BYTES = {DType.F8E4M3, DType.F8E5M2, DType.I8};

    /// Rows and columns; even, for those of 4 bits.
    private static final int[][] SHAPES = {{1, 2}, {7, 34}, {33, 130}, {128, 128}, {300, 64}, {130, 258}};

    private static final double INF = Double.POSITIVE_INFINITY;

    private LowPrecisionCases() {}

    static void into(Table table) {
        casts(table);
        for (DType dtype : FLOATS) {
            absMax(table, dtype);
            for (int[] s : dtype == DType.BF16 ? SHAPES : new int[][] {SHAPES[1], SHAPES[5]}) {
                quantize(table, dtype, s);
                dequantize(table, dtype, s);
            }
            specials(table, dtype);
        }
        scaleOf(table);
        delayScales(table);
        ScaledCases.into(table);
    }

    /// A low-precision matrix among the operands of a trial.
    ///
    /// @param shape rows and columns
    record Matrix(
            DType type,
            int[] shape,
            Blocks blocks,
            Operand values,
            Operand scales,
            @Nullable Operand zeros) {
        Scaled scaled() {
            return new Scaled(values.tensor(), scales.tensor(), zeros == null ? null : zeros.tensor(), blocks);
        }

        /// Which scale element `i` has.
        int block(int i) {
            int row = i / shape[1];
            int column = i % shape[1];
            int across = blocks.across(shape[1]);
            return (blocks.isWhole() ? 0 : row / blocks.rows()) * across + column / blocks.columns();
        }

        /// What element `i` stands for.
        double at(Arithmetic m, int i) {
            double zero = zeros == null ? 0 : zeros.initial()[block(i)];
            return m.mul(values.initial()[i] - zero, scales.initial()[block(i)]);
        }

        double[] elements(Arithmetic m) {
            return Reference.map(m, values.initial().length, this::at);
        }
    }

    /// One to be read, of random values and scales.
    static Matrix in(Trial t, String name, DType type, Blocks blocks, boolean zeros, int... shape) {
        double spread = type.largest() > 1000 ? 100 : type.largest() / 3;
        int[] scales = blocks.of(Shape.of(shape)).toArray();
        return new Matrix(
                type,
                shape,
                blocks,
                t.in(name, type, normal(spread), shape),
                t.in(name + " scales", DType.F32, (r, _) -> (0.5 + r.nextDouble()) / spread, scales),
                zeros ? t.in(name + " zeros", DType.I8, (r, _) -> r.nextInt(-8, 8), scales) : null);
    }

    /// One to be written, with a scale where that is given.
    private static Matrix out(Trial t, String name, DType type, Blocks blocks, int... shape) {
        int[] scales = blocks.of(Shape.of(shape)).toArray();
        Operand scale = blocks.isWhole()
                ? t.in(name + " scale", DType.F32, values(2.2 / type.largest()), scales) // so that some are too large
                : t.out(name + " scales", DType.F32, scales);
        return new Matrix(type, shape, blocks, t.out(name, type, shape), scale, null);
    }

    /// Expects a copy of `x`, whose element (i, j) is the copy's (j, i) where `transposed`.
    private static void expectCopy(Trial t, Matrix copy, Operand x, boolean transposed) {
        int n = x.initial().length;
        float[] elements = new float[n];
        for (int i = 0; i < n; i++) {
            int row = i / copy.shape[1];
            int column = i % copy.shape[1];
            elements[i] = (float) x.initial()[transposed ? column * copy.shape[0] + row : i];
        }
        float[] scales = new float[copy.scales.initial().length];
        for (int i = 0; i < n && !copy.blocks.isWhole(); i++) {
            scales[copy.block(i)] = larger(scales[copy.block(i)], Math.abs(elements[i]));
        }
        for (int i = 0; i < scales.length; i++) {
            scales[i] = copy.blocks.isWhole() ? (float) copy.scales.initial()[i] : scale(scales[i], copy.type);
        }
        double[] expected = new double[n];
        Arrays.setAll(expected, i -> Numbers.round(copy.type, elements[i] * (1f / scales[copy.block(i)])));
        t.expectExactly(copy.values, expected);
        if (!copy.blocks.isWhole()) {
            double[] expectedScales = new double[scales.length];
            Arrays.setAll(expectedScales, i -> scales[i]);
            t.expectExactly(copy.scales, expectedScales);
        }
    }

    /// NaN above all.
    private static float larger(float a, float b) {
        return Float.isNaN(a) || Float.isNaN(b) ? Float.NaN : Math.max(a, b);
    }

    private static float scale(float amax, DType type) {
        float scale = amax / type.largest();
        return scale < Float.MIN_NORMAL ? Float.MIN_NORMAL : scale;
    }

    // ---- casts

    private static void casts(Table table) {
        for (DType type : BYTES) {
            for (DType dtype : FLOATS) {
                table.add("cast", "special: every " + type + " to " + dtype, t -> everyOne(t, type, dtype));
                table.add(
                        "cast", "special: between neighbours, " + dtype + " to " + type, t -> between(t, dtype, type));
                for (int n : new int[] {1, 33, 300}) {
                    table.add("cast", "special: " + n + " " + dtype + " to " + type, t -> {
                        Operand x = t.in("x", dtype, normal(type.largest() / 3), n);
                        Operand out = t.out("out", type, n);
                        t.run(k -> k.cast(out.tensor(), x.tensor()));
                        t.expectExactly(out, x.initial());
                    });
                }
            }
        }
    }

    private static double element(DType type, int bits) {
        return switch (type) {
            case F8E4M3 -> SmallFloat.E4M3.value((byte) bits);
            case F8E5M2 -> SmallFloat.E5M2.value((byte) bits);
            default -> Math.max(-127, (byte) bits); // -128 has no negative, and is never written
        };
    }

    private static void everyOne(Trial t, DType type, DType dtype) {
        Operand x = t.in("x", type, (_, i) -> element(type, i), 256);
        Operand out = t.out("out", dtype, 256);
        t.run(k -> k.cast(out.tensor(), x.tensor()));
        t.expectExactly(out, x.initial());
    }

    /// Each value, the middle between it and the next, and what is next to that; too large and too small ones.
    private static void between(Trial t, DType dtype, DType type) {
        double[] some = new double[4 * 256 + 8];
        for (int i = 0; i < 256; i++) {
            double a = element(type, i);
            double b = i % 128 == 127 ? a : element(type, i + 1);
            double middle = (a + b) / 2;
            double step = Math.ulp((float) middle);
            some[4 * i] = a;
            some[4 * i + 1] = middle;
            some[4 * i + 2] = middle - step;
            some[4 * i + 3] = middle + step;
        }
        double[] extremes = {INF, -INF, Double.NaN, 60000, -60000, 1e-30, -Float.MIN_VALUE, -0.0};
        System.arraycopy(extremes, 0, some, 4 * 256, extremes.length);
        Operand x = t.in("x", dtype, values(some), some.length);
        Operand out = t.out("out", type, some.length);
        t.run(k -> k.cast(out.tensor(), x.tensor()));
        t.expectExactly(out, x.initial());
    }

    // ---- scales

    private static void absMax(Table table, DType dtype) {
        for (int n : SIZES) {
            for (float beta = 0; beta <= 1; beta++) {
                float b = beta;
                table.add("absMax", n + " beta " + beta + " " + dtype, t -> {
                    Operand x = t.in("x", dtype, normal(1), n);
                    Operand amax = t.in("amax", DType.F32, values(b == 0 ? 100 : n % 2 == 0 ? 0.25 : 7), 1);
                    t.run(k -> k.absMax(amax.tensor(), x.tensor(), b));
                    double most = b * amax.initial()[0];
                    for (double v : x.initial()) {
                        most = Math.max(most, Math.abs(v));
                    }
                    t.expectExactly(amax, most);
                });
            }
        }
        for (double bad : new double[] {INF, -INF, Double.NaN}) {
            table.add("absMax", "special: " + bad + " among " + dtype, t -> {
                Operand x = t.in("x", dtype, (r, i) -> i == 700 ? bad : i == 3 ? -5 : r.nextDouble(), 1023);
                Operand amax = t.out("amax", DType.F32, 1);
                t.run(k -> k.absMax(amax.tensor(), x.tensor(), 0f));
                t.expectExactly(amax, Math.abs(bad));
            });
        }
        table.add("absMax", "special: empty " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), 0, 33);
            Operand amax = t.out("amax", DType.F32, 1);
            t.run(k -> k.absMax(amax.tensor(), x.tensor(), 0f));
            t.expectExactly(amax, 0);
        });
    }

    private static void scaleOf(Table table) {
        double[] amaxes = {0, 1e-45, 1e-38, 1e-30, 0.3, 448, 1e30, Float.MAX_VALUE, INF, Double.NaN};
        for (DType type : new DType[] {DType.I4, DType.F8E4M3, DType.F8E5M2, DType.I8}) {
            for (double a : amaxes) {
                table.add("scaleOf", a + " " + type, t -> {
                    Operand amax = t.in("amax", DType.F32, values(a), 1);
                    Operand scale = t.out("scale", DType.F32, 1);
                    t.run(k -> k.scaleOf(scale.tensor(), amax.tensor(), type));
                    t.expectExactly(scale, scale((float) amax.initial()[0], type));
                });
            }
        }
    }

    private static void delayScales(Table table) {
        for (int h : new int[] {1, 3, 16, 40}) {
            for (int[] size : new int[][] {{1, 1}, {1, 5}, {2, 5}, {1, 33}, {3, 33}, {40, 2}}) {
                int ranks = size[0];
                int n = size[1];
                table.add("delayScales", n + " of " + ranks + " ranks with histories of " + h, t -> {
                    // of each kind some: a maximum that is new, old, nowhere, or not finite
                    Operand history = t.in("history", DType.F32, (r, i) -> i / h % 4 == 2 ? 0 : r.nextDouble(), n, h);
                    Operand amax = t.in(
                            "amax",
                            DType.F32,
                            (r, i) -> switch (i % n % 4) {
                                case 0 -> 2 + r.nextDouble();
                                case 1 -> r.nextDouble() / 16;
                                case 2 -> 0;
                                default -> r.nextBoolean() ? Double.NaN : INF;
                            },
                            ranks,
                            n);
                    Operand largest = t.in("largest", DType.F32, (_, i) -> i % 2 == 0 ? 448 : 57344, n);
                    Operand scales = t.in("scales", DType.F32, values(0.125), n);
                    t.run(k -> k.delayScales(scales.tensor(), history.tensor(), amax.tensor(), largest.tensor()));
                    expectDelayed(t, scales, history, amax, largest);
                });
            }
        }
    }

    private static void expectDelayed(Trial t, Operand scales, Operand history, Operand amax, Operand largest) {
        int n = scales.initial().length;
        int h = history.initial().length / n;
        double[] newHistory = new double[n * h];
        double[] newScales = scales.initial().clone();
        for (int i = 0; i < n; i++) {
            double now = 0;
            for (int r = 0; r < amax.initial().length; r += n) {
                now = Math.max(now, amax.initial()[r + i]);
            }
            float most = 0;
            for (int j = 0; j < h; j++) {
                double value = j == 0 ? now : history.initial()[i * h + j - 1];
                newHistory[i * h + j] = value;
                most = Double.isFinite(value) ? Math.max(most, (float) value) : most;
            }
            if (most > 0) {
                newScales[i] = most / (float) largest.initial()[i];
            }
        }
        t.expectExactly(history, newHistory);
        t.expectExactly(scales, newScales);
        t.expectExactly(amax, new double[amax.initial().length]);
    }

    // ---- copies

    private static Blocks[] blocks(DType type) {
        return type == DType.I4 || type == DType.I8
                ? new Blocks[] {Blocks.ROWS, Blocks.groups(32)}
                : new Blocks[] {Blocks.ROWS, Blocks.LINES, Blocks.SQUARES, Blocks.WHOLE};
    }

    private static String name(DType dtype, int[] s, DType type, Blocks blocks) {
        return s[0] + "x" + s[1] + " " + dtype + " to " + type + " " + ScaledCases.name(blocks);
    }

    private static void quantize(Table table, DType dtype, int[] s) {
        for (DType type : new DType[] {DType.I4, DType.F8E5M2, DType.I8, DType.F8E4M3}) {
            for (Blocks blocks : blocks(type)) {
                String name = name(dtype, s, type, blocks);
                table.add("quantize", name, t -> {
                    Operand x = t.in("x", dtype, normal(1), s);
                    Matrix out = out(t, "out", type, blocks, s);
                    t.run(k -> k.quantize(out.scaled(), null, x.tensor()));
                    expectCopy(t, out, x, false);
                });
                if (type != DType.I4) {
                    table.add("quantize", name + ", transposed", t -> {
                        Operand x = t.in("x", dtype, normal(1), s);
                        Matrix out = out(t, "out", type, blocks, s[1], s[0]);
                        t.run(k -> k.quantize(null, out.scaled(), x.tensor()));
                        expectCopy(t, out, x, true);
                    });
                    table.add("quantize", name + ", both", t -> {
                        Operand x = t.in("x", dtype, normal(1), s);
                        Matrix out = out(t, "out", type, blocks, s);
                        Matrix transposed = out(t, "transposed", type, blocks, s[1], s[0]);
                        t.run(k -> k.quantize(out.scaled(), transposed.scaled(), x.tensor()));
                        expectCopy(t, out, x, false);
                        expectCopy(t, transposed, x, true);
                    });
                }
            }
        }
    }

    private static void dequantize(Table table, DType dtype, int[] s) {
        for (DType type : new DType[] {DType.F8E5M2, DType.I8, DType.F8E4M3, DType.I4}) {
            for (Blocks blocks : blocks(type)) {
                for (boolean zeros : type == DType.I4 ? new boolean[] {false, true} : new boolean[] {false}) {
                    table.add("dequantize", name(dtype, s, type, blocks) + (zeros ? " with zeros" : ""), t -> {
                        Matrix x = in(t, "x", type, blocks, zeros, s);
                        Operand out = t.out("out", dtype, s);
                        t.run(k -> k.dequantize(out.tensor(), x.scaled()));
                        t.expectExactly(out, x.elements(Arithmetic.naive()));
                    });
                }
            }
        }
    }

    /// Blocks of zeros, of values that are too small for an inverse, and with infinities and NaN.
    private static void specials(Table table, DType dtype) {
        double[] rows = {0, -0.0, 1e-39, 1e-37, INF, Double.NaN, -INF, 3};
        for (DType type : new DType[] {DType.F8E4M3, DType.F8E5M2, DType.I8, DType.I4}) {
            for (Blocks blocks : new Blocks[] {Blocks.ROWS, Blocks.LINES}) {
                table.add(
                        "quantize",
                        "special: extreme rows, " + ScaledCases.name(blocks) + " " + dtype + " to " + type,
                        t -> {
                            Operand x = t.in(
                                    "x",
                                    dtype,
                                    (r, i) -> i % 34 == 5 ? rows[i / 34] : 0x1p-60 * r.nextGaussian(),
                                    8,
                                    34);
                            Matrix out = out(t, "out", type, blocks, 8, 34);
                            t.run(k -> k.quantize(out.scaled(), null, x.tensor()));
                            expectCopy(t, out, x, false);
                        });
            }
        }
        table.add("quantize", "special: empty " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), 0, 34);
            Matrix out = out(t, "out", DType.F8E4M3, Blocks.ROWS, 0, 34);
            t.run(k -> k.quantize(out.scaled(), null, x.tensor()));
            expectCopy(t, out, x, false);
        });
    }
}
