package io.jacquard.optim;

import io.jacquard.nn.Weights;
import io.jacquard.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// Stochastic gradient descent with momentum: `b = momentum * b + g; w -= rate * (b + weightDecay * w)`, which is SGDW
/// (Loshchilov and Hutter, arXiv:1711.05101). Without weight decay it is PyTorch's `SGD`; with it, it is not: PyTorch
/// adds `weightDecay * w` to `g`, so that the decay passes through the momentum. Here it means the same as for AdamW.
///
/// **Memory**: 4 bytes per parameter, 8 where the weights are not F32 (their F32 master), divided by the ranks.
public final class Sgd implements Optimizer {
    private final Shards shards;
    private final Shard shard;
    private final float momentumFactor;
    private final float weightDecay;
    private final float clip;
    private final Tensor momentum;

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
        this.shards = shards;
        this.momentumFactor = momentumFactor;
        this.weightDecay = weightDecay;
        this.clip = clip;
        shard = new Shard(shards);
        momentum = shard.state("momentum");
    }

    @Override
    public void step(Tensor learningRate) {
        shards.reduce();
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
                            clip);
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
        return state;
    }
}
