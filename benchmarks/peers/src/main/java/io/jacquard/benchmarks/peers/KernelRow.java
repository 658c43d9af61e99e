package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.suite.Deviation;
import io.jacquard.tensor.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.JsonNode;

/// A row of the table that is one kernel: its operands, and what must come out of them. A peer takes the operands from
/// the record and hands its outputs over in the order that the record's documentation says.
sealed interface KernelRow
        permits ActivationRow,
                AdamWRow,
                AttentionRow,
                CrossEntropyRow,
                EmbeddingGradientRow,
                MatmulRow,
                MovingRow,
                NormRow {
    DType dtype();

    /// How many outputs there are.
    int outputs();

    /// Adds each output that is looked at, next to its exact value.
    void compare(List<Floats> outputs, Deviation d);

    static KernelRow of(JsonNode spec) {
        DType dtype = DType.valueOf(spec.get("dtype").asString().toUpperCase(Locale.ROOT));
        Draw draw = new Draw(dtype);
        return switch (spec.get("kind").asString()) {
            case "matmul", "int4" -> MatmulRow.of(spec, dtype, draw);
            case "linear" ->
                throw new UnsupportedOperationException(
                        "rows of linear layers, in any precision, are for PyTorch alone");
            case "attention" -> AttentionRow.of(spec, dtype, draw);
            case "norm" -> NormRow.of(spec, dtype, draw);
            case "activation" -> ActivationRow.of(spec, dtype, draw);
            case "cross entropy" -> CrossEntropyRow.of(spec, dtype, draw);
            case "embedding gradient" -> EmbeddingGradientRow.of(spec, dtype, draw);
            case "moving" -> MovingRow.of(spec, dtype, draw);
            case "optimizer" -> AdamWRow.of(spec, dtype, draw);
            default -> throw new IllegalArgumentException("row of unknown kind: " + spec);
        };
    }

    /// The largest relative error of the outputs.
    ///
    /// @throws IllegalStateException if there are fewer outputs than expected, or smaller ones
    default double error(List<Floats> outputs) {
        if (outputs.size() != outputs()) {
            throw new IllegalStateException(
                    "the peer gave " + outputs.size() + " outputs, " + outputs() + " are expected");
        }
        Deviation d = new Deviation();
        compare(outputs, d);
        return d.relative();
    }

    /// The values of one output.
    ///
    /// @throws IllegalStateException if it has another shape
    static Floats shaped(Floats output, long... dims) {
        if (!Arrays.equals(output.dims(), dims)) {
            throw new IllegalStateException("the peer gave an output of shape " + Arrays.toString(output.dims())
                    + ", expected " + Arrays.toString(dims));
        }
        return output;
    }
}
