package io.jacquard.mpi;

import java.lang.foreign.SymbolLookup;

/// The three binary interfaces: what `mpi.h` defines as macros, in each. A handle is 64 bits wide for all of them:
/// Open MPI's are addresses, the `int` of the others is the lower half, and the callee looks at nothing else.
enum Flavor {
    /// Handles are the addresses of global symbols.
    OPEN_MPI(0, 0, 0, 0, 3),
    /// Handles are numbers (mpi.h of MPICH 3 to 5, Intel MPI, MVAPICH).
    MPICH(0x44000000, 0x4c00010d, 0x54000001, 1, 3),
    /// The standard's own (mpi_abi.h of MPI 5.0).
    ABI(0x101, 0x247, 0x143, 0, 4096);

    private final long world;
    private final long bytes;
    private final long errorsReturn;
    final long statusIgnore;
    final int threadMultiple;

    Flavor(long world, long bytes, long errorsReturn, long statusIgnore, int threadMultiple) {
        this.world = world;
        this.bytes = bytes;
        this.errorsReturn = errorsReturn;
        this.statusIgnore = statusIgnore;
        this.threadMultiple = threadMultiple;
    }

    static Flavor of(String file, SymbolLookup library) {
        if (file.contains("mpi_abi")) { // before the symbols: Open MPI's sees those of its own interface too
            return ABI;
        }
        return library.find("ompi_mpi_comm_world").isPresent() ? OPEN_MPI : MPICH;
    }

    /// `MPI_COMM_WORLD`
    long world(SymbolLookup library) {
        return this == OPEN_MPI ? address(library, "ompi_mpi_comm_world") : world;
    }

    /// `MPI_BYTE`
    long bytes(SymbolLookup library) {
        return this == OPEN_MPI ? address(library, "ompi_mpi_byte") : bytes;
    }

    /// `MPI_ERRORS_RETURN`
    long errorsReturn(SymbolLookup library) {
        return this == OPEN_MPI ? address(library, "ompi_mpi_errors_return") : errorsReturn;
    }

    private static long address(SymbolLookup library, String symbol) {
        return library.find(symbol)
                .orElseThrow(() -> new IllegalStateException("mpi: the library has no " + symbol))
                .address();
    }
}
