package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/// The functions of MPI that we call, one method each. Addresses and handles are `long`; a request lives in 8 bytes
/// that the caller has set to 0, since some libraries write only 4.
final class Mpi {
    private final LibraryFile file;
    private final Flavor flavor;
    private final long bytes;

    /// `MPI_COMM_WORLD`
    final long world;

    private final MethodHandle initThread;
    private final MethodHandle finish;
    private final MethodHandle abort;
    private final MethodHandle commRank;
    private final MethodHandle commSize;
    private final MethodHandle commSplit;
    private final MethodHandle setErrhandler;
    private final MethodHandle errorString;
    private final MethodHandle libraryVersion;
    private final MethodHandle isend;
    private final MethodHandle irecv;
    private final MethodHandle iallgather;
    private final MethodHandle test;

    Mpi(LibraryFile file) {
        this.file = file;
        this.flavor = Flavor.of(file.name(), file.symbols());
        this.world = flavor.world(file.symbols());
        this.bytes = flavor.bytes(file.symbols());
        initThread = file.function("MPI_Init_thread", "JJIJ");
        finish = file.function("MPI_Finalize", "");
        abort = file.function("MPI_Abort", "JI");
        commRank = file.function("MPI_Comm_rank", "JJ");
        commSize = file.function("MPI_Comm_size", "JJ");
        commSplit = file.function("MPI_Comm_split", "JIIJ");
        setErrhandler = file.function("MPI_Comm_set_errhandler", "JJ");
        errorString = file.function("MPI_Error_string", "IJJ");
        libraryVersion = file.function("MPI_Get_library_version", "JJ");
        isend = file.function("MPI_Isend", "JIJIIJJ");
        irecv = file.function("MPI_Irecv", "JIJIIJJ");
        iallgather = file.function("MPI_Iallgather", "JIJJIJJJ");
        test = file.function("MPI_Test", "JJJ");
    }

    /// The file and what it says of itself: `libmpi.so.40 (Open MPI v4.1.4, ...)`.
    String description() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(8192);
            check("MPI_Get_library_version", (int)
                    libraryVersion.invokeExact(text.address(), arena.allocate(4).address()));
            String version = text.getString(0).lines().findFirst().orElse("");
            return file.name() + " (" + version.strip().replaceAll("\\s+", " ") + ")";
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    /// With calls from several threads at once.
    void init() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment provided = arena.allocate(JAVA_INT);
            check("MPI_Init_thread", (int) initThread.invokeExact(0L, 0L, flavor.threadMultiple, provided.address()));
            check("MPI_Comm_set_errhandler", (int)
                    setErrhandler.invokeExact(world, flavor.errorsReturn(file.symbols())));
            int level = provided.get(JAVA_INT, 0);
            if (level < flavor.threadMultiple) {
                throw new IllegalStateException("mpi: " + description() + " gives thread level " + level
                        + "; expected MPI_THREAD_MULTIPLE, " + flavor.threadMultiple);
            }
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    void finish() {
        try {
            check("MPI_Finalize", (int) finish.invokeExact());
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    void abort(int code) {
        try {
            check("MPI_Abort", (int) abort.invokeExact(world, code));
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    int rank(long communicator) {
        return number("MPI_Comm_rank", commRank, communicator);
    }

    int size(long communicator) {
        return number("MPI_Comm_size", commSize, communicator);
    }

    private int number(String name, MethodHandle function, long communicator) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_INT);
            check(name, (int) function.invokeExact(communicator, out.address()));
            return out.get(JAVA_INT, 0);
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    /// All ranks call; blocks. Ordered by `key`.
    long split(long communicator, int color, int key) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            check("MPI_Comm_split", (int) commSplit.invokeExact(communicator, color, key, out.address()));
            return out.get(JAVA_LONG, 0);
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    void isend(long from, int count, int to, int tag, long communicator, long request) {
        try {
            check("MPI_Isend", (int) isend.invokeExact(from, count, bytes, to, tag, communicator, request));
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    void irecv(long to, int count, int from, int tag, long communicator, long request) {
        try {
            check("MPI_Irecv", (int) irecv.invokeExact(to, count, bytes, from, tag, communicator, request));
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    void iallgather(long from, int count, long to, long communicator, long request) {
        try {
            check("MPI_Iallgather", (int)
                    iallgather.invokeExact(from, count, bytes, to, count, bytes, communicator, request));
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    /// Whether the request is done; it is nobody's then.
    ///
    /// @param flag 4 bytes of the calling thread
    boolean test(long request, MemorySegment flag) {
        try {
            check("MPI_Test", (int) test.invokeExact(request, flag.address(), flavor.statusIgnore));
            return flag.get(JAVA_INT, 0) != 0;
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    private void check(String function, int code) {
        if (code != 0) {
            throw new IllegalStateException("mpi: " + function + ": " + text(code));
        }
    }

    private String text(int code) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(1024);
            int _ = (int) errorString.invokeExact(
                    code, text.address(), arena.allocate(4).address());
            return text.getString(0).lines().findFirst().orElse("") + " (" + code + ")";
        } catch (Throwable t) {
            throw unexpected(t);
        }
    }

    private static RuntimeException unexpected(Throwable t) {
        return switch (t) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new IllegalStateException(t);
        };
    }
}
