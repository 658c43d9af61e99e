package io.jacquard.tensor;

import io.jacquard.tensor.spi.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// First fit over blocks reserved from the backend: the same requests in the same order get the same addresses.
final class Pool {
    /// Every tensor starts on a 256-byte boundary: whole cache lines, and what TMA and 16-byte vector loads want.
    private static final long ALIGNMENT = 256;

    /// Smaller reservations are rounded up to this, so that a run makes tens of them, not thousands.
    private static final long BLOCK = 64L << 20;

    private final Backend backend;
    private final boolean grows;
    private final List<Block> blocks = new ArrayList<>();
    private long used;
    private long peak;
    private long extent;

    /// A pool that reserves from the backend as it needs.
    Pool(Backend backend) {
        this.backend = backend;
        this.grows = true;
    }

    /// A pool inside memory that somebody else owns.
    Pool(Backend backend, long base, long bytes) {
        this.backend = backend;
        this.grows = false;
        blocks.add(new Block(base, bytes));
    }

    /// The address of a free range, or 0 when there is none.
    long take(long bytes) {
        long n = rounded(bytes);
        for (Block b : blocks) {
            long address = b.take(n);
            if (address != 0) {
                return taken(b, address, n);
            }
        }
        if (grows) {
            long size = Math.max(n, BLOCK);
            long base = backend.reserve(size);
            if (base == 0) {
                trim();
                size = n;
                base = backend.reserve(size);
            }
            if (base != 0) {
                Block b = new Block(base, size);
                blocks.add(b);
                return taken(b, b.take(n), n);
            }
        }
        return 0;
    }

    private long taken(Block b, long address, long n) {
        used += n;
        peak = Math.max(peak, used);
        if (!grows) {
            extent = Math.max(extent, address + n - b.base);
        }
        return address;
    }

    void give(long address, long bytes) {
        long n = rounded(bytes);
        for (Block b : blocks) {
            if (address >= b.base && address < b.base + b.size) {
                b.give(address - b.base, n);
                used -= n;
                backend.discard(address, n);
                return;
            }
        }
        throw new AssertionError("pool: address " + address + " is of no block");
    }

    /// Gives the backend back the blocks that nothing lies in.
    void trim() {
        blocks.removeIf(b -> {
            boolean unused = grows && b.isFree();
            if (unused) {
                backend.unreserve(b.base);
            }
            return unused;
        });
    }

    long used() {
        return used;
    }

    long peak() {
        return peak;
    }

    /// The highest offset ever used of a fixed block, 0 for a growing pool.
    long extent() {
        return extent;
    }

    /// Bytes reserved from the backend, in use or not.
    long reserved() {
        return blocks.stream().mapToLong(b -> b.size).sum();
    }

    void close() {
        blocks.forEach(b -> backend.unreserve(b.base));
        blocks.clear();
    }

    static long rounded(long bytes) {
        return Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) & -ALIGNMENT);
    }

    private static final class Block {
        final long base;
        final long size;
        private final TreeMap<Long, Long> free = new TreeMap<>(); // offset to length

        Block(long base, long size) {
            this.base = base;
            this.size = size;
            free.put(0L, size);
        }

        boolean isFree() {
            return free.getOrDefault(0L, 0L) == size;
        }

        long take(long n) {
            Map.Entry<Long, Long> fit = firstOfSize(n);
            if (fit == null) {
                return 0;
            }
            long offset = fit.getKey();
            free.remove(offset);
            if (fit.getValue() > n) {
                free.put(offset + n, fit.getValue() - n);
            }
            return base + offset;
        }

        private Map.@Nullable Entry<Long, Long> firstOfSize(long n) {
            for (Map.Entry<Long, Long> e : free.entrySet()) {
                if (e.getValue() >= n) {
                    return Map.entry(e.getKey(), e.getValue());
                }
            }
            return null;
        }

        void give(long offset, long n) {
            long from = offset;
            long length = n;
            Map.Entry<Long, Long> before = free.floorEntry(offset);
            if (before != null && before.getKey() + before.getValue() == offset) {
                from = before.getKey();
                length += before.getValue();
            }
            Long after = free.remove(offset + n);
            if (after != null) {
                length += after;
            }
            free.put(from, length);
        }
    }
}
