package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Describes a tensor to the copy engine of Hopper (TMA), by `cuTensorMapEncodeTiled`.
final class TensorMapEncoder {
    /// Of a `CUtensorMap`.
    static final int BYTES = 128;

    private static final int MAX_RANK = 5;

    /// Bytes that one fetch brings into the second-level cache: 128 is a whole line,
    /// `CU_TENSOR_MAP_L2_PROMOTION_L2_128B`.
    private static final int PROMOTION_128 = 2;

    private final Gpu gpu;
    private final MemorySegment sizes;
    private final MemorySegment strides;
    private final MemorySegment box;
    private final MemorySegment ones;

    TensorMapEncoder(Gpu gpu, Arena arena) {
        this.gpu = gpu;
        this.sizes = arena.allocate(MAX_RANK * 8L, 8);
        this.strides = arena.allocate(MAX_RANK * 8L, 8);
        this.box = arena.allocate(MAX_RANK * 4L, 8);
        this.ones = arena.allocateFrom(JAVA_INT, 1, 1, 1, 1, 1);
    }

    void encode(long map, DType type, long address, long[] size, long[] stride, int[] tile, int swizzle) {
        for (int i = 0; i < size.length; i++) {
            sizes.setAtIndex(JAVA_LONG, i, size[i]);
            box.setAtIndex(JAVA_INT, i, tile[i]);
            if (i + 1 < size.length) {
                strides.setAtIndex(JAVA_LONG, i, stride[i]);
            }
        }
        int code = Calls.tensorMapEncodeTiled(
                map,
                code(type),
                size.length,
                address,
                sizes.address(),
                strides.address(),
                box.address(),
                ones.address(),
                0,
                swizzleCode(swizzle),
                PROMOTION_128,
                0);
        if (code != 0) {
            throw gpu.failure(
                    code,
                    "tensor map of " + Arrays.toString(size) + " " + type + ", strides " + Arrays.toString(stride)
                            + " bytes, box " + Arrays.toString(tile) + ", swizzle " + swizzle + " bytes");
        }
    }

    /// `CUtensorMapDataType`.
    private static int code(DType type) {
        return switch (type) {
            case U8, F8E4M3, F8E5M2, I8 -> 0; // bytes are bytes
            case I32 -> 3;
            case F16 -> 6;
            case F32 -> 7;
            case BF16 -> 9;
            case I4 -> throw new IllegalArgumentException("tensor map of I4: encode its bytes as U8");
        };
    }

    /// `CUtensorMapSwizzle`.
    private static int swizzleCode(int bytes) {
        return switch (bytes) {
            case 0 -> 0;
            case 32 -> 1;
            case 64 -> 2;
            case 128 -> 3;
            default -> throw new IllegalArgumentException("swizzle: " + bytes + " is not 0, 32, 64 or 128 bytes");
        };
    }
}
