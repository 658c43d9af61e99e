package io.jacquard.tensor;

import org.jspecify.annotations.Nullable;

/// One allocation on a device. Tensors are handles on it.
final class Storage {
    final Session session;
    final long bytes;
    private final Pool pool;
    private final long address;
    private final Object content;
    private @Nullable String name;
    private @Nullable Class<?> operation;
    private @Nullable String parameter;
    private boolean gradient;
    private @Nullable String freedBy;

    /// How many tensors of the graph (those with a node) still have their backward to run.
    int graphUses;

    /// How many pending gradients lie in this storage.
    int gradientShares;

    /// How many writers that were put off still have to read this storage.
    int lateReads;

    /// Why this storage is freed when the last of those has run, if it is.
    @Nullable
    String freedAfterReads;

    /// What an allocation is for. A record, because most allocations never need the text.
    record Content(Shape shape, DType dtype) {
        @Override
        public String toString() {
            return shape + " " + dtype;
        }
    }

    Storage(Session session, Pool pool, long address, long bytes, Object content) {
        this.session = session;
        this.pool = pool;
        this.address = address;
        this.bytes = bytes;
        this.content = content;
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
            freedBy(by);
            pool.give(address, bytes);
        }
    }

    void freedBy(String by) {
        freedBy = by;
    }

    // ---- what it is, for messages: the first to say it knows best; the graph itself is not held

    void named(String newName) {
        name = name == null ? newName : name;
    }

    void madeBy(Node node) {
        if (operation != null) {
            return;
        }
        operation = node.getClass();
        for (Tensor t : node.inputs()) {
            if (t.sink() != null && t.name() != null) {
                parameter = t.name();
                return;
            }
        }
    }

    void gradientOf(Storage value) {
        gradient = true;
        operation = value.operation;
        parameter = value.parameter;
    }

    /// The name, or the operation that made it and its parameter, or shape and type. An index in a parameter's path
    /// is `*`, so that the blocks of a model come together.
    String label() {
        if (name != null) {
            return name;
        }
        if (operation == null) {
            return (gradient ? "gradient " : "") + content;
        }
        String simple = operation.getSimpleName();
        return (gradient ? "gradient of " : "")
                + Character.toLowerCase(simple.charAt(0))
                + simple.substring(1)
                + (parameter == null
                        ? ""
                        : " " + parameter.replaceAll("\\.(weight|bias)$", "").replaceAll("\\.\\d+(?=\\.)", ".*"));
    }
}
