package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// A row by a library that computes at once.
final class LibraryKernel<T> implements PeerKernel {
    private final Library<T> library;
    private final KernelRow row;
    private final DType dtype;
    private final Set<T> operands = Collections.newSetFromMap(new IdentityHashMap<>());
    private Supplier<List<T>> work;
    private Runnable reset = () -> {};
    private Runnable close = () -> {};
    private @Nullable List<T> outputs;

    LibraryKernel(Library<T> library, KernelRow row) {
        this.library = library;
        this.row = row;
        dtype = row.dtype();
        work = switch (row) {
            case MatmulRow r -> matmul(r);
            case AttentionRow r -> attention(r);
            case NormRow r -> norm(r);
            case ActivationRow r -> activation(r);
            case CrossEntropyRow r -> crossEntropy(r);
            case EmbeddingGradientRow r -> embeddingGradient(r);
            case MovingRow r -> moving(r);
            case AdamWRow r -> adamW(r);
        };
    }

    private T operand(Floats values) {
        return kept(library.floats(values, dtype));
    }

    private T kept(T t) {
        operands.add(t);
        return t;
    }

    private Supplier<List<T>> matmul(MatmulRow r) {
        T first = operand(r.first());
        T second = operand(r.second());
        return switch (r.form()) {
            case FORWARD -> {
                T bias = r.bias() == null ? null : operand(r.bias());
                Gelu gelu = r.gelu();
                yield gelu == null
                        ? () -> List.of(library.linear(first, second, bias))
                        : () -> {
                            T value = library.linear(first, second, bias);
                            return List.of(library.gelu(value, gelu), value);
                        };
            }
            case INPUT_GRADIENT -> () -> List.of(library.matmul(first, second));
            case WEIGHT_GRADIENT -> () -> List.of(library.matmul(library.swap(first, 0, 1), second));
        };
    }

    private Supplier<List<T>> attention(AttentionRow r) {
        T packed = operand(r.qkv());
        int[] heads = {r.heads(), r.kvHeads(), r.kvHeads()};
        int[] from = {0, r.heads(), r.heads() + r.kvHeads()};
        List<T> qkv = views(() -> IntStream.range(0, 3)
                .mapToObj(i -> {
                    T part = library.narrow(packed, 2, (long) from[i] * r.headDim(), (long) heads[i] * r.headDim());
                    return library.swap(library.reshape(part, r.batch(), r.time(), heads[i], r.headDim()), 1, 2);
                })
                .toList());
        Supplier<T> forward = () -> library.attention(qkv.get(0), qkv.get(1), qkv.get(2));
        return r.dy() == null ? () -> List.of(forward.get()) : gradients(forward, transposed(operand(r.dy())), qkv);
    }

    private T transposed(T x) {
        return views(() -> List.of(library.swap(x, 1, 2))).getFirst();
    }

    private List<T> views(Supplier<List<T>> made) {
        List<T> views = library.scoped(made);
        operands.addAll(views);
        return views;
    }

    /// Of the backward pass alone: the forward runs once, here.
    private Supplier<List<T>> gradients(Supplier<T> forward, T dy, List<T> leaves) {
        leaves.forEach(library::differentiate);
        T y = views(() -> List.of(forward.get())).getFirst();
        reset = () -> leaves.forEach(library::forgetGradient);
        return () -> library.gradients(y, dy, leaves);
    }

    private Supplier<List<T>> norm(NormRow r) {
        T x = operand(r.x());
        T weight = operand(r.weight());
        T bias = r.bias() == null ? null : operand(r.bias());
        if (r.residual() != null) {
            T residual = operand(r.residual());
            return () -> {
                T total = library.add(x, residual);
                return List.of(norm(total, weight, bias), total);
            };
        }
        return r.dy() == null
                ? () -> List.of(norm(x, weight, bias))
                : gradients(
                        () -> norm(x, weight, bias),
                        operand(r.dy()),
                        bias == null ? List.of(x, weight) : List.of(x, weight, bias));
    }

    private T norm(T x, T weight, @Nullable T bias) {
        return bias == null ? library.rmsNorm(x, weight) : library.layerNorm(x, weight, bias);
    }

    private Supplier<List<T>> activation(ActivationRow r) {
        T x = operand(r.x());
        Gelu gelu = r.gelu();
        Supplier<T> forward = () -> gelu == null ? library.swiglu(x) : library.gelu(x, gelu);
        return r.dy() == null ? () -> List.of(forward.get()) : gradients(forward, operand(r.dy()), List.of(x));
    }

    private Supplier<List<T>> crossEntropy(CrossEntropyRow r) {
        T logits = operand(r.logits());
        T labels = kept(library.ids(r.labels(), r.labels().length));
        library.differentiate(logits);
        reset = () -> library.forgetGradient(logits);
        T one = kept(library.floats(new Floats(new float[] {1}), dtype));
        return () -> {
            T losses = library.crossEntropy(logits, labels);
            return List.of(
                    losses,
                    library.gradients(library.mean(losses), one, List.of(logits))
                            .getFirst());
        };
    }

    private Supplier<List<T>> embeddingGradient(EmbeddingGradientRow r) {
        int width = r.dy().columns();
        T table = operand(new Floats(new float[r.vocabulary() * width], r.vocabulary(), width));
        T ids = kept(library.ids(r.ids(), r.ids().length));
        return gradients(() -> library.embedding(table, ids), operand(r.dy()), List.of(table));
    }

    private Supplier<List<T>> moving(MovingRow r) {
        T x = operand(r.x());
        return switch (r.function()) {
            case COPY -> () -> List.of(library.copy(x));
            case PERMUTE -> () -> List.of(library.contiguous(library.swap(x, 1, 2)));
            case ROPE -> {
                int time = (int) r.x().dims()[1];
                T cos = operand(MovingRow.angles(true, time, r.x().columns()));
                T sin = operand(MovingRow.angles(false, time, r.x().columns()));
                yield () -> List.of(library.rotate(x, cos, sin));
            }
        };
    }

    private Supplier<List<T>> adamW(AdamWRow r) {
        T first = kept(library.floats(r.firstGradients(), DType.F32));
        T gradients = kept(library.floats(r.gradients(), DType.F32));
        reset = () -> {
            forget();
            close.run();
            T weights = kept(library.floats(r.weights(), DType.F32));
            library.differentiate(weights);
            Library.Updates updates = library.adamW(List.of(weights), List.of(), AdamWRow.RATE);
            library.setGradient(weights, first);
            updates.step();
            library.setGradient(weights, gradients);
            close = () -> {
                updates.close();
                operands.remove(weights);
                library.free(weights);
            };
            work = () -> {
                updates.step();
                return dtype == DType.F32 ? List.of(weights) : List.of(weights, library.cast(weights, dtype));
            };
        };
        return List::of;
    }

    @Override
    public KernelRow row() {
        return row;
    }

    @Override
    public void reset() {
        reset.run();
    }

    @Override
    public void run() {
        forget();
        outputs = library.scoped(work);
    }

    @Override
    public List<Floats> outputs() {
        return Objects.requireNonNull(outputs, "run first").stream()
                .map(library::read)
                .toList();
    }

    private void forget() {
        if (outputs != null) {
            for (T output : outputs) {
                if (!operands.contains(output)) {
                    library.free(output);
                }
            }
            outputs = null;
        }
    }

    @Override
    public void close() {
        forget();
        close.run();
        operands.forEach(library::free);
        operands.clear();
    }
}
