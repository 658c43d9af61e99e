package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.List;
import java.util.function.Supplier;

/// A library that computes at once and differentiates what it has computed.
interface Library<T> extends Layers<T> {
    /// A tensor that lives until it is freed.
    T floats(Floats values, DType dtype);

    T ids(int[] values, long... dims);

    Floats read(T t);

    void free(T t);

    /// Runs `work` and frees each tensor that it made, but for its result.
    List<T> scoped(Supplier<List<T>> work);

    T matmul(T a, T b);

    /// A copy in this dtype.
    T cast(T x, DType dtype);

    T copy(T x);

    /// The same values, stored row by row.
    T contiguous(T x);

    T gelu(T x, Gelu function);

    /// Of `[rows, vocabulary]` logits, each row's loss.
    T crossEntropy(T logits, T labels);

    T mean(T x);

    @Override
    default T loss(T logits, T labels) {
        return mean(crossEntropy(logits, labels));
    }

    /// Has its gradient computed from now on.
    void differentiate(T leaf);

    /// The gradients of `leaves` for the gradient `dy` of `y`, which can be asked for again and again; some
    /// libraries add them to those of the time before.
    List<T> gradients(T y, T dy, List<T> leaves);

    void forgetGradient(T leaf);

    /// Makes the leaf's own gradient this.
    void setGradient(T leaf, T gradient);

    /// Adds to the own gradient of each leaf.
    void backward(T loss);

    double item(T t);

    /// Clipping and AdamW of these leaves with their own gradients.
    Updates adamW(List<T> decayed, List<T> others, double rate);

    /// What a step of BF16 over F32 weights runs in.
    Mixed mixed();

    /// A stretch in which products are computed in BF16.
    interface Mixed extends AutoCloseable {
        @Override
        void close();
    }

    /// An optimizer with its state.
    interface Updates extends AutoCloseable {
        void step();

        @Override
        void close();
    }
}
