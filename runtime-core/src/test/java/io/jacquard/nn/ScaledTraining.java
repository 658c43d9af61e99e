package io.jacquard.nn;

import io.jacquard.ops.DelayedScales;
import io.jacquard.ops.LinearWatch;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.SplittableRandom;

/// Three steps of a tiny model whose linear layers multiply in low precision, on any device, with casts that are fused
/// into what makes their operands, or without.
public final class ScaledTraining {
    private static final int STEPS = 3;
    private static final int VOCABULARY = 37;
    private static final int LAYERS = 2;
    private static final Shape TOKENS = Shape.of(2, 16);

    private ScaledTraining() {}

    /// What is trained.
    public record Run(String model, Recipe recipe, DType dtype, boolean recompute) {}

    /// How many passes over a tensor for its largest magnitude alone (`absMax`) fusing saves in [#train]: that of
    /// each operand whose cast is made where the operand is made. In a block these are the inputs of two layers
    /// behind norms; LLaMA's third layer behind SwiGLU; GPT-2's gradient before GELU and, where scales are there
    /// beforehand, the input of the layer behind it. Delayed scales are, from the second step on, and only the pass
    /// with gradients looks for their magnitudes; current scales are found again when a block is recomputed.
    public static int savedPasses(Run run) {
        boolean gpt = run.model.equals("gpt2");
        boolean delayed = run.recipe.isDelayed();
        int inputs = gpt && !delayed ? 2 : 3;
        int gradients = gpt ? 1 : 0;
        int forwards = run.recompute && !delayed ? 2 : 1;
        return (delayed ? STEPS - 1 : STEPS) * LAYERS * (forwards * inputs + gradients);
    }

    /// Losses of the steps, gradients of the last one, weights after it, and delayed scales. A watcher wants to see
    /// the inputs of layers, so that nothing is fused while there is one.
    public static float[][] train(Session session, Run run, boolean fused) {
        try (var _ = Scope.open("run")) {
            Weights weights = new Weights(1, new Precision(run.recipe, 0));
            Decoder model = Decoder.of(config(run.model), weights);
            weights.allocate(run.dtype, DType.F32, 5);
            SplittableRandom random = new SplittableRandom(3);
            Tensor tokens = Tensor.of(
                    TOKENS, random.ints(TOKENS.elements(), 0, VOCABULARY).toArray());
            Tensor scale = Tensor.of(Shape.of(1), 1f / TOKENS.elements());
            float[] losses = new float[STEPS];
            for (int i = 0; i < STEPS; i++) {
                int step = i;
                Runnable work = () -> losses[step] = step(model, tokens, scale, run.recompute);
                if (fused) {
                    work.run();
                } else {
                    LinearWatch.watch(new LinearWatch() {}, work);
                }
            }
            DelayedScales scales = weights.delayedScales();
            return new float[][] {
                losses,
                weights.gradients().toFloats(),
                weights.values().toFloats(),
                scales == null ? new float[0] : scales.saved().firstEntry().getValue()
            };
        }
    }

    private static DecoderConfig config(String model) {
        boolean gpt = model.equals("gpt2");
        return new DecoderConfig(model, VOCABULARY, 16, LAYERS, 4, gpt ? 4 : 2, 32, 48, 1e-5f, 10000f, 0f, gpt);
    }

    private static float step(Decoder model, Tensor tokens, Tensor scale, boolean recompute) {
        Weights weights = model.weights();
        weights.freshGradients();
        float loss;
        try (var _ = Scope.open("step")) {
            Tensor l = model.loss(tokens, tokens, scale, new Pass(recompute, 0, null));
            l.backward();
            loss = l.item();
            weights.settleGradients();
            Tensor descent =
                    Tensor.empty(weights.values().shape(), weights.values().dtype());
            descent.kernels().cast(descent, weights.gradients());
            descent.kernels().axpby(weights.values(), -0.1f, descent, 1f);
        }
        DelayedScales scales = weights.delayedScales();
        if (scales != null) {
            scales.step();
        }
        return loss;
    }
}
