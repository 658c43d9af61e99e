package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.kernels.LibraryPlaces;
import io.jacquard.line.NativeEnvironment;
import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import org.jspecify.annotations.Nullable;

/// NVIDIA's collective communication library: one method for each function that we call, with the parameters of
/// `nccl.h`. Handles and addresses are `long`; methods that return an `int` give the ncclResult_t. Sums only.
///
/// **Thread**: any, with the device of the communicator current.
@SuppressWarnings("restricted")
public final class Nccl {
    /// The file that is looked for.
    public static final String LIBRARY = "libnccl.so.2";

    /// How to get it.
    public static final String REMEDY = "install it (pip install nvidia-nccl-cu13, or libnccl2 of NVIDIA's repository),"
            + " or name its folder by -D" + LibraryPlaces.PROPERTY + " or " + LibraryPlaces.VARIABLE;

    /// The oldest version that serves, as [#version] counts: 2.18 brought ncclCommSplit.
    public static final int OLDEST = 21800;

    /// Bytes of an ncclUniqueId.
    public static final int ID_BYTES = 128;

    /// ncclUint8, ncclInt32, ncclFloat16, ncclFloat32, ncclBfloat16
    public static final int UINT8 = 1;

    public static final int INT32 = 2;
    public static final int FLOAT16 = 6;
    public static final int FLOAT32 = 7;
    public static final int BFLOAT16 = 9;

    private static final int SUM = 0;
    private static final int UNDEFINED = Integer.MIN_VALUE;
    private static final int MAGIC = 0xcafebeef;

    /// The ncclConfig_t of 2.18. Newer libraries take as many bytes as `size` says, look at `version` for which
    /// fields these are, and have their defaults for the others: it serves all.
    private static final MemoryLayout CONFIG = MemoryLayout.structLayout(
            JAVA_LONG.withName("size"),
            JAVA_INT.withName("magic"),
            JAVA_INT.withName("version"),
            JAVA_INT.withName("blocking"),
            JAVA_INT.withName("cgaClusterSize"),
            JAVA_INT.withName("minCTAs"),
            JAVA_INT.withName("maxCTAs"),
            ADDRESS.withName("netName"),
            JAVA_INT.withName("splitShare"),
            JAVA_INT.withName("padding"));

    private static @Nullable Nccl opened;

    private final String path;
    private final SymbolLookup symbols;
    private final MemorySegment config = Arena.global().allocate(CONFIG);
    private final MethodHandle getVersion;
    private final MethodHandle getErrorString;
    private final MethodHandle getLastError;
    private final MethodHandle getUniqueId;
    private final MethodHandle commInitRankConfig;
    private final MethodHandle commSplit;
    private final MethodHandle commGetAsyncError;
    private final MethodHandle commAbort;
    private final MethodHandle commDestroy;
    private final MethodHandle groupStart;
    private final MethodHandle groupEnd;
    private final MethodHandle allReduce;
    private final MethodHandle reduceScatter;
    private final MethodHandle allGather;
    private final MethodHandle broadcast;
    private final MethodHandle send;
    private final MethodHandle recv;

    private Nccl(String path, SymbolLookup symbols) {
        this.path = path;
        this.symbols = symbols;
        getVersion = function("ncclGetVersion", "J");
        getErrorString = textFunction("ncclGetErrorString", JAVA_INT);
        getLastError = textFunction("ncclGetLastError", JAVA_LONG);
        getUniqueId = function("ncclGetUniqueId", "J");
        commInitRankConfig = function("ncclCommInitRankConfig", "JIUIJ");
        commSplit = function("ncclCommSplit", "JIIJJ");
        commGetAsyncError = function("ncclCommGetAsyncError", "JJ");
        commAbort = function("ncclCommAbort", "J");
        commDestroy = function("ncclCommDestroy", "J");
        groupStart = function("ncclGroupStart", "");
        groupEnd = function("ncclGroupEnd", "");
        allReduce = function("ncclAllReduce", "JJJIIJJ");
        reduceScatter = function("ncclReduceScatter", "JJJIIJJ");
        allGather = function("ncclAllGather", "JJJIJJ");
        broadcast = function("ncclBroadcast", "JJJIIJJ");
        send = function("ncclSend", "JJIIJJ");
        recv = function("ncclRecv", "JJIIJJ");
        configure();
    }

