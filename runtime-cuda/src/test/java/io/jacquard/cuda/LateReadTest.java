package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.Emulator;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/// Copies to the host that nobody waits for at once, on the emulated device, which works only when somebody waits.
final class LateReadTest {
    private static Readback later(Tensor from, float[] to) {
        return Session.current().backend().downloadLater(MemorySegment.ofArray(to), from.address());
    }

    @Test
    void aCopyIsOfItsMomentWhateverComesAfter() {
        try (Session _ = EmulatedDevice.open(90)) {
            Tensor x = Tensor.of(Shape.of(2), 1f, 2f);
            Tensor large = Tensor.empty(Shape.of(3 << 20), DType.F32);
            int waits = Emulator.waits();
            float[] first = new float[2];
            float[] second = new float[2];
            Readback one = later(x, first);
            x.kernels().fill(x, 3f);
            // 12 MiB: goes through the page-locked ring that copies to the device share
            large.copyFrom(new float[3 << 20]);
            Readback two = later(x, second);
            x.copyFrom(new float[] {4f, 5f});
            assertFalse(one.isDone());
            assertEquals(waits, Emulator.waits());
            two.await();
            assertTrue(one.isDone());
            one.await();
            assertArrayEquals(new float[] {1f, 2f}, first);
            assertArrayEquals(new float[] {3f, 3f}, second);
            assertArrayEquals(new float[] {4f, 5f}, x.toFloats());
        }
    }

    @Test
    void memoryIsUsedAgain() {
        try (Session _ = EmulatedDevice.open(90)) {
            Tensor x = Tensor.zeros(Shape.of(100), DType.F32);
            int allocated = 0;
            float[] values = new float[100];
            for (int i = 0; i < 10; i++) {
                x.kernels().fill(x, i);
                Readback copy = later(x, values);
                x.kernels().fill(x, -1f);
                copy.await();
                copy.await();
                float[] expected = new float[100];
                Arrays.fill(expected, i);
                assertArrayEquals(expected, values);
                if (i == 0) {
                    allocated = Emulator.calls("cuMemHostAlloc");
                }
            }
            assertEquals(allocated, Emulator.calls("cuMemHostAlloc"));
        }
    }

    @Test
    void refusedDuringCapture() {
        try (Session session = EmulatedDevice.open(90)) {
            Tensor x = Tensor.of(Shape.of(1), 1f);
            assertThrows(IllegalStateException.class, () -> session.capture(() -> later(x, new float[1])));
        }
    }
}
