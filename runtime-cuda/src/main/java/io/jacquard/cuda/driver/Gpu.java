package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.Debug;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.spi.Energy;
import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// One opened device: its primary context, its memory and one stream, in whose order everything happens.
///
/// **Thread**: the one that opened it.
public final class Gpu implements AutoCloseable {
    private static final int ATTRIBUTE_MULTIPROCESSORS = 16;
    private static final int ATTRIBUTE_MAJOR = 75;
    private static final int ATTRIBUTE_MINOR = 76;
    private static final int ATTRIBUTE_SHARED_OPTIN = 97;
    private static final int STREAM_NON_BLOCKING = 1;

    /// Relaxed: the host may still allocate while it records, as it may on the CPU.
    private static final int CAPTURE_RELAXED = 2;

    private static final int OUT_OF_MEMORY = 2;

    /// What cuEventQuery says before the event.
    static final int NOT_READY = 600;

    private final Driver driver;
    private final int ordinal;
    private final int device;
    private final String name;
    private final int capability;
    private final int multiprocessors;
    private final int sharedBytes;
    private final long memoryBytes;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment result = arena.allocate(256, 8);
    private final long context;
    private final long stream;
    private final List<SideStream> sides = new ArrayList<>();
    private final Staging staging;
    private final Readbacks readbacks;
    private final boolean synchronous = Debug.sync();
    private boolean capturing;
    private volatile long waitingSince;

    Gpu(Driver driver, int ordinal) {
        this.driver = driver;
        this.ordinal = ordinal;
        check(Calls.deviceGet(result.address(), ordinal), "cuDeviceGet");
        device = result.get(JAVA_INT, 0);
        check(Calls.deviceGetName(result.address(), (int) result.byteSize(), device), "cuDeviceGetName");
        name = result.getString(0);
        capability = 10 * attribute(ATTRIBUTE_MAJOR) + attribute(ATTRIBUTE_MINOR);
        multiprocessors = attribute(ATTRIBUTE_MULTIPROCESSORS);
        sharedBytes = attribute(ATTRIBUTE_SHARED_OPTIN);
        check(Calls.deviceTotalMem(result.address(), device), "cuDeviceTotalMem");
        memoryBytes = result.get(JAVA_LONG, 0);
        check(Calls.primaryCtxRetain(result.address(), device), "opening the device");
        context = result.get(JAVA_LONG, 0);
        makeCurrent();
        check(Calls.streamCreate(result.address(), STREAM_NON_BLOCKING), "cuStreamCreate");
        stream = result.get(JAVA_LONG, 0);
        staging = new Staging(this);
        readbacks = new Readbacks(this);
    }

    private int attribute(int attribute) {
        check(Calls.deviceGetAttribute(result.address(), attribute, device), "cuDeviceGetAttribute");
        return result.get(JAVA_INT, 0);
    }

    /// Lets the calling thread ask about streams and events of this device.
    public void makeCurrent() {
        check(Calls.ctxSetCurrent(context), "cuCtxSetCurrent");
    }

    /// Its number among those that the driver shows.
    public int ordinal() {
        return ordinal;
    }

    /// Whether it is the emulator's.
    public boolean isEmulated() {
        return driver.isEmulator();
    }

    /// As the driver calls it.
    public String name() {
        return name;
    }

    /// As the driver counts: 13000 is CUDA 13.0, which driver 580 brought.
    public int driverVersion() {
        return driver.version();
    }

    /// Name, capability, multiprocessors, and the driver with its place.
    public String description() {
        int version = driver.version();
        return name + ", compute capability " + capability / 10 + "." + capability % 10 + ", " + multiprocessors
                + " multiprocessors, " + (driver.isEmulator() ? "emulated" : "CUDA") + " driver "
                + version / 1000 + "." + version % 1000 / 10 + " at " + driver.path();
    }

    /// Compute capability: 80, 89, 90, 100, 120.
    public int capability() {
        return capability;
    }

    /// Streaming multiprocessors.
    public int multiprocessors() {
        return multiprocessors;
    }

    /// The most shared memory that one block may ask for.
    public int sharedBytes() {
        return sharedBytes;
    }

    /// Device memory in all.
    public long memoryBytes() {
        return memoryBytes;
    }

    /// The device's energy meter.
    public Energy energy() {
        return GpuMonitor.energy(driver.bus(ordinal));
    }

    /// Device memory that nobody holds now, on the whole device.
    public long freeBytes() {
        check(Calls.memGetInfo(result.address(), result.address() + 8), "cuMemGetInfo");
        return result.get(JAVA_LONG, 0);
    }

    /// A block aligned to 256 bytes, or 0 when there is none left.
    public long allocate(long bytes) {
        Events.Allocation event = new Events.Allocation();
        event.begin();
        int code = Calls.memAlloc(result.address(), bytes);
        event.bytes = bytes;
        event.granted = code == 0;
        event.commit();
        if (code == OUT_OF_MEMORY) {
            return 0;
        }
        check(code, "allocating " + bytes + " bytes");
        return result.get(JAVA_LONG, 0);
    }

    /// Fills device memory with zeros, behind the work before it.
    public void clear(long address, long bytes) {
        check(Calls.memset(address, (byte) 0, bytes, stream), "clearing " + bytes + " bytes");
    }

