package io.jacquard.cuda.driver;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// What the flight recorder sees of a device. Durations are the host's: the device works behind it.
final class Events {
    private Events() {}

    /// A copy between host and device.
    @Name("io.jacquard.Copy")
    @Label("Copy")
    @Category({"Jacquard", "CUDA"})
    @Description("A copy between host and device; one to the host waits for the work before it unless it is read later")
    @StackTrace(false)
    static final class Copy extends Event {
        @Label("To device")
        boolean toDevice;

        @Label("Size")
        @DataAmount
        long bytes;
    }

    /// A block of device memory taken from the driver.
    @Name("io.jacquard.Allocation")
    @Label("Device memory")
    @Category({"Jacquard", "CUDA"})
    @Description("A block of device memory taken from the driver")
    static final class Allocation extends Event {
        @Label("Size")
        @DataAmount
        long bytes;

        @Label("Granted")
        boolean granted;
    }

    /// A captured graph launched.
    @Name("io.jacquard.GraphReplay")
    @Label("Graph replay")
    @Category({"Jacquard", "CUDA"})
    @Description("A captured graph launched")
    @StackTrace(false)
    static final class Replay extends Event {}

    /// One launch: off unless asked for, since a step has hundreds.
    @Name("io.jacquard.Launch")
    @Label("Kernel launch")
    @Category({"Jacquard", "CUDA"})
    @Description("A kernel launched, or recorded into a graph; enable with +io.jacquard.Launch#enabled=true")
    @Enabled(false)
    @StackTrace(false)
    static final class Launch extends Event {
        @Label("Kernel")
        String kernel = "";

        @Label("Blocks")
        long blocks;

        @Label("Threads per block")
        int threads;

        @Label("Recorded into a graph")
        boolean captured;
    }
}
