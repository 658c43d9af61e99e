package io.jacquard.benchmarks.peers;

import io.jacquard.benchmarks.peers.Nd4jLayers.Node;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.autodiff.samediff.api.OutAndGrad;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/// A decoder as a SameDiff graph in training.
final class Nd4jSteps implements PeerSteps {
    private static final String LOSS = "loss";
    private static final String IDS = "ids";
    private static final String TARGETS = "targets";

    /// Bytes of the process. Without an end it grew to 23 GB in some steps of 10 M parameters.
    private static final long COLLECT_ABOVE = 4L << 30;

    private final SameDiff graph = SameDiff.create();
    private final List<INDArray> arrays = new ArrayList<>();
    private final List<String> names = new ArrayList<>();
    private final List<Map<String, INDArray>> batches = new ArrayList<>();
    private final Nd4jAdamW updates;
    private final long parameterCount;
    private int done;

    Nd4jSteps(StepRow row) {
        Decoder<Node> decoder = new Decoder<>(
                new Nd4jLayers(graph),
                row,
                this::parameter,
                (name, values) -> new Node(graph.constant(name, array(values)), values.dims()));
        Node ids = placeholder(IDS, row.tokens());
        Node targets = placeholder(TARGETS, row.tokens());
        decoder.loss(ids, targets).variable().rename(LOSS);
        graph.setLossVariables(LOSS);
        parameterCount = decoder.parameterCount();
        updates = new Nd4jAdamW(row.learningRate());
        decoder.matrices().forEach(p -> add(p, AdamWRow.DECAY));
        decoder.vectors().forEach(p -> add(p, 0));
        for (int[][] pair : row.data()) {
            batches.add(Map.of(IDS, kept(Nd4j.createFromArray(pair[0])), TARGETS, kept(Nd4j.createFromArray(pair[1]))));
        }
    }

    private INDArray kept(INDArray array) {
        arrays.add(array);
        return array;
    }

    private INDArray array(Floats values) {
        return kept(Nd4j.create(values.values(), values.dims(), DataType.FLOAT));
    }

    private Node parameter(String name, Floats values) {
        return new Node(graph.var(name, array(values)), values.dims());
    }

    private Node placeholder(String name, int n) {
        SDVariable variable = graph.placeHolder(name, DataType.INT32, n);
        return new Node(variable, n);
    }

    private void add(Node parameter, double decay) {
        names.add(parameter.variable().name());
        updates.add(parameter.variable().getArr(), decay);
    }

    @Override
    public long parameters() {
        return parameterCount;
    }

    @Override
    public double step() {
        OutAndGrad made =
                graph.calculateGradientsAndOutputs(batches.get(done++ % StepRow.BATCHES), List.of(LOSS), names);
        List<INDArray> gradients = names.stream().map(made.getGradients()::get).toList();
        updates.step(gradients);
        gradients.forEach(INDArray::close);
        collect();
        try (INDArray loss = Objects.requireNonNull(made.getOutputs().get(LOSS))) {
            return loss.getDouble();
        }
    }

    /// SameDiff leaves activations to the collector, which does not see the memory behind them. Collecting takes 40
    /// to 80 ms: only where much has piled up, which is when steps take seconds.
    private static void collect() {
        if (Pointer.physicalBytes() > COLLECT_ABOVE) {
            System.gc();
        }
    }

    @Override
    public void close() {
        updates.close();
        arrays.stream().filter(INDArray::closeable).forEach(INDArray::close);
    }
}
