package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Kernels;
import java.util.List;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;

/// What works on token ids: cross entropy with its gradient in place, and the gradient of an embedding.
final class TokenCase {
    private TokenCase() {}

    static KernelCase of(JsonNode spec, DType dtype, Operands operands) {
        return spec.get("kind").asString().equals("cross entropy")
                ? new CrossEntropy(spec, dtype, operands)
                : new EmbeddingGradient(spec, dtype, operands);
    }

    private static final class CrossEntropy implements KernelCase {
        private final Operands operands;
        private final Tensor logits;
        private final Tensor losses;
        private final Tensor labels;
        private final Tensor scale;
        private final int[] hostLabels;
        private final int rows;
        private final double[][] before = new double[3][];

        CrossEntropy(JsonNode spec, DType dtype, Operands operands) {
            this.operands = operands;
            rows = spec.get("rows").asInt();
            int vocabulary = spec.get("vocabulary").asInt();
            logits = operands.normal(1, dtype, rows, vocabulary);
            losses = Tensor.zeros(Shape.of(rows), DType.F32);
            hostLabels = Operands.ids(rows, vocabulary);
            labels = Tensor.of(Shape.of(rows), hostLabels);
            scale = Tensor.of(Shape.of(1), 1f / rows);
        }

        @Override
        public List<Consumer<Kernels>> launches() {
            return List.of(k -> k.crossEntropy(losses, logits, labels, scale));
        }

        @Override
        public void reset() {
            operands.refill(logits, 1);
            if (before[0] == null) {
                int[] places = Operands.places(rows);
                for (int i = 0; i < places.length; i++) {
                    before[i] = Operands.row(logits, places[i]);
                }
            }
        }

        @Override
        public Deviation deviation() {
            Deviation d = new Deviation();
            int[] places = Operands.places(rows);
            for (int i = 0; i < places.length; i++) {
                double[] x = before[i];
                double sum = 0;
                for (double v : x) {
                    sum += Math.exp(v);
                }
                int label = hostLabels[places[i]];
                d.add(Operands.read(losses, places[i], 1)[0], Math.log(sum) - x[label]);
                d.next();
                double[] got = Operands.row(logits, places[i]);
                for (int c = 0; c < x.length; c++) {
                    d.add(got[c], (Math.exp(x[c]) / sum - (c == label ? 1 : 0)) / rows);
                }
                d.next();
            }
            return d;
        }
    }

    private static final class EmbeddingGradient implements KernelCase {
        private final Tensor table;
        private final Tensor dy;
        private final Tensor ids;
        private final int[] hostIds;
        private final int width;

        EmbeddingGradient(JsonNode spec, DType dtype, Operands operands) {
            int rows = spec.get("rows").asInt();
            int vocabulary = spec.get("vocabulary").asInt();
            width = spec.get("width").asInt();
            table = operands.normal(1, dtype, vocabulary, width);
            dy = operands.normal(1, dtype, rows, width);
            hostIds = Operands.ids(rows, vocabulary);
            ids = Tensor.of(Shape.of(rows), hostIds);
        }

        @Override
        public List<Consumer<Kernels>> launches() {
            return List.of(k -> k.embeddingGrad(table, dy, ids, 0, 0f));
        }

        @Override
        public Deviation deviation() {
            Deviation d = new Deviation();
            for (int place : Operands.places(hostIds.length)) {
                double[] exact = new double[width];
                for (int row = 0; row < hostIds.length; row++) {
                    if (hostIds[row] == hostIds[place]) {
                        double[] r = Operands.row(dy, row);
                        for (int c = 0; c < width; c++) {
                            exact[c] += r[c];
                        }
                    }
                }
                double[] got = Operands.row(table, hostIds[place]);
                for (int c = 0; c < width; c++) {
                    d.add(got[c], exact[c]);
                }
            }
            return d;
        }
    }
}
