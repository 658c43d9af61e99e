package io.jacquard.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class WorkersTest {
    private final Workers workers = new Workers(3);

    @AfterEach
    void stop() {
        workers.stop();
    }

    @Test
    void everyChunkRunsOnce() {
        for (int chunks = 0; chunks < 200; chunks++) {
            AtomicIntegerArray ran = new AtomicIntegerArray(chunks);
            workers.run(chunks, (chunk, _) -> ran.incrementAndGet(chunk));
            for (int i = 0; i < chunks; i++) {
                assertEquals(1, ran.get(i), i + " of " + chunks);
            }
        }
    }

    @Test
    void anExceptionReachesTheCallerAndThePoolGoesOn() {
        IllegalArgumentException thrown = new IllegalArgumentException("chunk 7");
        for (int i = 0; i < 100; i++) {
            Exception e = assertThrows(
                    IllegalArgumentException.class,
                    () -> workers.run(64, (chunk, _) -> {
                        if (chunk == 7) {
                            throw thrown;
                        }
                    }));
            assertSame(thrown, e);
        }
        everyChunkRunsOnce();
    }

    @Test
    void launchesOfTwoSessionsDoNotMix() throws InterruptedException {
        AtomicInteger wrong = new AtomicInteger();
        Runnable session = () -> {
            for (int i = 0; i < 2000; i++) {
                AtomicInteger ran = new AtomicInteger();
                workers.run(9, (_, _) -> ran.incrementAndGet());
                wrong.addAndGet(ran.get() == 9 ? 0 : 1);
            }
        };
        Thread other = new Thread(session);
        other.start();
        session.run();
        other.join();
        assertEquals(0, wrong.get());
    }

    @Test
    void aLaunchInsideABusyPoolRunsOnItsCaller() throws InterruptedException {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch finish = new CountDownLatch(1);
        Thread holder = new Thread(() -> workers.run(2, (_, _) -> {
            inside.countDown();
            try {
                finish.await();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }));
        holder.start();
        inside.await();
        Thread me = Thread.currentThread();
        AtomicInteger here = new AtomicInteger();
        workers.run(50, (_, _) -> here.addAndGet(Thread.currentThread() == me ? 1 : 0));
        finish.countDown();
        holder.join();
        assertEquals(50, here.get());
    }

    @Test
    void scratchGrowsWithoutMovingWhatWasHandedOut() {
        Lane lane = new Lane();
        long first = lane.floats(10);
        Mem.setFloat(first, 42f);
        long second = lane.floats(5_000_000);
        Mem.setFloat(second + 4L * 4_999_999, 43f);
        assertEquals(42f, Mem.getFloat(first));
        assertEquals(0, second % 64);
        long mark = lane.mark();
        long third = lane.floats(100);
        lane.release(mark);
        assertEquals(third, lane.floats(100));
    }
}
