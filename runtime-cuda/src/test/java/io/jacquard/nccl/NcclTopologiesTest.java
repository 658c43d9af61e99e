package io.jacquard.nccl;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.group.LocalGroup;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.parallel.MeshRun;
import io.jacquard.parallel.MeshRun.Difference;
import io.jacquard.parallel.MeshRun.Setup;
import io.jacquard.parallel.Topology;
import io.jacquard.ranks.Ranks;
import io.jacquard.tensor.Session;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Ranks with an emulated GPU each, over the stand-in for NCCL, train the model of one rank on the CPU: each axis of
/// the mesh, with steps that are launched and with steps that a graph repeats.
final class NcclTopologiesTest {
    private static final int STEPS = 3;

    @BeforeAll
    static void devices() {
        NcclRanks.devices(8);
    }

    @AfterAll
    static void oneDevice() {
        NcclRanks.devices(1);
    }

    static Stream<Setup> setups() {
        return Stream.of(
                setup("gpt2", 2, 1, 1, 2, "1f1b", false, true),
                setup("llama", 2, 1, 1, 3, "1f1b", true, true),
                setup("gpt2", 2, 1, 1, 3, "1f1b", false, true),
                setup("llama", 1, 2, 1, 1, "1f1b", false, true),
                setup("gpt2", 1, 1, 2, 1, "1f1b", false, false),
                setup("gpt2", 1, 1, 2, 1, "zero-bubble", false, true),
                setup("gpt2", 2, 2, 2, 1, "1f1b", false, true));
    }

    private static Setup setup(
            String model,
            int data,
            int tensor,
            int pipeline,
            int zero,
            String schedule,
            boolean recompute,
            boolean graph) {
        Topology topology = new Topology(data, tensor, pipeline);
        return new Setup(model, topology, zero, schedule, 1, false, recompute, graph, 1, 4);
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
        Ranks.run(Launch.SOLO, "cuda", s.topology().ranks(), Watch.of(Duration.ofMinutes(1)), many::run);
        Difference d = MeshRun.difference(one.result(), many.result());
        // some tens of roundings of 2^-24, as for one rank: CudaTrainingTest
        assertTrue(d.loss() < 0x1p-18 && d.gradient() < 0x1p-16 && d.validation() < 0x1p-16, d.toString());
    }
}
