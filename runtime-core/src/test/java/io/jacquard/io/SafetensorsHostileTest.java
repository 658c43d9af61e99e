package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Malformed files: each gives one line that says what was found and what was expected.
final class SafetensorsHostileTest {
    private static final String A = "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}";

    static Stream<Arguments> malformed() {
        return Stream.of(
                of(new byte[0], "file of 0 bytes; expected at least 8 for the header length"),
                of(new byte[7], "file of 7 bytes; expected at least 8 for the header length"),
                of(raw(0, "", 0), "header does not start with '{'"),
                of(raw(2, "{", 0), "header length 2; expected at most 1 in a file of 9 bytes"),
                of(raw(100_000_001, "{}", 0), "header length 100000001; expected at most 100000000"),
                of(raw(-1, "{}", 0), "header length 18446744073709551615; expected at most 100000000"),
                of(raw(Long.MIN_VALUE, "{}", 0), "header length 9223372036854775808; expected at most 100000000"),
                of(file(" {}", 0), "header does not start with '{'"),
                of(file("[]", 0), "header does not start with '{'"),
                of(file("\uFEFF{}", 0), "header does not start with '{'"),
                of(file("{", 0), "header: not valid JSON at character 1"),
                of(file("{" + A, 8), "header: not valid JSON at character 53"),
                of(file("{" + A + ",}", 8), "header: not valid JSON at character 54"),
                of(file("{} x", 0), "header: not valid JSON at character 3"),
                of(file("{}{}", 0), "header has text after its JSON object at character 2"),
                of(file("{}\0", 0), "header: not valid JSON at character 2"),
                of(latin("{'\u00e9':1}"), "header: not valid UTF-8"),
                of(file("{'\\ud800':1}", 0), "header: not valid JSON at character 8"),
                of(
                        file("{'a':1}", 0),
                        "tensor 'a' is not an object; expected {\"dtype\", \"shape\", \"data_offsets\"}"),
                of(
                        file("{'a':null}", 0),
                        "tensor 'a' is not an object; expected {\"dtype\", \"shape\", \"data_offsets\"}"),
                of(file("{" + A + "," + A + "}", 8), "duplicate key 'a'"),
                of(file("{'__metadata__':{},'__metadata__':{}}", 0), "duplicate key '__metadata__'"),
                of(file("{'__metadata__':[]}", 0), "__metadata__ is not an object"),
                of(file("{'__metadata__':{'n':1}}", 0), "__metadata__ key 'n' has a value that is not a string"),
                of(file("{'__metadata__':{'n':{}}}", 0), "__metadata__ key 'n' has a value that is not a string"),
                of(file("{'__metadata__':{'n':'1','n':'2'}}", 0), "duplicate key 'n' in __metadata__"),
                of(tensor("'dtype':'F32','shape':[2]", 8), "tensor 'a' has no data_offsets"),
                of(tensor("'dtype':'F32','data_offsets':[0,8]", 8), "tensor 'a' has no shape"),
                of(tensor("'shape':[2],'data_offsets':[0,8]", 8), "tensor 'a' has no dtype"),
                of(
                        tensor("'dtype':'F32','dtype':'F32','shape':[2],'data_offsets':[0,8]", 8),
                        "tensor 'a' has a duplicate field 'dtype'"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[0,8],'x':1", 8),
                        "tensor 'a' has the unknown field 'x'; expected dtype, shape, data_offsets"),
                of(
                        tensor("'dtype':'F31','shape':[2],'data_offsets':[0,8]", 8),
                        "tensor 'a' has the unknown dtype 'F31'"),
                of(
                        tensor("'dtype':'f32','shape':[2],'data_offsets':[0,8]", 8),
                        "tensor 'a' has the unknown dtype 'f32'"),
                of(
                        tensor("'dtype':32,'shape':[2],'data_offsets':[0,8]", 8),
                        "tensor 'a' has a dtype that is not a string"),
                of(
                        tensor("'dtype':'F32','shape':2,'data_offsets':[0,8]", 8),
                        "tensor 'a' has a shape that is not a list"),
                of(
                        tensor("'dtype':'F32','shape':[-2],'data_offsets':[0,8]", 8),
                        "tensor 'a' has '-2' in shape; expected whole numbers from 0 to 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':[2.0],'data_offsets':[0,8]", 8),
                        "tensor 'a' has '2.0' in shape; expected whole numbers from 0 to 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':['2'],'data_offsets':[0,8]", 8),
                        "tensor 'a' has '2' in shape; expected whole numbers from 0 to 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':[[2]],'data_offsets':[0,8]", 8),
                        "tensor 'a' has '[' in shape; expected whole numbers from 0 to 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[-0,8]", 8),
                        "tensor 'a' has '-0' in data_offsets; expected whole numbers from 0 to 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[0,9223372036854775808]", 8),
                        "tensor 'a' has '9223372036854775808' in data_offsets; expected whole numbers from 0 to"
                                + " 2^63 - 1"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[0]", 8),
                        "tensor 'a' has 1 data_offsets; expected 2"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[0,8,8]", 8),
                        "tensor 'a' has 3 data_offsets; expected 2"),
                of(
                        tensor("'dtype':'F32','shape':[2],'data_offsets':[8,0]", 8),
                        "tensor 'a' has data_offsets [8, 0] that end before they begin"),
                of(
                        tensor("'dtype':'F32','shape':[3],'data_offsets':[0,8]", 8),
                        "tensor 'a' has 8 bytes of data; expected 12 for F32 [3]"),
                of(
                        tensor("'dtype':'F32','shape':[],'data_offsets':[0,8]", 8),
                        "tensor 'a' has 8 bytes of data; expected 4 for F32 []"),
                of(
                        tensor("'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,0]", 0),
                        "tensor 'a' has an impossible size: shape [4294967296, 4294967296] of F32 overflows 2^63 - 1"),
                of(
                        tensor("'dtype':'F64','shape':[288230376151711744],'data_offsets':[0,0]", 0),
                        "tensor 'a' has an impossible size: shape [288230376151711744] of F64 overflows 2^63 - 1"),
                of(
                        tensor("'dtype':'F4','shape':[3],'data_offsets':[0,2]", 2),
                        "tensor 'a' has an impossible size: shape [3] of F4 takes 12 bits, which is not a whole number"
                                + " of bytes"),
                of(
                        tensor("'dtype':'F32','shape':[1],'data_offsets':[4,8]", 8),
                        "tensor 'a' begins at 4; expected 0, where the header ends (hole)"),
                of(
                        file("{" + A + ",'b':{'dtype':'U8','shape':[4],'data_offsets':[12,16]}}", 16),
                        "tensor 'b' begins at 12; expected 8, where 'a' ends (hole)"),
                of(
                        file("{" + A + ",'b':{'dtype':'U8','shape':[4],'data_offsets':[6,10]}}", 10),
                        "tensor 'b' begins at 6; expected 8, where 'a' ends (overlap)"),
                of(
                        file("{" + A + ",'b':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}", 8),
                        "tensor 'b' begins at 0; expected 8, where 'a' ends (overlap)"),
                of(file("{" + A + "}", 7), "file of 69 bytes; expected 8 + 54 (header) + 8 (data)"),
                of(file("{" + A + "}", 9), "file of 71 bytes; expected 8 + 54 (header) + 8 (data)"),
                of(file("{}", 1), "file of 11 bytes; expected 8 + 2 (header) + 0 (data)"),
                of(
                        file("{'a\\nb':7}", 0),
                        "tensor 'a\\u000ab' is not an object; expected {\"dtype\", \"shape\", \"data_offsets\"}"),
                of(
                        file("{'" + "n".repeat(100) + "':7}", 0),
                        "tensor '" + "n".repeat(80)
                                + "...' is not an object; expected {\"dtype\", \"shape\", \"data_offsets\"}"));
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void saysWhatIsWrongInOneLine(byte[] bytes, String message, @TempDir Path directory) throws IOException {
        Path file = Files.write(directory.resolve("x.safetensors"), bytes);
        IllegalArgumentException e = assertThrows(
                IllegalArgumentException.class, () -> Safetensors.open(file).close());
        assertEquals(file + ": " + message, e.getMessage());
    }

    @Test
    void acceptsWhatTheFormatAllows() {
        Stream.of(
                        "{}",
                        "{}   ",
                        "{ }\n",
                        "{'__metadata__':{}}",
                        "{'a':{'dtype':'F32','shape':[],'data_offsets':[0,4]}}",
                        "{'a':{'dtype':'F4','shape':[8],'data_offsets':[0,4]}}",
                        "{'a':{'dtype':'F6_E2M3','shape':[4],'data_offsets':[0,3]},"
                                + "'b':{'dtype':'I8','shape':[1],'data_offsets':[3,4]}}",
                        "{'z':{'dtype':'F64','shape':[0,7],'data_offsets':[4,4]},"
                                + "'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},"
                                + "'y':{'dtype':'F64','shape':[0],'data_offsets':[0,0]}}")
                .forEach(json -> assertDoesNotThrow(() -> read(file(json, json.contains("'a'") ? 4 : 0)), json));
    }

    @Test
    void survivesThousandsOfMutations() {
        byte[] good = file(
                "{'__metadata__':{'format':'pt'}," + A
                        + ",'b':{'dtype':'BF16','shape':[2,3],'data_offsets':[8,20]}}   ",
                20);
        SplittableRandom random = new SplittableRandom(7);
        int refused = 0;
        for (int i = 0; i < 20_000; i++) {
            byte[] bad = mutate(good, random);
            refused += readOrRefuse(bad) ? 0 : 1;
        }
        assertTrue(refused > 10_000, refused + " of 20000 refused");
    }

    /// Anything but a header or a one-line refusal fails the test.
    static boolean readOrRefuse(byte[] bytes) {
        try {
            SafetensorsHeader header = read(bytes);
            long end = header.dataOffset();
            for (SafetensorsEntry tensor : header.tensors()) {
                end += tensor.bytes();
            }
            assertEquals(bytes.length, end);
            return true;
        } catch (IllegalArgumentException e) {
            assertFalse(e.getMessage().lines().count() > 1, e.getMessage());
            return false;
        }
    }

    private static SafetensorsHeader read(byte[] bytes) {
        return SafetensorsHeader.read("f", MemorySegment.ofArray(bytes));
    }

    private static byte[] mutate(byte[] good, SplittableRandom random) {
        byte[] bad = good.clone();
        int changes = random.nextInt(1, 4);
        for (int i = 0; i < changes; i++) {
            int at = random.nextInt(bad.length);
            switch (random.nextInt(4)) {
                case 0 -> bad[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bad[at] = (byte) "{}[]\",:-0123456789.eE\\u ".charAt(random.nextInt(24));
                case 2 -> bad[at] = bad[random.nextInt(bad.length)];
                default -> bad = Arrays.copyOf(bad, random.nextInt(1, bad.length + 10));
            }
        }
        return bad;
    }

    private static Arguments of(byte[] bytes, String message) {
        return Arguments.of(bytes, message);
    }

    private static byte[] tensor(String fields, int dataBytes) {
        return file("{'a':{" + fields + "}}", dataBytes);
    }

    private static byte[] file(String json, int dataBytes) {
        String text = json.replace('\'', '"');
        return raw(text.getBytes(StandardCharsets.UTF_8).length, text, dataBytes);
    }

    private static byte[] latin(String json) {
        byte[] text = json.replace('\'', '"').getBytes(StandardCharsets.ISO_8859_1);
        return ByteBuffer.allocate(8 + text.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length)
                .put(text)
                .array();
    }

    private static byte[] raw(long length, String json, int dataBytes) {
        byte[] text = json.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + text.length + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(length)
                .put(text)
                .array();
    }
}
