package io.jacquard.tensor.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.HostBackend.Memory;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The contract suite must be able to fail: kernels with one fault each.
final class TrialTest {
    private static final int N = 33;

    /// Runs one case of `scale` with this kernel in place of the right one.
    private static void scale(HostBackend.Kernel kernel) {
        HostBackend backend = new HostBackend();
        backend.implement("scale", kernel);
        try (Session session = Session.over(backend)) {
            Trial.Table table = new Trial.Table();
            table.add("scale", "case", t -> {
                Trial.Operand x = t.in("x", DType.F32, Trial.normal(1), N);
                Trial.Operand f = t.in("factor", DType.F32, Trial.constant(0.3f), 1);
                Trial.Operand out = t.out("out", DType.F32, N);
                t.run(k -> k.scale(out.tensor(), x.tensor(), f.tensor()));
                t.expect(out, m -> Reference.map(m, N, (_, i) -> m.mul(x.initial()[i], 0.3f)));
            });
            table.cases.getFirst().run(session, _ -> {});
        }
    }

    private static void right(Object[] a) {
        Memory out = (Memory) a[0];
        for (int i = 0; i < out.size(); i++) {
            out.set(i, (float) (((Memory) a[1]).get(i) * ((Memory) a[2]).get(0)));
        }
    }

    private static void fails(String message, HostBackend.Kernel kernel) {
        AssertionError e = assertThrows(AssertionError.class, () -> scale(kernel));
        assertTrue(e.getMessage().startsWith(message), e.getMessage());
    }

    @Test
    void theRightKernelPasses() {
        scale(TrialTest::right);
    }

    @Test
    void aHoleIsSeen() {
        fails("out[32] is NaN", a -> {
            right(a);
            ((Memory) a[0]).set(N - 1, Double.NaN);
        });
    }

    @Test
    void aFewUlpsAreSeen() {
        fails("out[7] is ", a -> {
            right(a);
            Memory out = (Memory) a[0];
            out.set(7, out.get(7) + 8 * Math.ulp(1f));
        });
    }

    @Test
    void aChangedInputIsSeen() {
        fails("x: an input was changed, at byte 28", a -> {
            right(a);
            ((Memory) a[1]).set(7, 0);
        });
    }

    @Test
    void otherBitsTheSecondTimeAreSeen() {
        int[] runs = {0};
        fails("out: the second run gave other bits", a -> {
            right(a);
            Memory out = (Memory) a[0];
            out.set(0, runs[0]++ == 0 ? out.get(0) : Math.nextUp((float) out.get(0)));
        });
    }

    @Test
    void aKernelThatDependsOnItsLaunchIsSeenInTheReplay() {
        int[] runs = {0};
        fails("out: the replayed graph gave other bits", a -> {
            right(a);
            Memory out = (Memory) a[0];
            out.set(0, runs[0]++ < 2 ? out.get(0) : Math.nextUp((float) out.get(0)));
        });
    }

    @Test
    void writingOutsideIsSeen() {
        HostBackend backend = new HostBackend();
        backend.implement("fill", a -> ((Memory) a[0]).set(0, 1));
        try (Session session = Session.over(backend)) {
            for (int off : new int[] {-1, N}) {
                Trial.Table table = new Trial.Table();
                table.add("fill", "case", t -> {
                    Trial.Operand out = t.out("out", DType.F32, N);
                    // the faulty kernel gets a tensor that is moved by its fault
                    t.run(k -> k.fill(t.shifted(out, off), 1f));
                    t.expectThat(out, _ -> {});
                });
                AssertionError e = assertThrows(
                        AssertionError.class, () -> table.cases.getFirst().run(session, _ -> {}));
                assertTrue(e.getMessage().startsWith("out: written outside, at byte "), e.getMessage());
            }
        }
    }

    @Test
    void aCaseWithoutExpectationIsAnError() {
        try (Session session = Session.over(new HostBackend())) {
            Trial.Table table = new Trial.Table();
            table.add("fill", "case", t -> {
                Trial.Operand out = t.out("out", DType.F32, N);
                t.run(k -> k.fill(out.tensor(), 1f));
            });
            assertThrows(AssertionError.class, () -> table.cases.getFirst().run(session, _ -> {}));
        }
    }

    @Test
    void toleranceIsTight() {
        Tolerance t = Tolerance.derive(DType.BF16, _ -> new double[] {1, 100});
        t.check("x", new double[] {1.0078125, 100.5});
        assertThrows(AssertionError.class, () -> t.check("x", new double[] {1.015625, 100}));
        Tolerance special = Tolerance.derive(
                DType.F16, _ -> new double[] {Double.NaN, Double.POSITIVE_INFINITY, 70000, Double.NEGATIVE_INFINITY});
        double inf = Double.POSITIVE_INFINITY;
        special.check("x", new double[] {Double.NaN, inf, inf, -inf});
        assertThrows(AssertionError.class, () -> special.check("x", new double[] {0, inf, inf, -inf}));
        assertThrows(AssertionError.class, () -> special.check("x", new double[] {Double.NaN, -inf, inf, -inf}));
        assertThrows(AssertionError.class, () -> special.check("x", new double[] {Double.NaN, inf, inf}));
    }

    @Test
    void numbersRoundToNearestEven() {
        assertEquals(1, Numbers.round(DType.BF16, 1 + 0x1p-8));
        assertEquals(1 + 0x1p-6, Numbers.round(DType.BF16, 1 + 0x1.8p-7));
        assertEquals(Double.POSITIVE_INFINITY, Numbers.round(DType.BF16, Float.MAX_VALUE));
        assertEquals(-0.0, Numbers.round(DType.BF16, -0.0));
        assertTrue(Double.isNaN(Numbers.fromBf16(Numbers.toBf16(Float.intBitsToFloat(0x7f800001)))));
        assertEquals(2048, Numbers.round(DType.F16, 2049));
        assertEquals(0x1p-7, Numbers.ulp(DType.BF16, 1.5));
        assertEquals(0x1p-9, Numbers.ulp(DType.F16, -2));
        assertEquals(0x1p-24, Numbers.ulp(DType.F16, 0));
        assertEquals(0x1p-133, Numbers.ulp(DType.BF16, 0));
    }

    @Test
    void naiveArithmeticIsFloat() {
        float a = 0.1f;
        float b = 3.7f;
        assertEquals(a * b, Arithmetic.naive().mul(a, b));
        assertEquals(a + b, Arithmetic.naive().add(a, b));
        assertEquals(a / b, Arithmetic.naive().div(a, b));
        Arithmetic perturbed = Arithmetic.naive(3);
        List<Float> products = java.util.stream.IntStream.range(0, 50)
                .mapToObj(_ -> (float) perturbed.mul(a, b))
                .distinct()
                .toList();
        assertEquals(2, products.size(), "either neighbour");
        assertFalse(products.contains((float) Arithmetic.EXACT.mul(a, 2 * b)));
    }
}
