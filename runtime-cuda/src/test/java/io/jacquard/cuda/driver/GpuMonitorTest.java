package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.Energy;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// The real preset on the stand-in for NVIDIA's management library, whose second device is the emulated one.
final class GpuMonitorTest {
    @AfterEach
    void restore() {
        NvmlStandIn.reset();
    }

    @Test
    void theMeterIsThatOfTheDeviceThatWasOpened() {
        try (Session session = Session.open("cuda")) {
            Energy energy = session.backend().energy();
            assertEquals("NVML, Stand-in device", energy.source());
            assertEquals(OptionalDouble.of(5000), energy.joules());
            NvmlStandIn.set("energy", 5_012_345);
            assertEquals(OptionalDouble.of(5012.345), energy.joules());
        }
    }

    @Test
    void aDeviceWithoutCounterIsUnknownAndNotZero() {
        try (Session session = Session.open("cuda")) {
            NvmlStandIn.set("energy", -1);
            Energy energy = session.backend().energy();
            assertEquals(OptionalDouble.empty(), energy.joules());
            assertEquals("NVML has no energy counter for Stand-in device", energy.source());
        }
    }

    @Test
    void statusHasWhatTheDeviceTells() {
        NvmlStandIn.set("temperature", -1);
        NvmlStandIn.set("reasons", 0x1 | 0x4 | 0x20 | 0x40);
        GpuMonitor.Status s = GpuMonitor.of(0).status();
        assertEquals(
                new GpuMonitor.Status(
                        "Stand-in device",
                        "580.95.05",
                        OptionalLong.of(80L << 30),
                        OptionalLong.of(1L << 30),
                        OptionalLong.of(250_500),
                        OptionalLong.of(400_000),
                        OptionalLong.of(1410),
                        OptionalLong.of(1980),
                        OptionalLong.of(1593),
                        OptionalLong.empty(),
                        List.of("its power limit", "its temperature")),
                s);
    }

    @Test
    void anIdleDeviceIsNotThrottled() {
        NvmlStandIn.set("reasons", 0x1 | 0x2 | 0x100);
        assertEquals(List.of(), GpuMonitor.of(0).status().throttled());
        NvmlStandIn.set("reasons", 0x8);
        assertEquals(
                List.of("its hardware's protection"), GpuMonitor.of(0).status().throttled());
    }

    @Test
    void anotherPlaceOnTheBusIsAnotherDevice() {
        assertEquals(
                "Another device", GpuMonitor.of("00000000:3B:00.0").status().name());
        DeviceException e = assertThrows(DeviceException.class, () -> GpuMonitor.of("00000000:3C:00.0"));
        assertTrue(
                String.valueOf(e.getMessage()).startsWith("NVML has no device at 00000000:3C:00.0: Not Found (6)"),
                e.getMessage());
    }
}
