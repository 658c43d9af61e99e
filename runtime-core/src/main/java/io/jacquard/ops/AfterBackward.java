package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x` itself, and something to do when backward comes back to it. Backward visits the youngest tensor first, and all
/// that reads the result is younger than the result.
record AfterBackward(Tensor x, Runnable action) implements Node {
    static Tensor of(Tensor x, Runnable action) {
        Checks.floating("afterBackward", x);
        // recorded for the action's sake where x wants no gradient: the weights behind it may want theirs
        return x.fromAlways(new AfterBackward(x, action));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
        into.then(action);
    }
}
