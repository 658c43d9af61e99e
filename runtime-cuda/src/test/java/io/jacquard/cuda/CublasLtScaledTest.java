package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.StandIn;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Epilogue;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Scaled;
import io.jacquard.tensor.spi.Scaled.Blocks;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Products of 8-bit floats by the stand-in for cuBLASLt: which it gets, and that a choice is of one kind of scales.
final class CublasLtScaledTest {
    private static final int INNER = 16;

    @TempDir
    private Path cache;

    @AfterEach
    void reset() {
        StandIn.fail(0);
    }

    private Session open() {
        return open(90);
    }

    private Session open(int capability) {
        return EmulatedDevice.openWithCublasLt(capability, "cublaslt", cache);
    }

    /// `rows` rows: all of row i is i + 1, and its scale 0.5 or, with a scale for each row, (i + 1) / 2.
    private static Scaled matrix(DType type, Blocks blocks, int rows, int columns) {
        float[] x = new float[rows * columns];
        for (int i = 0; i < x.length; i++) {
            x[i] = i / columns + 1;
        }
        Scaled matrix = Scaled.empty(rows, columns, type, blocks);
        matrix.values().kernels().cast(matrix.values(), Tensor.of(Shape.of(rows, columns), x));
        float[] scales = new float[(int) matrix.scales().size()];
        for (int i = 0; i < scales.length; i++) {
            scales[i] = blocks.equals(Blocks.ROWS) ? (i + 1) / 2f : 0.5f;
        }
        matrix.scales().copyFrom(scales);
        return matrix;
    }

    private static float[] expected(Blocks blocks, int m, int n, int k) {
        float[] y = new float[m * n];
        for (int i = 0; i < y.length; i++) {
            int x = i / n + 1;
            int w = i % n + 1;
            y[i] = k * x * w / 4f * (blocks.equals(Blocks.ROWS) ? x * w : 1);
        }
        return y;
    }

    /// A product of its own session, and how often the library was asked to multiply.
    private long multiply(DType a, DType b, Blocks blocks, int n, int k) {
        return multiply(90, a, b, blocks, n, k);
    }

    private long multiply(int capability, DType a, DType b, Blocks blocks, int n, int k) {
        try (Session session = open(capability)) {
            Scaled x = matrix(a, blocks, 2, k);
            Scaled w = matrix(b, blocks, n, k);
            Tensor y = Tensor.empty(Shape.of(2, n), DType.F32);
            long before = StandIn.products();
            y.kernels().matmulScaled(y, x, w, 0f, Epilogue.NONE);
            assertArrayEquals(expected(blocks, 2, n, k), y.toFloats());
            assertEquals("cuda:0", session.backend().device().toString());
            return StandIn.products() - before;
        }
    }

    private List<String> kept() throws IOException {
        try (Stream<Path> files = Files.list(cache.resolve("matmul"))) {
            return Files.readAllLines(files.findFirst().orElseThrow()).stream()
                    .skip(1)
                    .map(line -> line.replaceAll(" = .*", ""))
                    .toList();
        }
    }

    @Test
    void eachKindOfScalesIsAShape() throws IOException {
        assertTrue(multiply(DType.F8E4M3, DType.F8E4M3, Blocks.WHOLE, 8, INNER) > 0);
        assertTrue(multiply(DType.F8E4M3, DType.F8E4M3, Blocks.ROWS, 8, INNER) > 0);
        assertTrue(multiply(DType.F8E5M2, DType.F8E4M3, Blocks.WHOLE, 8, INNER) > 0);
        assertEquals(
                List.of(
                        "2x8x16 a b^T F8E4M3 scaled by row to F32, aligned to 16, 16, 16",
                        "2x8x16 a b^T F8E4M3 scaled to F32, aligned to 16, 16, 16",
                        "2x8x16 a b^T F8E5M2 F8E4M3 scaled to F32, aligned to 16, 16, 16"),
                kept());
        long searches = StandIn.searches();
        multiply(DType.F8E4M3, DType.F8E4M3, Blocks.ROWS, 8, INNER);
        assertEquals(searches, StandIn.searches(), "the next session asks the file");
    }

    @ParameterizedTest
    @CsvSource({
        "F8E5M2, F8E5M2, 8, 16", // a pair that it has not
        "I8,     I8,     8, 16", // integers
        "F8E4M3, F8E4M3, 8, 24", // rows of operands, or of the result, that are no multiple of 16 bytes
        "F8E4M3, F8E4M3, 7, 16"
    })
    void ourOwnKernelsDoTheRest(DType a, DType b, int n, int k) {
        assertEquals(0, multiply(a, b, Blocks.WHOLE, n, k));
    }

