package io.jacquard.ops;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// `y[b, t] = table[ids[b, t] - firstId] + positions[t]`, zeros for the rows of other ranks' tables.
record Embedding(
        Tensor table, Tensor ids, int firstId, @Nullable Tensor positions) implements Node {
    /// Of a whole table.
    static Tensor of(Tensor table, Tensor ids, @Nullable Tensor positions) {
        Checks.rank("embedding", table, 2);
        return of(table, ids, 0, table.shape().dim(0), positions);
    }

    /// Ids are below `vocabulary`.
    static Tensor of(Tensor table, Tensor ids, int firstId, int vocabulary, @Nullable Tensor positions) {
        Checks.floating("embedding", table);
        Checks.rank("embedding", table, 2);
        Checks.dtype("embedding", "ids", ids, DType.I32);
        Checks.notNegative("embedding", "the first id", firstId);
        int width = table.shape().last();
        if (positions != null) {
            Checks.sameDType("embedding", table, positions);
            Checks.rank("embedding", positions, 2);
            if (positions.shape().last() != width
                    || positions.shape().dim(0) < ids.shape().last()) {
                throw new IllegalArgumentException("embedding: " + ids.shape().last() + " tokens of width " + width
                        + " need as many positions; there are " + positions.shape());
            }
        }
        int[] dims = java.util.Arrays.copyOf(ids.shape().toArray(), ids.shape().rank() + 1);
        dims[dims.length - 1] = width;
        Tensor y = Tensor.empty(Shape.of(dims), table.dtype());
        table.kernels().embedding(y, table, ids, firstId, vocabulary, positions);
        return y.from(new Embedding(table, ids, firstId, positions));
    }

    @Override
    public List<Tensor> inputs() {
        return positions == null ? List.of(table) : List.of(table, positions);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.add(table, (d, beta) -> d.kernels().embeddingGrad(d, dy, ids, firstId, beta), dy);
        if (positions != null) {
            into.add(positions, (d, beta) -> positionsGrad(d, dy, beta), dy);
        }
    }

    private void positionsGrad(Tensor d, Tensor dy, float beta) {
        int used = ids.shape().last();
        if (beta == 0f && used < d.shape().dim(0)) {
            Tensor rest = d.rows(used, d.shape().dim(0));
            rest.kernels().fill(rest, 0f);
        }
        int row = used * d.shape().last();
        int sequences = row == 0 ? 0 : Math.toIntExact(dy.size() / row);
        d.kernels().sumRows(d.rows(0, used).reshape(Shape.of(row)), dy.reshape(Shape.of(sequences, row)), beta);
    }
}
