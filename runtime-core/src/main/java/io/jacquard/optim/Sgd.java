package io.jacquard.optim;

import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// Stochastic gradient descent with momentum: `b = momentum * b + g; w -= rate * (b + weightDecay * w)`, which is SGDW
/// (Loshchilov and Hutter, arXiv:1711.05101). Without weight decay it is PyTorch's `SGD`; with it, it is not: PyTorch
/// adds `weightDecay * w` to `g`, so that the decay passes through the momentum. Here it means the same as for AdamW.
///
/// **Memory**: 4 bytes per parameter, 8 where the weights are not F32 (their F32 master).
public final class Sgd implements Optimizer {
    private final Weights weights;
    private final float momentumFactor;
    private final float weightDecay;
    private final float clip;
    private final Tensor master;
    private final Tensor momentum;
    private final Tensor norm;
    private final Tensor decays;

    /// Allocates the state in the current scope.
    ///
    /// @param momentumFactor in [0, 1); 0 is plain gradient descent
    /// @param weightDecay matrices lose `rate * weightDecay * w`, beside the momentum and not through it
    /// @param clip largest global gradient norm; 0 does not clip
    public Sgd(Weights weights, float momentumFactor, float weightDecay, float clip) {
        this.weights = weights;
        this.momentumFactor = momentumFactor;
        this.weightDecay = weightDecay;
        this.clip = clip;
        master = Optimizer.master(weights);
        momentum = Tensor.zeros(weights.values().shape(), DType.F32).named("momentum");
        norm = Tensor.zeros(Shape.of(2), DType.F32);
        decays = Optimizer.decayTable(weights);
    }

    @Override
    public void step(Tensor learningRate) {
        weights.settleGradients();
        Tensor g = weights.gradients();
        g.kernels().norm(norm, g);
        g.kernels()
                .sgd(
                        weights.values(),
                        master,
                        momentum,
                        g,
                        learningRate,
                        norm,
                        decays,
                        momentumFactor,
                        weightDecay,
                        clip);
        weights.freshGradients();
    }

    @Override
    public Tensor norm() {
        return norm;
    }

    @Override
    public SequencedMap<String, Tensor> state() {
        SequencedMap<String, Tensor> state = new LinkedHashMap<>();
        if (master != weights.values()) {
            state.put("master", master);
        }
        state.put("momentum", momentum);
        return state;
    }
}
