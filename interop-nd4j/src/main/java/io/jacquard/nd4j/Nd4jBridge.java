package io.jacquard.nd4j;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;
import org.bytedeco.javacpp.indexer.Bfloat16Indexer;
import org.bytedeco.javacpp.indexer.FloatIndexer;
import org.bytedeco.javacpp.indexer.HalfIndexer;
import org.bytedeco.javacpp.indexer.IntIndexer;
import org.bytedeco.javacpp.indexer.UByteIndexer;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.concurrency.AffinityManager.Location;
import org.nd4j.linalg.api.memory.pointers.PagedPointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.executioner.OpExecutioner.ExecutionerType;
import org.nd4j.linalg.factory.Nd4j;

/// Arrays of ND4J to tensors and back. The types both sides have:
///
/// | ND4J | tensor |
/// | --- | --- |
/// | `FLOAT` | `F32` |
/// | `BFLOAT16` | `BF16` |
/// | `HALF` | `F16` |
/// | `INT` | `I32` |
/// | `UBYTE` | `U8` |
public final class Nd4jBridge {
    private Nd4jBridge() {}

    /// Copies an array of any order, strides and offset into a tensor of the same shape, row-major.
    /// `Nd4j.empty(type)`, which has no dimensions and no elements, becomes `[0]`.
    ///
    /// **Memory**: the tensor belongs to the current scope. An array that is not row-major and gapless is first
    /// copied by ND4J.
    ///
    /// @throws IllegalArgumentException if the array's type is not in the table above, with the type to convert it
    /// to
    /// @throws IllegalStateException if the array was closed
    public static Tensor toTensor(INDArray array) {
        if (array.wasClosed()) {
            throw new IllegalStateException("toTensor: the array was closed");
        }
        DType dtype = dtype(array.dataType());
        Tensor tensor = Tensor.empty(shape(array), dtype);
        if (tensor.size() > 0) {
            INDArray rows = isRowMajor(array) ? array : array.dup('c');
            try {
                tensor.copyFrom(memory(rows, tensor.bytes()));
            } finally {
                Reference.reachabilityFence(rows); // else the collector may free its memory during the copy
            }
        }
        return tensor;
    }

    /// Copies the values into a new array of the same shape, row-major, as ND4J makes arrays: inside an open
    /// `MemoryWorkspace` it belongs to that.
    ///
    /// **Device**: any; waits for it.
    public static INDArray toArray(Tensor tensor) {
        INDArray array = Nd4j.createUninitialized(dataType(tensor.dtype()), dims(tensor.shape()), 'c');
        if (tensor.size() > 0) {
            tensor.copyTo(memory(array, tensor.bytes()));
            Nd4j.getAffinityManager().tagLocation(array, Location.HOST);
        }
        return array;
    }

    /// An array over the tensor's own memory, without a copy: what one side writes, the other reads. Automatic
    /// differentiation does not see what is written through it, and a captured graph does not repeat it.
    ///
    /// **Memory**: the array must not be used after the tensor's scope has closed. ND4J cannot check this: such a
    /// use reads or overwrites other tensors, or ends the JVM. Closing or dropping the array leaves the tensor
    /// alone.
    ///
    /// **Device**: `cpu` only, and ND4J's own CPU backend.
    ///
    /// @throws IllegalArgumentException if the tensor is on another device
    /// @throws IllegalStateException if the tensor's scope has closed, or if ND4J computes on another device
    public static INDArray view(Tensor tensor) {
        if (!tensor.device().kind().equals("cpu")) {
            throw new IllegalArgumentException("view: " + tensor + " is on " + tensor.device()
                    + ", whose memory ND4J cannot address; use toArray, which copies");
        }
        ExecutionerType executioner = Nd4j.getExecutioner().type();
        if (executioner != ExecutionerType.NATIVE_CPU) {
            throw new IllegalStateException("view: ND4J computes on " + executioner
                    + " and would work on a copy of its own; use toArray, or make nd4j-native the ND4J backend");
        }
        long address = tensor.address();
        DataType type = dataType(tensor.dtype());
        long[] dims = dims(tensor.shape());
        if (tensor.size() == 0) {
            return Nd4j.createUninitialized(type, dims, 'c');
        }
        DataBuffer buffer = buffer(new PagedPointer(address), tensor.dtype(), type, tensor.size());
        return Nd4j.create(buffer, dims, rowMajorStrides(dims), 0, 'c', type);
    }

