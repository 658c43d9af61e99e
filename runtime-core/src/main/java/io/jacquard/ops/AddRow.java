package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x[n, c] + row[c]`.
record AddRow(Tensor x, Tensor row) implements Node {
    static Tensor of(Tensor x, Tensor row) {
        Checks.row("addRow", x, row);
        Tensor out = Tensor.empty(x.shape(), x.dtype());
        x.kernels().addRow(out, x, row);
        return out.from(new AddRow(x, row));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x, row);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
        into.add(row, (d, beta) -> d.kernels().sumRows(d, dy, beta), dy);
    }
}
