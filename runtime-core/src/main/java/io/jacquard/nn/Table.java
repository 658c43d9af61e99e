package io.jacquard.nn;

import io.jacquard.ops.Ops;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// A table with a row for each token, `[V, C]`, whose rows the tensor ranks divide: the embedding, the head, or both.
final class Table {
    private final Partition part;
    private final int firstToken;
    private final @Nullable Parameter parameter;

    private Table(Partition part, int firstToken, @Nullable Parameter parameter) {
        this.part = part;
        this.firstToken = firstToken;
        this.parameter = parameter;
    }

    /// The embedding, which is the head, too, where the model is tied: then both ends of a pipeline have it.
    static Table embedding(DecoderConfig config, Partition part, Weights w, String name) {
        return part.first() || config.tied() && part.last()
                ? of(config, part, w.copies("embedding", part.ends()), name)
                : elsewhere(part);
    }

    /// The head of a model that is not tied.
    static Table head(DecoderConfig config, Partition part, Weights w, String name) {
        return part.last() ? of(config, part, w.segment("head"), name) : elsewhere(part);
    }

    private static Table elsewhere(Partition part) {
        return new Table(part, 0, null);
    }

    private static Table of(DecoderConfig config, Partition part, Weights w, String name) {
        int v = config.vocabulary();
        Shape shape = Shape.of(v, config.width());
        List<Slice> slices = part.divide("tokens", 0, new Partition.Units(v, 1));
        int mine = part.tensor().rank();
        return new Table(part, part.share("tokens", v).from(), w.declare(name, shape, slices, mine, Init.normal(0.02)));
    }

    /// @throws IllegalStateException where it is on another rank
    Parameter parameter() {
        return here("token table", parameter);
    }

    /// The stream that begins with the rows of tokens of this shape.
    Stream stream(Shape tokens) {
        return Stream.of(
                part.tensor(), tokens, Tensor.records(List.of(parameter().value())));
    }

    /// The rows of `ids` plus `positions`: a part of the sum over the tensor ranks.
    Tensor rows(Tensor ids, @Nullable Tensor positions) {
        return Ops.embedding(parameter().value(), ids, firstToken, positions);
    }

    /// What must be on this rank.
    static <T> T here(String what, @Nullable T thing) {
        if (thing == null) {
            throw new IllegalStateException("model: this rank does not hold the " + what + " of the model");
        }
        return thing;
    }
}
