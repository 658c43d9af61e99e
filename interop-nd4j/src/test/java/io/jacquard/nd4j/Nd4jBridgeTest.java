package io.jacquard.nd4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

final class Nd4jBridgeTest {
    private static final Shape ROWS = Shape.of(3, 4);
    private Session session;
    private Scope scope;

    @BeforeEach
    void open() {
        session = Session.open("cpu");
        scope = Scope.open("test");
    }

    @AfterEach
    void everythingIsGivenBack() {
        scope.close();
        assertEquals(0, session.usedBytes());
        session.close();
    }

    private static DataType nd4j(DType dtype) {
        return switch (dtype) {
            case F32 -> DataType.FLOAT;
            case BF16 -> DataType.BFLOAT16;
            case F16 -> DataType.FLOAT16;
            case I32 -> DataType.INT32;
            case U8 -> DataType.UINT8;
            default -> throw new AssertionError(dtype);
        };
    }

    /// 0, 1, 2 ... in this type and shape: exact in all types up to 256.
    private static INDArray counting(DType dtype, long... dims) {
        long n = 1;
        for (long d : dims) {
            n *= d;
        }
        float[] values = new float[(int) n];
        for (int i = 0; i < n; i++) {
            values[i] = i;
        }
        return Nd4j.create(values, dims, 'c').castTo(nd4j(dtype));
    }

    private static byte[] bytes(Tensor t) {
        byte[] b = new byte[(int) t.bytes()];
        t.copyTo(MemorySegment.ofArray(b));
        return b;
    }

    /// Row-major elements as the tensor's bytes say, by this test's own decoding.
    private static double[] values(Tensor t) {
        byte[] b = bytes(t);
        double[] v = new double[(int) t.size()];
        int width = (int) t.dtype().bytes(1);
        for (int i = 0; i < v.length; i++) {
            int bits = 0;
            for (int k = width - 1; k >= 0; k--) {
                bits = bits << 8 | (b[i * width + k] & 0xff);
            }
            v[i] = switch (t.dtype()) {
                case F32 -> Float.intBitsToFloat(bits);
                case BF16 -> Float.intBitsToFloat(bits << 16);
                case F16 -> Float.float16ToFloat((short) bits);
                case I32, U8 -> bits;
                default -> throw new AssertionError(t);
            };
        }
        return v;
    }

    private static double[] counted(int n) {
        double[] v = new double[n];
        for (int i = 0; i < n; i++) {
            v[i] = i;
        }
        return v;
    }

    @Test
    void lowPrecisionHasNoArray() {
        Tensor t = Tensor.empty(Shape.of(2), DType.F8E4M3);
        assertEquals(
                "toArray: ND4J has no element type for F8E4M3; cast or dequantize it to F32 first",
                assertThrows(IllegalArgumentException.class, () -> Nd4jBridge.toArray(t))
                        .getMessage());
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F8E4M3", "F8E5M2", "I8", "I4"},
            mode = EnumSource.Mode.EXCLUDE)
    void thereAndBack(DType dtype) {
        Tensor t = Nd4jBridge.toTensor(counting(dtype, 2, 3, 4));
        assertEquals(Shape.of(2, 3, 4), t.shape());
        assertEquals(dtype, t.dtype());
        assertArrayEquals(counted(24), values(t));

        INDArray back = Nd4jBridge.toArray(t);
        assertEquals(nd4j(dtype), back.dataType());
        assertArrayEquals(new long[] {2, 3, 4}, back.shape());
        assertArrayEquals(counted(24), elements(back));
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F8E4M3", "F8E5M2", "I8", "I4"},
            mode = EnumSource.Mode.EXCLUDE)
    void everyBitPatternSurvives(DType dtype) {
        int n = 65536;
        byte[] content = new byte[(int) dtype.bytes(n)];
        for (int i = 0; i < content.length; i++) {
            int element = i / (int) dtype.bytes(1);
            content[i] = (byte) (i % dtype.bytes(1) == 0 ? element : element >> 8);
        }
        Tensor t = Tensor.empty(Shape.of(n), dtype);
        t.copyFrom(MemorySegment.ofArray(content));
        assertArrayEquals(content, bytes(Nd4jBridge.toTensor(Nd4jBridge.toArray(t))));
    }

