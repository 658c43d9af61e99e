package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

/// What every backend must do: each method of [Kernels] against a double-precision reference ([Tolerance] says how
/// near). A backend's test subclasses this and opens a session on it.
@TestInstance(Lifecycle.PER_CLASS)
public abstract class KernelsContract {
    private Session session;
    private long usedAtStart;

    protected abstract Session open();

    static List<Trial.Case> table() {
        Trial.Table table = new Trial.Table();
        MovingCases.into(table);
        PointwiseCases.into(table);
        MatmulCases.into(table);
        NormCases.into(table);
        AttentionCases.into(table);
        TokenCases.into(table);
        PartCases.into(table);
        OptimizerCases.into(table);
        RoundingCases.into(table);
        LowPrecisionCases.into(table);
        CastCases.into(table);
        RandomCases.into(table);
        SpecialCases.into(table);
        return table.cases;
    }

    @BeforeAll
    void openSession() {
        session = open();
        usedAtStart = session.usedBytes();
    }

    @AfterAll
    void closeSession() {
        long used = session.usedBytes();
        session.close();
        assertEquals(usedAtStart, used, "bytes in use after all cases");
    }

    /// The methods whose cases are to run: all, or those named by `-Djacquard.contract=gelu,swiGlu` while they are
    /// made.
    protected String methods() {
        return ContractCase.wanted();
    }

    /// A failed launch may leave the device unusable: the cases after it get a fresh one.
    private void run(ContractCase c) {
        try {
            c.run(session, _ -> {});
        } catch (DeviceException e) {
            session.close();
            session = open();
            throw e;
        }
    }

    @TestFactory
    Stream<DynamicContainer> cases() {
        return ContractCase.tests(methods(), this::run);
    }

    /// The last one of each method's table, with casts and without.
    static List<Trial.Case> midSized(List<Trial.Case> cases) {
        Map<String, Trial.Case> last = new LinkedHashMap<>();
        for (Trial.Case c : cases) {
            if (!c.name().startsWith("special")) {
                last.put((c.name().startsWith(CastCases.NAME) ? CastCases.NAME : "") + c.method(), c);
            }
        }
        return List.copyOf(last.values());
    }

    @Test
    void everyMethodHasCases() {
        Set<String> methods = Arrays.stream(Kernels.class.getDeclaredMethods())
                .map(Method::getName)
                .collect(Collectors.toCollection(TreeSet::new));
        Set<String> tested = table().stream().map(Trial.Case::method).collect(Collectors.toCollection(TreeSet::new));
        assertEquals(methods, tested);
    }

    @Test
    void caseNamesAreUnique() {
        List<String> names =
                table().stream().map(c -> c.method() + " " + c.name()).toList();
        assertEquals(names.size(), Set.copyOf(names).size());
    }
}
