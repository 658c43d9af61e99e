package io.jacquard.cpu;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Rows of a table by token, and the sums of their gradients.
final class Embeddings {
    private Embeddings() {}

    /// The `rows` rows of a table of `vocabulary` that are here, from that of `firstId` on.
    record Part(int firstId, int rows, int vocabulary) {}

    /// `time`: how many positions, the last dimension of `ids`.
    static void forward(
            Workers workers,
            Operand out,
            Operand table,
            Operand ids,
            @Nullable Operand positions,
            long rows,
            int c,
            Part part,
            int time) {
        Rows.run(workers, rows, c, (first, last, lane) -> {
            long st = lane.floats(c);
            long sp = lane.floats(c);
            for (long i = first; i < last; i++) {
                long row = row(ids, i, part);
                if (row < 0) {
                    absent(out, positions, i, time, c);
                    continue;
                }
                if (positions == null) {
                    Mem.copy(table.at(row * c), out.at(i * c), (long) c * out.elementBytes());
                    continue;
                }
                long t = table.read(row * c, c, st);
                long p = positions.read(i % time * c, c, sp);
                FloatMath.add(out.target(i * c, st), t, p, c);
                out.written(i * c, c, st);
            }
        });
    }

    /// Where id `i` has its row, or -1.
    private static int row(Operand ids, long i, Part part) {
        int id = Mem.getInt(ids.at(i));
        if (id < 0 || id >= part.vocabulary) {
            throw new IllegalArgumentException(
                    "embedding: id " + id + " at index " + i + " is not in the table of " + part.vocabulary + " rows");
        }
        int row = id - part.firstId;
        return row < part.rows ? row : -1;
    }

    private static void absent(Operand out, @Nullable Operand positions, long i, int time, int c) {
        long bytes = (long) c * out.elementBytes();
        if (positions == null) {
            Mem.zero(out.at(i * c), bytes);
        } else {
            Mem.copy(positions.at(i % time * c), out.at(i * c), bytes);
        }
    }

    /// Sorts the rows by id (stable), then each chunk owns a range of ids: no two threads write one row.
    static void backward(
            Workers workers,
            Operand dTable,
            Operand dy,
            Operand ids,
            int firstId,
            float beta,
            int rows,
            int c,
            int tableRows) {
        long[] order = sorted(ids, firstId, rows, tableRows);
        int perChunk = Math.max(1, Elementwise.CHUNK / Math.max(1, c));
        workers.run(Math.ceilDiv(tableRows, perChunk), (chunk, lane) -> {
            int from = chunk * perChunk;
            int to = Math.min(tableRows, from + perChunk);
            if (beta == 0f) {
                Mem.zero(dTable.at((long) from * c), (long) (to - from) * c * dTable.elementBytes());
            }
            long sum = lane.floats(c);
            long scratch = lane.floats(c);
            int i = -1 - Arrays.binarySearch(order, ((long) from << 32) - 1);
            while (i < order.length && order[i] >>> 32 < to) {
                i = oneId(dTable, dy, order, i, c, sum, scratch, beta);
            }
        });
    }

    /// (row of the table, row of `dy`) of the ids that have one here.
    private static long[] sorted(Operand ids, int firstId, int rows, int tableRows) {
        long[] order = new long[rows];
        int n = 0;
        for (int i = 0; i < rows; i++) {
            long row = (long) Mem.getInt(ids.at(i)) - firstId;
            if (row >= 0 && row < tableRows) {
                order[n++] = row << 32 | i;
            }
        }
        long[] here = n == rows ? order : Arrays.copyOf(order, n);
        Arrays.sort(here);
        return here;
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
