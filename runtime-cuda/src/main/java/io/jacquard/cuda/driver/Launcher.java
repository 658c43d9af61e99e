package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import jdk.jfr.FlightRecorder;
import org.jspecify.annotations.Nullable;

/// Launches kernels: [#start], the arguments in the order of the kernel's parameters, [#run].
///
/// Arguments go into one native buffer that every launch reuses, so a launch makes no garbage. The driver copies them
/// before `run` returns.
public final class Launcher implements AutoCloseable {
    private static final int MAX_ARGUMENTS = 40;

    /// The driver's limit for all parameters of a kernel.
    private static final int MAX_ARGUMENT_BYTES = 4096;

    /// Blocks per multiprocessor of a streaming kernel. Of 256 threads 8 fit at once at 32 registers, 6 at 40, 3 at
    /// 72: a grid of exactly 8 would leave 2 to run alone, with too few loads in flight. Of 32 the last round is a
    /// small part.
    private static final int BLOCKS_PER_MULTIPROCESSOR = 32;

    private static final DType[] FLOATS = {DType.F32, DType.BF16, DType.F16};

    private final Arena arena = Arena.ofShared();
    private final Gpu gpu;
    private final KernelLibrary library;
    private final Workspace workspace;
    private final MemorySegment arguments = arena.allocate(MAX_ARGUMENT_BYTES, 64);
    private final MemorySegment pointers = arena.allocate(MAX_ARGUMENTS * 8L, 8);
    private final TensorMapEncoder maps;
    private final @Nullable LaunchTrace trace;
    private final @Nullable Tensor[] operands = new @Nullable Tensor[MAX_ARGUMENTS];
    private @Nullable Kernel kernel;
    private int count;
    private int bytes;
    private int operandCount;

    /// A launcher of the kernels in `library`.
    public Launcher(Gpu gpu, KernelLibrary library) {
        this.gpu = gpu;
        this.library = library;
        this.workspace = new Workspace(gpu);
        this.maps = new TensorMapEncoder(gpu, arena);
        this.trace = LaunchTrace.ifAsked(gpu);
    }

    /// The kernel of that name: for the constructors of the families.
    ///
    /// @throws DeviceException if there is none
    public Kernel kernel(String name) {
        return library.kernel(name);
    }

    /// `prefix_f32`, `prefix_bf16` and `prefix_f16` by `DType.ordinal()`; null where there is no such kernel.
    ///
    /// @throws DeviceException if there is none of them
    public Kernel[] floats(String prefix) {
        return types(prefix, FLOATS);
    }

    /// `prefix_f32` to `prefix_u8` for the dtypes given, or for all, by `DType.ordinal()`; null where there is no
    /// such kernel.
    ///
    /// @throws DeviceException if there is none of them
    // The elements of absent dtypes are null, which no caller reads: the contract names the dtypes.
    @SuppressWarnings("NullAway")
    public Kernel[] types(String prefix, DType... dtypes) {
        Kernel[] kernels = new Kernel[DType.values().length];
        boolean any = false;
        for (DType d : dtypes.length == 0 ? DType.values() : dtypes) {
            Kernel k = library.find(prefix + "_" + d.name().toLowerCase(Locale.ROOT));
            kernels[d.ordinal()] = k;
            any |= k != null;
        }
        if (!any) {
            library.kernel(prefix + "_f32");
        }
        return kernels;
    }

    /// Begins a launch: of that kernel, or with none of a [LibraryCall].
    public Launcher start(@Nullable Kernel kernel) {
        this.kernel = kernel;
        count = 0;
        bytes = 0;
        operandCount = 0;
        return this;
    }

    /// A tensor's address; 0 for null.
    public Launcher tensor(@Nullable Tensor tensor) {
        operands[operandCount++] = tensor;
        return pointer(tensor == null ? 0 : tensor.address());
    }

    /// `address`, in place of the tensor's own: where somebody tries things out.
    public Launcher tensor(Tensor tensor, long address) {
        operands[operandCount++] = tensor;
        return pointer(address);
    }

    /// A device address.
    public Launcher pointer(long address) {
        return int64(address);
    }

    /// An `int`.
    public Launcher int32(int value) {
        arguments.set(JAVA_INT, slot(8, 8), value);
        return this;
    }

    /// An `int64_t`.
    public Launcher int64(long value) {
        arguments.set(JAVA_LONG, slot(8, 8), value);
        return this;
    }

    /// A `float`.
    public Launcher float32(float value) {
        arguments.set(JAVA_FLOAT, slot(8, 8), value);
        return this;
    }

    /// A `__grid_constant__ TensorMap`: `address` seen as `sizes` elements (innermost first), the rows of dimension
    /// i > 0 `strides[i - 1]` bytes apart (a multiple of 16), fetched in tiles of `box`, zero outside. `swizzle` is
    /// 0, 32, 64 or 128 bytes. The arrays may be reused.
    public Launcher tensorMap(DType type, long address, long[] sizes, long[] strides, int[] box, int swizzle) {
        long at = arguments.address() + slot(TensorMapEncoder.BYTES, 64);
        maps.encode(at, type, address, sizes, strides, box, swizzle);
        return this;
    }

