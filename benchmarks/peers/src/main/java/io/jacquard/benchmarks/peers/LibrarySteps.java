package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.ArrayList;
import java.util.List;

/// A decoder in training by a library that computes at once.
final class LibrarySteps<T> implements PeerSteps {
    private final Library<T> library;
    private final StepRow row;
    private final List<T> leaves = new ArrayList<>();
    private final List<T> inputs = new ArrayList<>();
    private final List<T> targets = new ArrayList<>();
    private final Decoder<T> decoder;
    private final Library.Updates updates;
    private int done;

    LibrarySteps(Library<T> library, StepRow row) {
        this.library = library;
        this.row = row;
        decoder = new Decoder<>(library, row, (_, values) -> parameter(values), (_, values) -> leaf(values));
        for (int[][] pair : row.data()) {
            inputs.add(library.ids(pair[0], row.tokens()));
            targets.add(library.ids(pair[1], row.tokens()));
        }
        updates = library.adamW(decoder.matrices(), decoder.vectors(), row.learningRate());
    }

    private T leaf(Floats values) {
        T leaf = library.floats(values, DType.F32);
        leaves.add(leaf);
        return leaf;
    }

    private T parameter(Floats values) {
        T leaf = leaf(values);
        library.differentiate(leaf);
        return leaf;
    }

    @Override
    public long parameters() {
        return decoder.parameterCount();
    }

    @Override
    public double step() {
        double[] loss = new double[1];
        int batch = done++ % StepRow.BATCHES;
        library.scoped(() -> {
            T mean = row.dtype() == DType.F32 ? loss(batch) : mixedLoss(batch);
            library.backward(mean);
            loss[0] = library.item(mean);
            return List.of();
        });
        updates.step();
        decoder.matrices().forEach(library::forgetGradient);
        decoder.vectors().forEach(library::forgetGradient);
        return loss[0];
    }

    private T loss(int batch) {
        return decoder.loss(inputs.get(batch), targets.get(batch));
    }

    private T mixedLoss(int batch) {
        try (Library.Mixed _ = library.mixed()) {
            return loss(batch);
        }
    }

    @Override
    public void close() {
        updates.close();
        leaves.forEach(library::free);
        inputs.forEach(library::free);
        targets.forEach(library::free);
    }
}
