package io.jacquard.ops;

import io.jacquard.group.Group;
import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x`, the same on all ranks, for each of them to compute something else from: its gradient is the sum of theirs. The
/// opposite of [AllReduce].
record CopyToGroup(Tensor x, Group group) implements Node {
    static Tensor of(Tensor x, Group group) {
        Checks.floating("copyToGroup", x);
        return group.size() == 1 ? x : x.from(new CopyToGroup(x, group));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        if (into.mayOverwrite(dy)) {
            group.allReduce(dy).join();
            into.pass(x, dy);
            return;
        }
        Temporary.gradient(into, x, dy.dtype(), dx -> {
            dx.kernels().cast(dx, dy);
            group.allReduce(dx).join();
        });
    }
}
