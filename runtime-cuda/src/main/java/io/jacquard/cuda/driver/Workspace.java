package io.jacquard.cuda.driver;

import io.jacquard.tensor.DeviceOutOfMemoryException;
import java.util.ArrayList;
import java.util.List;

/// Scratch memory of kernels: one block that all launches share in the order of the stream.
final class Workspace implements AutoCloseable {
    private static final long SMALLEST = 1L << 20;
    private static final long ALIGNMENT = 256;

    private final Gpu gpu;

    /// Blocks that were outgrown stay: a captured graph may hold their addresses.
    private final List<Long> blocks = new ArrayList<>();

    private long current;
    private long size;

    Workspace(Gpu gpu) {
        this.gpu = gpu;
    }

    long atLeast(long bytes) {
        if (bytes > size) {
            grow(bytes);
        }
        gpu.discard(current, size); // what the kernel before has left there
        // the end of the block: what a kernel writes behind it is out of bounds, and checking drivers say so
        return current + size - rounded(bytes);
    }

    private void grow(long bytes) {
        if (gpu.isCapturing()) {
            throw new IllegalStateException("capture: a kernel needs a workspace of " + bytes + " bytes and has " + size
                    + "; run the work once before it is captured");
        }
        // doubling: what was outgrown is less than what is in use
        long wanted = Math.max(Math.max(rounded(bytes), SMALLEST), 2 * size);
        long block = gpu.allocate(wanted);
        if (block == 0) {
            throw new DeviceOutOfMemoryException("out of memory: no " + wanted
                    + " bytes for the workspace of a kernel; try recompute or a smaller micro-batch");
        }
        blocks.add(block);
        current = block;
        size = wanted;
    }

    private static long rounded(long bytes) {
        return Math.ceilDiv(bytes, ALIGNMENT) * ALIGNMENT;
    }

    @Override
    public void close() {
        blocks.forEach(gpu::free);
        blocks.clear();
        size = 0;
    }
}