    @Test
    void copiesDoNotShare() {
        INDArray a = counting(DType.F32, 3, 4);
        Tensor t = Nd4jBridge.toTensor(a);
        INDArray back = Nd4jBridge.toArray(t);
        a.assign(-1);
        back.assign(-2);
        assertArrayEquals(counted(12), values(t));
    }

    @TestFactory
    Stream<DynamicTest> anyOrderStridesAndOffset() {
        return Stream.of(DType.values())
                .filter(dtype -> !dtype.isScaled())
                .flatMap(dtype -> layouts(dtype).entrySet().stream()
                        .map(e -> DynamicTest.dynamicTest(dtype + " " + e.getKey(), () -> {
                            INDArray a = e.getValue();
                            Tensor t = Nd4jBridge.toTensor(a);
                            assertArrayEquals(a.shape(), Nd4jBridge.toArray(t).shape());
                            assertArrayEquals(elements(a), values(t));
                        })));
    }

    /// Row-major elements read by indices, without any copy made by ND4J.
    private static double[] elements(INDArray a) {
        long[] dims = a.shape();
        double[] v = new double[(int) a.length()];
        for (int i = 0; i < v.length; i++) {
            long[] at = new long[dims.length];
            long rest = i;
            for (int d = dims.length - 1; d >= 0; d--) {
                at[d] = rest % dims[d];
                rest /= dims[d];
            }
            v[i] = a.getDouble(at);
        }
        return v;
    }

