package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Emulator;
import io.jacquard.kernels.Cubins;
import io.jacquard.kernels.Cubins.Cubin;
import io.jacquard.tensor.Device;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The emulator finds kernels by name in its own library; a GPU will look for the same names in the cubins.
final class KernelImagesTest {
    @ParameterizedTest
    @ValueSource(ints = {80, 90})
    void everyKernelThatIsLaunchedIsInTheCubins(int capability) {
        assumeFalse(System.getProperty("jacquard.kernels.skip") != null, "built without cubins");
        Emulator.configure("arch", Integer.toString(capability));
        List<String> symbols = Cubins.forDevice(capability / 10, capability % 10).stream()
                .map(Cubin::image)
                .map(image -> new String(image, StandardCharsets.ISO_8859_1))
                .toList();
        try (CudaBackend backend =
                new CudaBackend(Device.parse("cuda"), Driver.get().open(0))) {
            assertEquals(
                    List.of(),
                    backend.kernelNames().stream()
                            .filter(name -> symbols.stream().noneMatch(s -> s.contains("\0" + name + "\0")))
                            .sorted()
                            .toList(),
                    "kernels missing from the cubins");
        }
    }
}