    @ParameterizedTest
    @CsvSource({"80, false, false", "89, true, false", "90, true, true", "120, true, true"})
    void scalesOfRowsTakeANewerDevice(int capability, boolean whole, boolean rows) {
        DType type = DType.F8E4M3;
        assertEquals(whole, multiply(capability, type, type, Blocks.WHOLE, 8, INNER) > 0);
        assertEquals(rows, multiply(capability, type, type, Blocks.ROWS, 8, INNER) > 0);
    }

    @Test
    void blocksOfARowAreOurs() {
        assertEquals(0, multiply(DType.F8E4M3, DType.F8E4M3, Blocks.LINES, 8, 256));
    }

    @Test
    void aBiasBesideF32IsOurs() {
        try (Session session = open()) {
            Scaled x = matrix(DType.F8E4M3, Blocks.WHOLE, 2, INNER);
            Scaled w = matrix(DType.F8E4M3, Blocks.WHOLE, 4, INNER);
            Tensor y = Tensor.empty(Shape.of(2, 4), DType.F32);
            Tensor bias = Tensor.of(Shape.of(4), 1f, 2f, 3f, 4f);
            long before = StandIn.products();
            y.kernels().matmulScaled(y, x, w, 0f, Epilogue.bias(bias));
            assertArrayEquals(new float[] {5, 10, 15, 20, 9, 18, 27, 36}, y.toFloats());
            assertEquals(before, StandIn.products());
            assertEquals("cuda:0", session.backend().device().toString());
        }
    }

    /// The library keeps addresses: those of the scales are of each product, in a graph as well.
    @Test
    void scalesAreThoseOfTheCall() {
        try (Session session = open()) {
            Tensor y = Tensor.empty(Shape.of(2, 8), DType.F32);
            Scaled w = matrix(DType.F8E4M3, Blocks.WHOLE, 8, INNER);
            Scaled x = matrix(DType.F8E4M3, Blocks.WHOLE, 2, INNER);
            Tensor other = Tensor.of(Shape.of(1, 1), 5f);
            y.kernels().matmulScaled(y, x, w, 0f, Epilogue.NONE);
            Scaled tenfold = new Scaled(x.values(), other, Blocks.WHOLE);
            Runnable work = () -> y.kernels().matmulScaled(y, tenfold, w, 0f, Epilogue.NONE);
            float[] wanted = expected(Blocks.WHOLE, 2, 8, 10 * INNER);
            work.run();
            assertArrayEquals(wanted, y.toFloats());
            try (Graph graph = session.capture(work)) {
                y.kernels().matmulScaled(y, x, w, 0f, Epilogue.NONE);
                graph.replay();
                assertArrayEquals(wanted, y.toFloats());
            }
        }
    }

    @Test
    void scalesOfAnotherPlaceMakeNoGarbage() {
        try (Session session = open()) {
            Tensor y = Tensor.empty(Shape.of(2, 8), DType.F32);
            Scaled w = matrix(DType.F8E4M3, Blocks.WHOLE, 8, INNER);
            Scaled x = matrix(DType.F8E4M3, Blocks.WHOLE, 2, INNER);
            Scaled[] xs = {x, new Scaled(x.values(), Tensor.of(Shape.of(1, 1), 5f), Blocks.WHOLE)};
            Garbage.none(
                    EmulatedDevice.waiting(session), i -> y.kernels().matmulScaled(y, xs[i % 2], w, 0f, Epilogue.NONE));
        }
    }

    @Test
    void aFailureNamesTheProductAndItsScales() {
        try (Session session = open()) {
            Scaled x = matrix(DType.F8E4M3, Blocks.ROWS, 8, INNER);
            Tensor y = Tensor.zeros(Shape.of(8, 8), DType.F32);
            Runnable work = () -> y.kernels().matmulScaled(y, x, x, 1f, Epilogue.NONE);
            work.run();
            session.synchronize();
            StandIn.fail(13);
            assertEquals(
                    "cuda: the product 8x8x16 a b^T F8E4M3 scaled by row to F32 + out, aligned to 16, 16, 16, operands"
                            + " [8, 8] F32, [8, 16] F8E4M3, [8, 16] F8E4M3, null, [8, 1] F32, [8, 1] F32:"
                            + " CUBLAS_STATUS_EXECUTION_FAILED (13); cuBLASLt 130100 at "
                            + Path.of(System.getProperty("jacquard.cuda.libraries"), "libcublasLt.so.13"),
                    assertThrows(DeviceException.class, work::run).getMessage());
        }
    }
}
