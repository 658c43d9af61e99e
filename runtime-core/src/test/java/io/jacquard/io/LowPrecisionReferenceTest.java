package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// 8-bit values, their rounding and products of scaled matrices against PyTorch's.
final class LowPrecisionReferenceTest {
    private Session session;
    private Safetensors file;

    @BeforeEach
    void open() throws IOException {
        session = Session.open("cpu");
        file = Safetensors.open(Path.of("src/test/resources/reference/low-precision.safetensors"));
    }

    @AfterEach
    void close() {
        file.close();
        session.close();
    }

    @ParameterizedTest
    @CsvSource({"e4m3,F8E4M3", "e5m2,F8E5M2"})
    void valuesAreThoseOfPyTorch(String name, DType type) {
        byte[] all = new byte[256];
        for (int i = 0; i < 256; i++) {
            all[i] = (byte) i;
        }
        Tensor bits = Tensor.empty(Shape.of(256), type);
        bits.copyFrom(MemorySegment.ofArray(all));
        Tensor decoded = Tensor.empty(Shape.of(256), DType.F32);
        decoded.kernels().cast(decoded, bits);
        assertArrayEquals(floats(name + ".decoded").toFloats(), decoded.toFloats());
    }

    @ParameterizedTest
    @CsvSource({"e4m3,F8E4M3", "e5m2,F8E5M2"})
    void roundingIsThatOfPyTorch(String name, DType type) {
        Tensor x = floats(name + ".x");
        assertTrue(x.size() > 1400);
        Tensor rounded = Tensor.empty(x.shape(), type);
        rounded.kernels().cast(rounded, x);
        assertArrayEquals(file.data(name + ".bits").toArray(ValueLayout.JAVA_BYTE), bytes(rounded));
    }

    @ParameterizedTest
    @CsvSource({"current,F8E4M3,F8E4M3", "gradient,F8E5M2,F8E4M3", "rowwise,F8E4M3,F8E4M3", "int8,I8,I8"})
    void productsAreThoseOfPyTorch(String recipe, DType left, DType right) {
        Scaled a = scaled(recipe, "a", left);
        Scaled b = scaled(recipe, "b", right);
        Tensor y = Tensor.empty(Shape.of(a.rows(), b.rows()), DType.F32);
        y.kernels().matmulScaled(y, a, b, 0f, Epilogue.NONE);
        float[] expected = floats(recipe + ".y").toFloats();
        float[] got = y.toFloats();
        double largest = 0;
        for (float e : expected) {
            largest = Math.max(largest, Math.abs(e));
        }
        for (int i = 0; i < got.length; i++) {
            assertEquals(expected[i], got[i], 1e-6 * largest, "element " + i); // sums of 96 products in F32
        }
    }

    /// Rounds by the recipe, and checks scales and bits.
    private Scaled scaled(String recipe, String operand, DType type) {
        Tensor x = floats(operand);
        boolean whole = !recipe.equals("rowwise") && !recipe.equals("int8");
        Scaled s = Scaled.empty(x.shape().dim(0), x.shape().dim(1), type, whole ? Blocks.WHOLE : Blocks.ROWS);
        if (whole) {
            x.kernels().absMax(s.scales(), x, 0f);
            x.kernels().scaleOf(s.scales(), s.scales(), type);
        }
        x.kernels().quantize(s, null, x);
        assertArrayEquals(
                floats(recipe + ".scale_" + operand).toFloats(), s.scales().toFloats(), "scales of " + operand);
        assertArrayEquals(
                file.data(recipe + "." + operand).toArray(ValueLayout.JAVA_BYTE),
                bytes(s.values()),
                "bits of " + operand);
        return s;
    }

    private Tensor floats(String name) {
        int[] dims = Objects.requireNonNull(file.find(name), name).shape().stream()
                .mapToInt(Math::toIntExact)
                .toArray();
        Tensor t = Tensor.empty(Shape.of(dims), DType.F32);
        t.copyFrom(file.data(name));
        return t;
    }

    private static byte[] bytes(Tensor t) {
        byte[] bytes = new byte[Math.toIntExact(t.bytes())];
        t.copyTo(MemorySegment.ofArray(bytes));
        return bytes;
    }
}
