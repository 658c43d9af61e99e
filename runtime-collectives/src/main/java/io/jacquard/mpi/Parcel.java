package io.jacquard.mpi;

import io.jacquard.mpi.Wire.Transfer;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import java.lang.foreign.MemorySegment;

/// A message between two ranks, from its start to its end; then ready for another one. It travels in MPI's own time,
/// which is whenever either rank is in MPI: waiting, or in a round of the watchdog.
///
/// **Thread**: that of the rank.
final class Parcel {
    private static final int SLIP = 1;
    private static final int CONTENT = 2;

    private final Wire wire;
    private final Requests slips;
    private final Requests contents;
    private final Slip slip = new Slip();
    private final HostBuffer staging = new HostBuffer();

    Parcel(Wire wire) {
        this.wire = wire;
        this.slips = wire.requests();
        this.contents = wire.requests();
    }

    /// Starts to send `tensor`, which lies where `content` says, or to receive it, and waits for nobody.
    void start(Backend backend, Tensor tensor, Transfer content) {
        if (content.out()) {
            slip.write(tensor);
        }
        wire.start(new Transfer(content.peer(), slip.address(), Slip.BYTES, content.out()), SLIP, slips);
        if (!isStaged(backend)) {
            backend.lend();
            wire.start(content, CONTENT, contents);
            return;
        }
        MemorySegment host = host(content);
        if (content.out()) {
            backend.download(host, content.address());
        }
        wire.start(new Transfer(content.peer(), host.address(), content.bytes(), content.out()), CONTENT, contents);
    }

    /// Waits until the tensor has left, or has come: false if what comes is another one.
    boolean finish(Backend backend, Tensor tensor, Transfer content) {
        wire.await(slips);
        if (!content.out() && !slip.fits(tensor)) {
            return false;
        }
        wire.await(contents);
        if (!isStaged(backend)) {
            backend.returned();
        } else if (!content.out()) {
            backend.upload(content.address(), host(content));
        }
        return true;
    }

    private static boolean isStaged(Backend backend) {
        return !backend.device().kind().equals("cpu");
    }

    private MemorySegment host(Transfer content) {
        return staging.atLeast(content.bytes()).asSlice(0, content.bytes());
    }

    /// What came instead.
    String words() {
        return slip.words();
    }
}
