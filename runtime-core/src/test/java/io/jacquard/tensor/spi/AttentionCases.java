package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.MovingCases.FLOATS;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;

/// Attention, its gradient and rotary embedding.
final class AttentionCases {
    private record Size(int batch, int time, int heads, int kvHeads, int headDim) {
        int width() {
            return (heads + 2 * kvHeads) * headDim;
        }

        String name(DType dtype) {
            return "B" + batch + " T" + time + " H" + heads + "/" + kvHeads + " D" + headDim + " " + dtype;
        }

        ReferenceAttention of(DType dtype, Operand qkv) {
            return new ReferenceAttention(dtype, qkv.initial(), batch, time, heads, kvHeads, headDim);
        }
    }

    /// The last, grouped and in part of a tile, is what runs off alignment.
    private static final Size[] SIZES = {
        new Size(1, 1, 1, 1, 2), new Size(2, 2, 2, 1, 8), new Size(1, 7, 3, 3, 16), new Size(3, 31, 2, 2, 32),
        new Size(1, 32, 4, 2, 64), new Size(1, 127, 2, 1, 64), new Size(1, 256, 1, 1, 32), new Size(1, 300, 1, 1, 16),
        new Size(1, 65, 1, 1, 128), new Size(2, 129, 2, 2, 48), new Size(1, 40, 8, 1, 80), new Size(2, 33, 6, 2, 16),
    };

    /// More tiles of keys than a kernel keeps on the way (up to 4 of 128), shared by queries, the last one in part.
    /// In one dtype: they take longer.
    private static final Size[] LONG_SIZES = {new Size(1, 530, 2, 1, 64), new Size(1, 390, 2, 1, 128)};

    private AttentionCases() {}

    static void into(Table table) {
        for (Size s : LONG_SIZES) {
            forward(table, s.name(DType.BF16), DType.BF16, s, 1);
            backward(table, DType.BF16, s);
        }
        for (DType dtype : FLOATS) {
            for (Size s : SIZES) {
                forward(table, s.name(dtype), dtype, s, 1);
                backward(table, dtype, s);
            }
            // scores of some hundreds: overflows exp unless the row's maximum is taken off first
            forward(table, "special: large scores " + dtype, dtype, new Size(1, 33, 2, 2, 64), 8);
            rope(table, dtype);
        }
    }

    private static void forward(Table table, String name, DType dtype, Size s, double deviation) {
        table.add("attention", name, t -> {
            Operand qkv = t.in("qkv", dtype, normal(deviation), s.batch, s.time, s.width());
            Operand out = t.out("out", dtype, s.batch, s.time, s.heads * s.headDim);
            Operand lse = t.out("lse", DType.F32, s.batch, s.heads, s.time);
            t.run(k -> k.attention(out.tensor(), lse.tensor(), qkv.tensor(), s.heads, s.kvHeads));
            t.expect(out, m -> s.of(dtype, qkv).forward(m).out());
            t.expect(lse, m -> s.of(dtype, qkv).forward(m).lse());
        });
    }

    private static void backward(Table table, DType dtype, Size s) {
        table.add("attentionGrad", s.name(dtype), t -> {
            Operand qkv = t.in("qkv", dtype, normal(1), s.batch, s.time, s.width());
            ReferenceAttention reference = s.of(dtype, qkv);
            ReferenceAttention.Result forward = reference.forward(Arithmetic.EXACT);
            Operand out = t.in("out", dtype, Trial.values(forward.out()), s.batch, s.time, s.heads * s.headDim);
            Operand lse = t.in("lse", DType.F32, Trial.values(forward.lse()), s.batch, s.heads, s.time);
            Operand dOut = t.in("dOut", dtype, normal(1), s.batch, s.time, s.heads * s.headDim);
            Operand dQkv = t.out("dQkv", dtype, s.batch, s.time, s.width());
            t.run(k -> k.attentionGrad(
                    dQkv.tensor(), dOut.tensor(), qkv.tensor(), out.tensor(), lse.tensor(), s.heads, s.kvHeads));
            t.expect(dQkv, m -> reference.backward(m, dOut.initial(), out.initial(), lse.initial()));
        });
    }

    private static void rope(Table table, DType dtype) {
        // heads, headDim, elements of the row beyond the heads
        int[][] rows = {{1, 2, 0}, {2, 8, 5}, {3, 32, 32}, {4, 64, 128}, {1, 128, 0}, {2, 6, 7}};
        for (int[] row : rows) {
            for (int time : new int[] {1, 7, 33, 127}) {
                for (boolean inverse : new boolean[] {false, true}) {
                    rope(table, dtype, row, time, 0, inverse, false);
                }
            }
            rope(table, dtype, row, 31, 1000, false, false);
            rope(table, dtype, row, 32, 0, false, true);
            rope(table, dtype, row, 2, 5, true, true);
        }
    }

    private static void rope(
            Table table, DType dtype, int[] row, int time, int first, boolean inverse, boolean inPlace) {
        int width = row[0] * row[1] + row[2];
        String name = "T" + time + " heads " + row[0] + "x" + row[1] + " of " + width + " from " + first
                + (inverse ? " inverse" : "") + (inPlace ? " in place " : " ") + dtype;
        table.add("rope", name, t -> {
            Operand x = t.in("x", dtype, normal(1), 2, time, width);
            Operand out = inPlace ? x : t.out("out", dtype, 2, time, width);
            t.run(k -> k.rope(out.tensor(), x.tensor(), row[0], row[1], 10000f, first, inverse));
            t.expect(
                    out,
                    m -> ReferenceAttention.rope(m, x.initial(), time, width, row[0], row[1], 10000, first, inverse));
        });
    }
}
