package io.jacquard.tensor;

import org.jspecify.annotations.Nullable;

/// One allocation on a device. Tensors are handles on it.
final class Storage {
    final Session session;
    final long bytes;
    private final Pool pool;
    private final long address;
    private @Nullable String freedBy;

    /// How many tensors of the graph (those with a node) still have their backward to run.
    int graphUses;

    /// How many pending gradients lie in this storage; above one, an accumulation must copy first.
    int gradientShares;

    Storage(Session session, Pool pool, long address, long bytes) {
        this.session = session;
        this.pool = pool;
        this.address = address;
        this.bytes = bytes;
    }

    boolean isAlive() {
        return freedBy == null;
    }

    long address(Tensor user) {
        if (freedBy != null) {
            throw new IllegalStateException("tensor used after free: " + user + " " + freedBy);
        }
        return address;
    }

    /// The address of memory that is known to live.
    long address() {
        return address;
    }

    void free(String by) {
        if (freedBy == null) {
            freedBy = by;
            pool.give(address, bytes);
        }
    }
}
