package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_EPILOGUE_BIAS;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_A_SCALE_MODE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_A_SCALE_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_BIAS_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_B_SCALE_MODE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_B_SCALE_POINTER;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_EPILOGUE;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSA;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_DESC_TRANSB;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
import static org.bytedeco.cuda.global.cublas.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_N;
import static org.bytedeco.cuda.global.cublas.CUBLAS_OP_T;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_INVALID_VALUE;
import static org.bytedeco.cuda.global.cublas.CUBLAS_STATUS_NOT_SUPPORTED;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmul;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulAlgoCheck;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulAlgoGetHeuristic;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulDescSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceDestroy;
import static org.bytedeco.cuda.global.cublas.cublasLtMatmulPreferenceSetAttribute;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutCreate;
import static org.bytedeco.cuda.global.cublas.cublasLtMatrixLayoutDestroy;

import io.jacquard.cuda.driver.CublasLt.Address;
import io.jacquard.cuda.driver.CublasLt.Scales;
import io.jacquard.cuda.driver.CublasLt.Shape;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.bytedeco.cuda.cublas.cublasLtMatmulAlgo_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulDescOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulHeuristicResult_t;
import org.bytedeco.cuda.cublas.cublasLtMatmulPreferenceOpaque_t;
import org.bytedeco.cuda.cublas.cublasLtMatrixLayoutOpaque_t;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.jspecify.annotations.Nullable;

/// One shape of product in cuBLASLt, with its descriptors and the algorithm chosen for it.
///
/// The library thinks column by column: a matrix `[r, c]` of ours is its `c x r`. So it computes the transpose of the
/// result, `out^T = op(b)^T op(a)^T`: our b is its A, our a its B, and our bias over the n columns its bias over rows.
///
/// Its scales are ours, factors that make values of codes. Sums of 8-bit floats are promoted to F32 on the way, as our
/// kernels do: `CUBLASLT_MATMUL_DESC_FAST_ACCUM` stays off, which is its default.
public final class CublasLtProduct implements LibraryCall, AutoCloseable {
    private static final int ALGORITHM_BYTES = 64;

    /// `cublasLtMatmulHeuristicResult_t`: algorithm, workspace, status, waves, four words reserved.
    private static final int RESULT_BYTES = ALGORITHM_BYTES + 8 + 4 + 4 + 16;

    private static final int WORKSPACE_AT = ALGORITHM_BYTES;
    private static final int STATUS_AT = ALGORITHM_BYTES + 8;

    /// A way to do the product, as the library describes it: opaque, but fit for keeping.
    public record Algorithm(byte[] bytes, long workspaceBytes) {
        @Override
        public String toString() {
            return HexFormat.of().formatHex(bytes);
        }
    }

    private final CublasLt library;
    private final Shape shape;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment slot = arena.allocate(16, 16);
    private final Address slotAddress = new Address(slot.address());
    private final cublasLtMatmulDescOpaque_t description;
    private final cublasLtMatrixLayoutOpaque_t layoutA;
    private final cublasLtMatrixLayoutOpaque_t layoutB;
    private final cublasLtMatrixLayoutOpaque_t layoutOut;
    private final CUstream_st stream;

    private final MemorySegment chosen = arena.allocate(ALGORITHM_BYTES, 16);
    private final cublasLtMatmulAlgo_t algorithm = new cublasLtMatmulAlgo_t(new Address(chosen.address()));
    private long workspaceBytes;

    // of the launch in the making
    private final Address a = new Address(0);
    private final Address b = new Address(0);
    private final Address out = new Address(0);
    private final Address workspace = new Address(0);
    private long biasAddress;
    private long scaleAddressX;
    private long scaleAddressY;
    private @Nullable Tensor scaleX;
    private @Nullable Tensor scaleY;

    CublasLtProduct(CublasLt library, Shape shape) {
        this.library = library;
        this.shape = shape;
        this.stream = library.stream();
        check(cublasLtMatmulDescCreate(slot(), CublasLt.computeType(), type(DType.F32)), "describing");
        description = new cublasLtMatmulDescOpaque_t(created());
        set(CUBLASLT_MATMUL_DESC_TRANSA, shape.transB() ? CUBLAS_OP_T : CUBLAS_OP_N);
        set(CUBLASLT_MATMUL_DESC_TRANSB, shape.transA() ? CUBLAS_OP_T : CUBLAS_OP_N);
        if (shape.bias()) {
            set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
        }
        if (shape.scales() == Scales.ROWS) {
            set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
            set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
        }
        layoutA = shape.transB() ? layout(shape.b(), shape.k(), shape.n()) : layout(shape.b(), shape.n(), shape.k());
        layoutB = shape.transA() ? layout(shape.a(), shape.m(), shape.k()) : layout(shape.a(), shape.k(), shape.m());
        layoutOut = layout(shape.result(), shape.n(), shape.m());
    }

