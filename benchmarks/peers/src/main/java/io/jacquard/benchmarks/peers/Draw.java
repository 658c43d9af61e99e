package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.util.SplittableRandom;

/// Random operands, the same for each peer. Those of a BF16 row are BF16 numbers, so that every library takes them as
/// they are.
final class Draw {
    private final SplittableRandom random = new SplittableRandom(20261124);
    private final DType dtype;

    Draw(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.BF16) {
            throw new IllegalArgumentException("rows of the JVM peers are f32 or bf16, not " + dtype);
        }
        this.dtype = dtype;
    }

    /// Normal numbers of this deviation.
    Floats normal(double deviation, long... dims) {
        float[] values = new float[size(dims)];
        for (int i = 0; i < values.length; i++) {
            float v = (float) (deviation * random.nextGaussian());
            values[i] = dtype == DType.BF16 ? rounded(v) : v;
        }
        return new Floats(values, dims);
    }

    /// Ids below `limit`.
    int[] ids(int n, int limit) {
        return random.ints(n, 0, limit).toArray();
    }

    private static int size(long... dims) {
        long size = 1;
        for (long d : dims) {
            size = Math.multiplyExact(size, d);
        }
        return Math.toIntExact(size);
    }

    /// To the nearest BF16 number, ties to the even one.
    private static float rounded(float v) {
        int bits = Float.floatToRawIntBits(v);
        return Float.intBitsToFloat((bits + 0x7FFF + (bits >>> 16 & 1)) & 0xFFFF0000);
    }
}