    private static Map<String, INDArray> layouts(DType dtype) {
        INDArray a = counting(dtype, 4, 6);
        INDArray cube = counting(dtype, 2, 3, 4);
        Map<String, INDArray> m = new LinkedHashMap<>();
        m.put("column-major", a.dup('f'));
        m.put("column-major cube", cube.dup('f'));
        m.put("transposed", a.transpose());
        m.put("permuted", cube.permute(2, 0, 1));
        m.put("last rows", a.get(NDArrayIndex.interval(2, 4), NDArrayIndex.all()));
        m.put("inner columns", a.get(NDArrayIndex.all(), NDArrayIndex.interval(1, 4)));
        m.put("every other column", a.get(NDArrayIndex.all(), NDArrayIndex.interval(1, 2, 6)));
        m.put("one row", a.getRow(3));
        m.put("one column", a.getColumn(5));
        m.put("slice of a cube", cube.slice(1));
        m.put("inner slice of a cube", cube.get(NDArrayIndex.all(), NDArrayIndex.point(2), NDArrayIndex.all()));
        INDArray inner = a.get(NDArrayIndex.interval(1, 4), NDArrayIndex.interval(1, 5));
        m.put("inside of a matrix", inner);
        m.put("view of a view", inner.transpose().getRow(2));
        m.put("last dimension repeated", counting(dtype, 3, 1).broadcast(3, 4));
        m.put("column-major row", a.dup('f').getRow(1));
        m.put("ones among the dimensions", counting(dtype, 1, 5, 1, 2).permute(2, 1, 0, 3));
        m.put("a scalar out of a matrix", a.getScalar(2, 3));
        return m;
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F8E4M3", "F8E5M2", "I8", "I4"},
            mode = EnumSource.Mode.EXCLUDE)
    void scalars(DType dtype) {
        Tensor t = Nd4jBridge.toTensor(Nd4j.scalar(nd4j(dtype), 7));
        assertEquals(Shape.of(), t.shape());
        assertArrayEquals(new double[] {7}, values(t));
        INDArray back = Nd4jBridge.toArray(t);
        assertTrue(back.isScalar());
        assertEquals(0, back.rank());
        assertEquals(7, back.getDouble(0));
        INDArray view = Nd4jBridge.view(t);
        assertEquals(0, view.rank());
        view.assign(9);
        assertArrayEquals(new double[] {9}, values(t));
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F8E4M3", "F8E5M2", "I8", "I4"},
            mode = EnumSource.Mode.EXCLUDE)
    void nothing(DType dtype) {
        assertEquals(Shape.of(0), Nd4jBridge.toTensor(Nd4j.empty(nd4j(dtype))).shape());

        Tensor t = Nd4jBridge.toTensor(Nd4j.create(nd4j(dtype), 2, 0, 3));
        assertEquals(Shape.of(2, 0, 3), t.shape());
        for (INDArray back : new INDArray[] {Nd4jBridge.toArray(t), Nd4jBridge.view(t)}) {
            assertTrue(back.isEmpty());
            assertEquals(nd4j(dtype), back.dataType());
            assertArrayEquals(new long[] {2, 0, 3}, back.shape());
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DType.class,
            names = {"F8E4M3", "F8E5M2", "I8", "I4"},
            mode = EnumSource.Mode.EXCLUDE)
    void viewsShareMemoryBothWays(DType dtype) {
        Tensor t = Nd4jBridge.toTensor(counting(dtype, 3, 4));
        INDArray view = Nd4jBridge.view(t);
        assertEquals(nd4j(dtype), view.dataType());
        assertArrayEquals(new long[] {3, 4}, view.shape());
        assertArrayEquals(counted(12), elements(view));

        view.putScalar(1, 2, 100);
        view.getRow(2).addi(50);
        double[] expected = counted(12);
        expected[6] = 100;
        for (int i = 8; i < 12; i++) {
            expected[i] += 50;
        }
        assertArrayEquals(expected, values(t));

        t.copyFrom(MemorySegment.ofArray(
                bytes(Nd4jBridge.toTensor(counting(dtype, 3, 4).addi(5)))));
        double[] more = counted(12);
        for (int i = 0; i < 12; i++) {
            more[i] += 5;
        }
        assertArrayEquals(more, elements(view));
    }

    @Test
    void viewOfAViewStartsWhereTheTensorDoes() {
        Tensor t = Nd4jBridge.toTensor(counting(DType.F32, 3, 4));
        INDArray view = Nd4jBridge.view(t.rows(1, 2));
        assertArrayEquals(new double[] {4, 5, 6, 7}, elements(view));
        assertArrayEquals(new double[] {4, 5, 6, 7}, values(Nd4jBridge.toTensor(view)));
        view.muli(10);
        assertArrayEquals(new double[] {0, 1, 2, 3, 40, 50, 60, 70, 8, 9, 10, 11}, values(t));
    }

    @Test
    void nd4jComputesOnViews() {
        Tensor a = Tensor.of(Shape.of(2, 2), 1, 2, 3, 4f);
        Tensor product = Tensor.empty(Shape.of(2, 2), DType.F32);
        Nd4jBridge.view(a).mmuli(Nd4jBridge.view(a), Nd4jBridge.view(product));
        assertArrayEquals(new double[] {7, 10, 15, 22}, values(product));
    }

    @Test
    void closedAndCollectedViewsLeaveTheTensorAlone() throws InterruptedException {
        Tensor t = Nd4jBridge.toTensor(counting(DType.F32, 3, 4));
        for (int i = 0; i < 1000; i++) {
            INDArray view = Nd4jBridge.view(t);
            if (i % 2 == 0 && view.closeable()) {
                view.close();
            }
        }
        System.gc();
        Thread.sleep(200);
        assertArrayEquals(counted(12), values(t));
        assertArrayEquals(counted(12), elements(Nd4jBridge.view(t)));
    }

    @Test
    void viewOfADeadTensor() {
        Tensor t;
        try (var _ = Scope.open("short")) {
            t = Tensor.empty(ROWS, DType.F32);
        }
        String message = assertThrows(IllegalStateException.class, () -> Nd4jBridge.view(t))
                .getMessage();
        assertTrue(message.contains("died with scope 'short'"), message);
    }

    @Test
    void tensorsOfOtherDevicesAreCopiedNotViewed() {
        try (var cuda = Session.over(new HostBackend("cuda:1"));
                var _ = Scope.open("on cuda")) {
            assertEquals("cuda", cuda.device().kind());
            Tensor t = Nd4jBridge.toTensor(counting(DType.F32, 3, 4));
            assertArrayEquals(counted(12), elements(Nd4jBridge.toArray(t)));
            assertEquals(
                    "view: [3, 4] F32 is on cuda:1, whose memory ND4J cannot address; use toArray, which copies",
                    assertThrows(IllegalArgumentException.class, () -> Nd4jBridge.view(t))
                            .getMessage());
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DOUBLE | use array.castTo(DataType.FLOAT)",
                "LONG | if the values fit 32 bits, use array.castTo(DataType.INT32)",
                "UINT64 | if the values fit 32 bits, use array.castTo(DataType.INT32)",
                "UINT32 | if the values fit 32 bits, use array.castTo(DataType.INT32)",
                "SHORT | use array.castTo(DataType.INT32)",
                "UINT16 | use array.castTo(DataType.INT32)",
                "BYTE | use array.castTo(DataType.INT32)",
                "BOOL | use array.castTo(DataType.UINT8)",
            })
    void typesWithoutATensorType(DataType type, String wayOut) {
        INDArray a = Nd4j.zeros(type, 2, 2);
        assertEquals(
                "toTensor: an array of ND4J type " + type
                        + " has no tensor type (FLOAT, BFLOAT16, HALF, INT and UBYTE have); " + wayOut,
                assertThrows(IllegalArgumentException.class, () -> Nd4jBridge.toTensor(a))
                        .getMessage());
    }

    @Test
    void textHasNoTensorType() {
        INDArray a = Nd4j.create("a", "b");
        assertEquals(
                "toTensor: an array of ND4J type UTF8 has no tensor type (FLOAT, BFLOAT16, HALF, INT and UBYTE have);"
                        + " encode the text as token ids first",
                assertThrows(IllegalArgumentException.class, () -> Nd4jBridge.toTensor(a))
                        .getMessage());
    }

    @Test
    void closedArray() {
        INDArray a = Nd4j.create(DataType.FLOAT, 2, 2);
        a.close();
        assertEquals(
                "toTensor: the array was closed",
                assertThrows(IllegalStateException.class, () -> Nd4jBridge.toTensor(a))
                        .getMessage());
    }

    @Test
    void nothingIsAllocatedForAnArrayThatIsRefused() {
        long before = session.usedBytes();
        INDArray a = Nd4j.zeros(DataType.DOUBLE, 2, 2);
        assertThrows(IllegalArgumentException.class, () -> Nd4jBridge.toTensor(a));
        assertEquals(before, session.usedBytes());
        assertFalse(a.wasClosed());
    }

    /// If one of these fails, ND4J has mended it: take it out of the package documentation.
    @Test
    void hazardsOfThePackageDocumentation() {
        INDArray x = counting(DType.F32, 2, 3);
        assertSame(x, Nd4j.nn().gelu(x));
        assertEquals(4.9999, x.getDouble(1, 2), 1e-3);

        INDArray inner = counting(DType.F32, 4, 6).get(NDArrayIndex.interval(1, 4), NDArrayIndex.interval(1, 5));
        assertTrue(inner.get(NDArrayIndex.interval(1, 3), NDArrayIndex.all()).isEmpty());
        assertEquals(
                8,
                inner.dup().get(NDArrayIndex.interval(1, 3), NDArrayIndex.all()).length());
    }

    @Test
    void theProgramOfTheDocs() throws IOException {
        String source = Files.readString(Path.of("src/test/java/io/jacquard/nd4j/Exchange.java"));
        String main = source.substring(source.indexOf("    public static void main"));
        assertTrue(
                Files.readString(Path.of("../docs/interop-nd4j.md")).contains(main),
                "docs/interop-nd4j.md shows another program than Exchange.java");

        PrintStream out = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            Exchange.main(new String[0]);
        } finally {
            System.setOut(out);
        }
        assertEquals(
                "[[-0.3176,3.9092],[0,5.9927],[1.6824,7.9999]]",
                printed.toString(StandardCharsets.UTF_8).replaceAll("\\s", ""));
    }
}
