package io.jacquard.group;

import io.jacquard.tensor.Session;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/// Whether a rank's thread computes in a circle: it runs without a pause, but begins no operation, makes no tensor, and
/// reads and writes nothing. Work that takes long does one of these, or waits: for a disk, a lock,
/// another thread. Linux tells; elsewhere, and before a rank's first operation on a tensor, nobody is accused.
public final class Pulse {
    /// A rank that begins operations more often is not looked at: that takes a millisecond.
    private static final long REST_NANOS = 1_000_000_000;

    /// The thread waits for the JVM, too: now and then, and around each garbage collection.
    private static final long PAUSES_PER_SECOND = 2;

    private static final long PAUSES_PER_COLLECTION = 4;

    private static final int FRAMES = 3;
    private static final String[] JDK = {"java.", "jdk.", "sun.", "com.sun."};

    private record Sample(
            long nanos, boolean runs, long begun, long tensors, long bytes, long pauses, long collections) {}

    private final FlightRecorder recorder;
    private final Thread thread = Thread.currentThread();
    private final @Nullable Path task;
    private @Nullable Sample last;
    private long since = System.nanoTime();

    private Pulse(FlightRecorder recorder) {
        this.recorder = recorder;
        Path found = null;
        try {
            Path name = Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName();
            found = Path.of("/proc/self/task").resolve(name);
        } catch (IOException | UnsupportedOperationException _) {
            // not Linux
        }
        task = found;
    }

    /// That of the calling thread, whose operations `recorder` has.
    public static Pulse ofThisThread(FlightRecorder recorder) {
        return new Pulse(recorder);
    }

    /// How long the thread has given no sign of life, as far as the calls of this method saw.
    public synchronized long circlingNanos() {
        Sample before = last;
        if (before != null && System.nanoTime() - before.nanos < REST_NANOS) {
            return before.nanos - since;
        }
        Sample now = sample();
        last = now;
        if (now == null || before == null || lives(before, now)) {
            since = now == null ? System.nanoTime() : now.nanos;
        }
        return now == null ? 0 : now.nanos - since;
    }

    private static boolean lives(Sample before, Sample now) {
        long allowed = PAUSES_PER_SECOND * Math.ceilDiv(now.nanos - before.nanos, 1_000_000_000)
                + PAUSES_PER_COLLECTION * (now.collections - before.collections);
        return !now.runs
                || now.begun != before.begun
                || now.tensors != before.tensors
                || now.bytes != before.bytes
                || now.pauses - before.pauses > allowed;
    }

    private @Nullable Sample sample() {
        Session session = recorder.session();
        if (task == null || session == null) {
            return null;
        }
        try {
            Map<String, String> status = fields("status");
            Map<String, String> io = fields("io");
            long collections = ManagementFactory.getGarbageCollectorMXBeans().stream()
                    .mapToLong(GarbageCollectorMXBean::getCollectionCount)
                    .sum();
            return new Sample(
                    System.nanoTime(),
                    status.getOrDefault("State", "").startsWith("R"),
                    recorder.begun(),
                    session.tensorsMade(),
                    number(io, "rchar") + number(io, "wchar"),
                    number(status, "voluntary_ctxt_switches"),
                    collections);
        } catch (IOException e) {
            return null;
        }
    }

    private Map<String, String> fields(String file) throws IOException {
        Map<String, String> fields = new HashMap<>();
        for (String line : Files.readAllLines(Objects.requireNonNull(task).resolve(file))) {
            int colon = line.indexOf(':');
            fields.put(
                    line.substring(0, Math.max(colon, 0)),
                    line.substring(colon + 1).strip());
        }
        return fields;
    }

    private static long number(Map<String, String> fields, String name) {
        return Long.parseLong(fields.getOrDefault(name, "0"));
    }

    /// Where the thread is: `Loop.spin(Loop.java:77) < Loop.main(Loop.java:20)`; empty if it has ended.
    public String where() {
        List<String> frames = new ArrayList<>();
        for (StackTraceElement e : thread.getStackTrace()) {
            if (frames.size() < FRAMES && !isNotShown(e.getClassName())) {
                String type = e.getClassName().substring(e.getClassName().lastIndexOf('.') + 1);
                frames.add(type + "." + e.getMethodName() + "(" + e.getFileName() + ":" + e.getLineNumber() + ")");
            }
        }
        return frames.stream().collect(Collectors.joining(" < "));
    }

    private static boolean isNotShown(String type) {
        return type.equals(Pulse.class.getName())
                || type.equals(Crew.class.getName())
                || Arrays.stream(JDK).anyMatch(type::startsWith);
    }
}
