package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.HostBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

final class ScopeTest {
    private HostBackend backend;
    private Session session;

    @BeforeEach
    void open() {
        backend = new HostBackend(200L << 20);
        session = Session.over(backend);
    }

    @AfterEach
    void close() {
        assertEquals(0, session.usedBytes());
        session.close();
        assertEquals(0, backend.reservedBytes());
    }

    private static Tensor floats(int n) {
        return Tensor.empty(Shape.of(n), DType.F32);
    }

    @Test
    void closingFreesWhatTheScopeOwns() {
        try (Scope s = Scope.open("step")) {
            floats(64);
            try (var _ = Scope.open("inner")) {
                floats(128);
                assertEquals(768, session.usedBytes());
                assertEquals(256, s.ownedBytes());
            }
            assertEquals(256, session.usedBytes());
        }
        assertEquals(768, session.peakBytes());
    }

    @Test
    void freesItsOwnAtOnce() {
        Tensor outer = floats(1);
        try (Scope s = Scope.open("step")) {
            Tensor x = floats(64);
            s.free(x, "was read for the last time");
            s.free(x, "once more");
            s.free(outer, "is not its own");
            assertEquals(0, s.ownedBytes());
            assertEquals(256, session.usedBytes());
            assertEquals(
                    "tensor used after free: [64] F32 was read for the last time",
                    assertThrows(IllegalStateException.class, x::address).getMessage());
        }
        Scope.current().free(outer, "at the end");
    }

    @Test
    void keepMovesToTheParent() {
        Tensor kept;
        try (var _ = Scope.open("outer")) {
            try (Scope inner = Scope.open("inner")) {
                kept = inner.keep(Tensor.of(Shape.of(2), 1f, 2f));
                assertSame(kept, inner.keep(kept), "it is the parent's already");
            }
            assertArrayEquals(new float[] {1, 2}, kept.toFloats());
        }
        IllegalStateException e = assertThrows(IllegalStateException.class, kept::address);
        assertTrue(e.getMessage().contains("died with scope 'outer'"), e.getMessage());
    }

    @Test
    void keepRefusesWhatCannotSurvive() {
        try (Scope arena = Scope.openArena("arena", 1024)) {
            Tensor inArena = floats(2);
            assertEquals(
                    "scope 'arena' cannot hand [2] F32 to a parent: its memory ends with it",
                    assertThrows(IllegalStateException.class, () -> arena.keep(inArena))
                            .getMessage());
        }
        Tensor sibling;
        try (var _ = Scope.open("first")) {
            sibling = floats(2);
        }
        try (Scope second = Scope.open("second")) {
            assertEquals(
                    "scope 'second' does not own [2] F32",
                    assertThrows(IllegalStateException.class, () -> second.keep(sibling))
                            .getMessage());
        }
    }

    @Test
    void useAfterFreeSaysWhatDiedWhereAndWithWhat() {
        Tensor t;
        int line = new Throwable().getStackTrace()[0].getLineNumber() + 1;
        try (var _ = Scope.open("step")) {
            t = Tensor.empty(Shape.of(8, 12, 64), DType.F32).named("h.3.attn.out");
        }
        String where = "died with scope 'step' (opened at ScopeTest.java:" + line + ")";
        assertEquals(
                "tensor used after free: 'h.3.attn.out' [8, 12, 64] F32 " + where,
                assertThrows(IllegalStateException.class, t::address).getMessage());
        Tensor view = t.rows(0, 1);
        assertEquals(
                "tensor used after free: 'h.3.attn.out' [1, 12, 64] F32 " + where,
                assertThrows(IllegalStateException.class, view::toFloats).getMessage());
    }

    @Test
    void scopesCloseInReverseOrder() {
        Scope outer = Scope.open("outer");
        Scope inner = Scope.open("inner");
        assertEquals(
                "scope 'outer' left while 'inner' is current; close scopes in the reverse order of opening",
                assertThrows(IllegalStateException.class, outer::close).getMessage());
        inner.close();
        outer.close();
        outer.close(); // a second time does nothing
    }

    @Test
    void aScopeCanBeLeftAndEnteredAgain() {
        Scope first = Scope.create("micro-batch 0");
        Scope second = Scope.create("micro-batch 1");
        Tensor a;
        Tensor b;
        try (var _ = first.enter()) {
            a = Tensor.of(Shape.of(1), 1f);
            try (var _ = second.enter()) {
                b = Tensor.of(Shape.of(1), 2f);
            }
            assertSame(first, Scope.current());
        }
        try (var _ = second.enter()) {
            assertSame(second, Scope.current());
        }
        first.close();
        assertThrows(IllegalStateException.class, a::address);
        assertEquals(2f, b.item());
        assertEquals(
                "scope 'micro-batch 0' is closed",
                assertThrows(IllegalStateException.class, first::enter).getMessage());
        second.close();
    }

    @Test
    void noScopeOnAnotherThread() throws InterruptedException {
        FutureTask<Tensor> task = new FutureTask<>(() -> floats(1));
        Thread thread = new Thread(task, "loader");
        thread.start();
        thread.join();
        ExecutionException e = assertThrows(ExecutionException.class, task::get);
        assertEquals(
                "no scope is open on thread 'loader'; open a Session there first",
                e.getCause().getMessage());
    }

