package io.jacquard.group;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.jacquard.group.Operation.Kind;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
final class PulseTest {
    private static final double SECONDS = 4;

    private interface Work {
        void once(FlightRecorder.Track track) throws IOException, InterruptedException;
    }

    private static volatile boolean over;
    private static final LongAdder COUNT = new LongAdder();

    /// A thread that does the same again and again, and its pulse.
    private static final class Subject {
        private final FlightRecorder recorder = FlightRecorder.inMemory(0);
        private final SynchronousQueue<Pulse> made = new SynchronousQueue<>();
        private final Operation first;
        private final String name;
        private final boolean circles;
        private final Work work;
        private final Thread thread;
        private final Pulse pulse;
        private double circling;
        private String where = "";

        Subject(boolean circles, String name, Operation first, Work work) throws InterruptedException {
            this.circles = circles;
            this.name = name;
            this.first = first;
            this.work = work;
            this.thread = Thread.ofPlatform().start(this::run);
            this.pulse = made.take();
        }

        private void run() {
            try (Session _ = Session.open("cpu")) {
                FlightRecorder.Track track = recorder.track("");
                track.begin(first);
                made.put(Pulse.ofThisThread(recorder));
                while (!over) {
                    work.once(track);
                }
            } catch (IOException | InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        void look() {
            circling = pulse.circlingNanos() / 1e9;
            where = pulse.where();
        }

        DynamicTest test() {
            return DynamicTest.dynamicTest(name, () -> {
                thread.join();
                assertTrue(circles ? circling > SECONDS - 2.5 : circling < 2.5, circling + " s");
                assertTrue(where.matches("(\\S+\\(\\w+.java:\\d+\\) < ){0,2}\\S+\\(\\w+.java:\\d+\\)"), where);
                assertEquals("", pulse.where());
            });
        }
    }

    @TestFactory
    Stream<DynamicTest> signsOfLife(@TempDir Path directory) throws IOException, InterruptedException {
        assumeTrue(Files.exists(Path.of("/proc/thread-self")), "skipped: only Linux tells");
        Operation sum = new Operation(Kind.ALL_REDUCE, Shape.of(1), DType.F32, 0);
        Operation barrier = Operation.of(Kind.BARRIER);
        Path path = Files.write(directory.resolve("data"), new byte[100]);
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
            List<Subject> subjects = List.of(
                    new Subject(true, "an endless loop has none", sum, _ -> COUNT.increment()),
                    new Subject(
                            true,
                            "nor has one that makes garbage",
                            sum,
                            _ -> COUNT.add(Long.toString(System.nanoTime()).length())),
                    new Subject(false, "tensors", sum, _ -> {
                        try (Scope _ = Scope.open("loop")) {
                            COUNT.add(Tensor.zeros(Shape.of(10), DType.F32).size());
                        }
                    }),
                    new Subject(
                            false,
                            "operations",
                            sum,
                            track -> track.begin(barrier).leave()),
                    new Subject(false, "reading", sum, _ -> {
                        file.seek(0);
                        COUNT.add(file.read());
                    }),
                    new Subject(false, "waiting", sum, _ -> Thread.sleep(50)),
                    new Subject(false, "waiting for long", sum, _ -> Thread.sleep((long) (1100 * SECONDS))),
                    // it may compile kernels
                    new Subject(false, "nobody is accused before the first tensor", barrier, _ -> COUNT.increment()));
            for (int i = 0; i < SECONDS * 10; i++) {
                Thread.sleep(100);
                subjects.forEach(Subject::look);
            }
            over = true;
            for (Subject s : subjects) {
                s.thread.join();
            }
            return subjects.stream().map(Subject::test);
        }
    }
}
