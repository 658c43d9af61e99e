package io.jacquard.benchmarks.peers;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import java.util.ArrayList;
import java.util.List;

/// The update that DJL's AdamW calls for each parameter, with moments that can be freed. DJL has no clipping by the
/// global norm; the factor goes where its optimizers take one for the gradients, which costs least.
final class DjlAdamW implements Library.Updates {
    private final List<Parameter> parameters = new ArrayList<>();
    private final double rate;
    private int done;

    private record Parameter(NDArray weight, NDArray first, NDArray second, double decay) {}

    DjlAdamW(List<NDArray> decayed, List<NDArray> others, double rate) {
        this.rate = rate;
        decayed.forEach(weight -> add(weight, AdamWRow.DECAY));
        others.forEach(weight -> add(weight, 0));
    }

    private void add(NDArray weight, double decay) {
        parameters.add(new Parameter(weight, weight.zerosLike(), weight.zerosLike(), decay));
    }

    @Override
    public void step() {
        done++;
        List<NDArray> gradients =
                parameters.stream().map(p -> p.weight.getGradient()).toList();
        double clip = Math.min(1, AdamWRow.MAX_NORM / (norm(gradients) + 1e-6));
        double corrected = rate * Math.sqrt(1 - Math.pow(AdamWRow.BETA2, done)) / (1 - Math.pow(AdamWRow.BETA1, done));
        for (int i = 0; i < gradients.size(); i++) {
            Parameter p = parameters.get(i);
            try (NDArray gradient = gradients.get(i)) {
                p.weight
                        .getNDArrayInternal()
                        .adamUpdate(
                                new NDList(p.weight, gradient, p.first, p.second),
                                new NDList(p.weight),
                                (float) rate,
                                (float) corrected,
                                (float) p.decay,
                                (float) clip,
                                -1,
                                (float) AdamWRow.BETA1,
                                (float) AdamWRow.BETA2,
                                (float) AdamWRow.EPSILON,
                                false,
                                true);
            }
        }
    }

    private static double norm(List<NDArray> gradients) {
        double square = 0;
        for (NDArray gradient : gradients) {
            try (NDArray norm = gradient.norm()) {
                square += Math.pow(norm.getFloat(), 2);
            }
        }
        return Math.sqrt(square);
    }

    @Override
    public void close() {
        for (Parameter p : parameters) {
            p.first.close();
            p.second.close();
        }
    }
}
