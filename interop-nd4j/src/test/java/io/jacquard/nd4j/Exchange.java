package io.jacquard.nd4j;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Tensor;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/// The program of docs/interop-nd4j.md.
final class Exchange {
    private Exchange() {}

    public static void main(String[] args) {
        INDArray features = Nd4j.create(new float[][] {{-1, 0, 1}, {2, 3, 4}});
        INDArray result;
        try (var _ = Session.open("cpu");
                var _ = Scope.open("exchange")) {
            Tensor x = Nd4jBridge.toTensor(features.transpose());
            Tensor y = Ops.gelu(x);
            Nd4jBridge.view(y).muli(2);
            result = Nd4jBridge.toArray(y);
        }
        System.out.println(result);
    }
}