    private void configure() {
        config.asSlice(16).elements(JAVA_INT).forEach(field -> field.set(JAVA_INT, 0, UNDEFINED));
        config.set(JAVA_LONG, 0, CONFIG.byteSize());
        config.set(JAVA_INT, 8, MAGIC);
        config.set(JAVA_INT, 12, OLDEST);
        config.set(JAVA_INT, 16, 1); // blocking: otherwise each call is a thread of its own
        config.set(ADDRESS, 32, MemorySegment.NULL);
    }

    /// The library of this process.
    ///
    /// @throws DeviceException with every place that was tried, or what is wrong with what was found
    public static synchronized Nccl get() {
        if (opened == null) {
            NativeEnvironment.leaveSignalsToTheJvm();
            opened = open(NvidiaLibrary.open(LIBRARY));
        }
        return opened;
    }

    static Nccl open(NvidiaLibrary library) {
        if (library.path() == null) {
            throw new DeviceException("nccl: no " + library.name() + "; tried " + String.join(", ", library.tried())
                    + "; " + REMEDY + "; ranks that do without it: JACQUARD_GROUP=mpi, or local");
        }
        Nccl nccl = new Nccl(library.path(), SymbolLookup.libraryLookup(library.path(), Arena.global()));
        if (nccl.version() < OLDEST) {
            throw new DeviceException("nccl: " + library.path() + " is version " + words(nccl.version()) + "; expected "
                    + words(OLDEST) + " or newer, which can split groups; " + REMEDY);
        }
        return nccl;
    }

    /// A function that returns an ncclResult_t; `J` is an address, a handle or a count, `I` an int, `U` an id by
    /// value.
    private MethodHandle function(String name, String parameters) {
        MemoryLayout[] layouts = parameters
                .chars()
                .mapToObj(c -> switch (c) {
                    case 'J' -> JAVA_LONG;
                    case 'I' -> JAVA_INT;
                    default -> MemoryLayout.structLayout(MemoryLayout.sequenceLayout(ID_BYTES, JAVA_BYTE));
                })
                .toArray(MemoryLayout[]::new);
        return handle(name, FunctionDescriptor.of(JAVA_INT, layouts));
    }

    private MethodHandle textFunction(String name, MemoryLayout parameter) {
        return handle(name, FunctionDescriptor.of(JAVA_LONG, parameter));
    }

    private MethodHandle handle(String name, FunctionDescriptor type) {
        return Linker.nativeLinker()
                .downcallHandle(
                        symbols.find(name)
                                .orElseThrow(() -> new DeviceException("nccl: " + path + " has no function " + name
                                        + "; expected version " + words(OLDEST) + " or newer; " + REMEDY)),
                        type);
    }

    /// The file that was opened.
    public String path() {
        return path;
    }

