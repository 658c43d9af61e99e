package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import java.util.Locale;
import tools.jackson.databind.JsonNode;

/// Our side of each kind of row.
public final class Cases {
    private Cases() {}

    /// Our side of a row, with its operands in the current session.
    public static KernelCase of(Row row) {
        return of(Lines.JSON.valueToTree(row.spec()));
    }

    static KernelCase of(JsonNode spec) {
        Operands operands = new Operands();
        DType dtype = dtype(spec);
        return switch (spec.get("kind").asString()) {
            case "matmul" -> new MatmulCase(spec, dtype, operands);
            case "linear" -> new LinearCase(spec, dtype, operands);
            case "int4" -> new FrozenCase(spec, dtype, operands);
            case "attention" -> new AttentionCase(spec, dtype, operands);
            case "norm" -> new NormCase(spec, dtype, operands);
            case "activation" -> new ActivationCase(spec, dtype, operands);
            case "cross entropy", "embedding gradient" -> TokenCase.of(spec, dtype, operands);
            case "moving" -> new MovingCase(spec, dtype, operands);
            case "optimizer" -> new OptimizerCase(spec, dtype, operands);
            default -> throw new IllegalArgumentException("row of unknown kind: " + spec);
        };
    }

    static DType dtype(JsonNode spec) {
        return DType.valueOf(spec.get("dtype").asString().toUpperCase(Locale.ROOT));
    }
}
