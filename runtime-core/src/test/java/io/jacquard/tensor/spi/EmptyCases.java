package io.jacquard.tensor.spi;

import static io.jacquard.tensor.spi.Trial.constant;
import static io.jacquard.tensor.spi.Trial.normal;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Trial.Operand;
import io.jacquard.tensor.spi.Trial.Table;
import java.util.function.BiConsumer;

/// Tensors without elements: nothing is written but what a sum of nothing is.
final class EmptyCases {
    private EmptyCases() {}

    static void into(Table table, DType dtype) {
        silent(table, dtype, "fill", (k, e) -> k.fill(e, 1f));
        silent(table, dtype, "cast", (k, e) -> k.cast(e, e));
        silent(table, dtype, "axpby", (k, e) -> k.axpby(e, 1f, e, 1f));
        silent(table, dtype, "add", (k, e) -> k.add(e, e, e));
        silent(table, dtype, "mul", (k, e) -> k.mul(e, e, e, 0f));
        silent(table, dtype, "gelu", (k, e) -> k.gelu(e, e));
        silent(table, dtype, "geluGrad", (k, e) -> k.geluGrad(e, e, e, 0f));
        silent(table, dtype, "swiGlu", (k, e) -> k.swiGlu(e, e.reshape(Shape.of(0, 66))));
        silent(table, dtype, "softmax", (k, e) -> k.softmax(e, e));
        silent(table, dtype, "softmaxGrad", (k, e) -> k.softmaxGrad(e, e, e, 0f));
        reductions(table, dtype);
        products(table, dtype);
    }

    /// A call on an empty `[0, 33]` tensor; the guards around it must stay.
    private static void silent(Table table, DType dtype, String method, BiConsumer<Kernels, Tensor> call) {
        table.add(method, "special: empty " + dtype, t -> {
            Operand e = t.in("empty", dtype, normal(1), 0, 33);
            t.run(k -> call.accept(k, e.tensor()));
            t.expectExactly(e);
        });
    }

    private static void reductions(Table table, DType dtype) {
        table.add("sum", "special: empty " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), 0);
            Operand out = t.out("out", DType.F32, 1);
            t.run(k -> k.sum(out.tensor(), x.tensor()));
            t.expectExactly(out, 0);
        });
        table.add("norm", "special: empty " + dtype, t -> {
            Operand x = t.in("x", dtype, normal(1), 0);
            Operand out = t.out("out", DType.F32, 2);
            t.run(k -> k.norm(out.tensor(), x.tensor()));
            t.expectExactly(out, 0, 1);
        });
        for (float beta = 0; beta <= 1; beta++) {
            float b1 = beta;
            table.add("sumRows", "special: empty beta " + beta + " " + dtype, t -> {
                Operand x = t.in("x", dtype, normal(1), 0, 7);
                Operand out = t.out("out", dtype, b1, 7);
                t.run(k -> k.sumRows(out.tensor(), x.tensor(), b1));
                t.expect(out, b1, _ -> new double[7]);
            });
            table.add("embeddingGrad", "special: empty beta " + beta + " " + dtype, t -> {
                Operand dy = t.in("dy", dtype, normal(1), 0, 7);
                Operand ids = t.in("ids", DType.I32, constant(0), 0);
                Operand dTable = t.out("dTable", dtype, b1, 3, 7);
                t.run(k -> k.embeddingGrad(dTable.tensor(), dy.tensor(), ids.tensor(), 0, b1));
                t.expect(dTable, b1, _ -> new double[21]);
            });
        }
    }

    private static void products(Table table, DType dtype) {
        for (float beta = 0; beta <= 1; beta++) {
            float b1 = beta;
            table.add("matmul", "special: inner dimension 0 beta " + beta + " " + dtype, t -> {
                Operand a = t.in("a", dtype, normal(1), 3, 0);
                Operand b = t.in("b", dtype, normal(1), 7, 0);
                Operand out = t.out("out", dtype, b1, 3, 7);
                t.run(k -> k.matmul(out.tensor(), a.tensor(), false, b.tensor(), true, b1, Epilogue.NONE));
                t.expect(out, b1, _ -> new double[21]);
            });
            table.add("matmul", "special: no rows beta " + beta + " " + dtype, t -> {
                Operand a = t.in("a", dtype, normal(1), 0, 3);
                Operand b = t.in("b", dtype, normal(1), 7, 3);
                Operand out = t.out("out", dtype, b1, 0, 7);
                t.run(k -> k.matmul(out.tensor(), a.tensor(), false, b.tensor(), true, b1, Epilogue.NONE));
                t.expectExactly(out);
            });
        }
    }
}
