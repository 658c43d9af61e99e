package io.jacquard.nccl;

import io.jacquard.cuda.driver.SideStream;
import io.jacquard.cuda.driver.SideStream.Ticket;
import io.jacquard.group.Pending;
import java.util.stream.IntStream;

/// A communicator of NCCL's with a stream of its own: what waits there for another rank holds up nobody else.
final class Communicator {
    final long handle;
    final SideStream side;
    private final Pending[] pendings;

    Communicator(long handle, SideStream side) {
        this.handle = handle;
        this.side = side;
        this.pendings = IntStream.range(0, SideStream.TICKETS)
                .mapToObj(place -> (Pending) () -> side.ticket(place).join())
                .toArray(Pending[]::new);
    }

    /// The pending that joins what the next ticket is for.
    Pending next() {
        return pendings[side.next()];
    }

    long stream() {
        return side.handle();
    }

    /// What the rank has put on the stream last.
    String latest() {
        Ticket last = side.latest();
        return last == null ? "the start" : String.valueOf(last.what());
    }
}
