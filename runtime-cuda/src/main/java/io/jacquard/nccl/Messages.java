package io.jacquard.nccl;

import io.jacquard.group.Flight;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Sends and receives that leave together.
final class Messages {
    /// @param isSent or received
    record Message(Flight flight, Tensor tensor, int peer, boolean isSent) {}

    private final List<Message> waiting = new ArrayList<>();
    private boolean gathering;

    /// Whether messages wait for others to leave with them.
    boolean isGathering() {
        return gathering;
    }

    void add(Message m) {
        waiting.add(m);
    }

    List<Message> waiting() {
        return waiting;
    }

    /// Lets those wait that `calls` adds; forgets them if it throws.
    void gather(Runnable calls) {
        if (gathering) {
            throw new IllegalStateException("group: grouped() inside grouped()");
        }
        gathering = true;
        try {
            calls.run();
        } catch (RuntimeException | Error e) {
            waiting.clear();
            throw e;
        } finally {
            gathering = false;
        }
    }
}
