package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;

/// GPT-2 or Llama as their authors wrote them, in the layers of any library; weights start as PyTorch's and ours do.
final class Decoder<T> {
    private final Layers<T> layers;
    private final StepRow row;
    private final BiFunction<String, Floats, T> parameters;
    private final Draw draw = new Draw(DType.F32);
    private final List<T> matrices = new ArrayList<>();
    private final List<T> vectors = new ArrayList<>();
    private long parameterCount;

    private final T tokens;
    private final List<Block<T>> blocks = new ArrayList<>();
    private final Norm<T> norm;
    private final T head;

    /// Positions: a table in GPT-2; cosines and sines of angles in Llama.
    private final List<T> positions = new ArrayList<>();

    private record Norm<T>(List<T> weightAndBias) {}

    private record Linear<T>(List<T> weightAndBias) {}

    private record Block<T>(
            Norm<T> first, Linear<T> qkv, Linear<T> out, Norm<T> second, Linear<T> up, Linear<T> down) {}

    /// @param parameters makes a tensor that is trained, of a name and first values
    /// @param constants makes one that is not
    Decoder(
            Layers<T> layers,
            StepRow row,
            BiFunction<String, Floats, T> parameters,
            BiFunction<String, Floats, T> constants) {
        this.layers = layers;
        this.row = row;
        this.parameters = parameters;
        tokens = matrix("tokens", 0.02, row.vocabulary(), row.width());
        if (row.gpt2()) {
            positions.add(matrix("positions", 0.02, row.time(), row.width()));
        } else {
            positions.add(constants.apply("cos", MovingRow.angles(true, row.time(), row.headDim())));
            positions.add(constants.apply("sin", MovingRow.angles(false, row.time(), row.headDim())));
        }
        for (int i = 0; i < row.layers(); i++) {
            blocks.add(block("block" + i));
        }
        norm = norm("norm");
        head = row.tied() ? tokens : matrix("head", 0.02, row.vocabulary(), row.width());
    }

    private Block<T> block(String name) {
        double intoResidual = 0.02 / Math.sqrt(2.0 * row.layers());
        int width = row.width();
        int packed = (row.heads() + 2 * row.kvHeads()) * row.headDim();
        return new Block<>(
                norm(name + "_norm1"),
                linear(name + "_qkv", 0.02, packed, width),
                linear(name + "_out", intoResidual, width, width),
                norm(name + "_norm2"),
                linear(name + "_up", 0.02, row.gpt2() ? row.hidden() : 2 * row.hidden(), width),
                linear(name + "_down", intoResidual, width, row.hidden()));
    }

    private T matrix(String name, double deviation, long rows, long columns) {
        T made = made(name, draw.normal(deviation, rows, columns));
        matrices.add(made);
        return made;
    }

    private T vector(String name, float value, int n) {
        float[] values = new float[n];
        Arrays.fill(values, value);
        T made = made(name, new Floats(values, n));
        vectors.add(made);
        return made;
    }

    private T made(String name, Floats values) {
        parameterCount += values.values().length;
        return parameters.apply(name, values);
    }

    private Norm<T> norm(String name) {
        T weight = vector(name + "_weight", 1, row.width());
        return new Norm<>(row.gpt2() ? List.of(weight, vector(name + "_bias", 0, row.width())) : List.of(weight));
    }

    private Linear<T> linear(String name, double deviation, int out, int in) {
        T weight = matrix(name + "_weight", deviation, out, in);
        return new Linear<>(row.gpt2() ? List.of(weight, vector(name + "_bias", 0, out)) : List.of(weight));
    }

    /// What weight decay pulls at.
    List<T> matrices() {
        return matrices;
    }

    List<T> vectors() {
        return vectors;
    }

    long parameterCount() {
        return parameterCount;
    }

    /// The mean loss of a batch: `ids` and `targets` are `[batch time]`.
    T loss(T ids, T targets) {
        T x = layers.reshape(layers.embedding(tokens, ids), row.batch(), row.time(), row.width());
        if (row.gpt2()) {
            x = layers.add(x, positions.getFirst());
        }
        for (Block<T> b : blocks) {
            x = layers.add(x, apply(b.out, attention(apply(b.qkv, apply(b.first, x)))));
            T up = apply(b.up, apply(b.second, x));
            x = layers.add(x, apply(b.down, row.gpt2() ? layers.gelu(up) : layers.swiglu(up)));
        }
        T logits = layers.linear(layers.reshape(apply(norm, x), row.tokens(), row.width()), head, null);
        return layers.loss(logits, targets);
    }

    private T apply(Norm<T> n, T x) {
        T weight = n.weightAndBias.getFirst();
        return row.gpt2() ? layers.layerNorm(x, weight, n.weightAndBias.getLast()) : layers.rmsNorm(x, weight);
    }

    private T apply(Linear<T> l, T x) {
        return layers.linear(x, l.weightAndBias.getFirst(), row.gpt2() ? l.weightAndBias.getLast() : null);
    }

    private T attention(T packed) {
        T query = part(packed, 0, row.heads());
        T key = part(packed, row.heads(), row.kvHeads());
        T value = part(packed, row.heads() + row.kvHeads(), row.kvHeads());
        if (!row.gpt2()) {
            query = layers.rotate(query, positions.getFirst(), positions.getLast());
            key = layers.rotate(key, positions.getFirst(), positions.getLast());
        }
        T y = layers.attention(layers.swap(query, 1, 2), layers.swap(key, 1, 2), layers.swap(value, 1, 2));
        return layers.reshape(layers.swap(y, 1, 2), row.batch(), row.time(), row.width());
    }

    private T part(T packed, int from, int heads) {
        T part = layers.narrow(packed, 2, (long) from * row.headDim(), (long) heads * row.headDim());
        return layers.reshape(part, row.batch(), row.time(), heads, row.headDim());
    }
}
