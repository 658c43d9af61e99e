package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.StandIn;
import io.jacquard.nn.TinyTraining;
import io.jacquard.nn.TinyTraining.Features;
import io.jacquard.nn.TinyTraining.Result;
import io.jacquard.tensor.Session;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Whole training steps with matrix products by the stand-in for cuBLASLt: recomputing (whose GELU is not fused),
/// replaying a captured step, and another process's start from the kept algorithms change no bit.
final class CublasLtTrainingTest {
    @TempDir
    private Path cache;

    static List<Features> recomputedAndCaptured() {
        return TinyTraining.all().stream()
                .filter(f -> f.recompute() && f.captured() && f.bf16() && f.split() && !f.dropout())
                .toList();
    }

    @ParameterizedTest
    @MethodSource("recomputedAndCaptured")
    void changesNoBit(Features f) {
        Result plain;
        try (Session session = EmulatedDevice.openWithCublasLt(90, "cublaslt", cache)) {
            long before = StandIn.products();
            plain = TinyTraining.train(session, f.plain());
            assertTrue(StandIn.products() > before, "products by the library");
        }
        long searches = StandIn.searches();
        try (Session session = EmulatedDevice.openWithCublasLt(90, "cublaslt", cache)) {
            Result again = TinyTraining.train(session, f);
            assertArrayEquals(plain.gradient(), again.gradient());
            assertArrayEquals(plain.losses(), again.losses());
            assertArrayEquals(plain.weights(), again.weights());
        }
        assertTrue(StandIn.searches() == searches, "every algorithm was kept");
    }
}
