package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

final class SafetensorsTest {
    @TempDir
    Path directory;

    @Test
    void roundTripKeepsEveryTypeAndBit() throws IOException {
        Path file = directory.resolve("all.safetensors");
        SafetensorsWriter writer = new SafetensorsWriter().metadata("who", "\"me\"\n");
        for (SafetensorsType type : SafetensorsType.values()) {
            writer.add("t." + type, type, List.of(2L, 4L), bytes(type.bits(), type.ordinal()));
        }
        writer.add("scalar", SafetensorsType.F32, List.of(), bytes(4, 1));
        writer.add("empty", SafetensorsType.I64, List.of(3L, 0L), bytes(0, 0));
        writer.add("näme/\u2028\uD83D\uDE00", SafetensorsType.U8, List.of(1L), bytes(1, 9));
        writer.write(file);
        try (Safetensors read = Safetensors.open(file)) {
            assertEquals(Map.of("format", "pt", "who", "\"me\"\n"), read.metadata());
            assertEquals(25, read.tensors().size());
            for (SafetensorsType type : SafetensorsType.values()) {
                assertEquals(
                        type, Objects.requireNonNull(read.find("t." + type)).type());
                assertEquals(-1, read.data("t." + type).mismatch(bytes(type.bits(), type.ordinal())), type.name());
            }
            assertEquals(4, read.data("scalar").byteSize());
            assertEquals(0, read.data("empty").byteSize());
            assertEquals(9, read.data("näme/\u2028\uD83D\uDE00").get(ValueLayout.JAVA_BYTE, 0));
            assertTrue(read.data("scalar").isReadOnly());
            assertNull(read.find("none"));
            assertEquals(
                    file + ": no tensor 'none' among its 25",
                    assertThrows(IllegalArgumentException.class, () -> read.data("none"))
                            .getMessage());
        }
        assertEquals(List.of("all.safetensors"), names());
    }

    @Test
    void sortsByTypeThenNameAndPadsTo4096() throws IOException {
        Path file = directory.resolve("order.safetensors");
        new SafetensorsWriter()
                .add("b", SafetensorsType.U8, List.of(3L), bytes(3, 0))
                .add("z", SafetensorsType.F32, List.of(1L), bytes(4, 0))
                .add("a", SafetensorsType.F32, List.of(1L), bytes(4, 0))
                .add("i", SafetensorsType.I64, List.of(1L), bytes(8, 0))
                .write(file);
        try (Safetensors read = Safetensors.open(file)) {
            assertEquals(
                    List.of("i", "a", "z", "b"),
                    read.tensors().stream().map(SafetensorsEntry::name).toList());
        }
        byte[] content = Files.readAllBytes(file);
        assertEquals(4096 + 19, content.length);
        String header = "{\"__metadata__\":{\"format\":\"pt\"},"
                + "\"i\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
                + "\"z\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]}}";
        assertEquals(header, new String(content, 8, 4088, StandardCharsets.UTF_8).stripTrailing());
    }