    /// What is multiplied.
    public Shape shape() {
        return shape;
    }

    private PointerPointer<Pointer> slot() {
        return new PointerPointer<>(slotAddress);
    }

    private Address created() {
        return new Address(slot.get(JAVA_LONG, 0));
    }

    private void set(int attribute, int value) {
        slot.set(JAVA_INT, 0, value);
        setFromSlot(attribute, 4);
    }

    private void setPointer(int attribute, long address) {
        slot.set(JAVA_LONG, 0, address);
        setFromSlot(attribute, 8);
    }

    private void setFromSlot(int attribute, int bytes) {
        int status = cublasLtMatmulDescSetAttribute(description, attribute, slotAddress, bytes);
        if (status != 0) { // launches set pointers: no text unless it is needed
            check(status, "setting attribute " + attribute + " of");
        }
    }

    private cublasLtMatrixLayoutOpaque_t layout(DType type, int rows, int columns) {
        check(cublasLtMatrixLayoutCreate(slot(), type(type), rows, columns, rows), "describing");
        return new cublasLtMatrixLayoutOpaque_t(created());
    }

    /// `cudaDataType_t`.
    private static int type(DType type) {
        return switch (type) {
            case F32 -> 0;
            case F16 -> 2;
            case BF16 -> 14;
            case F8E4M3 -> 28;
            case F8E5M2 -> 29;
            default -> throw new IllegalArgumentException("cuBLASLt: no products of " + type);
        };
    }

    private void check(int status, String operation) {
        library.check(status, operation + " the product " + shape);
    }

