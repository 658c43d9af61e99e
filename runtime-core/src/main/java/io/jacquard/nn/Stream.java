package io.jacquard.nn;

import io.jacquard.group.Group;
import io.jacquard.ops.Ops;
import io.jacquard.ops.Reader;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/// How the residual stream of one pass lies on the tensor ranks: each holds its share of the rows, token by token, and
/// norms, dropout and sums work on that alone (sequence parallelism, Korthikanti et al., arXiv:2205.05198). Between,
/// in attention and feed-forward layers, each rank sees all rows and computes with its share of the weights.
///
/// Where the ranks do not divide the rows, each holds all of them; that is for passes without gradients.
///
/// @param isDivided whether each rank holds a share of the rows
record Stream(Group tensor, int batch, int time, boolean isDivided) {
    /// For tokens of shape `[B, T]`.
    ///
    /// @throws IllegalArgumentException in a pass with gradients whose rows the ranks do not divide
    static Stream of(Group tensor, Shape tokens, boolean withGradient) {
        int ranks = tensor.size();
        int rows = Math.multiplyExact(tokens.dim(0), tokens.dim(1));
        if (withGradient && rows % ranks != 0) {
            throw new IllegalArgumentException("tensor parallel: " + tokens.dim(0) + " sequences of " + tokens.dim(1)
                    + " tokens are " + rows + " rows, which " + ranks
                    + " ranks do not divide; expected a multiple, by another micro-batch or context");
        }
        return new Stream(tensor, tokens.dim(0), tokens.dim(1), ranks > 1 && rows % ranks == 0);
    }

    /// All rows, `[B, T, C]`, of what is here.
    Tensor enter(Tensor x) {
        Tensor all = isDivided ? Ops.gatherRows(x, tensor) : Ops.copyToGroup(x, tensor);
        return Ops.reshape(all, Shape.of(batch, time, x.shape().last()));
    }

    /// Who alone reads what [#enter] is given: `layer`, where it is handed on as it is.
    @Nullable
    Reader reader(Linear layer) {
        return tensor.size() == 1 ? layer.reader() : null;
    }

    /// What belongs here of the sum over the ranks of `partial` `[B, T, C]`.
    Tensor leave(Tensor partial) {
        return isDivided ? Ops.scatterRows(partial, tensor) : Ops.allReduce(partial, tensor);
    }

    /// The shape of what is here, of a stream of width `width`.
    Shape shape(int width) {
        return isDivided ? Shape.of(batch * time / tensor.size(), width) : Shape.of(batch, time, width);
    }

    /// Dropout with the mask that one rank alone would draw.
    Tensor dropout(Tensor x, Pass pass, float p, int site) {
        Tensor counters = pass.counters();
        if (counters == null || p == 0f) {
            return x;
        }
        long before = (long) pass.sequencesBefore() * time * x.shape().last();
        long first = before + (isDivided ? tensor.rank() * x.size() : 0);
        return Ops.dropout(x, p, pass.seed(), counters, site, first);
    }
}
