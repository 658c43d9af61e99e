package io.jacquard.cuda.mutation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class OperatorsTest {
    @Test
    void statementsGoMissing() {
        assertEquals(
                List.of(
                        "synchronisation: __syncthreads(); => ;",
                        "call: store(x, y); => ;",
                        "operand: store(x, y); => store(y, x);"),
                found("{\n__syncthreads();\nstore(x, y);\n}"));
        assertEquals(List.of("assignment: x += y; => ;"), found("{\nx += y;\n}"));
    }

    @Test
    void headsOfLoopsAreNoStatements() {
        assertEquals(
                List.of("call: for (; a; a = b) f(a); => for (; a; a = b) ;"), found("{\nfor (; a; a = b) f(a);\n}"));
    }

    @Test
    void boundsMoveBothWays() {
        assertEquals(
                List.of(
                        "bound: bool b = i < n; => bool b = i < 1 + n;",
                        "bound: bool b = i < n; => bool b = i < -1 + n;"),
                found("bool b = i < n;"));
    }

    @Test
    void indicesOfDeclarationsStay() {
        assertEquals(List.of("index: return v[i]; => return v[i + 1];"), found("float v[M / N][2 * N];\nreturn v[i];"));
    }

    @Test
    void masksThreadsAndFactors() {
        assertEquals(
                List.of(
                        "thread: int lane = threadIdx.x % 32; => int lane = (threadIdx.x + 1) % 32;",
                        "mask: int lane = threadIdx.x % 32; => int lane = threadIdx.x % 32 / 2;"),
                found("int lane = threadIdx.x % 32;"));
        assertEquals(
                List.of(
                        "factor: y = x * scale(1) + bias; => y = x * 1 + bias;",
                        "term: y = x * scale(1) + bias; => y = x * scale(1) + 0;"),
                found("y = x * scale(1) + bias;"));
    }

    @Test
    void conditionsAndGuards() {
        assertEquals(
                List.of(
                        "condition: if (a && f(b)) return; => if (!(a && f(b))) return;",
                        "guard: if (a && f(b)) return; => if (true && f(b)) return;",
                        "guard: if (a && f(b)) return; => if (a && true) return;"),
                found("if (a && f(b)) return;"));
        assertEquals(List.of("condition: y = in ? a : b; => y = !(in) ? a : b;"), found("y = in ? a : b;"));
    }

    /// Else every mutant of a library, and the unbroken kernel in it, would add a truth value.
    @Test
    void whatIsAssignedToIsNoCondition() {
        for (String assignment : List.of("=", "+=", "-=", "*=", "/=", "|=", "&=", "^=", "<<=", ">>=")) {
            Source source = new Source("a.cu", "this->y " + assignment + " in ? a : b;");
            List<Mutation> mutations = Operators.find(source).stream()
                    .filter(m -> m.operator().equals("condition"))
                    .toList();
            assertEquals(
                    List.of("this->y " + assignment + " !(in) ? a : b;"),
                    mutations.stream().map(Mutation::mutated).toList());
            assertEquals(
                    "this->y " + assignment + " ((bool)(in) != (bool)mutation_on(1)) ? a : b;",
                    Schema.apply(source, Map.of(1, mutations.getFirst())));
        }
        assertEquals(
                List.of("condition: x = a <= b ? c : d; => x = !(a <= b) ? c : d;"),
                found("x = a <= b ? c : d;").stream()
                        .filter(line -> line.startsWith("condition"))
                        .toList());
    }

    @Test
    void commentsAndConstantsAreLeftAlone() {
        assertEquals(
                List.of(),
                found(
                        "// x[i]\n#define A x[i]\nconstexpr int N = 4 * K;\ntemplate <int N = K * 2>\nstatic_assert(a < b);"));
    }

    @Test
    void nestedMutationsKeepTheirOrder() {
        Source source = new Source("a.cu", "y = v[i + n];");
        List<Mutation> mutations = Operators.find(source);
        assertEquals(
                List.of("y = v[i + n + 1];", "y = v[i + 0];"),
                mutations.stream().map(Mutation::mutated).toList());
        assertEquals(
                "y = v[mutation_on(1) + (i + mutation_or(2, n, 0))];",
                Schema.apply(source, Map.of(1, mutations.get(0), 2, mutations.get(1))));
    }

    @Test
    void equalLinesAreCounted() {
        assertEquals(
                List.of("a.cu: f(); => ;", "a.cu (2): f(); => ;"),
                Operators.find(new Source("a.cu", "{\nf();\nf();\n}")).stream()
                        .map(Mutation::key)
                        .toList());
    }

    private static List<String> found(String text) {
        return Operators.find(new Source("a.cu", text)).stream()
                .map(m -> m.operator() + ": " + m.original() + " => " + m.mutated())
                .toList();
    }
}