    /// At most `most` algorithms that need no more than `workspaceBytes`, the one that the library expects to be
    /// the fastest first; none where it has none for the shape.
    public List<Algorithm> candidates(int most, long workspaceBytes) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment results = scratch.allocate((long) most * RESULT_BYTES, 16);
            MemorySegment count = scratch.allocate(JAVA_INT);
            cublasLtMatmulPreferenceOpaque_t preference = preference(workspaceBytes);
            int status = cublasLtMatmulAlgoGetHeuristic(
                    library.handle(),
                    description,
                    layoutA,
                    layoutB,
                    layoutOut,
                    layoutOut,
                    preference,
                    most,
                    new cublasLtMatmulHeuristicResult_t(new Address(results.address())),
                    new IntPointer(new Address(count.address())));
            int _ = cublasLtMatmulPreferenceDestroy(preference);
            if (isRefusal(status)) {
                return List.of();
            }
            check(status, "asking for algorithms of");
            List<Algorithm> found = new ArrayList<>();
            for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
                MemorySegment result = results.asSlice((long) i * RESULT_BYTES, RESULT_BYTES);
                if (result.get(JAVA_INT, STATUS_AT) == 0) {
                    found.add(algorithm(result));
                }
            }
            return found;
        }
    }

    /// Whether the library does not do what it was asked for: no failure, since our own kernels can. Which of the
    /// two it says depends on its version and the device.
    private static boolean isRefusal(int status) {
        return status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
    }

    private static Algorithm algorithm(MemorySegment result) {
        return new Algorithm(
                result.asSlice(0, ALGORITHM_BYTES).toArray(JAVA_BYTE), result.get(JAVA_LONG, WORKSPACE_AT));
    }

    private cublasLtMatmulPreferenceOpaque_t preference(long workspaceBytes) {
        check(cublasLtMatmulPreferenceCreate(slot()), "preferences of");
        cublasLtMatmulPreferenceOpaque_t preference = new cublasLtMatmulPreferenceOpaque_t(created());
        prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspaceBytes, 8);
        // partial sums in F32, added in order: no atomics, no rounding in between
        prefer(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, 4);
        prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.alignB(), 4);
        prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.alignA(), 4);
        prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.alignOut(), 4);
        prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.alignOut(), 4);
        return preference;
    }

    private void prefer(cublasLtMatmulPreferenceOpaque_t preference, int attribute, long value, int bytes) {
        slot.set(JAVA_LONG, 0, value);
        check(
                cublasLtMatmulPreferenceSetAttribute(preference, attribute, slotAddress, bytes),
                "preference " + attribute + " of");
    }

    /// The algorithm of these bytes, if this library takes it for this product; null otherwise.
    public @Nullable Algorithm known(byte[] bytes) {
        if (bytes.length != ALGORITHM_BYTES) {
            return null;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment kept = scratch.allocate(ALGORITHM_BYTES, 16).copyFrom(MemorySegment.ofArray(bytes));
            MemorySegment result = scratch.allocate(RESULT_BYTES, 16);
            int status = cublasLtMatmulAlgoCheck(
                    library.handle(),
                    description,
                    layoutA,
                    layoutB,
                    layoutOut,
                    layoutOut,
                    new cublasLtMatmulAlgo_t(new Address(kept.address())),
                    new cublasLtMatmulHeuristicResult_t(new Address(result.address())));
            return status == 0 ? new Algorithm(bytes, result.get(JAVA_LONG, WORKSPACE_AT)) : null;
        }
    }

    /// Makes this the algorithm of the launches to come.
    public void use(Algorithm algorithm) {
        chosen.copyFrom(MemorySegment.ofArray(algorithm.bytes()));
        workspaceBytes = algorithm.workspaceBytes();
    }

    /// The scales of both operands in the launches and requests to come.
    public void scaledBy(Tensor x, Tensor y) {
        scaleX = x;
        scaleY = y;
        if (x.address() != scaleAddressX) {
            scaleAddressX = x.address();
            setPointer(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, scaleAddressX);
        }
        if (y.address() != scaleAddressY) {
            scaleAddressY = y.address();
            setPointer(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, scaleAddressY);
        }
    }

    /// Launches the product by the algorithm in use. The result goes to `outAddress`, which is like `result`.
    public void run(Launcher launcher, Tensor result, long outAddress, Tensor x, Tensor y, @Nullable Tensor bias) {
        prepare(launcher, outAddress, x, y, bias);
        launcher.start(null).tensor(result, outAddress).tensor(x).tensor(y).tensor(bias);
        if (scaleX != null) {
            launcher.tensor(scaleX).tensor(scaleY);
        }
        launcher.run(this);
    }

    /// Launches it likewise, or returns false where the library refuses the algorithm for these operands after all.
    public boolean tryOut(
            Launcher launcher, Tensor result, long outAddress, Tensor x, Tensor y, @Nullable Tensor bias) {
        prepare(launcher, outAddress, x, y, bias);
        int status = launch();
        if (status != 0 && !isRefusal(status)) {
            throw failure(status, " " + result + ", " + x + ", " + y + ", " + bias);
        }
        return status == 0;
    }

    private void prepare(Launcher launcher, long outAddress, Tensor x, Tensor y, @Nullable Tensor bias) {
        a.to(x.address());
        b.to(y.address());
        out.to(outAddress);
        workspace.to(workspaceBytes == 0 ? 0 : launcher.workspace(workspaceBytes));
        if (bias != null && bias.address() != biasAddress) {
            biasAddress = bias.address();
            setPointer(CUBLASLT_MATMUL_DESC_BIAS_POINTER, biasAddress);
        }
    }

    @Override
    public String name() {
        return "cublaslt";
    }

    @Override
    public int launch() {
        return cublasLtMatmul(
                library.handle(),
                description,
                library.one(),
                b,
                layoutA,
                a,
                layoutB,
                shape.accumulate() ? library.one() : library.zero(),
                out,
                layoutOut,
                out,
                layoutOut,
                algorithm,
                workspace,
                workspaceBytes,
                stream);
    }

    @Override
    public DeviceException failure(int status, String operands) {
        return library.failure(status, "the product " + shape + ", operands" + operands);
    }

    @Override
    public void close() {
        int _ = cublasLtMatrixLayoutDestroy(layoutA);
        int _ = cublasLtMatrixLayoutDestroy(layoutB);
        int _ = cublasLtMatrixLayoutDestroy(layoutOut);
        int _ = cublasLtMatmulDescDestroy(description);
        arena.close();
    }
}
