package io.jacquard.tensor.spi;

import io.jacquard.tensor.Device;
import java.lang.foreign.MemorySegment;

/// One opened device. Used by one thread at a time, the one that opened the session.
public interface Backend extends AutoCloseable {
    /// The device that was opened.
    Device device();

    /// What was opened, in words: for people who want to know which driver was found, and where.
    default String description() {
        return device().toString();
    }

    /// The kernels; during [#capture] they record instead of running.
    Kernels kernels();

    /// The device's energy meter.
    default Energy energy() {
        return Energy.unknown(device() + " has no energy meter");
    }

    /// Bytes of memory the device has in all.
    long memoryBytes();

    /// Bytes of device memory that nobody holds, this process or another.
    long freeBytes();

    /// A block of device memory, aligned to 256 bytes, or 0 when there is no such block left. Slow: only the pool
    /// calls it.
    long reserve(long bytes);

    /// Gives back a block that [#reserve] returned. Slow, too.
    void unreserve(long address);

    /// From here on somebody else reads or writes this memory by its addresses, a network say, until as many calls
    /// of [#returned]. What is given back meanwhile, on the way out of a failure, stays where it is. For devices
    /// whose addresses others can use; the rest do nothing.
    default void lend() {}

    /// Nobody does any more.
    default void returned() {}

    /// What lies there is of no use any more: a tensor has died, in the order of the launches, and the pool may
    /// hand the bytes out again. For devices that find reads of stale memory; others do nothing.
    default void discard(long address, long bytes) {}

    /// Copies host memory to the device. Refused during capture.
    void upload(long destination, MemorySegment source);

    /// Waits for the work before it, then copies to host memory. Refused during capture.
    void download(MemorySegment destination, long source);

    /// Begins a copy to host memory behind the work so far and returns: `destination` holds it after
    /// [Readback#await]. Refused during capture.
    default Readback downloadLater(MemorySegment destination, long source) {
        download(destination, source);
        return Readback.DONE;
    }

    /// Waits until everything launched so far is done. Refused during capture.
    void synchronize();

    /// Runs `work` behind what was launched before, waits for it, and says how many microseconds the device took.
    /// On a device behind the host the time includes what the host needs to reach it with a first launch, some
    /// microseconds: time many launches at once where they are short. Refused during capture.
    default double micros(Runnable work) {
        synchronize();
        long start = System.nanoTime();
        work.run();
        synchronize();
        return (System.nanoTime() - start) / 1e3;
    }

    /// Runs `work` on the host after what was launched before, and before what is launched later: how ranks that
    /// are threads meet between kernels. During capture it would have to wait for the device, and is refused.
    default void inOrder(Runnable work) {
        synchronize();
        work.run();
    }

    /// Records the launches of `work` without running them; [Graph#replay] runs them, at the same addresses.
    Graph capture(Runnable work);

    @Override
    void close();
}
