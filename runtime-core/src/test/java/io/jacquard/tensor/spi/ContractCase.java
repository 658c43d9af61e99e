package io.jacquard.tensor.spi;

import io.jacquard.tensor.Session;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;

/// A case of [KernelsContract] as it is run and reported, with its operands on their alignment or off it.
public final class ContractCase {
    private static final String OFF_ALIGNMENT = "off alignment ";

    private final Trial.Case row;
    private final boolean aligned;

    private ContractCase(Trial.Case row, boolean aligned) {
        this.row = row;
        this.aligned = aligned;
    }

    /// The method of [Kernels] that it calls.
    public String method() {
        return row.method();
    }

    /// Unique among those of the method.
    public String name() {
        return (aligned ? "" : OFF_ALIGNMENT) + row.name();
    }

    /// What `-Djacquard.contract=gelu,swiGlu` names: the methods to run while they are made; blank for all.
    public static String wanted() {
        return System.getProperty("jacquard.contract", "");
    }

    /// The cases of these methods, or all if `methods` is blank, method by method.
    public static List<ContractCase> chosen(String methods) {
        List<Trial.Case> rows = KernelsContract.table();
        if (!methods.isBlank()) {
            Set<String> names = Set.of(methods.strip().split(" *, *"));
            rows = rows.stream().filter(c -> names.contains(c.method())).toList();
        }
        // views (Tensor.rows) start at any element: one mid-sized case of each method must work there
        List<ContractCase> cases = new ArrayList<>();
        rows.forEach(c -> cases.add(new ContractCase(c, true)));
        KernelsContract.midSized(rows).forEach(c -> cases.add(new ContractCase(c, false)));
        return byMethod(cases).values().stream().flatMap(Collection::stream).toList();
    }

    private static Map<String, List<ContractCase>> byMethod(List<ContractCase> cases) {
        return cases.stream()
                .collect(Collectors.groupingBy(ContractCase::method, LinkedHashMap::new, Collectors.toList()));
    }

    /// A test for each of these cases, in their order.
    public static Stream<DynamicContainer> tests(String methods, Consumer<ContractCase> run) {
        return byMethod(chosen(methods)).entrySet().stream()
                .map(e -> DynamicContainer.dynamicContainer(
                        e.getKey(),
                        e.getValue().stream().map(c -> DynamicTest.dynamicTest(c.name(), () -> run.accept(c)))));
    }

    /// Runs it three times, eagerly, eagerly again and captured; `beforeRun` is told each run's number, from 0,
    /// before it begins.
    public void run(Session session, IntConsumer beforeRun) {
        if (aligned) {
            row.run(session, beforeRun);
        } else {
            row.runOffAlignment(session, beforeRun);
        }
    }
}
