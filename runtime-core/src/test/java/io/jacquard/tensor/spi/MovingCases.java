package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.Arrays;
import java.util.List;

/// `fill`, `cast`, `copy`: exact.
final class MovingCases {
    static final int[] SIZES = {1, 2, 7, 31, 32, 33, 127, 256, 300, 1023};
    static final DType[] FLOATS = {DType.F32, DType.BF16, DType.F16};

    private static final DType[] PLAIN =
            Arrays.stream(DType.values()).filter(d -> !d.isScaled()).toArray(DType[]::new);

    private MovingCases() {}

    /// The dtypes that a weight's gradient may have when the other operands are `dtype`.
    static DType[] results(DType dtype) {
        return dtype == DType.F32 ? new DType[] {dtype} : new DType[] {dtype, DType.F32};
    }

    static void into(Table table) {
        fill(table);
        cast(table);
        for (DType dtype : PLAIN) {
            copies(table, dtype, 0);
        }
        for (DType dtype : FLOATS) {
            copies(table, dtype, 1);
        }
    }

    private static void fill(Table table) {
        for (DType dtype : PLAIN) {
            for (int n : SIZES) {
                table.add("fill", n + " " + dtype, t -> {
                    Operand out = t.out("out", dtype, n);
                    t.run(k -> k.fill(out.tensor(), 3.7f));
                    double[] expected = new double[n];
                    Arrays.fill(expected, 3.7f);
                    t.expectExactly(out, expected);
                });
            }
        }
    }

    private static void cast(Table table) {
        // the last, F32 to U8, is what runs off alignment: between equal types it would be a copy
        for (DType from : List.of(PLAIN).reversed()) {
            for (DType to : PLAIN) {
                for (int n : SIZES) {
                    table.add("cast", n + " " + from + " to " + to, t -> {
                        // 100 at most for U8, which has no negative values; a float is truncated towards zero
                        boolean small = from == DType.U8 || to == DType.U8;
                        Operand x = t.in("x", from, (r, _) -> small ? r.nextDouble(100) : 50 * r.nextGaussian(), n);
                        Operand out = t.out("out", to, n);
                        t.run(k -> k.cast(out.tensor(), x.tensor()));
                        t.expectExactly(out, x.initial());
                    });
                }
            }
        }
    }

    /// One strided copy: index space, then offset and strides on both sides.
    private record Layout(
            String name,
            int outSize,
            int xSize,
            int[] sizes,
            long outOffset,
            long[] outStrides,
            long xOffset,
            long[] xStrides) {}

    private static final Layout[] LAYOUTS = {
        new Layout("contiguous", 1023, 1023, new int[] {1023}, 0, new long[] {1}, 0, new long[] {1}),
        new Layout("one element", 5, 7, new int[] {1}, 3, new long[] {1}, 6, new long[] {1}),
        new Layout("transpose", 33 * 127, 33 * 127, new int[] {33, 127}, 0, new long[] {1, 33}, 0, new long[] {127, 1}),
        new Layout(
                "transpose of whole tiles",
                64 * 256,
                64 * 256,
                new int[] {64, 256},
                0,
                new long[] {1, 64},
                0,
                new long[] {256, 1}),
        new Layout(
                "heads out: BTHD to BHTD",
                2 * 7 * 3 * 32,
                2 * 7 * 3 * 32,
                new int[] {2, 3, 7, 32},
                0,
                new long[] {672, 224, 32, 1},
                0,
                new long[] {672, 32, 96, 1}),
        new Layout("reversed dims", 3 * 4 * 5, 3 * 4 * 5, new int[] {5, 4, 3}, 0, new long[] {12, 3, 1}, 0, new long[] {
            1, 5, 20
        }),
        new Layout("narrow", 7 * 31, 7 * 127, new int[] {7, 31}, 0, new long[] {31, 1}, 33, new long[] {127, 1}),
        new Layout("widen", 7 * 127, 7 * 31, new int[] {7, 31}, 33, new long[] {127, 1}, 0, new long[] {31, 1}),
        new Layout("repeat a row", 7 * 300, 300, new int[] {7, 300}, 0, new long[] {300, 1}, 0, new long[] {0, 1}),
        new Layout("every other element", 32, 64, new int[] {32}, 0, new long[] {1}, 1, new long[] {2}),
        new Layout(
                "five dimensions",
                2 * 3 * 2 * 3 * 2,
                2 * 3 * 2 * 3 * 2,
                new int[] {2, 3, 2, 3, 2},
                0,
                new long[] {36, 12, 6, 2, 1},
                0,
                new long[] {1, 2, 6, 12, 36}),
        new Layout(
                "matrices transposed, in another order",
                3 * 2 * 40 * 33,
                2 * 3 * 33 * 40,
                new int[] {3, 2, 40, 33},
                0,
                new long[] {2640, 1320, 33, 1},
                0,
                new long[] {1320, 3960, 1, 40}),
        new Layout(
                "many matrices transposed",
                3 * 2 * 2 * 20 * 17,
                2 * 2 * 3 * 17 * 20,
                new int[] {3, 2, 2, 20, 17},
                0,
                new long[] {1360, 680, 340, 17, 1},
                0,
                new long[] {340, 1020, 2040, 1, 20}),
        new Layout("no dimensions", 3, 3, new int[] {}, 1, new long[] {}, 2, new long[] {}),
        new Layout("no elements", 3, 3, new int[] {2, 0}, 1, new long[] {1, 1}, 2, new long[] {1, 1}),
        new Layout(
                "six dimensions, rows of 32",
                2 * 3 * 2 * 3 * 2 * 32,
                2 * 3 * 2 * 3 * 2 * 32,
                new int[] {2, 3, 2, 3, 2, 32},
                0,
                new long[] {1152, 384, 192, 64, 32, 1},
                0,
                new long[] {32, 64, 192, 384, 1152, 1}),
    };

    private static void copies(Table table, DType dtype, float beta) {
        for (Layout l : LAYOUTS) {
            table.add("copy", l.name + " " + dtype + " beta " + beta, t -> {
                Operand x = t.in("x", dtype, normal(1), l.xSize);
                Operand out = t.in("out", dtype, normal(1), l.outSize); // what the strides leave out stays as it was
                t.run(k -> k.copy(
                        out.tensor(), l.outOffset, l.outStrides, x.tensor(), l.xOffset, l.xStrides, l.sizes, beta));
                double[] y = out.initial().clone();
                walk(
                        l,
                        0,
                        (int) l.outOffset,
                        (int) l.xOffset,
                        (i, j) -> y[i] = x.initial()[j] + (beta == 0 ? 0 : y[i]));
                t.expectExactly(out, y);
            });
        }
    }

    private interface Move {
        void at(int i, int j);
    }

    private static void walk(Layout l, int dim, int i, int j, Move move) {
        if (dim == l.sizes.length) {
            move.at(i, j);
            return;
        }
        for (int n = 0; n < l.sizes[dim]; n++) {
            walk(l, dim + 1, i + n * (int) l.outStrides[dim], j + n * (int) l.xStrides[dim], move);
        }
    }
}
