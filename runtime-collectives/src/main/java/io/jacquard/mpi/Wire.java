package io.jacquard.mpi;

import io.jacquard.line.Activity;
import io.jacquard.tensor.spi.Backend;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Moves bytes between the tensors of ranks. Memory of the CPU is sent and received where it lies; that of another
/// device passes through the host.
///
/// **Thread**: that of the rank.
final class Wire {
    /// Bytes of one message: counts are `int`, a device's memory is staged so much at a time, and the watchdog sees
    /// that something moves.
    private static final long MESSAGE = 8 << 20;

    /// Bytes at `address` that go to, or come from, rank `peer`.
    record Transfer(int peer, long address, long bytes, boolean out) {
        static Transfer to(int peer, long address, long bytes) {
            return new Transfer(peer, address, bytes, true);
        }

        static Transfer from(int peer, long address, long bytes) {
            return new Transfer(peer, address, bytes, false);
        }
    }

    private final Mpi mpi;
    private final long communicator;
    private final Activity activity;
    private final Requests requests;
    private final HostBuffer buffer = new HostBuffer();

    Wire(Mpi mpi, long communicator, Activity activity) {
        this.mpi = mpi;
        this.communicator = communicator;
        this.activity = activity;
        this.requests = new Requests(mpi);
    }

    /// All transfers at once; between two ranks in the order of the list.
    void exchange(Backend backend, List<Transfer> transfers, int tag) {
        if (backend.device().kind().equals("cpu")) {
            backend.lend();
            transfers.forEach(t -> start(t, tag, requests));
            requests.await(activity);
            backend.returned();
            return;
        }
        long longest = transfers.stream().mapToLong(Transfer::bytes).max().orElse(0);
        for (long at = 0; at < longest; at += MESSAGE) {
            staged(backend, transfers, at, tag);
        }
    }

    private static long left(Transfer t, long at) {
        return Math.clamp(t.bytes - at, 0, MESSAGE);
    }

    private void staged(Backend backend, List<Transfer> transfers, long at, int tag) {
        MemorySegment staging =
                buffer.atLeast(transfers.stream().mapToLong(t -> left(t, at)).sum());
        long place = 0;
        for (Transfer t : transfers) {
            if (t.out && left(t, at) > 0) {
                backend.download(staging.asSlice(place, left(t, at)), t.address + at);
            }
            if (left(t, at) > 0) {
                start(t, staging.address() + place, left(t, at), tag, requests);
            }
            place += left(t, at);
        }
        requests.await(activity);
        place = 0;
        for (Transfer t : transfers) {
            if (!t.out && left(t, at) > 0) {
                backend.upload(t.address + at, staging.asSlice(place, left(t, at)));
            }
            place += left(t, at);
        }
    }

    private void start(Transfer t, long address, long bytes, int tag, Requests of) {
        int count = Math.toIntExact(bytes);
        if (t.out) {
            mpi.isend(address, count, t.peer, tag, communicator, of.next());
        } else {
            mpi.irecv(address, count, t.peer, tag, communicator, of.next());
        }
    }

    /// For transfers that are started one by one.
    Requests requests() {
        return new Requests(mpi);
    }

    /// Starts a transfer of host memory, which must stay as it is until [#await].
    void start(Transfer t, int tag, Requests of) {
        for (long at = 0; at < t.bytes; at += MESSAGE) {
            start(t, t.address + at, Math.min(MESSAGE, t.bytes - at), tag, of);
        }
    }

    /// Returns when all are done.
    void await(Requests of) {
        of.await(activity);
    }

    /// Host memory: `all` = the `mine` of all ranks, one after the other.
    void gather(MemorySegment mine, MemorySegment all) {
        mpi.iallgather(mine.address(), Math.toIntExact(mine.byteSize()), all.address(), communicator, requests.next());
        requests.await(activity);
    }
}
