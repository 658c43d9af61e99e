package io.jacquard.cuda;

import io.jacquard.tensor.spi.ContractCase;
import java.io.IOException;
import java.security.SecureRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/// The contract of [io.jacquard.tensor.spi.Kernels] on an emulated device, with a seed of its own for the order of
/// threads in each run of the build, or `-Djacquard.emulator.seed=N`.
///
/// It runs in a process of its own beside the other tests, because an emulated device is one to a process and uses one
/// core. Not by Surefire's `forkCount`, which loads our classes into Maven's JVM, and that may be older.
@TestInstance(Lifecycle.PER_CLASS)
@Execution(ExecutionMode.CONCURRENT)
abstract class EmulatedContract {
    private final int capability;
    private ContractProcess process;

    EmulatedContract(int capability) {
        this.capability = capability;
    }

    @BeforeAll
    void start() throws IOException {
        long drawn = new SecureRandom().nextInt(1, Integer.MAX_VALUE);
        long seed = Long.getLong("jacquard.emulator.seed", drawn);
        System.out.println("sm_" + capability + " again: -Djacquard.emulator.seed=" + seed);
        process = new ContractProcess(capability, seed);
    }

    /// In the order of the answers.
    @TestFactory
    @Execution(ExecutionMode.SAME_THREAD)
    Stream<DynamicContainer> cases() {
        return ContractCase.tests(ContractCase.wanted(), c -> process.check(c.method() + " " + c.name()));
    }

    @AfterAll
    void end() {
        try (var answers = process) {
            answers.check(ContractRunner.END);
        }
    }
}
