package io.jacquard.cpu;

import io.jacquard.cpu.Quantization.Copy;
import io.jacquard.tensor.DType;
import org.jspecify.annotations.Nullable;

/// [io.jacquard.tensor.spi.Casts] as kernels see them: made of [Quantization#TILE] rows of a result as soon as these
/// are there.
///
/// @param amax where the largest magnitude goes; 0: nowhere
/// @param type that of the result
/// @param rows of the result
/// @param columns of the result
record Casting(@Nullable Copy straight, @Nullable Copy transposed, long amax, DType type, int rows, int columns) {
    /// Writes rows `first` to `last` of a result to `out`.
    interface Producer {
        void run(Operand out, long first, long last, Lane lane);
    }

    /// @param out where the result goes, too, or null
    void run(Workers workers, @Nullable Operand out, Producer producer) {
        int chunks = Math.ceilDiv(rows, Quantization.TILE);
        Lane mine = workers.borrow();
        try {
            long partials = mine.floats(Math.max(1, chunks));
            workers.run(
                    chunks,
                    (chunk, lane) -> {
                        int first = chunk * Quantization.TILE;
                        int last = Math.min(rows, first + Quantization.TILE);
                        Operand to = out == null ? scratch(lane, first, last) : out;
                        producer.run(to, first, last, lane);
                        Mem.setInt(partials + 4L * chunk, cast(to, first, last, lane));
                    },
                    mine);
            for (int i = 0; i < chunks && amax != 0; i++) {
                Mem.setInt(amax, Math.max(Mem.getInt(amax), Mem.getInt(partials + 4L * i)));
            }
        } finally {
            workers.giveBack(mine);
        }
    }

    /// Room for these rows alone, at their places in a result that is not there.
    private Operand scratch(Lane lane, int first, int last) {
        int bytes = (int) type.bytes(1);
        long row = (long) columns * bytes;
        return new Operand(lane.bytes((last - first) * row) - first * row, type, bytes);
    }

    /// Gives the largest magnitude of the rows, as bits.
    private int cast(Operand x, int first, int last, Lane lane) {
        if (straight != null) {
            Quantization.straightRows(straight, x, first, last, columns, lane);
        }
        if (transposed != null) {
            Quantization.transposedRows(transposed, x, first, last, rows, columns, lane);
        }
        int most = 0;
        long floats = lane.floats(columns);
        for (int r = first; r < last && amax != 0; r++) {
            most = Math.max(most, LowPrecision.absMax(x.read((long) r * columns, columns, floats), columns));
        }
        return most;
    }
}
