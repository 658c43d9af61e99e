package io.jacquard.train;

import io.jacquard.data.Batches;
import io.jacquard.data.tokenizer.Tokenizer;
import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import io.jacquard.nn.Decoder;
import io.jacquard.nn.Pass;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Arrays;
import java.util.function.BinaryOperator;

/// Scores a model on sequences of token shards.
///
/// The score is the same to the bit for every batch size, for any number of replicas, and on all of them: which
/// sequences are scored does not depend on these, and the losses of the tokens are added in double precision in the
/// order of the sequences.
///
/// **Thread**: that of the model's session.
public final class Evaluator {
    private final BinaryOperator<Tensor> losses;
    private final int batch;
    private final Group replicas;
    private final int[] bytesOfToken;

    /// @param batch sequences computed at once
    public Evaluator(Decoder decoder, Tokenizer tokenizer, int batch) {
        this(
                (tokens, labels) -> decoder.tokenLosses(tokens, labels, Pass.PLAIN),
                decoder.config().vocabulary(),
                tokenizer,
                batch,
                new SoloGroup());
    }

    /// @param losses of tokens and labels, both I32 `[B, T]`: F32 `[B*T]`
    /// @param vocabulary the model's
    /// @param batch sequences computed at once
    /// @param replicas of the model, which share out the sequences: all must call, with the same data
    Evaluator(BinaryOperator<Tensor> losses, int vocabulary, Tokenizer tokenizer, int batch, Group replicas) {
        if (batch < 1) {
            throw new IllegalArgumentException("evaluation: batch " + batch + "; expected at least 1");
        }
        this.losses = losses;
        this.batch = batch;
        this.replicas = replicas;
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
        double total = 0;
        long bytes = 0;
        int context = data.context();
        for (long done = 0; done < count; ) {
            int now = (int) Math.min((long) batch * replicas.size(), count - done);
            int[] tokens = new int[now * context];
            int[] labels = new int[now * context];
            fill(data, done, now, tokens, labels);
            float[] found = losses(tokens, labels, context);
            for (int i = 0; i < labels.length; i++) {
                total += found[i];
                bytes += bytesOfToken[labels[i]];
            }
            done += now;
        }
        long n = count * context;
        return new Score(total / n, n, bytes);
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

    /// Of all tokens. Each replica computes as many sequences as the others, since all have to call its
    /// collectives: where these do not divide, the last ones compute the last sequence again, behind what is asked
    /// for.
    private float[] losses(int[] tokens, int[] labels, int context) {
        int rows = Math.ceilDiv(tokens.length / context, replicas.size());
        try (var _ = Scope.openWithoutGrad("evaluation")) {
            Tensor here = losses.apply(share(tokens, rows, context), share(labels, rows, context));
            Tensor all = Tensor.empty(Shape.of(replicas.size() * rows * context), DType.F32);
            replicas.allGather(all, here).join();
            return all.toFloats();
        }
    }

    private Tensor share(int[] all, int rows, int context) {
        int[] share = new int[rows * context];
        for (int r = 0; r < rows; r++) {
            int from = Math.min((replicas.rank() * rows + r) * context, all.length - context);
            System.arraycopy(all, from, share, r * context, context);
        }
        return Tensor.of(Shape.of(rows, context), share);
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
