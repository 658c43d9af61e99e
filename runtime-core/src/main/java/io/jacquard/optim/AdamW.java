package io.jacquard.optim;

import io.jacquard.group.Group;
import io.jacquard.nn.Weights;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), one pass over the flat weights.
///
/// **Memory**: 8 bytes per parameter, 12 where the weights are not F32 (their F32 master), divided by the ranks; 4
/// where state is BF16 ([StateType]).
public final class AdamW implements Optimizer {
    private final Shards shards;
    private final Shard shard;
    private final AdamWSettings settings;
    private final Tensor m;
    private final Tensor v;
    private final Tensor step;

    /// For weights of this process alone. Allocates the state in the current scope.
    public AdamW(Weights weights, AdamWSettings settings) {
        this(Shards.of(weights, Shards.Ranks.ONE), settings);
    }

    /// For weights that are the same in all ranks of `group`, while each has gradients of its own data. Allocates
    /// the state of this rank's slice in the current scope.
    ///
    /// @throws IllegalArgumentException if the weights were not made for as many shards
    public AdamW(Weights weights, AdamWSettings settings, Group group) {
        this(Shards.of(weights, Shards.Ranks.data(group)), settings);
    }

    /// For weights divided as `shards` says.
    public AdamW(Shards shards, AdamWSettings settings) {
        this(shards, settings, StateType.F32);
    }

    /// For weights divided as `shards` says.
    ///
    /// @throws IllegalArgumentException if the state is BF16 and the weights are not
    public AdamW(Shards shards, AdamWSettings settings, StateType type) {
        this.shards = shards;
        this.settings = settings;
        shard = new Shard(shards, type);
        m = shard.state("first moment");
        v = shard.state("second moment");
        step = Tensor.zeros(Shape.of(1), DType.I32);
    }

    @Override
    public void step(Tensor learningRate) {
        shards.reduce();
        step.kernels().count(step, norm(), 1);
        for (Shards.Run r : shards.pieces()) {
            step.kernels()
                    .adamW(
                            r.values(),
                            shard.master(r),
                            r.of(m, 1),
                            r.of(v, 1),
                            r.gradients(),
                            learningRate,
                            step,
                            norm(),
                            shard.decays(r),
                            settings.beta1(),
                            settings.beta2(),
                            settings.epsilon(),
                            settings.weightDecay(),
                            settings.clip(),
                            shard.rounding(r, step));
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
        state.put("m", m);
        state.put("v", v);
        state.put("step", step);
        return state;
    }
}
