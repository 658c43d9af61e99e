package io.jacquard.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The search of algorithms and its file, with the stand-in for cuBLASLt.
final class MatmulChoiceTest {
    private static final float[] PRODUCT = {14, 25, 20, 31};
    private static final String SHAPE = "2x2x3 a b F32 + bias, aligned to 16, 16, 16";

    @TempDir
    private Path cache;

    @AfterEach
    void reset() {
        StandIn.fail(0);
        StandIn.refuse(0);
        StandIn.version(130100);
    }

    private Session open(String mode) {
        return EmulatedDevice.openWithCublasLt(90, mode, cache);
    }

    /// The algorithm that a session of its own used.
    private long multiply(String mode) {
        try (Session session = open(mode)) {
            assertArrayEquals(PRODUCT, product(session));
        }
        return StandIn.algorithm();
    }

    private static float[] product(Session session) {
        assertEquals("cuda:0", session.backend().device().toString());
        Tensor y = Tensor.zeros(Shape.of(2, 2), DType.F32);
        multiply(y);
        return y.toFloats();
    }

    private static void multiply(Tensor y) {
        Tensor x = Tensor.of(Shape.of(2, 3), 1f, 2f, 3f, 4f, 5f, 6f);
        Tensor w = Tensor.of(Shape.of(3, 2), 1f, 0f, 0f, 1f, 1f, 1f);
        Tensor bias = Tensor.of(Shape.of(2), 10f, 20f);
        y.kernels().matmul(y, x, false, w, false, 0f, Epilogue.bias(bias));
    }

    private Path file() throws IOException {
        try (Stream<Path> files = Files.list(cache.resolve("matmul"))) {
            List<Path> all = files.toList();
            assertEquals(1, all.size(), all::toString);
            return all.getFirst();
        }
    }

    @Test
    void theFastestServesAndIsKept() throws IOException {
        long searches = StandIn.searches();
        long chosen = multiply("cublaslt");
        assertTrue(chosen == 2 || chosen == 3, "the first is slow, the second refused: chose " + chosen);
        assertEquals(searches + 1, StandIn.searches());
        assertTrue(Files.readString(file()).contains(SHAPE + " = 647261757163616a0" + chosen));
        assertEquals(
                "Jacquard-emulator-sm-90-sm90-x4-driver-13000-cublaslt-130100-alone.txt",
                file().getFileName().toString());
        assertEquals(chosen, multiply("cublaslt"));
        assertEquals(searches + 1, StandIn.searches(), "the second session asks the file");
    }

    @Test
    void anotherVersionSearchesAgain() {
        multiply("cublaslt");
        long searches = StandIn.searches();
        StandIn.version(130200);
        multiply("cublaslt");
        assertEquals(searches + 1, StandIn.searches());
    }

    @Test
    void aDamagedFileIsSaidAndSearchedAgain() throws IOException {
        multiply("cublaslt");
        Files.writeString(file(), "rubbish");
        long searches = StandIn.searches();
        PrintStream error = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setErr(new PrintStream(said, true, UTF_8));
        try {
            multiply("cublaslt");
        } finally {
            System.setErr(error);
        }
        assertEquals(searches + 1, StandIn.searches());
        assertEquals(
                "cuda: the file of matmul algorithms " + file() + " is damaged: searching again\n",
                said.toString(UTF_8));
    }

    @Test
    void anAlgorithmThatTheLibraryDoesNotKnowIsSearchedAgain() throws IOException {
        multiply("cublaslt");
        String identity = file().getFileName().toString().replace(".txt", "");
        for (String unknown : List.of("ff".repeat(64), "abc", "no hexadecimal", "own")) {
            new MatmulCache(cache.resolve("matmul"), identity, _ -> {}).put(SHAPE, unknown);
            long searches = StandIn.searches();
            multiply("cublaslt");
            assertEquals(searches + 1, StandIn.searches(), unknown);
        }
    }

    @Test
    void ourOwnKernelsCompete() throws IOException {
        multiply("auto");
        String identity = file().getFileName().toString().replace(".txt", "");
        assertEquals("Jacquard-emulator-sm-90-sm90-x4-driver-13000-cublaslt-130100", identity);
        new MatmulCache(cache.resolve("matmul"), identity, _ -> {}).put(SHAPE, "own");
        long products = StandIn.products();
        multiply("auto");
        assertEquals(products, StandIn.products(), "our own kernels were faster once, so they serve");
    }

    @Test
    void theSearchLeavesTheResultAlone() {
        try (Session session = open("auto")) {
            Tensor y = Tensor.of(Shape.of(2, 2), 1f, 2f, 3f, 4f);
            Tensor x = Tensor.of(Shape.of(2, 1), 1f, 10f);
            y.kernels().matmul(y, x, false, x, true, 1f, Epilogue.NONE);
            assertArrayEquals(new float[] {2, 12, 13, 104}, y.toFloats());
            assertEquals("cuda:0", session.backend().device().toString());
        }
    }

