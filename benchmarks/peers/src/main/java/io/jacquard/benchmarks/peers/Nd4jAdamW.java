package io.jacquard.benchmarks.peers;

import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.updaters.AdamUpdater;
import org.nd4j.linalg.factory.Nd4j;

/// ND4J's native Adam, with clipping by the global norm and weight decay around it, as its updaters have neither.
final class Nd4jAdamW {
    private final List<Parameter> parameters = new ArrayList<>();
    private final double rate;
    private int done;

    private record Parameter(INDArray weights, INDArray second, INDArray first, double decay) {}

    Nd4jAdamW(double rate) {
        this.rate = rate;
    }

    void add(INDArray weights, double decay) {
        parameters.add(new Parameter(weights, Nd4j.zerosLike(weights), Nd4j.zerosLike(weights), decay));
    }

    void reset() {
        done = 0;
        for (Parameter p : parameters) {
            p.first.assign(0);
            p.second.assign(0);
        }
    }

    /// The gradients, in the order in which parameters were added, are overwritten by the updates.
    void step(List<INDArray> gradients) {
        double square = 0;
        for (INDArray gradient : gradients) {
            square += Math.pow(gradient.norm2Number().doubleValue(), 2);
        }
        double norm = Math.sqrt(square);
        for (int i = 0; i < gradients.size(); i++) {
            Parameter p = parameters.get(i);
            INDArray gradient = gradients.get(i);
            if (norm > AdamWRow.MAX_NORM) {
                gradient.muli(AdamWRow.MAX_NORM / (norm + 1e-6));
            }
            Nd4j.exec(new AdamUpdater(
                    gradient, p.second, p.first, rate, AdamWRow.BETA1, AdamWRow.BETA2, AdamWRow.EPSILON, done));
            if (p.decay != 0) {
                p.weights.muli(1 - rate * p.decay);
            }
            p.weights.subi(gradient);
        }
        done++;
    }

    void close() {
        for (Parameter p : parameters) {
            p.first.close();
            p.second.close();
        }
    }
}
