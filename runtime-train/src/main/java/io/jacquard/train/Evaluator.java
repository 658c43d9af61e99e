package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.Pass;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.function.BinaryOperator;

/// Scores a model on sequences of token shards.
///
/// The score is the same to the bit for every batch size: which sequences are scored does not depend on it, a batch is
/// never padded, and the losses of the tokens are added in double precision in the order of the sequences.
///
/// **Thread**: that of the model's session.
public final class Evaluator {
    private final BinaryOperator<Tensor> losses;
    private final int batch;
    private final int[] bytesOfToken;

    /// @param batch sequences computed at once
    public Evaluator(Decoder decoder, Tokenizer tokenizer, int batch) {
        this(
                (tokens, labels) -> decoder.tokenLosses(tokens, labels, Pass.PLAIN),
                decoder.config().vocabulary(),
                tokenizer,
                batch);
    }

    /// @param losses of tokens and labels, both I32 `[B, T]`: F32 `[B*T]`
    /// @param vocabulary the model's
    /// @param batch sequences computed at once
    Evaluator(BinaryOperator<Tensor> losses, int vocabulary, Tokenizer tokenizer, int batch) {
        if (batch < 1) {
            throw new IllegalArgumentException("evaluation: batch " + batch + "; expected at least 1");
        }
        this.losses = losses;
        this.batch = batch;
        bytesOfToken = new int[vocabulary];
        int known = Math.min(bytesOfToken.length, tokenizer.vocabularySize());
        for (int id = 0; id < known; id++) {
            bytesOfToken[id] = length(tokenizer, id);
        }
        tokenizer.endOfText().ifPresent(id -> bytesOfToken[id] = 0);
    }

    // Ids may have gaps, which no text contains.
    private static int length(Tokenizer tokenizer, int id) {
        try {
            return tokenizer.decodeBytes(id).length;
        } catch (IllegalArgumentException e) {
            return 0;
        }
    }

    /// Scores `sequences` sequences, or all if there are fewer: the first of a fixed shuffle of `data`, which makes
    /// a small number of them a fair sample.
    public Score score(Batches data, long sequences) {
        long count = Math.min(sequences, data.windows());
        double[] total = new double[1];
        long[] bytes = new long[1];
        int context = data.context();
        for (long done = 0; done < count; done += batch) {
            int rows = (int) Math.min(batch, count - done);
            int[] tokens = new int[rows * context];
            int[] labels = new int[rows * context];
            fill(data, done, rows, tokens, labels);
            float[] found = losses(tokens, labels, rows, context);
            for (int i = 0; i < found.length; i++) {
                total[0] += found[i];
                bytes[0] += bytesOfToken[labels[i]];
            }
        }
        long n = count * context;
        return new Score(total[0] / n, n, bytes[0]);
    }

    private static void fill(Batches data, long first, int rows, int[] tokens, int[] labels) {
        Batches.Layout single = new Batches.Layout(1, 1, 0, 1);
        int context = data.context();
        int[] t = new int[context];
        int[] l = new int[context];
        for (int r = 0; r < rows; r++) {
            data.fill(first + r, 0, single, t, l);
            System.arraycopy(t, 0, tokens, r * context, context);
            System.arraycopy(l, 0, labels, r * context, context);
        }
    }

    private float[] losses(int[] tokens, int[] labels, int rows, int context) {
        try (var _ = Scope.openWithoutGrad("evaluation")) {
            Shape shape = Shape.of(rows, context);
            return losses.apply(Tensor.of(shape, tokens), Tensor.of(shape, labels))
                    .toFloats();
        }
    }

    /// The entropy in nats of the tokens' frequencies in `data`: the loss of the best model that sees no context.
    public static double unigramEntropy(Batches data, int vocabulary, long sequences) {
        long[] counts = new long[vocabulary];
        int[] tokens = new int[data.context()];
        int[] labels = new int[data.context()];
        long n = Math.min(sequences, data.windows());
        for (long i = 0; i < n; i++) {
            fill(data, i, 1, tokens, labels);
            for (int label : labels) {
                counts[label]++;
            }
        }
        double total = (double) n * data.context();
        return Arrays.stream(counts)
                .filter(c -> c > 0)
                .mapToDouble(c -> -c / total * Math.log(c / total))
                .sum();
    }
}