    @Test
    void duringCaptureTheFirstChoiceServesAndIsNotKept() {
        try (Session session = open("cublaslt")) {
            Tensor x = Tensor.of(Shape.of(2, 1), 1f, 10f);
            Tensor y = Tensor.zeros(Shape.of(2, 2), DType.F32);
            try (Graph graph = session.capture(() -> y.kernels().matmul(y, x, false, x, true, 0f, Epilogue.NONE))) {
                assertEquals(0, StandIn.algorithm());
                graph.replay();
                graph.replay();
                assertArrayEquals(new float[] {1, 10, 10, 100}, y.toFloats());
            }
            y.kernels().matmul(y, x, false, x, true, 0f, Epilogue.NONE);
            assertEquals(0, StandIn.algorithm(), "the same bits outside the graph");
        }
        assertTrue(Files.notExists(cache.resolve("matmul")), "nothing was measured");
    }

    @Test
    void aFailureNamesTheProduct() {
        try (Session session = open("cublaslt")) {
            product(session);
            StandIn.fail(13);
            DeviceException e = assertThrows(DeviceException.class, () -> product(session));
            assertEquals(
                    "cuda: the product " + SHAPE + ", operands [2, 2] F32, [2, 3] F32, [3, 2] F32, [2] F32:"
                            + " CUBLAS_STATUS_EXECUTION_FAILED (13); cuBLASLt 130100 at "
                            + Path.of(System.getProperty("jacquard.cuda.libraries"), "libcublasLt.so.13"),
                    e.getMessage());
        }
    }

    @Test
    void aFailureOfTheSearchIsNoSlowRun() {
        StandIn.fail(14);
        try (Session session = open("cublaslt")) {
            assertThrows(DeviceException.class, () -> product(session));
        }
    }

    /// `CUBLAS_STATUS_INVALID_VALUE` and `CUBLAS_STATUS_NOT_SUPPORTED`.
    @ParameterizedTest
    @ValueSource(ints = {7, 15})
    void whatTheLibraryRefusesIsOurs(int status) {
        StandIn.refuse(status);
        long products = StandIn.products();
        multiply("cublaslt");
        assertEquals(products, StandIn.products());
    }

    @Test
    void aFailureOfTheRequestIsNoRefusal() {
        StandIn.refuse(13);
        try (Session session = open("cublaslt")) {
            DeviceException e = assertThrows(DeviceException.class, () -> product(session));
            assertEquals(
                    "cuda: asking for algorithms of the product " + SHAPE + ": CUBLAS_STATUS_EXECUTION_FAILED (13);"
                            + " cuBLASLt 130100 at "
                            + Path.of(System.getProperty("jacquard.cuda.libraries"), "libcublasLt.so.13"),
                    e.getMessage());
        }
    }

    @Test
    void anUnknownModeIsRefused() {
        assertEquals(
                "jacquard.cuda.matmul: 'fast' is not own, cublaslt or auto",
                assertThrows(IllegalArgumentException.class, () -> open("fast")).getMessage());
    }

    @Test
    void aLibraryThatIsMissingIsSaidOrAnError() {
        List<String> told = new ArrayList<>();
        assertFalse(MatmulChoice.usesLibrary("auto", () -> "no libx; tried /a, /b", told::add));
        assertEquals(
                List.of("cuda: no cuBLASLt here, our own kernels do all matrix products; './jacquard doctor --device"
                        + " cuda' lists where it was looked for"),
                told);
        assertEquals(
                "cuda: -Djacquard.cuda.matmul=cublaslt, and there is no cuBLASLt: no libx; tried /a, /b; install it (pip"
                        + " install 'nvidia-cublas==13.*' 'nvidia-cuda-runtime==13.*', or libcublas-13-0 and"
                        + " cuda-cudart-13-0 of NVIDIA's repository), or name its folder by -Djacquard.cuda.libraries or"
                        + " JACQUARD_CUDA_LIBRARIES, or leave matrix products to our own kernels:"
                        + " -Djacquard.cuda.matmul=own",
                assertThrows(
                                DeviceException.class,
                                () -> MatmulChoice.usesLibrary("cublaslt", () -> "no libx; tried /a, /b", told::add))
                        .getMessage());
        assertFalse(MatmulChoice.usesLibrary("own", () -> "no libx", told::add));
        assertTrue(MatmulChoice.usesLibrary("auto", () -> "", told::add));
        assertEquals(1, told.size());
    }

    /// Two biases in turn: the library keeps the address of one, so that each launch tells it another.
    @Test
    void aProductMakesNoGarbage() {
        try (Session session = open("cublaslt")) {
            Tensor x = Tensor.of(Shape.of(2, 3), 1f, 2f, 3f, 4f, 5f, 6f);
            Tensor y = Tensor.zeros(Shape.of(2, 2), DType.F32);
            Epilogue[] biases = {
                Epilogue.bias(Tensor.of(Shape.of(2), 1f, 2f)), Epilogue.bias(Tensor.of(Shape.of(2), 3f, 4f))
            };
            Garbage.none(
                    EmulatedDevice.waiting(session), i -> y.kernels().matmul(y, x, false, x, true, 0f, biases[i % 2]));
        }
    }
}
