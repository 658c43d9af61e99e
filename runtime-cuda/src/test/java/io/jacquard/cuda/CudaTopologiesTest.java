package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.parallel.MeshRun;
import io.jacquard.parallel.MeshRun.Difference;
import io.jacquard.parallel.MeshRun.Result;
import io.jacquard.parallel.MeshRun.Setup;
import io.jacquard.parallel.Topology;
import io.jacquard.tensor.Session;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Ranks that share one emulated GPU train the model of one rank on the CPU: each axis of the mesh, each stage of ZeRO,
/// each schedule. Threads that share a GPU meet on the host, so their steps cannot be recorded there; those over NCCL
/// can.
final class CudaTopologiesTest {
    private static final int STEPS = 2;

    static Stream<Setup> setups() {
        return Stream.of(
                setup("gpt2", 2, 1, 1, 1, "1f1b", 1, false),
                setup("gpt2", 2, 1, 1, 2, "1f1b", 1, false),
                setup("llama", 2, 1, 1, 3, "1f1b", 1, true),
                setup("gpt2", 2, 1, 1, 3, "1f1b", 1, false),
                setup("gpt2", 1, 2, 1, 1, "1f1b", 1, false),
                setup("llama", 1, 2, 1, 1, "1f1b", 1, true),
                setup("gpt2", 1, 1, 2, 1, "gpipe", 1, false),
                setup("gpt2", 1, 1, 2, 1, "1f1b", 2, false),
                setup("llama", 1, 1, 2, 1, "1f1b", 1, false),
                setup("gpt2", 1, 1, 2, 1, "zero-bubble", 1, false),
                setup("gpt2", 2, 2, 2, 1, "1f1b", 1, false));
    }

    private static Setup setup(
            String model,
            int data,
            int tensor,
            int pipeline,
            int zero,
            String schedule,
            int chunks,
            boolean recompute) {
        Topology topology = new Topology(data, tensor, pipeline);
        return new Setup(model, topology, zero, schedule, chunks, false, recompute, false, 1, 4);
    }

    @ParameterizedTest
    @MethodSource("setups")
    void trainsAsOneRankOnTheCpu(Setup s) {
        MeshRun one = new MeshRun(s.alone(), STEPS);
        LocalGroup.run(1, g -> {
            try (Session _ = Session.open("cpu")) {
                one.run(g);
            }
        });
        MeshRun many = new MeshRun(s, STEPS);
        LocalGroup.run(s.topology().ranks(), Watch.of(Duration.ofMinutes(2)), g -> {
            try (Session _ = EmulatedDevice.open(90)) {
                many.run(g);
            }
        });
        Result found = many.result();
        Difference d = MeshRun.difference(one.result(), found);
        // some tens of roundings of 2^-24, as for one rank: CudaTrainingTest
        assertTrue(d.loss() < 0x1p-18 && d.gradient() < 0x1p-16 && d.validation() < 0x1p-16, d.toString());
    }
}
