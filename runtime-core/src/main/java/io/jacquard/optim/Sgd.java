package io.jacquard.optim;

import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/// Stochastic gradient descent with momentum: `b = momentum * b + g; w -= rate * (b + weightDecay * w)`, which is SGDW
/// (Loshchilov and Hutter, arXiv:1711.05101). Without weight decay it is PyTorch's `SGD`; with it, it is not: PyTorch
/// adds `weightDecay * w` to `g`, so that the decay passes through the momentum. Here it means the same as for AdamW.
///
/// **Memory**: 4 bytes per parameter, 8 where the weights are not F32 (their F32 master), divided by the ranks; 2 where
/// state is BF16 ([StateType]).
public final class Sgd implements Optimizer {
    private final Shards shards;
    private final Shard shard;
    private final float momentumFactor;
    private final float weightDecay;
    private final float clip;
    private final Tensor momentum;
    private final @Nullable Tensor step;

    /// For weights of this process alone. Allocates the state in the current scope.
    ///
    /// @param momentumFactor in [0, 1); 0 is plain gradient descent
    /// @param weightDecay matrices lose `rate * weightDecay * w`, beside the momentum and not through it
    /// @param clip largest global gradient norm; 0 does not clip
    public Sgd(Weights weights, float momentumFactor, float weightDecay, float clip) {
        this(Shards.of(weights, Shards.Ranks.ONE), momentumFactor, weightDecay, clip);
    }

    /// As [#Sgd(Weights, float, float, float)], for weights divided as `shards` says.
    public Sgd(Shards shards, float momentumFactor, float weightDecay, float clip) {
        this(shards, momentumFactor, weightDecay, clip, StateType.F32);
    }

    /// As [#Sgd(Shards, float, float, float)], with the state kept as `type` says.
    ///
    /// @throws IllegalArgumentException if the state is BF16 and the weights are not
    public Sgd(Shards shards, float momentumFactor, float weightDecay, float clip, StateType type) {
        this.shards = shards;
        this.momentumFactor = momentumFactor;
        this.weightDecay = weightDecay;
        this.clip = clip;
        shard = new Shard(shards, type);
        momentum = shard.state("momentum");
        step = type.isRounded() ? Tensor.zeros(Shape.of(1), DType.I32) : null;
    }

    @Override
    public void step(Tensor learningRate) {
        shards.reduce();
        if (step != null) {
            step.kernels().count(step, norm(), 1);
        }
        for (Shards.Run r : shards.pieces()) {
            momentum.kernels()
                    .sgd(
                            r.values(),
                            shard.master(r),
                            r.of(momentum, 1),
                            r.gradients(),
                            learningRate,
                            norm(),
                            shard.decays(r),
                            momentumFactor,
                            weightDecay,
                            clip,
                            step == null ? null : shard.rounding(r, step));
        }
        shards.publish();
    }

    @Override
    public Tensor norm() {
        return shards.norm();
    }

    @Override
    public SequencedMap<String, Tensor> state() {
        SequencedMap<String, Tensor> state = new LinkedHashMap<>();
        shard.save(state);
        state.put("momentum", momentum);
        if (step != null) {
            state.put("step", step);
        }
        return state;
    }
}
