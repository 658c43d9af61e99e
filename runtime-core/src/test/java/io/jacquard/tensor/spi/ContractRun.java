package io.jacquard.tensor.spi;

import io.jacquard.tensor.Session;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/// The cases of [KernelsContract] outside of a test run, up to the first failure.
public final class ContractRun {
    private ContractRun() {}

    /// The first case of `methods`, with a name that matches `names`, that fails, with its message.
    public static Optional<String> firstFailure(Session session, Set<String> methods, String names) {
        List<Trial.Case> cases = KernelsContract.table().stream()
                .filter(c -> methods.contains(c.method()) && c.name().matches(names))
                .toList();
        return Stream.concat(
                        cases.stream().map(c -> failure(c, "", () -> c.run(session, 0))),
                        KernelsContract.midSized(cases).stream()
                                .map(c -> failure(c, " off alignment", () -> offAlignment(session, c))))
                .flatMap(Optional::stream)
                .findFirst();
    }

    private static void offAlignment(Session session, Trial.Case c) {
        int operands = c.run(session, -1);
        for (int i = 0; i < operands; i++) {
            c.run(session, 1L << i);
        }
    }

    private static Optional<String> failure(Trial.Case c, String how, Runnable run) {
        try {
            run.run();
            return Optional.empty();
        } catch (RuntimeException | AssertionError e) {
            return Optional.of(c.method() + " " + c.name() + how + ": " + e.getMessage());
        }
    }
}
