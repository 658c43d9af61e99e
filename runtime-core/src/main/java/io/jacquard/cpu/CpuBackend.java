package io.jacquard.cpu;

import io.jacquard.tensor.Device;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Energy;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// The processor as a device. Launches run before they return; while capturing they are recorded instead.
final class CpuBackend implements Backend {
    private final Device device;
    private final Kernels kernels;
    private final Energy energy = Rapl.open();
    private final Map<Long, Long> reserved = new HashMap<>();
    private final Map<Long, Long> given = new HashMap<>();
    private long reservedBytes;
    private int lent;
    private @Nullable List<Runnable> recording;

    CpuBackend(Device device, Workers workers) {
        Loops.keepApart();
        this.device = device;
        this.kernels = new CpuKernels(workers, this::launch);
    }

    @Override
    public Device device() {
        return device;
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    @Override
    public Energy energy() {
        return energy;
    }

    private void launch(Runnable kernel) {
        if (recording == null) {
            kernel.run();
        } else {
            recording.add(kernel);
        }
    }

    @Override
    public long memoryBytes() {
        return Posix.memoryBytes();
    }

    @Override
    public long freeBytes() {
        return memoryBytes() - reservedBytes;
    }

    @Override
    public long reserve(long bytes) {
        // pages are only taken when touched, so the system would say yes to far more than there is
        if (bytes > memoryBytes() - reservedBytes) {
            return 0;
        }
        long address = Posix.map(bytes);
        if (address != 0) {
            reserved.put(address, bytes);
            reservedBytes += bytes;
        }
        return address;
    }

    @Override
    public void unreserve(long address) {
        Long bytes = reserved.remove(address);
        if (bytes == null) {
            throw new IllegalArgumentException("unreserve: address " + address + " was never reserved on " + device);
        }
        reservedBytes -= bytes;
        given.put(address, bytes);
        unmap();
    }

    @Override
    public void lend() {
        lent++;
    }

    @Override
    public void returned() {
        lent--;
        unmap();
    }

    private void unmap() {
        if (lent == 0) {
            given.forEach(Posix::unmap);
            given.clear();
        }
    }

    @Override
    public void upload(long destination, MemorySegment source) {
        refuseInCapture("upload");
        MemorySegment.copy(source, 0, Mem.ALL, destination, source.byteSize());
    }

    @Override
    public void download(MemorySegment destination, long source) {
        refuseInCapture("download");
        MemorySegment.copy(Mem.ALL, source, destination, 0, destination.byteSize());
    }

    private void refuseInCapture(String what) {
        if (recording != null) {
            throw new IllegalStateException(
                    what + ": not possible during capture, which records launches without running"
                            + " them; copy inputs before capture() and refresh them between replays");
        }
    }

    /// Launches return when they are done: nothing to wait for.
    @Override
    public void synchronize() {
        refuseInCapture("synchronize");
    }

    /// During capture it is recorded like a launch.
    @Override
    public void inOrder(Runnable work) {
        launch(work);
    }

    @Override
    public Graph capture(Runnable work) {
        if (recording != null) {
            throw new IllegalStateException("capture: already capturing; captures do not nest");
        }
        List<Runnable> launches = new ArrayList<>();
        recording = launches;
        try {
            work.run();
        } finally {
            recording = null;
        }
        return new Recorded(launches);
    }

    private final class Recorded implements Graph {
        private @Nullable List<Runnable> launches;

        Recorded(List<Runnable> launches) {
            this.launches = launches;
        }

        @Override
        public void replay() {
            if (launches == null) {
                throw new IllegalStateException("replay: the graph is closed");
            }
            refuseInCapture("replay");
            launches.forEach(Runnable::run);
        }

        @Override
        public void close() {
            launches = null;
        }
    }

    @Override
    public void close() {
        given.putAll(reserved);
        unmap();
        reserved.clear();
        reservedBytes = 0;
    }
}
