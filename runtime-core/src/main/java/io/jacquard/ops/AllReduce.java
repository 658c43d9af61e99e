package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// The sum of `x` over all ranks, in place: what made the partial sums does not need them any more. All ranks compute
/// the same from it, so each has the whole gradient already. The opposite of [CopyToGroup].
record AllReduce(Tensor x) implements Node {
    static Tensor of(Tensor x, Group group) {
        Checks.floating("allReduce", x);
        if (group.size() == 1) {
            return x;
        }
        group.allReduce(x).join();
        return x.from(new AllReduce(x));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
    }
}