    private long slot(int size, int alignment) {
        int at = (bytes + alignment - 1) & -alignment;
        bytes = at + size;
        pointers.setAtIndex(JAVA_LONG, count++, arguments.address() + at);
        return at;
    }

    /// Launches on a line of blocks.
    public void run(int gridX, int threads) {
        run(gridX, 1, 1, threads, 0);
    }

    /// Launches `gridX * gridY * gridZ` blocks of `threads` with that much dynamic shared memory.
    public void run(int gridX, int gridY, int gridZ, int threads, int sharedBytes) {
        Kernel k = kernel;
        if (k == null) {
            throw new IllegalStateException("run: there is no kernel for operands" + operandList());
        }
        k.allowShared(sharedBytes);
        if (trace == null || gpu.isCapturing()) {
            launch(k, gridX, gridY, gridZ, threads, sharedBytes);
        } else {
            trace.run(
                    () -> launch(k, gridX, gridY, gridZ, threads, sharedBytes),
                    k,
                    grid(gridX, gridY, gridZ),
                    threads,
                    sharedBytes);
        }
        if (FlightRecorder.isInitialized()) {
            record(k.name(), (long) gridX * gridY * gridZ, threads);
        }
    }

    private void launch(Kernel k, int gridX, int gridY, int gridZ, int threads, int sharedBytes) {
        int code = Calls.launchKernel(
                k.function(), gridX, gridY, gridZ, threads, 1, 1, sharedBytes, gpu.stream(), pointers.address(), 0);
        if (code == 0 && gpu.isSynchronous() && !gpu.isCapturing()) {
            code = Calls.streamSynchronize(gpu.stream());
        }
        if (code != 0) {
            throw failure(code, k, grid(gridX, gridY, gridZ), threads, sharedBytes);
        }
    }

    /// Lets a library put its work on the stream; the tensors given before name the operands in messages.
    public void run(LibraryCall call) {
        if (trace == null || gpu.isCapturing()) {
            launch(call);
        } else {
            trace.run(() -> launch(call), call);
        }
        if (FlightRecorder.isInitialized()) {
            record(call.name(), 0, 0);
        }
    }

    private void launch(LibraryCall call) {
        int status = call.launch();
        if (status != 0) {
            throw call.failure(status, operandList());
        }
        if (gpu.isSynchronous() && !gpu.isCapturing()) {
            gpu.check(Calls.streamSynchronize(gpu.stream()), call.name() + ", operands" + operandList());
        }
    }

    private static String grid(int x, int y, int z) {
        return x + "x" + y + "x" + z;
    }

    // apart, so that a launch without a recorder makes no event
    private void record(String kernel, long blocks, int threads) {
        Events.Launch event = new Events.Launch();
        if (event.shouldCommit()) {
            event.kernel = kernel;
            event.blocks = blocks;
            event.threads = threads;
            event.captured = gpu.isCapturing();
            event.commit();
        }
    }

    private DeviceException failure(int code, Kernel k, String grid, int threads, int sharedBytes) {
        return gpu.failure(
                code,
                "kernel " + k.name() + " on " + grid + " blocks of " + threads + " threads, " + sharedBytes
                        + " bytes shared, operands" + operandList());
    }

    private String operandList() {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < operandCount; i++) {
            text.append(i == 0 ? " " : ", ").append(operands[i]);
        }
        return text.toString();
    }

    /// The device.
    public Gpu gpu() {
        return gpu;
    }

    /// Streaming multiprocessors of the device.
    public int multiprocessors() {
        return gpu.multiprocessors();
    }

    /// Whether the device has wgmma and TMA: compute capability 9.0.
    public boolean hopper() {
        return gpu.capability() == 90;
    }

    /// The most dynamic shared memory that a block may ask for.
    public int sharedBytes() {
        return gpu.sharedBytes();
    }

    /// Blocks of 256 threads for a grid-stride loop over `elements`, 4 to a thread and turn: some rounds of
    /// what the device holds at once at most, at least one.
    public int blocks(long elements) {
        return blocks(elements, 4 * 256);
    }

    /// Blocks for a grid-stride loop over `items` of which a block does `perBlock` in a turn: some rounds of
    /// what the device holds at once at most, at least one.
    public int blocks(long items, int perBlock) {
        long wanted = (items + perBlock - 1) / perBlock;
        return (int) Math.clamp(wanted, 1, (long) BLOCKS_PER_MULTIPROCESSOR * gpu.multiprocessors());
    }

    /// The address of at least `bytes` of scratch, aligned to 256, for the launches of one `Kernels` method; the
    /// next call hands out the same memory, its end first.
    ///
    /// @throws IllegalStateException during capture, when a larger one would be needed: run the work once before
    public long workspace(long bytes) {
        return workspace.atLeast(bytes);
    }

    /// Gives the workspace back.
    @Override
    public void close() {
        workspace.close();
        if (trace != null) {
            trace.close();
        }
        arena.close();
    }
}
