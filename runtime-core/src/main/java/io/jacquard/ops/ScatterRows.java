package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// This rank's rows of the sum over ranks. The opposite of [GatherRows].
record ScatterRows(Tensor x, Group group) implements Node {
    static Tensor of(Tensor x, Group group) {
        Checks.floating("scatterRows", x);
        long rows = x.shape().rows();
        int ranks = group.size();
        if (rows % ranks != 0) {
            throw new IllegalArgumentException("scatterRows: " + x.shape() + " has " + rows + " rows, which do not"
                    + " divide among " + ranks + " ranks; choose a batch with a multiple of " + ranks + " tokens");
        }
        Shape mine = Shape.of(Math.toIntExact(rows / ranks), x.shape().last());
        if (ranks == 1) {
            return Reshape.of(x, mine);
        }
        Tensor y = Tensor.empty(mine, x.dtype());
        group.reduceScatter(y, x).join();
        return y.from(new ScatterRows(x, group));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        Temporary.gradient(into, x, dy.dtype(), dx -> group.allGather(dx, dy).join());
    }
}
