package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.jacquard.tensor.DeviceException;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

final class NcclTest {
    private static final String REMEDY =
            "install it (pip install nvidia-nccl-cu13, or libnccl2 of NVIDIA's repository), or"
                    + " name its folder by -Djacquard.cuda.libraries or JACQUARD_CUDA_LIBRARIES";

    private static void fails(String message, NvidiaLibrary library) {
        assertEquals(
                message,
                assertThrows(DeviceException.class, () -> Nccl.open(library)).getMessage());
    }

    @Test
    void aMissingLibraryNamesAllPlaces() {
        fails(
                "nccl: no libnccl.so.2; tried /a, /b (no library), the loader's own search; " + REMEDY
                        + "; ranks that do without it: JACQUARD_GROUP=mpi, or local",
                new NvidiaLibrary("libnccl.so.2", null, List.of("/a", "/b (no library)", "the loader's own search")));
    }

    @Test
    void anOldLibraryIsRefused() {
        NcclStandIn.version(21705);
        try {
            fails(
                    "nccl: " + NcclStandIn.path()
                            + " is version 2.17.5; expected 2.18 or newer, which can split groups; " + REMEDY,
                    new NvidiaLibrary("libnccl.so.2", NcclStandIn.path().toString(), List.of()));
        } finally {
            NcclStandIn.version(23007);
        }
    }

    @Test
    void aLibraryWithoutTheFunctionsIsRefused() {
        fails(
                "nccl: libc.so.6 has no function ncclGetVersion; expected version 2.18 or newer; " + REMEDY,
                new NvidiaLibrary("libnccl.so.2", "libc.so.6", List.of()));
    }

    static Stream<Arguments> versions() {
        return Stream.of(
                arguments(2804, "2.8.4"),
                arguments(21800, "2.18"),
                arguments(22103, "2.21.3"),
                arguments(23007, "2.30.7"));
    }

    @ParameterizedTest
    @MethodSource("versions")
    void versionsAreCountedAsTheLibraryDoes(int version, String words) {
        assertEquals(words, Nccl.words(version));
    }

    @Test
    void errorsAreInItsWords() {
        Nccl nccl = Nccl.get();
        NcclStandIn.fail("ncclGetUniqueId", 2);
        try (Arena arena = Arena.ofConfined()) {
            assertEquals(
                    "nccl: ncclGetUniqueId: unhandled system error (2): as the test wants it for ncclGetUniqueId",
                    assertThrows(DeviceException.class, () -> nccl.uniqueId(arena.allocate(Nccl.ID_BYTES)))
                            .getMessage());
        }
        assertEquals(23007, nccl.version());
        assertEquals(NcclStandIn.path().toString(), nccl.path());
    }
}