    @Test
    void gradientsAreRecordedUnlessTheScopeSaysNo() {
        try (Scope s = Scope.open("step")) {
            assertTrue(s.recordsGradients());
            try (var _ = Scope.openWithoutGrad("evaluation");
                    Scope inner = Scope.open("inner")) {
                assertFalse(inner.recordsGradients());
            }
        }
    }

    @Test
    void aFreshArenaGivesTheSameAddresses() {
        List<List<Long>> runs = new ArrayList<>();
        for (int run = 0; run < 3; run++) {
            try (Scope s = Scope.openArena("step", 8192)) {
                List<Long> addresses = new ArrayList<>();
                try (var _ = Scope.open("block")) {
                    addresses.add(floats(300).address());
                    addresses.add(floats(5).address());
                }
                addresses.add(floats(64).address());
                addresses.add(floats(1).address());
                runs.add(addresses);
                assertEquals(1536, s.extentBytes(), "the holes of 'block' were used again");
            }
        }
        assertEquals(runs.getFirst(), runs.get(1));
        assertEquals(runs.getFirst(), runs.get(2));
    }

    /// The extent of a warm-up run is exactly what a second run needs.
    @Test
    void theExtentSuffices() {
        long extent;
        try (Scope s = Scope.openArena("warm-up", 1 << 20)) {
            work();
            extent = s.extentBytes();
        }
        assertEquals(3072, extent);
        try (var _ = Scope.openArena("step", extent)) {
            work();
        }
        try (var _ = Scope.openArena("step", extent - 256)) {
            assertThrows(DeviceOutOfMemoryException.class, ScopeTest::work);
        }
    }

    private static void work() {
        try (var _ = Scope.open("a")) {
            floats(256);
            try (var _ = Scope.open("b")) {
                floats(512);
            }
        }
        floats(64);
    }

    @Test
    void outOfMemoryInAnArenaSaysWhatToDo() {
        try (var _ = Scope.openArena("step", 4096)) {
            floats(512);
            DeviceOutOfMemoryException e = assertThrows(DeviceOutOfMemoryException.class, () -> {
                try (var _ = Scope.open("micro-batch")) {
                    floats(768);
                }
            });
            assertEquals(
                    "out of memory in the arena of scope 'step': wanted 3.0 KiB for [768] F32, 2.0 KiB of 4.0 KiB in"
                            + " use; held by scopes: step 4.0 KiB ([512] F32 2.0 KiB), micro-batch 0 B; measure"
                            + " extentBytes() of a warm-up run again",
                    e.getMessage());
        }
    }

    @Test
    void outOfMemorySaysWhoHoldsWhat() {
        floats(1 << 20).named("weights");
        try (var _ = Scope.open("step")) {
            floats(22 << 20);
            floats(1 << 20);
            floats(1 << 20);
            floats(1 << 19).named("labels");
            floats(1 << 18);
            floats(1 << 18).named("scale");
            DeviceOutOfMemoryException e = assertThrows(
                    DeviceOutOfMemoryException.class, () -> Tensor.empty(Shape.of(50, 1 << 20), DType.F32));
            assertEquals(
                    "out of memory on host:0: wanted 200.0 MiB for [50, 1048576] F32, 96.0 MiB free of 200.0 MiB; held by"
                            + " scopes: run 4.0 MiB (weights 4.0 MiB), step 100.0 MiB ([23068672] F32 88.0 MiB,"
                            + " [1048576] F32 8.0 MiB, labels 2.0 MiB, 2 others 2.0 MiB); try recompute or a smaller"
                            + " micro-batch",
                    e.getMessage());
        }
        session.close();
        open(); // what `run` holds goes with the session only
    }

    @Test
    void aSessionClosesEvenWithAScopeStillEntered() {
        HostBackend own = new HostBackend();
        Session leaking = Session.over(own);
        Scope entered = Scope.open("entered");
        String message =
                assertThrows(IllegalStateException.class, leaking::close).getMessage();
        assertEquals("leak: never closed: " + entered, message);
        assertEquals(0, own.reservedBytes());
        assertSame(session, Session.current());
    }

    @Test
    void aScopeThatIsNeverClosedIsNamedAtTheEnd() {
        HostBackend own = new HostBackend();
        Session leaking = Session.over(own);
        int line = new Throwable().getStackTrace()[0].getLineNumber() + 1;
        Scope forgotten = Scope.create("forgotten");
        try (var _ = forgotten.enter()) {
            floats(1000);
        }
        assertEquals(
                "leak: never closed: scope 'forgotten' (opened at ScopeTest.java:" + line + ", 4.0 KiB)",
                assertThrows(IllegalStateException.class, leaking::close).getMessage());
        assertEquals(0, own.reservedBytes(), "the memory went back all the same");
        assertSame(session, Session.current());
    }

    @Test
    void anUnknownDeviceIsRefused() {
        assertEquals(
                "device: 'gpu:x' is not a device; write cpu, cuda or cuda:1",
                assertThrows(IllegalArgumentException.class, () -> Session.open("gpu:x"))
                        .getMessage());
        String message = assertThrows(DeviceException.class, () -> Session.open("abacus"))
                .getMessage();
        assertTrue(message.startsWith("device: no backend for 'abacus'; this installation has ["), message);
    }
}
