package io.jacquard.benchmarks.peers;

import java.util.Arrays;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/// ND4J's native operations by their names.
final class Nd4jOps {
    private Nd4jOps() {}

    /// An operation on these arrays, made once and run often.
    static Runnable of(String name, List<INDArray> in, List<INDArray> out, double[] floats, int... integers) {
        DynamicCustomOp op = DynamicCustomOp.builder(name)
                .addInputs(in.toArray(new INDArray[0]))
                .addOutputs(out.toArray(new INDArray[0]))
                .addFloatingPointArguments(Arrays.stream(floats).boxed().toArray(Double[]::new))
                .addIntegerArguments(integers)
                .build();
        return () -> Nd4j.exec(op);
    }

    /// Over the last dimension of a matrix. `Nd4j.nn().layerNorm` refuses one; the operation itself does not. It
    /// adds no epsilon to the variance.
    static Runnable layerNorm(List<INDArray> in, List<INDArray> out, boolean gradient) {
        DynamicCustomOp op = DynamicCustomOp.builder(gradient ? "layer_norm_bp" : "layer_norm")
                .addInputs(in.toArray(new INDArray[0]))
                .addOutputs(out.toArray(new INDArray[0]))
                .addIntegerArguments(1)
                .addBooleanArguments(false)
                .build();
        return () -> Nd4j.exec(op);
    }

    /// What is added to the scores of `rows / time` heads of causal attention, one below the other.
    static float[] causalMask(int rows, int time) {
        float[] mask = new float[rows * time];
        for (int row = 0; row < rows; row++) {
            Arrays.fill(mask, row * time + row % time + 1, (row + 1) * time, -1e9f);
        }
        return mask;
    }

    static Floats read(INDArray array) {
        try (INDArray plain = array.castTo(DataType.FLOAT).dup('c')) {
            return new Floats(plain.data().asFloat(), array.shape());
        }
    }
}
