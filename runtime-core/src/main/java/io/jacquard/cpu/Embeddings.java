package io.jacquard.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Rows of a table by token, and the sums of their gradients.
final class Embeddings {
    private Embeddings() {}

    /// `time`: how many positions, the last dimension of `ids`.
    static void forward(
            Workers workers,
            Operand out,
            Operand table,
            Operand ids,
            @Nullable Operand positions,
            long rows,
            int c,
            int vocabulary,
            int time) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long st = lane.floats(c);
            long sp = lane.floats(c);
            for (long i = first; i < last; i++) {
                int id = id(ids, i, vocabulary);
                if (positions == null) {
                    Mem.copy(table.at((long) id * c), out.at(i * c), (long) c * out.elementBytes());
                    continue;
                }
                long t = table.read((long) id * c, c, st);
                long p = positions.read(i % time * c, c, sp);
                FloatMath.add(out.target(i * c, st), t, p, c);
                out.written(i * c, c, st);
            }
        });
    }

    /// Ids come from data, and a wrong one would write anywhere.
    private static int id(Operand ids, long i, int vocabulary) {
        int id = Mem.getInt(ids.at(i));
        if (id < 0 || id >= vocabulary) {
            throw new IllegalArgumentException(
                    "embedding: id " + id + " at index " + i + " is not in the table of " + vocabulary + " rows");
        }
        return id;
    }

    /// Sorts the rows by id (stable), then each chunk owns a range of ids: no two threads write one row.
    static void backward(
            Workers workers, Operand dTable, Operand dy, Operand ids, float beta, int rows, int c, int vocabulary) {
        long[] order = new long[rows];
        for (int i = 0; i < rows; i++) {
            order[i] = (long) id(ids, i, vocabulary) << 32 | i;
        }
        Arrays.sort(order);
        int perChunk = Math.max(1, Elementwise.CHUNK / Math.max(1, c));
        workers.run(Math.ceilDiv(vocabulary, perChunk), (chunk, lane) -> {
            int from = chunk * perChunk;
            int to = Math.min(vocabulary, from + perChunk);
            if (beta == 0f) {
                Mem.zero(dTable.at((long) from * c), (long) (to - from) * c * dTable.elementBytes());
            }
            long sum = lane.floats(c);
            long scratch = lane.floats(c);
            int i = -1 - Arrays.binarySearch(order, ((long) from << 32) - 1);
            while (i < rows && order[i] >>> 32 < to) {
                i = oneId(dTable, dy, order, i, c, sum, scratch, beta);
            }
        });
    }

    /// Adds up the rows of one id, from index `i` of the order on; returns the index after them.
    private static int oneId(
            Operand dTable, Operand dy, long[] order, int i, int c, long sum, long scratch, float beta) {
        long id = order[i] >>> 32;
        Mem.zero(sum, 4L * c);
        int next = i;
        for (; next < order.length && order[next] >>> 32 == id; next++) {
            FloatMath.accumulate(sum, dy.read((int) order[next] * (long) c, c, scratch), c);
        }
        Rows.store(dTable, id * c, c, sum, scratch, beta);
        return next;
    }
}
