package io.jacquard.cuda;

import io.jacquard.cuda.driver.CapturedGraph;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.KernelLibrary;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.cuda.driver.Stopwatch;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Energy;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashSet;
import java.util.Set;

/// One GPU. Launches and copies happen in the order of one stream, behind the host.
public final class CudaBackend implements Backend {
    private final Device device;
    private final Gpu gpu;
    private final KernelLibrary library;
    private final Launcher launcher;
    private final CudaKernels kernels;
    private final Stopwatch stopwatch;
    private final Set<Long> reserved = new LinkedHashSet<>();

    CudaBackend(Device device, Gpu gpu) {
        this.device = device;
        this.gpu = gpu;
        this.library = KernelImages.load(gpu);
        this.launcher = new Launcher(gpu, library);
        this.kernels = new CudaKernels(launcher);
        this.stopwatch = new Stopwatch(gpu);
    }

    /// The GPU of a session, for work that other libraries of NVIDIA's do there.
    ///
    /// @throws IllegalArgumentException if the session has opened another device
    public static Gpu gpu(Session session) {
        if (session.backend() instanceof CudaBackend backend) {
            return backend.gpu;
        }
        throw new IllegalArgumentException("cuda: the session has opened " + session.device() + ", which is no GPU");
    }

    @Override
    public Device device() {
        return device;
    }

    @Override
    public String description() {
        return gpu.description();
    }

    @Override
    public Kernels kernels() {
        return kernels;
    }

    Launcher launcher() {
        return launcher;
    }

    /// The kernels that this backend launches.
    Set<String> kernelNames() {
        return library.found();
    }

    @Override
    public long memoryBytes() {
        return gpu.memoryBytes();
    }

    @Override
    public long freeBytes() {
        return gpu.freeBytes();
    }

    @Override
    public long reserve(long bytes) {
        long address = gpu.allocate(bytes);
        if (address != 0) {
            reserved.add(address);
        }
        return address;
    }

    @Override
    public void unreserve(long address) {
        if (!reserved.remove(address)) {
            throw new IllegalArgumentException("unreserve: address " + address + " was never reserved on " + device);
        }
        gpu.free(address);
    }

    @Override
    public void discard(long address, long bytes) {
        gpu.discard(address, bytes);
    }

    @Override
    public void upload(long destination, MemorySegment source) {
        refuseInCapture("upload");
        gpu.upload(destination, source);
    }

    @Override
    public void download(MemorySegment destination, long source) {
        refuseInCapture("download");
        gpu.download(destination, source);
    }

    @Override
    public Energy energy() {
        return gpu.energy();
    }

    @Override
    public Readback downloadLater(MemorySegment destination, long source) {
        refuseInCapture("downloadLater");
        return gpu.downloadLater(destination, source);
    }

    @Override
    public void synchronize() {
        refuseInCapture("synchronize");
        gpu.synchronize();
    }

    @Override
    public double micros(Runnable work) {
        refuseInCapture("micros");
        return stopwatch.micros(work);
    }

    private void refuseInCapture(String what) {
        if (gpu.isCapturing()) {
            throw new IllegalStateException(
                    what + ": not possible during capture, which records launches without running"
                            + " them; copy inputs before capture() and refresh them between replays");
        }
    }

    @Override
    public Graph capture(Runnable work) {
        if (gpu.isCapturing()) {
            throw new IllegalStateException("capture: already capturing; captures do not nest");
        }
        gpu.beginCapture();
        boolean recorded = false;
        try {
            work.run();
            recorded = true;
        } finally {
            if (!recorded) {
                gpu.abandonCapture();
            }
        }
        return new Recorded(gpu.endCapture());
    }

    private final class Recorded implements Graph {
        private final CapturedGraph graph;

        Recorded(CapturedGraph graph) {
            this.graph = graph;
        }

        @Override
        public void replay() {
            refuseInCapture("replay");
            graph.replay();
        }

        @Override
        public void close() {
            graph.close();
        }
    }

    @Override
    public void close() {
        stopwatch.close();
        kernels.close();
        launcher.close();
        reserved.forEach(gpu::free);
        reserved.clear();
        library.close();
        gpu.close();
    }
}
