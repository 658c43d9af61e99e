package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.cuda.driver.NvmlStandIn;
import io.jacquard.tensor.spi.Finding;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class GpuFindingsTest {
    @AfterEach
    void restore() {
        NvmlStandIn.reset();
    }

    @Test
    void aGpuAtRest() {
        assertEquals(
                List.of(new Finding(
                        Finding.State.OK,
                        "cuda:0",
                        "Stand-in device, driver 580.95.05, 1.0 of 80.0 GiB used, 251 of 400 W, 1410 of 1980 MHz, 1593 MHz"
                                + " memory, 41 \u00b0C",
                        null)),
                GpuFindings.all());
    }

    @Test
    void aGpuThatIsSlowedDownSaysByWhat() {
        NvmlStandIn.set("reasons", 0x40);
        NvmlStandIn.set("temperature", -1);
        assertEquals(
                List.of(new Finding(
                        Finding.State.WARN,
                        "cuda:0",
                        "Stand-in device, driver 580.95.05, 1.0 of 80.0 GiB used, 251 of 400 W, 1410 of 1980 MHz, 1593 MHz"
                                + " memory, slowed down by its temperature",
                        "measure nothing now; 'nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER' shows more: look at cooling"
                                + " and power supply")),
                GpuFindings.all());
    }
}
