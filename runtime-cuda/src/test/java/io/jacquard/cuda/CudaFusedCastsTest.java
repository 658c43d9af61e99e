package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.nn.ScaledTraining;
import io.jacquard.nn.ScaledTraining.Run;
import io.jacquard.ops.Recipe;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.CountedLaunches;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Training steps whose casts are fused into norms and activations, on the emulated device: the bits of steps whose
/// are not.
final class CudaFusedCastsTest {
    @ParameterizedTest
    @CsvSource({"gpt2, FP8_DELAYED", "gpt2, FP8_CURRENT", "llama, FP8_DELAYED", "llama, FP8_CURRENT"})
    void trainTheSameBits(String model, Recipe recipe) {
        Run run = new Run(model, recipe, DType.BF16, false);
        CountedLaunches launches = new CountedLaunches();
        try (Session device = EmulatedDevice.open(90);
                Session session = launches.over(device)) {
            float[][] fused = ScaledTraining.train(session, run, true);
            int passes = launches.take("absMax");
            float[][] apart = ScaledTraining.train(session, run, false);
            for (int i = 0; i < fused.length; i++) {
                assertArrayEquals(apart[i], fused[i]);
            }
            assertEquals(ScaledTraining.savedPasses(run), launches.take("absMax") - passes, "passes that fusing saves");
            assertEquals(0, session.usedBytes());
        }
    }
}
