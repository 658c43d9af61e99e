package io.jacquard.ops;

import io.jacquard.tensor.Gradients;
import io.jacquard.tensor.Node;
import io.jacquard.tensor.Tensor;
import java.util.List;

/// `x` itself, and something to do when backward comes back to it. Backward visits the youngest tensor first, and all
/// that reads the result is younger than the result, all that `x` was made from older.
///
/// @param isLate whether `action` waits for gradients of weights that were put off
record OnBackward(Tensor x, boolean isLate, Runnable action) implements Node {
    static Tensor after(Tensor x, Runnable action) {
        Checks.floating("afterBackward", x);
        return of(x, true, action);
    }

    static Tensor before(Tensor x, Runnable action) {
        Checks.floating("beforeBackward", x);
        return of(x, false, action);
    }

    private static Tensor of(Tensor x, boolean isLate, Runnable action) {
        // recorded for the action's sake where x wants no gradient: the weights behind it may want theirs
        return x.fromAlways(new OnBackward(x, isLate, action));
    }

    @Override
    public List<Tensor> inputs() {
        return List.of(x);
    }

    @Override
    public void backward(Tensor dy, Gradients into) {
        into.pass(x, dy);
        if (isLate) {
            into.then(action);
        } else {
            action.run();
        }
    }
}