    @Test
    void writesFromAnyKindOfMemoryAndInPieces() throws IOException {
        Path file = directory.resolve("pieces.safetensors");
        float[] values = new float[700_000]; // more than two staging pieces of 1 MiB
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nativeValues = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
            List<Long> shape = List.of((long) values.length);
            new SafetensorsWriter()
                    .add("heap", SafetensorsType.F32, shape, MemorySegment.ofArray(values))
                    .add("native", SafetensorsType.F32, shape, nativeValues)
                    .add("pieces", SafetensorsType.F32, shape, out -> {
                        for (long at = 0; at < nativeValues.byteSize(); at += 400_000) {
                            out.write(nativeValues.asSlice(at, 400_000));
                        }
                    })
                    .write(file);
        }
        try (Safetensors read = Safetensors.open(file)) {
            for (String name : List.of("heap", "native", "pieces")) {
                assertArrayEquals(values, read.data(name).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED), name);
            }
        }
    }

    @Test
    void aFailedWriteLeavesTheOldFile() throws IOException {
        Path file = directory.resolve("m.safetensors");
        Files.writeString(file, "old");
        SafetensorsWriter shortSource =
                new SafetensorsWriter().add("w", SafetensorsType.F32, List.of(2L), out -> out.write(bytes(4, 0)));
        assertEquals(
                "safetensors: tensor 'w': its source gave 4 bytes; expected 8 for F32 [2]",
                assertThrows(IllegalArgumentException.class, () -> shortSource.write(file))
                        .getMessage());
        SafetensorsWriter longSource =
                new SafetensorsWriter().add("w", SafetensorsType.F32, List.of(2L), out -> out.write(bytes(12, 0)));
        assertEquals(
                "safetensors: tensor 'w': its source gave more than the 8 bytes of F32 [2]",
                assertThrows(IllegalArgumentException.class, () -> longSource.write(file))
                        .getMessage());
        assertEquals("old", Files.readString(file));
        assertEquals(List.of("m.safetensors"), names());
    }

    @Test
    void refusesWhatCannotBeWritten() {
        SafetensorsWriter writer = new SafetensorsWriter().add("w", SafetensorsType.U8, List.of(), bytes(1, 0));
        assertRefused(
                "safetensors: tensor 'w' is there twice",
                () -> writer.add("w", SafetensorsType.U8, List.of(), bytes(1, 0)));
        assertRefused(
                "safetensors: the name '__metadata__' is reserved",
                () -> writer.add("__metadata__", SafetensorsType.U8, List.of(), bytes(1, 0)));
        assertRefused(
                "safetensors: tensor 'v' has 5 bytes; expected 4 for F32 [1]",
                () -> writer.add("v", SafetensorsType.F32, List.of(1L), bytes(5, 0)));
        assertRefused(
                "shape [-1] has a negative dimension",
                () -> writer.add("v", SafetensorsType.F32, List.of(-1L), bytes(5, 0)));
    }

    @Test
    void modelDirectoriesReadBackSingleAndSharded() throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter();
        for (int i = 0; i < 7; i++) {
            writer.add("w" + i, SafetensorsType.U8, List.of(10L), bytes(10, i));
        }
        for (long limit : new long[] {1, 20, 25, 70, 1000}) {
            writer.writeModel(directory, limit);
            assertEquals(limit < 70, Files.exists(directory.resolve("model.safetensors.index.json")), "" + limit);
            assertEquals(limit >= 70, Files.exists(directory.resolve("model.safetensors")), "" + limit);
            // 10 bytes each: 7, 4, 4 and 1 files, and the index beside several; nothing of the model before
            assertEquals(limit == 1 ? 8 : limit < 70 ? 5 : 1, names().size(), names().toString());
            try (ModelDirectory model = ModelDirectory.open(directory)) {
                assertEquals(7, model.tensors().size());
                for (int i = 0; i < 7; i++) {
                    assertEquals(-1, model.data("w" + i).mismatch(bytes(10, i)));
                }
                assertNull(model.find("none"));
            }
        }
        try (ModelDirectory one = ModelDirectory.open(directory.resolve("model.safetensors"))) {
            assertFalse(one.tensors().isEmpty());
        }
    }

    @Test
    void shardsThatDisagreeWithTheIndexAreRefused() throws IOException {
        Path index = directory.resolve("model.safetensors.index.json");
        assertRefused(
                directory + ": no weights; expected model.safetensors or model.safetensors.index.json",
                () -> ModelDirectory.open(directory).close());
        new SafetensorsWriter()
                .add("a", SafetensorsType.U8, List.of(), bytes(1, 0))
                .add("b", SafetensorsType.U8, List.of(), bytes(1, 0))
                .write(directory.resolve("s1.safetensors"));
        String[][] cases = {
            {"[]", index + ": JSON does not start with an object; expected '{'"},
            {"{}", index + ": no object 'weight_map'"},
            {"{'weight_map':{'a':1}}", index + ": the file of tensor 'a' is not a string"},
            {"{'weight_map':{'a':'s1.safetensors'}}", index + ": does not list tensor 'b' of 's1.safetensors'"},
            {"{'weight_map':{'c':'s1.safetensors'}}", index + ": tensor 'c' is not in 's1.safetensors'"},
            {"{'weight_map':{'a':'s2.safetensors'}}", index + ": tensor 'a' is in 's2.safetensors', which is missing"},
            {
                "{'weight_map':{'a':'../s1.safetensors'}}",
                index + ": tensor 'a' is in '../s1.safetensors'; expected the plain name of a file beside it"
            },
            {
                "{'weight_map':{'a':'/etc/passwd'}}",
                index + ": tensor 'a' is in '/etc/passwd'; expected the plain name of a file beside it"
            },
            {"{'weight_map':{'a':'s1.safetensors','a':'s1.safetensors'}}", index + ": duplicate key 'a'"},
            {"{'weight_map':{'a':'s1.safetensors'", index + ": not valid JSON at character 35"},
        };
        for (String[] one : cases) {
            Files.writeString(index, one[0].replace('\'', '"'));
            assertRefused(one[1], () -> ModelDirectory.open(directory).close());
        }
    }

    private static void assertRefused(String message, Executable code) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, code).getMessage());
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    private static MemorySegment bytes(int count, int first) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[count]);
        for (int i = 0; i < count; i++) {
            bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (first + i));
        }
        return bytes;
    }

    @Test
    void jsonKeepsItsValues() {
        String text = "{\"a\":[1,-2,3.5,true,false,null,\"x\\n\"],\"b\":{},\"c\":[]}";
        assertEquals(text, Json.render(Json.parseObject("t", text)));
        assertEquals("{\n  \"b\": {}\n}\n", Json.renderLines(Map.of("b", Collections.emptyMap())));
        assertRefused(
                "t: the integer '9223372036854775808' does not fit 64 bits",
                () -> Json.parseObject("t", "{\"a\":9223372036854775808}"));
    }
}
