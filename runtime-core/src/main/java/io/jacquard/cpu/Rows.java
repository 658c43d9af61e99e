package io.jacquard.cpu;

/// Launches over rows, in chunks whose size depends on the row length only; and sums over rows.
final class Rows {
    /// Rows `first` (inclusive) to `last` (exclusive).
    interface Body {
        void run(long first, long last, Lane lane);
    }

    /// As [Body], adding up into `partials`, which start at zero.
    interface SummingBody {
        void run(long first, long last, Lane lane, long partials);
    }

    /// At most so many partial sums: bounds their memory and the serial tail.
    private static final int MAX_PARTIALS = 64;

    private Rows() {}

    static void run(Workers workers, long rows, int rowElements, Body body) {
        long perChunk = Math.max(1, Elementwise.CHUNK / 2 / Math.max(1, rowElements));
        workers.run(Math.toIntExact(Math.ceilDiv(rows, perChunk)), (chunk, lane) -> {
            long first = chunk * perChunk;
            body.run(first, Math.min(rows, first + perChunk), lane);
        });
    }

    /// Runs the rows in fixed chunks, each with `width` partial sums, and hands the totals to `finish`.
    static void sum(Workers workers, long rows, int rowElements, int width, SummingBody body, Body finish) {
        long perChunk = Math.max(
                Math.max(1, Elementwise.CHUNK / 2 / Math.max(1, rowElements)), Math.ceilDiv(rows, (long) MAX_PARTIALS));
        int chunks = Math.toIntExact(Math.ceilDiv(rows, perChunk));
        Lane mine = workers.borrow();
        try {
            long partials = mine.floats((long) Math.max(1, chunks) * width);
            workers.run(
                    chunks,
                    (chunk, lane) -> {
                        long first = chunk * perChunk;
                        long p = partials + 4L * chunk * width;
                        Mem.zero(p, 4L * width);
                        body.run(first, Math.min(rows, first + perChunk), lane, p);
                    },
                    mine);
            if (chunks == 0) {
                Mem.zero(partials, 4L * width);
            }
            int block = Elementwise.BLOCK;
            workers.run(
                    Math.ceilDiv(width, block),
                    (chunk, lane) -> {
                        int from = chunk * block;
                        int n = Math.min(block, width - from);
                        for (int i = 1; i < chunks; i++) {
                            FloatMath.accumulate(partials + 4L * from, partials + 4L * ((long) i * width + from), n);
                        }
                    },
                    mine);
            finish.run(partials, partials + 4L * width, mine);
        } finally {
            workers.giveBack(mine);
        }
    }

    /// Stores a row of floats: `out = values + beta * out`. `values` may be the row itself when beta is 0.
    static void store(Operand out, long at, int n, long values, long scratch, float beta) {
        if (beta != 0f) {
            Elementwise.accumulate(out, at, n, values, scratch, beta);
        } else if (!out.inPlace()) {
            out.written(at, n, values);
        } else if (values != out.at(at)) {
            Mem.copy(values, out.at(at), 4L * n);
        }
    }

    /// `out[c] = sum over rows + beta * out`.
    static void sumRows(Workers workers, Operand out, Operand x, float beta, long rows, int c) {
        sum(
                workers,
                rows,
                c,
                c,
                (first, last, lane, partials) -> {
                    long s = lane.floats(c);
                    for (long i = first; i < last; i++) {
                        FloatMath.accumulate(partials, x.read(i * c, c, s), c);
                    }
                },
                (from, to, lane) -> store(out, 0, c, from, lane.floats(c), beta));
    }
}