    /// Gives a block back. Waits for the work that may use it.
    public void free(long address) {
        beginWait();
        // an error of an earlier launch would be reported here, and hide the one that ended the session
        int _ = Calls.memFree(address);
        waitingSince = 0;
    }

    /// From here on in the order of the stream, reading these bytes before they are written is a mistake that a
    /// driver may report. CUDA's own does not.
    public void discard(long address, long bytes) {
        driver.discard(address, bytes, stream);
    }

    /// Copies host memory, heap or not, behind the work before it; the source may change at once.
    public void upload(long destination, MemorySegment source) {
        Events.Copy event = new Events.Copy();
        event.begin();
        staging.upload(destination, source);
        event.toDevice = true;
        event.bytes = source.byteSize();
        event.commit();
    }

    /// Waits for the work before it, then copies to host memory.
    public void download(MemorySegment destination, long source) {
        Events.Copy event = new Events.Copy();
        event.begin();
        staging.download(destination, source);
        event.bytes = destination.byteSize();
        event.commit();
    }

    /// Begins a copy to host memory behind the work so far.
    public Readback downloadLater(MemorySegment destination, long source) {
        Events.Copy event = new Events.Copy();
        event.begin();
        Readback copy = readbacks.start(destination, source);
        event.bytes = destination.byteSize();
        event.commit();
        return copy;
    }

    /// Waits until all that was asked is done, on side streams too.
    public void synchronize() {
        beginWait();
        int code = Calls.streamSynchronize(stream);
        for (int i = 0; code == 0 && i < sides.size(); i++) {
            code = Calls.streamSynchronize(sides.get(i).handle());
        }
        endWait(code, "waiting for the device");
    }

    private void beginWait() {
        waitingSince = System.nanoTime() | 1;
    }

    private void endWait(int code, String operation) {
        waitingSince = 0;
        checkLate(code, operation);
        for (int i = 0; i < sides.size(); i++) {
            sides.get(i).checkAfterWait();
        }
    }

    /// Since when the host has been waiting for the device, by [System#nanoTime]; 0 when it is not. Any thread may
    /// ask.
    public long waitingSince() {
        return waitingSince;
    }

    /// Another stream of this device.
    ///
    /// @param afterWait is called each time the host has waited for the device, and throws if what ran on the other
    ///     stream is worth nothing
    public SideStream openSide(Runnable afterWait) {
        SideStream side = new SideStream(this, afterWait);
        sides.add(side);
        return side;
    }

    void closed(SideStream side) {
        sides.remove(side);
    }

    /// From here on launches are recorded, until [#endCapture] or [#abandonCapture].
    public void beginCapture() {
        check(Calls.streamBeginCapture(stream, CAPTURE_RELAXED), "cuStreamBeginCapture");
        capturing = true;
    }

    /// What was recorded, ready to be launched.
    public CapturedGraph endCapture() {
        sides.forEach(SideStream::joinCaptured);
        capturing = false;
        check(Calls.streamEndCapture(stream, result.address()), "cuStreamEndCapture");
        long graph = result.get(JAVA_LONG, 0);
        try {
            check(Calls.graphInstantiate(result.address(), graph, 0), "cuGraphInstantiate");
            return new CapturedGraph(this, result.get(JAVA_LONG, 0));
        } finally {
            int _ = Calls.graphDestroy(graph);
        }
    }

    /// Forgets what was recorded: the work failed half way.
    public void abandonCapture() {
        sides.forEach(SideStream::forgetCaptured);
        capturing = false;
        if (Calls.streamEndCapture(stream, result.address()) == 0 && result.get(JAVA_LONG, 0) != 0) {
            int _ = Calls.graphDestroy(result.get(JAVA_LONG, 0));
        }
    }

    /// Whether launches are being recorded.
    public boolean isCapturing() {
        return capturing;
    }

    long stream() {
        return stream;
    }

    Driver driver() {
        return driver;
    }

    void check(int code, String operation) {
        if (code != 0) {
            throw failure(code, operation);
        }
    }

    /// Where an error of any earlier launch may come to light.
    void checkLate(int code, String operation) {
        if (code != 0) {
            DeviceException e = failure(code, operation);
            throw synchronous
                    ? e
                    : new DeviceException(e.getMessage() + "; an earlier launch failed: --sync (-D" + Debug.SYNC
                            + "=true) and no graph name it");
        }
    }

    /// Waits for what was before the event, if it is not done.
    void awaitEvent(long event, String operation) {
        int code = Calls.eventQuery(event);
        if (code == NOT_READY) {
            beginWait();
            code = Calls.eventSynchronize(event);
        }
        endWait(code, operation);
    }

    boolean isSynchronous() {
        return synchronous;
    }

    DeviceException failure(int code, String operation) {
        return driver.failure(code, "cuda:" + ordinal + ": " + operation);
    }

    /// Waits for the device and lets it go. Memory that is still allocated dies with the last session on the
    /// device.
    @Override
    public void close() {
        int _ = Calls.streamSynchronize(stream);
        List.copyOf(sides).forEach(SideStream::close);
        readbacks.close();
        staging.close();
        int _ = Calls.streamDestroy(stream);
        int _ = Calls.primaryCtxRelease(device);
        arena.close();
    }
}
