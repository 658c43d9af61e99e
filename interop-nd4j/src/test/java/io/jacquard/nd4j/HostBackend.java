package io.jacquard.nd4j;

import io.jacquard.tensor.Device;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Host memory under the name of another device, without kernels: what the bridge sees of a device is memory only.
final class HostBackend implements Backend {
    private final Device device;
    private final Arena arena = Arena.ofConfined();

    HostBackend(String device) {
        this.device = Device.parse(device);
    }

    @Override
    public Device device() {
        return device;
    }

    @Override
    public Kernels kernels() {
        throw new UnsupportedOperationException("no kernels");
    }

    @Override
    public long memoryBytes() {
        return 1L << 30;
    }

    @Override
    public long freeBytes() {
        return memoryBytes();
    }

    @Override
    public long reserve(long bytes) {
        return arena.allocate(bytes, 256).address();
    }

    @Override
    public void unreserve(long address) {}

    @Override
    @SuppressWarnings("restricted")
    public void upload(long destination, MemorySegment source) {
        MemorySegment.ofAddress(destination).reinterpret(source.byteSize()).copyFrom(source);
    }

    @Override
    @SuppressWarnings("restricted")
    public void download(MemorySegment destination, long source) {
        destination.copyFrom(MemorySegment.ofAddress(source).reinterpret(destination.byteSize()));
    }

    @Override
    public void synchronize() {}

    @Override
    public Graph capture(Runnable work) {
        throw new UnsupportedOperationException("no graphs");
    }

    @Override
    public void close() {
        arena.close();
    }
}