    /// As the library counts: 23007 is 2.30.7.
    public int version() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment version = arena.allocate(JAVA_INT);
            check("ncclGetVersion", (int) getVersion.invokeExact(version.address()), 0);
            return version.get(JAVA_INT, 0);
        } catch (Throwable t) {
            throw unexpected("ncclGetVersion", t);
        }
    }

    /// `2.30.7`.
    public static String words(int version) {
        if (version < 10000) { // as versions before 2.9 counted
            return version / 1000 + "." + version % 1000 / 100 + "." + version % 100;
        }
        return version / 10000 + "." + version % 10000 / 100 + (version % 100 == 0 ? "" : "." + version % 100);
    }

    /// What went wrong, in NCCL's words.
    ///
    /// @param communicator 0 for none
    public String words(int code, long communicator) {
        try {
            String text = DriverLibrary.text((long) getErrorString.invokeExact(code));
            String last = DriverLibrary.text((long) getLastError.invokeExact(communicator));
            return (text == null ? "error" : text) + " (" + code + ")"
                    + (last == null || last.isBlank() ? "" : ": " + last.strip());
        } catch (Throwable t) {
            throw unexpected("ncclGetErrorString", t);
        }
    }

    /// @throws DeviceException if `code` is not 0
    public void check(String function, int code, long communicator) {
        if (code != 0) {
            throw new DeviceException("nccl: " + function + ": " + words(code, communicator));
        }
    }

    // ---- communicators

    /// A new id, in [#ID_BYTES] bytes: for one rank, which gives it to all.
    public void uniqueId(MemorySegment id) {
        try {
            check("ncclGetUniqueId", (int) getUniqueId.invokeExact(id.address()), 0);
        } catch (Throwable t) {
            throw unexpected("ncclGetUniqueId", t);
        }
    }

    /// This rank's communicator, on the current device. Waits for all ranks.
    public long open(MemorySegment id, int rank, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            int code = (int) commInitRankConfig.invokeExact(out.address(), size, id, rank, config.address());
            check("ncclCommInitRankConfig", code, 0);
            return out.get(JAVA_LONG, 0);
        } catch (Throwable t) {
            throw unexpected("ncclCommInitRankConfig", t);
        }
    }

    /// The communicator of the ranks with the same color, ordered by key. Waits for all ranks; colors are not
    /// negative.
    public long split(long communicator, int color, int key) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            int code = (int) commSplit.invokeExact(communicator, color, key, out.address(), config.address());
            check("ncclCommSplit", code, communicator);
            return out.get(JAVA_LONG, 0);
        } catch (Throwable t) {
            throw unexpected("ncclCommSplit", t);
        }
    }

    /// What has gone wrong since; 0 while nothing has.
    public int asyncError(long communicator) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_INT);
            int code = (int) commGetAsyncError.invokeExact(communicator, out.address());
            return code != 0 ? code : out.get(JAVA_INT, 0);
        } catch (Throwable t) {
            throw unexpected("ncclCommGetAsyncError", t);
        }
    }

    /// Ends what runs, and the communicator.
    public int abort(long communicator) {
        return call("ncclCommAbort", commAbort, communicator);
    }

    /// Ends the communicator when nothing runs any more.
    public int destroy(long communicator) {
        return call("ncclCommDestroy", commDestroy, communicator);
    }

    private static int call(String name, MethodHandle function, long communicator) {
        try {
            return (int) function.invokeExact(communicator);
        } catch (Throwable t) {
            throw unexpected(name, t);
        }
    }

    // ---- data

    public int groupStart() {
        try {
            return (int) groupStart.invokeExact();
        } catch (Throwable t) {
            throw unexpected("ncclGroupStart", t);
        }
    }

    public int groupEnd() {
        try {
            return (int) groupEnd.invokeExact();
        } catch (Throwable t) {
            throw unexpected("ncclGroupEnd", t);
        }
    }

    public int allReduce(long from, long to, long count, int type, long communicator, long stream) {
        try {
            return (int) allReduce.invokeExact(from, to, count, type, SUM, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclAllReduce", t);
        }
    }

    public int reduceScatter(long from, long to, long count, int type, long communicator, long stream) {
        try {
            return (int) reduceScatter.invokeExact(from, to, count, type, SUM, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclReduceScatter", t);
        }
    }

    public int allGather(long from, long to, long count, int type, long communicator, long stream) {
        try {
            return (int) allGather.invokeExact(from, to, count, type, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclAllGather", t);
        }
    }

    public int broadcast(long from, long to, long count, int type, int root, long communicator, long stream) {
        try {
            return (int) broadcast.invokeExact(from, to, count, type, root, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclBroadcast", t);
        }
    }

    public int send(long from, long count, int type, int peer, long communicator, long stream) {
        try {
            return (int) send.invokeExact(from, count, type, peer, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclSend", t);
        }
    }

    public int receive(long to, long count, int type, int peer, long communicator, long stream) {
        try {
            return (int) recv.invokeExact(to, count, type, peer, communicator, stream);
        } catch (Throwable t) {
            throw unexpected("ncclRecv", t);
        }
    }

    private static RuntimeException unexpected(String function, Throwable t) {
        return t instanceof DeviceException e
                ? e
                : new IllegalStateException("nccl: the call of " + function + " failed in Java", t);
    }
}
