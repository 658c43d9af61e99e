package io.jacquard.tensor.spi;

import io.jacquard.tensor.Session;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
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
                        cases.stream().map(c -> failure(c, "", () -> c.run(session, _ -> {}))),
                        KernelsContract.midSized(cases).stream()
                                .map(c -> failure(c, " off alignment", () -> c.runOffAlignment(session, _ -> {}))))
                .flatMap(Optional::stream)
                .findFirst();
    }

    /// `count` cases, chosen by `seed`, one of each method among them; as "method name".
    public static List<String> sample(long seed, int count) {
        List<Trial.Case> cases = new ArrayList<>(KernelsContract.table());
        Collections.shuffle(cases, new Random(seed));
        Map<String, Trial.Case> ofMethods = new LinkedHashMap<>();
        cases.forEach(c -> ofMethods.putIfAbsent(c.method(), c));
        return Stream.concat(ofMethods.values().stream(), cases.stream())
                .distinct()
                .limit(count)
                .map(c -> c.method() + " " + c.name())
                .toList();
    }

    /// One output of a case: values, and how far each may be from the exact one.
    public record Outcome(String output, double[] values, Supplier<double[]> bounds) {}

    /// What one run of the case "method name" on operands drawn from `seed` leaves.
    public static List<Outcome> outcomes(Session session, String methodAndName, long seed) {
        Trial.Case chosen = KernelsContract.table().stream()
                .filter(c -> methodAndName.equals(c.method() + " " + c.name()))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("the contract has no case " + methodAndName));
        return chosen.outcomes(session, seed).stream()
                .map(o -> new Outcome(o.output(), o.values(), o.bounds()))
                .toList();
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
