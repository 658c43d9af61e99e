package io.jacquard.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.jacquard.group.Group;
import io.jacquard.group.LocalGroup;
import io.jacquard.group.SoloGroup;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.HostBackend;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/// What an operation says about wrong operands; and that it says so before anything is launched.
final class OpsMessagesTest {
    private HostBackend backend;
    private Session session;

    @BeforeEach
    void open() {
        backend = new HostBackend();
        session = Session.over(backend);
    }

    @AfterEach
    void close() {
        session.close();
    }

    private static Tensor t(int... dims) {
        return Tensor.empty(Shape.of(dims), DType.F32);
    }

    private static Tensor t(DType dtype, int... dims) {
        return Tensor.empty(Shape.of(dims), dtype);
    }

    private void refused(String message, Executable call) {
        try (var _ = Scope.open("test")) {
            assertEquals(
                    message, assertThrows(IllegalArgumentException.class, call).getMessage());
            assertEquals(List.of(), backend.takeLog(), "launched before the check");
        }
    }

    @Test
    void elementwise() {
        refused("add: shapes differ: [2, 3] and [3, 2]", () -> Ops.add(t(2, 3), t(3, 2)));
        refused("mul: dtypes differ: [2] F32 and [2] BF16; cast one of them", () -> Ops.mul(t(2), t(DType.BF16, 2)));
        refused(
                "add: [2] I32 is not of a floating dtype; cast it first",
                () -> Ops.add(t(DType.I32, 2), t(DType.I32, 2)));
        refused("addRow: a row of [2, 3] has 3 elements, [2] F32 does not fit", () -> Ops.addRow(t(2, 3), t(2)));
        refused("swiGlu: the last dimension holds gate and up and must be even: [2, 3]", () -> Ops.swiGlu(t(2, 3)));
        refused("gelu: [1] U8 is not of a floating dtype; cast it first", () -> Ops.gelu(t(DType.U8, 1)));
    }

    @Test
    void products() {
        refused(
                "matmul: inner dimensions differ: a=[8, 512], b=[768, 512] (512 != 768)",
                () -> Ops.matmul(t(8, 512), t(768, 512)));
        refused("matmul: expected 2 dimensions, got [2, 2, 2]", () -> Ops.matmul(t(2, 2), t(2, 2, 2)));
        refused(
                "linear: inner dimensions differ: x=[8, 512], weight=[512, 768] transposed (512 != 768)",
                () -> Ops.linear(t(8, 512), t(512, 768), null));
        refused(
                "linear: a row of [8, 7] has 7 elements, [6] F32 does not fit",
                () -> Ops.linear(t(8, 5), t(7, 5), t(6)));
    }

    @Test
    void shapes() {
        refused("reshape: [2, 3] has 6 elements, [4] has 4", () -> Ops.reshape(t(2, 3), Shape.of(4)));
        refused("permute: [0, 0] is not an order of the dimensions of [2, 3]", () -> Ops.permute(t(2, 3), 0, 0));
        refused("permute: [1] is not an order of the dimensions of [2, 3]", () -> Ops.permute(t(2, 3), 1));
        refused("narrow: 2 from 2 is not inside dimension 1 of [2, 3]", () -> Ops.narrow(t(2, 3), 1, 2, 2));
        refused("shape: no dimension 2 in [2, 3]", () -> Ops.narrow(t(2, 3), 2, 0, 1));
        refused("concat: no tensors given", () -> Ops.concat(0));
        refused("concat: [2, 3] and [3, 3] differ outside dimension 1", () -> Ops.concat(1, t(2, 3), t(3, 3)));
        refused("shape: no dimension 2 in [2, 3]", () -> Ops.concat(2, t(2, 3), t(2, 3)));
        refused("concat: no dimension -1 in [2, 3]", () -> Ops.concat(-1, t(2, 3), t(2, 3)));
        refused("narrow: 1 from 0 is not inside dimension -1 of [2, 3]", () -> Ops.narrow(t(2, 3), -1, 0, 1));
    }

