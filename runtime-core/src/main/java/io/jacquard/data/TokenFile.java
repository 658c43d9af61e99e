package io.jacquard.data;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// One shard of tokens, mapped into memory: the format of llm.c, or bare 16-bit tokens as nanoGPT writes them.
///
/// A shard is a header of 256 little-endian 32-bit integers (magic, version, number of tokens, zeros), then the tokens:
/// magic 20240520, version 1 for 16-bit, magic 20240801, version 7 for 32-bit.
///
/// **Memory** Mapped; costs page cache only. **Thread** Any number of threads may read.
public final class TokenFile implements AutoCloseable {
    static final int HEADER_BYTES = 1024;
    static final int MAGIC_16 = 20240520;
    static final int VERSION_16 = 1;
    static final int MAGIC_32 = 20240801;
    static final int VERSION_32 = 7;
    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Arena arena;
    private final MemorySegment tokens;
    private final int tokenBytes;

    private TokenFile(Path file, Arena arena, boolean headerless) throws IOException {
        this.file = file;
        this.arena = arena;
        MemorySegment bytes;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
        tokenBytes = headerless ? checkBare(file, bytes) : checkHeader(file, bytes);
        tokens = headerless ? bytes : bytes.asSlice(HEADER_BYTES);
    }

    /// Maps a shard with a header and checks it; the file must have exactly the size that the header promises.
    ///
    /// @throws IllegalArgumentException if it is anything else: one line with what was found and expected
    public static TokenFile open(Path file) throws IOException {
        return open(file, false);
    }

    /// Maps a file that is nothing but 16-bit little-endian tokens.
    ///
    /// @throws IllegalArgumentException if the size is odd, or the file does have a header
    public static TokenFile openHeaderless(Path file) throws IOException {
        return open(file, true);
    }

    @SuppressWarnings("MustBeClosedChecker") // the result owns the arena
    private static TokenFile open(Path file, boolean headerless) throws IOException {
        Arena arena = Arena.ofShared();
        try {
            return new TokenFile(file, arena, headerless);
        } catch (IOException | RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    /// The file this was opened from.
    public Path file() {
        return file;
    }

    /// Number of tokens.
    public long length() {
        return tokens.byteSize() / tokenBytes;
    }

    /// Copies `count` tokens that start at token `from` to `out[offset...]`.
    ///
    /// @throws IndexOutOfBoundsException if they are not all there
    public void copy(long from, int[] out, int offset, int count) {
        if (tokenBytes == 4) {
            MemorySegment.copy(tokens, I32, from * 4, out, offset, count);
            return;
        }
        MemorySegment source = tokens.asSlice(from * 2, count * 2L);
        for (int i = 0; i < count; i++) {
            out[offset + i] = Short.toUnsignedInt(source.get(U16, i * 2L));
        }
    }

    @Override
    public void close() {
        arena.close();
    }

    private static int checkBare(Path file, MemorySegment bytes) {
        if (bytes.byteSize() >= HEADER_BYTES) {
            int magic = bytes.get(I32, 0);
            if ((magic == MAGIC_16 && bytes.get(I32, 4) == VERSION_16)
                    || (magic == MAGIC_32 && bytes.get(I32, 4) == VERSION_32)) {
                throw new IllegalArgumentException(file + ": has a token file header (magic " + magic
                        + "); open it without the headerless option");
            }
        }
        if (bytes.byteSize() % 2 != 0) {
            throw new IllegalArgumentException(
                    file + ": " + bytes.byteSize() + " bytes; expected an even number for 16-bit tokens");
        }
        return 2;
    }

    private static int checkHeader(Path file, MemorySegment bytes) {
        if (bytes.byteSize() < HEADER_BYTES) {
            throw new IllegalArgumentException(file + ": " + bytes.byteSize() + " bytes; expected a header of "
                    + HEADER_BYTES + " (files of bare 16-bit tokens need the headerless option)");
        }
        int magic = bytes.get(I32, 0);
        int version = bytes.get(I32, 4);
        int width;
        if (magic == MAGIC_16 && version == VERSION_16) {
            width = 2;
        } else if (magic == MAGIC_32 && version == VERSION_32) {
            width = 4;
        } else {
            throw new IllegalArgumentException(file + ": magic " + magic + ", version " + version
                    + "; expected 20240520, 1 or 20240801, 7 (files of bare 16-bit tokens need the headerless option)");
        }
        int count = bytes.get(I32, 8);
        long expected = HEADER_BYTES + (long) count * width;
        if (count < 0 || bytes.byteSize() != expected) {
            throw new IllegalArgumentException(file + ": " + bytes.byteSize() + " bytes; expected " + HEADER_BYTES
                    + " (header) + " + count + " tokens * " + width);
        }
        return width;
    }
}
