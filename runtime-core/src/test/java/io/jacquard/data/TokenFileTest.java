package io.jacquard.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

final class TokenFileTest {
    @TempDir
    Path directory;

    @Test
    void roundTripBothWidths() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        for (int vocabulary : new int[] {1, 50_257, 65_536, 65_537, 128_256, Integer.MAX_VALUE}) {
            int[] tokens = random.ints(600_000, 0, vocabulary).toArray();
            tokens[0] = vocabulary - 1;
            Path file = directory.resolve("t.bin");
            assertEquals(tokens.length, TokenFileWriter.write(file, vocabulary, out -> out.append(tokens)));
            int width = vocabulary > 65_536 ? 4 : 2;
            assertEquals(1024 + (long) width * tokens.length, Files.size(file));
            try (TokenFile read = TokenFile.open(file)) {
                assertEquals(tokens.length, read.length());
                int[] back = new int[tokens.length + 2];
                read.copy(0, back, 1, tokens.length);
                assertArrayEquals(tokens, Arrays.copyOfRange(back, 1, tokens.length + 1));
                read.copy(599_998, back, 0, 2);
                assertEquals(tokens[599_999], back[1]);
                assertThrows(IndexOutOfBoundsException.class, () -> read.copy(599_999, back, 0, 2));
                assertThrows(IndexOutOfBoundsException.class, () -> read.copy(-1, back, 0, 2));
            }
        }
    }

    @Test
    void headerlessNeedsItsOption() throws IOException {
        Path bare = directory.resolve("val.bin");
        Files.write(bare, new byte[] {1, 0, (byte) 0xff, (byte) 0xff});
        try (TokenFile read = TokenFile.openHeaderless(bare)) {
            int[] tokens = new int[2];
            read.copy(0, tokens, 0, 2);
            assertArrayEquals(new int[] {1, 65_535}, tokens);
        }
        assertRefused(
                bare + ": 4 bytes; expected a header of 1024 (files of bare 16-bit tokens need the headerless"
                        + " option)",
                () -> TokenFile.open(bare).close());
        Files.write(bare, new byte[3]);
        assertRefused(
                bare + ": 3 bytes; expected an even number for 16-bit tokens",
                () -> TokenFile.openHeaderless(bare).close());
        Files.write(bare, header(20240520, 1, 0, 0));
        assertRefused(
                bare + ": has a token file header (magic 20240520); open it without the headerless option",
                () -> TokenFile.openHeaderless(bare).close());
    }

    @Test
    void refusesOtherFilesAndSizes() throws IOException {
        Path file = directory.resolve("x.bin");
        String versions =
                "; expected 20240520, 1 or 20240801, 7 (files of bare 16-bit tokens need the headerless" + " option)";
        Object[][] cases = {
            {
                new byte[1023],
                "1023 bytes; expected a header of 1024 (files of bare 16-bit tokens need the headerless" + " option)"
            },
            {new byte[1024], "magic 0, version 0" + versions},
            {header(20240520, 7, 0, 0), "magic 20240520, version 7" + versions},
            {header(20240801, 1, 0, 0), "magic 20240801, version 1" + versions},
            {header(20240522, 1, 0, 0), "magic 20240522, version 1" + versions},
            {header(20240520, 1, 2, 3), "1027 bytes; expected 1024 (header) + 2 tokens * 2"},
            {header(20240520, 1, 2, 6), "1030 bytes; expected 1024 (header) + 2 tokens * 2"},
            {header(20240801, 7, 2, 4), "1028 bytes; expected 1024 (header) + 2 tokens * 4"},
            {header(20240801, 7, -1, 0), "1024 bytes; expected 1024 (header) + -1 tokens * 4"},
            {header(20240801, 7, -256, 0), "1024 bytes; expected 1024 (header) + -256 tokens * 4"},
        };
        for (Object[] one : cases) {
            Files.write(file, (byte[]) one[0]);
            assertRefused(file + ": " + one[1], () -> TokenFile.open(file).close());
        }
    }

    @Test
    void aFailedWriteLeavesTheOldFile() throws IOException {
        Path file = directory.resolve("t.bin");
        Files.writeString(file, "old");
        assertRefused(
                "token 100 at position 1; expected 0 to 99",
                () -> TokenFileWriter.write(file, 100, out -> out.append(new int[] {5, 100})));
        assertRefused(
                "token -1 at position 0; expected 0 to 99",
                () -> TokenFileWriter.write(file, 100, out -> out.append(-1)));
        assertEquals("old", Files.readString(file));
        assertEquals(1, directory.toFile().list().length);
    }

    private static void assertRefused(String message, Executable code) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, code).getMessage());
    }

    private static byte[] header(int magic, int version, int tokens, int dataBytes) {
        return ByteBuffer.allocate(1024 + dataBytes)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(magic)
                .putInt(version)
                .putInt(tokens)
                .array();
    }
}