    @Test
    void attention() {
        refused(
                "attention: rows of [1, 2, 10] are not 2 query and 2 * 2 key/value heads of one size, "
                        + "with the query heads a multiple of the others",
                () -> Ops.attention(t(1, 2, 10), 2, 2));
        refused("attention: heads must be positive, is 0", () -> Ops.attention(t(1, 2, 10), 0, 2));
        refused("attention: expected 3 dimensions, got [2, 12]", () -> Ops.attention(t(2, 12), 2, 2));
        refused(
                "rope: 2 heads of even dimension 3 do not fit rows of [1, 2, 12]",
                () -> Ops.rope(t(1, 2, 12), 2, 3, 10000f, 0));
        refused(
                "rope: 4 heads of even dimension 4 do not fit rows of [1, 2, 12]",
                () -> Ops.rope(t(1, 2, 12), 4, 4, 10000f, 0));
    }

    @Test
    void tokens() {
        Tensor ids = t(DType.I32, 2, 3);
        refused("embedding: ids [2, 3] F32 must be I32", () -> Ops.embedding(t(4, 5), t(2, 3), null));
        refused(
                "embedding: 3 tokens of width 5 need as many positions; there are [2, 5]",
                () -> Ops.embedding(t(4, 5), ids, t(2, 5)));
        refused("embedding: expected 2 dimensions, got [5]", () -> Ops.embedding(t(5), ids, null));
        refused("embedding: the first id must not be negative, is -3", () -> Ops.embedding(t(4, 5), ids, -3, null));
        refused(
                "crossEntropy: the first label must not be negative, is -1",
                () -> Ops.tokenLosses(t(2, 3, 4), ids, -1, new SoloGroup()));
        refused(
                "crossEntropy: a group of one has all labels, from 0 on; the first of [2, 3, 4] F32 is 4",
                () -> Ops.crossEntropy(t(2, 3, 4), ids, t(1), 4, new SoloGroup()));
        refused(
                "crossEntropy: labels [2] I32 must have 6 elements",
                () -> Ops.crossEntropy(t(2, 3, 4), t(DType.I32, 2), t(1)));
        refused("crossEntropy: scale [2] F32 must have 1 elements", () -> Ops.crossEntropy(t(2, 3, 4), ids, t(2)));
        refused("crossEntropy: labels [2, 3] F32 must be I32", () -> Ops.tokenLosses(t(2, 3, 4), t(2, 3)));
        refused(
                "dropout: the probability must be in [0, 1), is 1.0",
                () -> Ops.dropout(t(2), 1f, 0, t(DType.I32, 2), 0));
        refused(
                "dropout: the index of the first element must not be negative, is -4",
                () -> Ops.dropout(t(2), 0.5f, 0, t(DType.I32, 2), 0, -4));
        refused("dropout: counters [3] I32 must have 2 elements", () -> Ops.dropout(t(2), 0.5f, 0, t(DType.I32, 3), 0));
    }

    @Test
    void norms() {
        refused(
                "layerNorm: a row of [2, 3] has 3 elements, [2] F32 does not fit",
                () -> Ops.layerNorm(t(2, 3), null, t(2), t(3), 1e-5f));
        refused("layerNorm: shapes differ: [2, 3] and [3]", () -> Ops.layerNorm(t(2, 3), t(3), t(3), t(3), 1e-5f));
        refused(
                "rmsNorm: dtypes differ: [2, 3] F32 and [3] BF16; cast one of them",
                () -> Ops.rmsNorm(t(2, 3), null, t(DType.BF16, 3), 1e-5f));
    }

    @Test
    void groups() {
        Group solo = new SoloGroup();
        Tensor ids = t(DType.I32, 2);
        String integers = ": [2] I32 is not of a floating dtype; cast it first";
        refused("afterBackward" + integers, () -> Ops.afterBackward(ids, () -> {}));
        refused("beforeBackward" + integers, () -> Ops.beforeBackward(ids, () -> {}));
        refused("copyToGroup" + integers, () -> Ops.copyToGroup(ids, solo));
        refused("allReduce" + integers, () -> Ops.allReduce(ids, solo));
        refused("gatherRows" + integers, () -> Ops.gatherRows(ids, solo));
        refused("scatterRows" + integers, () -> Ops.scatterRows(ids, solo));
        LocalGroup.run(2, group -> {
            if (group.rank() == 0) { // the thread of the session
                refused(
                        "scatterRows: [3, 5, 4] has 15 rows, which do not divide among 2 ranks; choose a batch with a "
                                + "multiple of 2 tokens",
                        () -> Ops.scatterRows(t(3, 5, 4), group));
            }
        });
    }
}
