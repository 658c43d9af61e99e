package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Makes random operands on the device and reads parts of them as doubles.
public final class Operands {
    private static final long SEED = 20261124;
    private int site;

    /// Normal numbers of this deviation.
    public Tensor normal(double deviation, DType dtype, int... dims) {
        Tensor t = Tensor.empty(Shape.of(dims), dtype);
        refill(t, deviation);
        return t;
    }

    /// Fresh normal numbers in a tensor that a run has overwritten.
    void refill(Tensor t, double deviation) {
        t.kernels().random(t, (float) deviation, SEED, ++site);
    }

    /// Ids below `limit`, the same for each call.
    static int[] ids(int n, int limit) {
        int[] ids = new int[n];
        long state = SEED;
        for (int i = 0; i < n; i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            ids[i] = (int) Long.remainderUnsigned(state >>> 33, limit);
        }
        return ids;
    }

    /// `count` elements from `offset` on.
    public static double[] read(Tensor t, long offset, int count) {
        Tensor part = t.detach().slice(offset, Shape.of(count));
        byte[] bytes = new byte[Math.toIntExact(part.bytes())];
        MemorySegment host = MemorySegment.ofArray(bytes);
        part.copyTo(host);
        double[] values = new double[count];
        for (int i = 0; i < count; i++) {
            values[i] = switch (t.dtype()) {
                case F32 -> host.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                case BF16 -> Float.intBitsToFloat(host.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i) << 16);
                case F16 -> Float.float16ToFloat(host.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i));
                case I32 -> host.get(ValueLayout.JAVA_INT_UNALIGNED, 4L * i);
                case U8 -> bytes[i] & 0xFF;
                case F8E4M3, F8E5M2, I8, I4 ->
                    throw new IllegalArgumentException("read: " + t + " means nothing without its scales");
            };
        }
        return values;
    }

    /// Row `row` of a tensor whose rows are its last dimension.
    static double[] row(Tensor t, long row) {
        int c = columns(t);
        return read(t, row * c, c);
    }

    static int columns(Tensor t) {
        return t.shape().dim(t.shape().rank() - 1);
    }

    /// Three places to look at: the first, one in the middle, the last.
    static int[] places(int n) {
        return n == 1 ? new int[] {0} : n == 2 ? new int[] {0, 1} : new int[] {0, n / 2 + 1 < n ? n / 2 + 1 : 1, n - 1};
    }
}