    private static DataBuffer buffer(Pointer memory, DType dtype, DataType type, long size) {
        return switch (dtype) {
            case F32 -> {
                FloatPointer p = new FloatPointer(memory).capacity(size);
                yield Nd4j.createBuffer(p, type, size, FloatIndexer.create(p));
            }
            case BF16 -> {
                ShortPointer p = new ShortPointer(memory).capacity(size);
                yield Nd4j.createBuffer(p, type, size, Bfloat16Indexer.create(p));
            }
            case F16 -> {
                ShortPointer p = new ShortPointer(memory).capacity(size);
                yield Nd4j.createBuffer(p, type, size, HalfIndexer.create(p));
            }
            case I32 -> {
                IntPointer p = new IntPointer(memory).capacity(size);
                yield Nd4j.createBuffer(p, type, size, IntIndexer.create(p));
            }
            case U8 -> {
                BytePointer p = new BytePointer(memory).capacity(size);
                yield Nd4j.createBuffer(p, type, size, UByteIndexer.create(p));
            }
            case F8E4M3, F8E5M2, I8, I4 -> throw refused(dtype);
        };
    }

    /// The bytes of a row-major array. The caller keeps the array reachable while it uses them.
    @SuppressWarnings("restricted")
    private static MemorySegment memory(INDArray array, long bytes) {
        Nd4j.getAffinityManager().ensureLocation(array, Location.HOST);
        return MemorySegment.ofAddress(array.data().addressPointer().address()).reinterpret(bytes);
    }

    private static boolean isRowMajor(INDArray array) {
        long[] dims = array.shape();
        long[] strides = array.stride();
        long expected = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            if (dims[i] != 1 && strides[i] != expected) {
                return false;
            }
            expected *= dims[i];
        }
        return true;
    }

    private static long[] rowMajorStrides(long[] dims) {
        long[] strides = new long[dims.length];
        long stride = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            strides[i] = stride;
            stride *= dims[i];
        }
        return strides;
    }

    private static Shape shape(INDArray array) {
        long[] dims = array.shape();
        if (array.isEmpty() && dims.length == 0) {
            return Shape.of(0);
        }
        int[] sizes = new int[dims.length];
        for (int i = 0; i < dims.length; i++) {
            if (dims[i] > Integer.MAX_VALUE) {
                throw new IllegalArgumentException("toTensor: dimension " + i + " has " + dims[i]
                        + " elements, a tensor's has at most " + Integer.MAX_VALUE + "; reshape the array first");
            }
            sizes[i] = (int) dims[i];
        }
        return Shape.of(sizes);
    }

    private static long[] dims(Shape shape) {
        long[] dims = new long[shape.rank()];
        for (int i = 0; i < dims.length; i++) {
            dims[i] = shape.dim(i);
        }
        return dims;
    }

    private static DataType dataType(DType dtype) {
        return switch (dtype) {
            case F32 -> DataType.FLOAT;
            case BF16 -> DataType.BFLOAT16;
            case F16 -> DataType.FLOAT16;
            case I32 -> DataType.INT32;
            case U8 -> DataType.UINT8;
            case F8E4M3, F8E5M2, I8, I4 -> throw refused(dtype);
        };
    }

    private static IllegalArgumentException refused(DType dtype) {
        return new IllegalArgumentException(
                "toArray: ND4J has no element type for " + dtype + "; cast or dequantize it to F32 first");
    }

    private static DType dtype(DataType type) {
        return switch (type) {
            case FLOAT -> DType.F32;
            case BFLOAT16 -> DType.BF16;
            case HALF -> DType.F16;
            case INT -> DType.I32;
            case UBYTE -> DType.U8;
            case DOUBLE -> throw unsupported(type, "use array.castTo(DataType.FLOAT)");
            case LONG, UINT64, UINT32 ->
                throw unsupported(type, "if the values fit 32 bits, use array.castTo(DataType.INT32)");
            case SHORT, UINT16, BYTE -> throw unsupported(type, "use array.castTo(DataType.INT32)");
            case BOOL -> throw unsupported(type, "use array.castTo(DataType.UINT8)");
            case COMPRESSED -> throw unsupported(type, "use Nd4j.getCompressor().decompress(array)");
            case UTF8 -> throw unsupported(type, "encode the text as token ids first");
            case UNKNOWN -> throw unsupported(type, "give the array one of these types");
        };
    }

    private static IllegalArgumentException unsupported(DataType type, String wayOut) {
        return new IllegalArgumentException("toTensor: an array of ND4J type " + type
                + " has no tensor type (FLOAT, BFLOAT16, HALF, INT and UBYTE have); " + wayOut);
    }
}
