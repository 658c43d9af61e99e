package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.Work;
import org.junit.jupiter.api.Test;

final class RooflineTest {
    @Test
    void isMeasuredOnceBesideTheCurrentSession() {
        try (Session session = Session.open("cpu")) {
            Roofline roofline = Roofline.of("cpu");
            assertSame(roofline, Roofline.of("cpu:0"));
            double memory = roofline.gigabytesPerSecond();
            double matrix = roofline.teraflops(DType.F32);
            assertTrue(memory > 0.1 && memory < 10_000, () -> "GB/s: " + memory);
            assertTrue(matrix > 0.001 && matrix < 1000, () -> "TFLOP/s: " + matrix);
            assertEquals(memory, roofline.gigabytesPerSecond());
            assertEquals(matrix, roofline.teraflops(DType.F32));
            assertTrue(
                    roofline.toString().matches("cpu:0, copy [0-9.]+ GB/s, f32 matmul [0-9.]+ TFLOP/s"),
                    roofline::toString);
            assertSame(session, Session.current());
            assertEquals(0, session.usedBytes());
        }
    }

    @Test
    void theSlowerResourceBoundsTheWork() {
        Roofline roofline = Roofline.of("cpu");
        Work streams = new Work(1_000_000, 1_000_000_000, null);
        assertEquals(1e3 / roofline.gigabytesPerSecond(), roofline.micros(streams), 1e-9);
        assertFalse(roofline.boundByMatrixUnit(streams));
        Work multiplies = new Work(1, 1_000_000_000, DType.F32);
        assertEquals(1e3 / roofline.teraflops(DType.F32), roofline.micros(multiplies), 1e-9);
        assertTrue(roofline.boundByMatrixUnit(multiplies));
    }
}
