package io.jacquard.benchmarks.peers;

import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Dispatcher;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.IValueVector;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.OperatorHandle;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.global.torch;

/// PyTorch's fused AdamW, as `torch.optim.AdamW(fused=True)` calls it. The preset binds only the C++ optimizer, which
/// passes over the weights a dozen times; the fused operation is reached by its name.
final class JavaCppAdamW implements Library.Updates {
    private final OperatorHandle fused = Dispatcher.realSingleton().findSchemaOrThrow("aten::_fused_adamw_", "");
    private final List<Group> groups = new ArrayList<>();
    private final TensorVector all;

    private record Group(
            List<Tensor> weights,
            List<Tensor> first,
            List<Tensor> second,
            List<Tensor> steps,
            double rate,
            double decay) {}

    JavaCppAdamW(List<Tensor> decayed, List<Tensor> others, double rate) {
        groups.add(group(decayed, rate, AdamWRow.DECAY));
        if (!others.isEmpty()) {
            groups.add(group(others, rate, 0));
        }
        List<Tensor> weights = new ArrayList<>(decayed);
        weights.addAll(others);
        all = new TensorVector(weights.toArray(new Tensor[0]));
    }

    private static Group group(List<Tensor> weights, double rate, double decay) {
        return new Group(
                weights,
                made(weights, torch::zeros_like),
                made(weights, torch::zeros_like),
                made(weights, _ -> torch.zeros()),
                rate,
                decay);
    }

    private static List<Tensor> made(List<Tensor> weights, UnaryOperator<Tensor> state) {
        try (PointerScope _ = new PointerScope()) {
            return weights.stream()
                    .map(w -> (Tensor) state.apply(w).retainReference())
                    .toList();
        }
    }

    @Override
    public void step() {
        try (PointerScope _ = new PointerScope();
                NoGradGuard _ = new NoGradGuard()) {
            torch.clip_grad_norm_(all, AdamWRow.MAX_NORM);
            for (Group g : groups) {
                g.steps.forEach(step -> step.add_(new Scalar(1)));
                IValueVector stack = new IValueVector();
                stack.push_back(list(g.weights));
                stack.push_back(list(g.weights.stream().map(Tensor::grad).toList()));
                stack.push_back(list(g.first));
                stack.push_back(list(g.second));
                stack.push_back(list(List.of()));
                stack.push_back(list(g.steps));
                for (double number : new double[] {g.rate, AdamWRow.BETA1, AdamWRow.BETA2, g.decay, AdamWRow.EPSILON}) {
                    stack.push_back(new IValue(number));
                }
                stack.push_back(new IValue(false)); // amsgrad
                stack.push_back(new IValue(false)); // maximize
                stack.push_back(new IValue()); // grad_scale
                stack.push_back(new IValue()); // found_inf
                fused.callBoxed(stack);
            }
        }
    }

    private static IValue list(List<Tensor> tensors) {
        GenericList list = new GenericList(new Type.TypePtr(TensorType.get()));
        tensors.forEach(t -> list.push_back(new IValue(t)));
        return new IValue(list);
    }

    @Override
    public void close() {
        for (Group g : groups) {
            List.of(g.first, g.second, g.steps).forEach(list -> list.forEach(Tensor::releaseReference));
        }
        all.deallocate();
    }
}
