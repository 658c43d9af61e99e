package io.jacquard.group;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.jacquard.group.Operation.Kind;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FlightRecorderTest {
    private static final Operation BARRIER = Operation.of(Kind.BARRIER);

    private static Operation sum(int size) {
        return new Operation(Kind.ALL_REDUCE, Shape.of(size), DType.F32, 0);
    }

    private static void fly(FlightRecorder.Track track, Operation operation) {
        Flight flight = track.begin(operation);
        flight.enter();
        flight.leave();
        flight.returned();
    }

    private static List<String> words(List<FlightEntry> flights) {
        return flights.stream().map(FlightEntry::toString).toList();
    }

    @Test
    void operationsAreNumberedByGroup() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track all = recorder.track("");
        FlightRecorder.Track part = recorder.track("ranks 0, 2");
        fly(all, BARRIER);
        fly(part, BARRIER);
        Flight open = all.begin(BARRIER);
        open.enter();
        assertEquals(List.of("#1 barrier", "#1 barrier among ranks 0, 2", "#2 barrier"), words(recorder.last(100)));
        assertEquals(2, open.number());
        assertEquals("#2 barrier", open.toString());
        assertTrue(recorder.last(1).getFirst().isOpen());
        open.leave();
        FlightEntry last = recorder.last(1).getFirst();
        assertFalse(last.isOpen());
        assertTrue(last.endedNanos() >= last.beganNanos());
        assertTrue(Math.abs(last.endedNanos() / 1e6 - System.currentTimeMillis()) < 1000);
    }

    @Test
    void theLastOnesAreHeldAndThoseThatHaveNotEndedBeforeOthers() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track track = recorder.track("");
        Flight early = track.begin(BARRIER);
        early.enter();
        for (int i = 0; i < FlightRecorder.SLOTS; i++) {
            fly(track, BARRIER);
        }
        early.leave(); // its slot is another's
        List<FlightEntry> held = recorder.last(1000);
        assertEquals(FlightRecorder.SLOTS, held.size());
        assertEquals(2, held.getFirst().number());
        assertTrue(held.stream().noneMatch(FlightEntry::isOpen));
        Flight open = track.begin(BARRIER);
        open.enter();
        fly(track, BARRIER);
        fly(track, BARRIER);
        fly(track, BARRIER);
        assertEquals(List.of("#66 barrier", "#69 barrier"), words(recorder.last(2)));
    }

    @Test
    void messagesHaveNoNumber() {
        try (Session _ = Session.open("cpu")) {
            FlightRecorder recorder = FlightRecorder.inMemory(1);
            FlightRecorder.Track track = recorder.track("");
            Tensor t = Tensor.zeros(Shape.of(2, 3), DType.BF16);
            fly(track, Operation.of(Kind.SEND, t, 4));
            fly(track, Operation.of(Kind.RECEIVE, t, 0));
            fly(track, Operation.of(Kind.BROADCAST, t, 2));
            assertEquals(
                    List.of(
                            "send [2, 3] BF16 to rank 4",
                            "receive [2, 3] BF16 from rank 0",
                            "#1 broadcast of rank 2's [2, 3] BF16"),
                    words(recorder.last(9)));
        }
    }

    /// What a graph records is said so; each replay is an operation.
    @Test
    void capturesAndReplays() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track track = recorder.track("");
        Flight captured = track.begin(BARRIER);
        captured.returned();
        for (int i = 0; i < 2; i++) {
            captured.enter();
            captured.leave();
            captured.resume();
            assertTrue(recorder.last(1).getFirst().isOpen());
            captured.leave();
        }
        assertEquals(
                List.of("#1 barrier (captured)", "#1 barrier (replay 1)", "#2 barrier (replay 2)"),
                words(recorder.last(9)));
        assertTrue(recorder.last(9).stream().noneMatch(FlightEntry::isOpen));
    }

    @Test
    void callSitesAreOutsideTheEngine() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track track = recorder.track("");
        fly(track, BARRIER);
        String calledAt = recorder.last(1).getFirst().calledAt();
        assertTrue(calledAt.matches("FlightRecorderTest.java:\\d+"), calledAt);
    }

    /// In a loop of nothing else, looking would cost more than its share of the time; who waits has time to look.
    @Test
    void callSitesAreLookedForAsLongAsThatIsCheap() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track track = recorder.track("");
        for (int i = 0; i < 20_000; i++) {
            fly(track, BARRIER);
        }
        long unknown = recorder.last(FlightRecorder.SLOTS).stream()
                .filter(f -> f.calledAt().isEmpty())
                .count();
        assertTrue(unknown > FlightRecorder.SLOTS / 2, unknown + " unknown");
        Flight waiting = track.begin(BARRIER);
        waiting.enter();
        waiting.locate();
        String calledAt = recorder.last(1).getFirst().calledAt();
        assertTrue(calledAt.matches("FlightRecorderTest.java:\\d+"), calledAt);
    }

    @Test
    void anOperationMakesLittleGarbage() {
        FlightRecorder recorder = FlightRecorder.inMemory(0);
        FlightRecorder.Track track = recorder.track("");
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        for (int i = 0; i < 20_000; i++) {
            fly(track, BARRIER);
        }
        int times = 10_000;
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < times; i++) {
            fly(track, BARRIER);
        }
        long each = (threads.getCurrentThreadAllocatedBytes() - before) / times;
        assertTrue(each <= 128, each + " bytes"); // the Flight, and a look now and then
    }

    @Test
    void filesAreReadByOthers(@TempDir Path directory) throws IOException {
        FlightRecorder recorder = FlightRecorder.in(directory, 3, 4);
        FlightRecorder.Track track = recorder.track("ranks 1-3");
        try (Session _ = Session.open("cpu")) {
            fly(track, sum(7));
        }
        track.begin(BARRIER).enter();
        FlightRecorder.Found found = FlightRecorder.read(directory.resolve("rank-3"));
        assertEquals(3, found.rank());
        assertEquals(4, found.size());
        assertEquals(ProcessHandle.current().pid(), found.process());
        assertEquals(Processes.SPACE, found.space());
        assertEquals(
                List.of("#1 all-reduce [7] F32 among ranks 1-3", "#2 barrier among ranks 1-3"), words(found.flights()));
        assertEquals(recorder.last(2), found.flights());
    }

    @Test
    void otherFilesAreNone(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("rank-0");
        Files.write(file, new byte[10]);
        assertEquals(null, FlightRecorder.read(file));
        FlightRecorder.in(directory, 0, 1);
        byte[] bytes = Files.readAllBytes(file);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * 31 + 7);
        }
        Files.write(file, bytes);
        assertEquals(null, FlightRecorder.read(file));
    }

    /// A file that is damaged behind its head has fewer operations, and does no harm.
    @Test
    void damagedSlotsAreLeftOut(@TempDir Path directory) throws IOException {
        FlightRecorder.Track track = FlightRecorder.in(directory, 0, 1).track("");
        fly(track, BARRIER);
        fly(track, BARRIER);
        Path file = directory.resolve("rank-0");
        byte[] bytes = Files.readAllBytes(file);
        bytes[128 + 192 + 40] = 99; // the kind of the first operation
        Files.write(file, bytes);
        assertEquals(List.of("#2 barrier"), words(FlightRecorder.read(file).flights()));
    }

    @Test
    void aDirectoryThatCannotBeWrittenIsNamed(@TempDir Path directory) throws IOException {
        Path file = Files.createFile(directory.resolve("file"));
        GroupContract.fails(
                "group: cannot record into " + file.resolve("rank-2"),
                java.io.UncheckedIOException.class,
                () -> FlightRecorder.in(file, 2, 3));
    }

    @Test
    void fingerprintsTellOperationsApart() {
        assertEquals(sum(4).fingerprint(), sum(4).fingerprint());
        assertNotEquals(sum(4).fingerprint(), sum(5).fingerprint());
        assertNotEquals(sum(4).fingerprint(), new Operation(Kind.ALL_REDUCE, Shape.of(4), DType.BF16, 0).fingerprint());
        assertNotEquals(sum(4).fingerprint(), new Operation(Kind.ALL_GATHER, Shape.of(4), DType.F32, 0).fingerprint());
        assertNotEquals(
                new Operation(Kind.BROADCAST, Shape.of(4), DType.F32, 0).fingerprint(),
                new Operation(Kind.BROADCAST, Shape.of(4), DType.F32, 1).fingerprint());
        assertNotEquals(
                new Operation(Kind.BROADCAST, Shape.of(4, 6), DType.F32, 0).fingerprint(),
                new Operation(Kind.BROADCAST, Shape.of(6, 4), DType.F32, 0).fingerprint());
    }
}
