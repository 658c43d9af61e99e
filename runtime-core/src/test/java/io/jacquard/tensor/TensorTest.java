package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.HostBackend;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

final class TensorTest {
    private Session session;
    private Scope scope;

    @BeforeEach
    void open() {
        session = Session.over(new HostBackend());
        scope = Scope.open("test");
    }

    @AfterEach
    void close() {
        scope.close();
        assertEquals(0, session.usedBytes());
        session.close();
    }

    private static void message(String expected, Executable call) {
        assertEquals(
                expected, assertThrows(IllegalArgumentException.class, call).getMessage());
    }

    @Test
    void viewsShareMemory() {
        Tensor t = Tensor.of(Shape.of(3, 2), 0f, 1f, 2f, 3f, 4f, 5f);
        Tensor rows = t.rows(1, 3);
        assertEquals(Shape.of(2, 2), rows.shape());
        assertArrayEquals(new float[] {2, 3, 4, 5}, rows.toFloats());
        rows.slice(1, Shape.of(2)).copyFrom(new float[] {-1, -2});
        assertArrayEquals(
                new float[] {0, 1, 2, -1, -2, 5}, t.reshape(Shape.of(6)).toFloats());
        assertEquals(t.address() + 8, rows.address());
        assertSame(t, t.reshape(Shape.of(3, 2)));
        assertEquals(0, t.rows(2, 2).size());
    }

    @Test
    void viewsOutsideAreRefused() {
        Tensor t = Tensor.zeros(Shape.of(3, 2), DType.F32);
        message("reshape: [3, 2] has 6 elements, [4] has 4", () -> t.reshape(Shape.of(4)));
        message("rows: 2 to 4 is not inside [3, 2]", () -> t.rows(2, 4));
        message("rows: 2 to 1 is not inside [3, 2]", () -> t.rows(2, 1));
        message("rows: -1 to 1 is not inside [3, 2]", () -> t.rows(-1, 1));
        message("slice: elements 5 to 7 are not inside [3, 2] F32", () -> t.slice(5, Shape.of(2)));
    }

    @Test
    void copiesCheckTypeAndLength() {
        Tensor t = Tensor.zeros(Shape.of(2), DType.F32);
        message("copyFrom: 3 float values into [2] F32 of 2 F32 elements", () -> t.copyFrom(new float[3]));
        message("copyFrom: 2 int values into [2] F32 of 2 F32 elements", () -> t.copyFrom(new int[2]));
        message("copyFrom: 7 bytes into [2] F32, which has 8", () -> t.copyFrom(MemorySegment.ofArray(new byte[7])));
        message("copyTo: [2] F32 has 8 bytes, the target 9", () -> t.copyTo(MemorySegment.ofArray(new byte[9])));
        message("toInts: [2] F32 is not I32", t::toInts);
        message("item: [2] F32 has 2 elements, not one", t::item);
    }

    @Test
    void integersAndNames() {
        Tensor ids = Tensor.of(Shape.of(2), 7, -1).named("ids");
        assertArrayEquals(new int[] {7, -1}, ids.toInts());
        assertEquals("'ids' [2] I32", ids.toString());
        Tensor leaf = Tensor.zeros(Shape.of(1), DType.F32).leaf();
        assertEquals(
                "named: [1] F32 is part of a graph; name the value before it is recorded",
                assertThrows(IllegalStateException.class, () -> leaf.named("x")).getMessage());
    }

    @Test
    void readingConvertsAndLeavesNothingBehind() {
        Tensor half = Tensor.empty(Shape.of(2), DType.BF16);
        half.kernels().fill(half, 1.0039f);
        long used = session.usedBytes();
        assertArrayEquals(new float[] {1.0f, 1.0f}, half.toFloats(), 0.004f);
        assertEquals(used, session.usedBytes());
    }

    @Test
    void leavesAndDetached() {
        Tensor value = Tensor.zeros(Shape.of(2), DType.F32);
        Tensor leaf = value.leaf(Tensor.zeros(Shape.of(2), DType.F32), "w");
        assertTrue(leaf.needsGradient());
        assertFalse(leaf.detach().needsGradient());
        assertSame(value, value.detach());
        message("leaf: gradient [3] for a value [2]", () -> value.leaf(Tensor.zeros(Shape.of(3), DType.F32), "w"));
    }

    @Test
    void shapes() {
        Shape s = Shape.of(2, 3, 4);
        assertEquals(24, s.elements());
        assertEquals(6, s.rows());
        assertEquals(4, s.last());
        assertEquals(3, s.dim(-2));
        assertEquals(Shape.of(2, 3, 9), s.withLast(9));
        assertEquals(1, Shape.of().elements());
        assertEquals(1, Shape.of().rows());
        assertEquals(0, Shape.of(3, 0).elements());
        message("shape: no dimension 3 in [2, 3, 4]", () -> s.dim(3));
        message("shape: no dimension -4 in [2, 3, 4]", () -> s.dim(-4));
        message("shape: negative dimension in [2, -1]", () -> Shape.of(2, -1));
        message("shape: a scalar has no last dimension", () -> Shape.of().withLast(2));
        assertThrows(ArithmeticException.class, () -> Shape.of(1 << 30, 1 << 30, 1 << 30));
        int[] dims = {1, 2};
        Shape own = Shape.of(dims);
        dims[0] = 9;
        own.toArray()[1] = 9;
        assertEquals(Shape.of(1, 2), own);
    }
}
