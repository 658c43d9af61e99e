package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.bytedeco.cuda.global.cublas.CUBLAS_COMPUTE_32F;
import static org.bytedeco.cuda.global.cublas.cublasLtCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtGetStatusName;
import static org.bytedeco.cuda.global.cublas.cublasLtGetVersion;

import io.jacquard.kernels.LibraryPlaces;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.bytedeco.cuda.cublas.cublasLtContext;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;

/// cuBLASLt of the machine, through the JavaCPP presets, for one device. Sums are in F32, F32 operands included (no
/// TF32), and so are partial sums: the contract of `Kernels.matmul`.
///
/// JavaCPP's pointers are made once, over memory of an arena: none owns memory, so none needs its collector thread,
/// and a product allocates nothing.
public final class CublasLt implements AutoCloseable {
    private static final String LIBRARY = "libcublasLt.so.13";

    /// What the presets' natives ask the loader for, in the order in which they depend on each other.
    private static final List<String> LIBRARIES =
            List.of("libcuda.so.1", "libcudart.so.13", LIBRARY, "libcublas.so.13");

    /// How to get it.
    public static final String REMEDY = "install it (pip install 'nvidia-cublas==13.*'"
            + " 'nvidia-cuda-runtime==13.*', or libcublas-13-0 and cuda-cudart-13-0 of NVIDIA's repository), or name its"
            + " folder by -D" + LibraryPlaces.PROPERTY + " or "
            + LibraryPlaces.VARIABLE;

    private static @Nullable String presetsProblem;

    private final Gpu gpu;
    private final Arena arena = Arena.ofShared();
    private final cublasLtContext handle = new cublasLtContext();
    private final Address one;
    private final Address zero;
    private final Address stream;

    /// A pointer to memory that somebody else owns; may be moved.
    static final class Address extends Pointer {
        Address(long at) {
            address = at;
        }

        Address to(long at) {
            address = at;
            return this;
        }
    }

    private CublasLt(Gpu gpu) {
        this.gpu = gpu;
        MemorySegment scales = arena.allocate(2 * JAVA_LONG.byteSize(), 8);
        scales.set(JAVA_FLOAT, 0, 1f);
        one = new Address(scales.address());
        zero = new Address(scales.address() + 8);
        stream = new Address(gpu.stream());
        check(cublasLtCreate(handle), "opening cuBLASLt");
    }

    /// Why cuBLASLt cannot be used, with each place that was tried; null when it can.
    public static synchronized @Nullable String problem() {
        for (String name : LIBRARIES) {
            NvidiaLibrary library = NvidiaLibrary.open(name);
            if (!library.isOpen()) {
                return "no " + name + "; tried " + String.join(", ", library.tried());
            }
        }
        if (presetsProblem == null) {
            try {
                presetsProblem = cublasLtGetVersion() > 0 ? "" : "cuBLASLt has no version";
            } catch (LinkageError e) {
                presetsProblem = "the natives of org.bytedeco:cuda do not load: " + e.getMessage();
            }
        }
        return presetsProblem.isEmpty() ? null : presetsProblem;
    }

    /// What it takes, but for the driver: found or not. Touches no class of the presets, so that it may be asked
    /// without a driver.
    public static List<NvidiaLibrary> libraries() {
        return LIBRARIES.stream().skip(1).map(NvidiaLibrary::open).toList();
    }

    /// The file that serves; null when there is none.
    public static @Nullable String path() {
        return problem() == null ? NvidiaLibrary.open(LIBRARY).path() : null;
    }

    /// As the library counts: 130100 is 13.1.0. There must be no [#problem].
    public static long version() {
        return cublasLtGetVersion();
    }

    /// Opens the library for a device. There must be no [#problem].
    ///
    /// @throws DeviceException if the library refuses
    public static CublasLt open(Gpu gpu) {
        return new CublasLt(gpu);
    }

    /// What shares a scale, in both operands of a product.
    public enum Scales {
        /// There are none.
        NONE(""),
        /// The whole matrix.
        WHOLE(" scaled"),
        /// Each row of a and of b.
        ROWS(" scaled by row");

        private final String text;

        Scales(String text) {
            this.text = text;
        }
    }

    /// What one product is: `out[m, n] = op(a) op(b)`, all row by row, times the scales, `+ out` if `accumulate`,
    /// `+ bias[n]` if `bias`. The alignments are in bytes.
    public record Shape(
            int m,
            int n,
            int k,
            boolean transA,
            boolean transB,
            DType a,
            DType b,
            Scales scales,
            DType result,
            boolean bias,
            boolean accumulate,
            int alignA,
            int alignB,
            int alignOut) {
        @Override
        public String toString() {
            return m + "x" + n + "x" + k + (transA ? " a^T" : " a") + (transB ? " b^T " : " b ") + a
                    + (a == b ? "" : " " + b) + scales.text + (result == a ? "" : " to " + result)
                    + (bias ? " + bias" : "") + (accumulate ? " + out" : "") + ", aligned to " + alignA + ", " + alignB
                    + ", " + alignOut;
        }
    }

    /// Prepares a product for being run many times.
    ///
    /// @throws DeviceException if the library refuses
    public CublasLtProduct product(Shape shape) {
        return new CublasLtProduct(this, shape);
    }

    cublasLtContext handle() {
        return handle;
    }

    Address one() {
        return one;
    }

    Address zero() {
        return zero;
    }

    CUstream_st stream() {
        return new CUstream_st(stream);
    }

    void check(int status, String operation) {
        if (status != 0) {
            throw failure(status, operation);
        }
    }

    DeviceException failure(int status, String operation) {
        BytePointer name = cublasLtGetStatusName(status);
        return new DeviceException("cuda: " + operation + ": "
                + (name == null || name.isNull() ? "cuBLASLt error" : name.getString()) + " (" + status + "); cuBLASLt "
                + version() + " at " + path());
    }

    static int computeType() {
        return CUBLAS_COMPUTE_32F;
    }

    Gpu gpu() {
        return gpu;
    }

    @Override
    public void close() {
        int _ = cublasLtDestroy(handle);
        arena.close();
    }
}
