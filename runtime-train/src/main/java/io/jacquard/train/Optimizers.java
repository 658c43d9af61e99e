package io.jacquard.train;

import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.optim.Optimizer;
import io.jacquard.optim.Schedule;
import io.jacquard.optim.Sgd;
import io.jacquard.optim.Shards;
import io.jacquard.optim.StateType;

/// Optimizer and schedule as the configuration asks for them.
final class Optimizers {
    private Optimizers() {}

    static Optimizer optimizer(TrainConfig config, Shards shards) {
        TrainConfig.Optimizer c = config.optimizer();
        StateType state =
                new StateType(c.stateDtype().dtype(), config.training().seed());
        return switch (c.type()) {
            case ADAMW ->
                new AdamW(
                        shards, new AdamWSettings(c.beta1(), c.beta2(), c.epsilon(), c.weightDecay(), c.clip()), state);
            case SGD -> new Sgd(shards, c.beta1(), c.weightDecay(), c.clip(), state);
        };
    }

    static Schedule schedule(TrainConfig.Optimizer c, long steps) {
        float peak = c.learningRate();
        float floor = peak * c.floor();
        return switch (c.schedule()) {
            case COSINE -> Schedule.cosine(peak, c.warmup(), steps, floor);
            case LINEAR -> Schedule.linear(peak, c.warmup(), steps, floor);
            case CONSTANT -> Schedule.warmupStableDecay(peak, c.warmup(), steps, 1, peak);
            case WSD -> {
                long decay = c.decay() == 0 ? Math.max(1, steps / 5) : c.decay();
                yield Schedule.warmupStableDecay(
                        peak, c.warmup(), steps, Math.max(1, Math.min(decay, steps - c.warmup())), floor);
            }
        };
    }
}
