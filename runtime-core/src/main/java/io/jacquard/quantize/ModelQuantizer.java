package io.jacquard.quantize;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.Parameter;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.ops.LinearWatch;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Consumer;

/// Rounds the weights of a model's linear layers to few bits, block by block: each block's inputs are those that the
/// rounded blocks before it give. Embeddings, norms, biases and the head stay as they are.
///
/// **Thread**: that of the model's session.
public final class ModelQuantizer {
    /// A weight that was rounded.
    ///
    /// @param weightError root mean square of the error, over that of the weight
    /// @param outputError the same of the layer's outputs on the calibration data; NaN without any
    public record Layer(String name, double weightError, double outputError) {}

    private final Decoder model;
    private final Rounding rounding;
    private final Consumer<Layer> listener;
    private final SequencedMap<Parameter, RoundedWeight> rounded = new LinkedHashMap<>();

    /// @param model whole, on this process alone; its weights become the rounded ones
    /// @param listener hears of each weight when it is rounded
    public ModelQuantizer(Decoder model, Rounding rounding, Consumer<Layer> listener) {
        this.model = model;
        this.rounding = rounding;
        this.listener = listener;
    }

    /// Rounds all of them.
    ///
    /// @param calibration tokens, each I32 `[B, T]`; none where the rounding needs none
    /// @throws IllegalArgumentException if the rounding needs data and gets none, or cannot round a weight; then
    /// nothing has changed
    public SequencedMap<Parameter, RoundedWeight> run(List<Tensor> calibration) {
        if (rounding.needsData() && calibration.isEmpty()) {
            throw new IllegalArgumentException(
                    "quantize: " + rounding.label() + " needs calibration data; expected some tokens, or rtn");
        }
        List<Weights.Segment> blocks = model.weights().segments().stream()
                .filter(Weights.Segment::isBlock)
                .toList();
        blocks.forEach(b -> matrices(b).forEach(rounding::check));
        try (var _ = Scope.openWithoutGrad("quantization")) {
            List<Tensor> streams = new ArrayList<>();
            for (Tensor tokens : calibration) {
                streams.add(model.embed(tokens, Pass.PLAIN));
            }
            for (int i = 0; i < blocks.size(); i++) {
                block(i, matrices(blocks.get(i)), streams, calibration);
            }
        }
        return rounded;
    }

    private List<Parameter> matrices(Weights.Segment block) {
        return model.weights().parametersOf(block).stream()
                .filter(p -> p.shape().rank() == 2)
                .toList();
    }

    private void block(int i, List<Parameter> matrices, List<Tensor> streams, List<Tensor> tokens) {
        Map<String, float[]> inputs = new HashMap<>();
        if (!streams.isEmpty()) {
            try (var _ = Scope.openWithoutGrad("calibration")) {
                Inputs watch = new Inputs(matrices);
                LinearWatch.watch(watch, () -> forward(i, streams, tokens, false));
                watch.squares.forEach((name, h) -> inputs.put(name, h.toFloats()));
            }
        }
        for (Parameter p : matrices) {
            round(p, inputs.getOrDefault(p.name(), new float[0]));
        }
        forward(i, streams, tokens, true);
    }

    /// Runs block `i` on all streams, which become its results where `goesOn`.
    private void forward(int i, List<Tensor> streams, List<Tensor> tokens, boolean goesOn) {
        for (int b = 0; b < streams.size(); b++) {
            Tensor x = streams.get(b);
            try (var _ = Scope.openWithoutGrad("block")) {
                Tensor y = model.blocks(x, tokens.get(b).shape(), i, i + 1, Pass.PLAIN);
                if (goesOn) {
                    x.kernels().axpby(x, 1f, y, 0f);
                }
            }
        }
    }

    /// Collects `xᵀ x` of the inputs of some weights.
    private static final class Inputs implements LinearWatch {
        final Map<String, Tensor> squares = new HashMap<>();

        /// Makes the sums in the current scope.
        Inputs(List<Parameter> weights) {
            for (Parameter p : weights) {
                int in = p.shape().dim(1);
                squares.put(p.name(), Tensor.zeros(Shape.of(in, in), DType.F32));
            }
        }

        @Override
        public void multiplied(Tensor weight, Tensor x) {
            Tensor h = weight.name() == null ? null : squares.get(weight.name());
            if (h != null) {
                h.kernels().matmul(h, x, true, x, false, 1f, Epilogue.NONE);
            }
        }
    }

    private void round(Parameter p, float[] h) {
        Tensor value = p.value().detach();
        float[] w = value.toFloats();
        int rows = p.shape().dim(0);
        int columns = p.shape().dim(1);
        RoundedWeight q = rounding.round(w, rows, columns, h);
        float[] now = q.dequantized();
        try (var _ = Scope.openWithoutGrad("rounded weight")) {
            Tensor t = Tensor.of(p.shape(), now);
            value.kernels().cast(value, t);
        }
        rounded.put(p, q);
        float[] distance = new float[w.length];
        for (int i = 0; i < w.length; i++) {
            distance[i] = now[i] - w[i];
        }
        double output = h.length == 0
                ? Double.NaN
                : Math.sqrt(Int4Rounding.error(distance, h, rows, columns) / Int4Rounding.error(w, h, rows, columns));
        listener.accept(new Layer(p.name(), Math.sqrt(squares(distance) / squares(w)), output));
    }

    private static double squares(float[] x) {
        double sum = 0;
        for (float v : x) {
            sum += (double) v * v;
        }
        return sum;
    }
}
