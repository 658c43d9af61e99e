package io.jacquard.data;

import io.jacquard.io.AtomicFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/// Writes one shard, streaming; the file appears, complete and on the disk, with [#finish()]. Closing the writer before
/// that abandons it and leaves an older file as it was.
///
/// Tokens are 16 bits wide for a vocabulary of at most 65536 ids, 32 otherwise.
public final class TokenFileWriter implements AutoCloseable {
    /// The header counts tokens in 31 bits.
    public static final long MAX_TOKENS = Integer.MAX_VALUE;

    private final AtomicFiles.Output output;
    private final FileChannel out;
    private final int vocabulary;
    private final boolean wide;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
    private long length;

    /// Gives tokens to a writer.
    @FunctionalInterface
    public interface Source {
        /// Appends everything that belongs to this shard.
        void writeTo(TokenFileWriter out) throws IOException;
    }

    private TokenFileWriter(AtomicFiles.Output output, int vocabulary) throws IOException {
        this.output = output;
        this.vocabulary = vocabulary;
        out = output.channel();
        wide = vocabulary > 1 << 16;
        out.position(TokenFile.HEADER_BYTES);
    }

    /// Begins to replace or create `file`.
    ///
    /// @param vocabulary number of ids; every token must be below it
    public static TokenFileWriter open(Path file, int vocabulary) throws IOException {
        if (vocabulary < 1) {
            throw new IllegalArgumentException(file + ": vocabulary size " + vocabulary + "; expected at least 1");
        }
        AtomicFiles.Output output = AtomicFiles.open(file);
        try {
            return new TokenFileWriter(output, vocabulary);
        } catch (IOException | RuntimeException | Error e) {
            output.close();
            throw e;
        }
    }

    /// Replaces or creates `file` with what `source` appends; returns the number of tokens.
    public static long write(Path file, int vocabulary, Source source) throws IOException {
        try (TokenFileWriter writer = open(file, vocabulary)) {
            source.writeTo(writer);
            return writer.finish();
        }
    }

    /// Number of tokens so far.
    public long length() {
        return length;
    }

    /// Appends one token.
    ///
    /// @throws IllegalArgumentException if it is not below the vocabulary size, or the shard is full
    public void append(int token) throws IOException {
        if (token < 0 || token >= vocabulary) {
            throw new IllegalArgumentException(
                    "token " + token + " at position " + length + "; expected 0 to " + (vocabulary - 1));
        }
        if (length == MAX_TOKENS) {
            throw new IllegalArgumentException("a token file holds at most " + MAX_TOKENS + " tokens; use more shards");
        }
        if (buffer.remaining() < 4) {
            AtomicFiles.writeFully(out, buffer.flip());
            buffer.clear();
        }
        if (wide) {
            buffer.putInt(token);
        } else {
            buffer.putShort((short) token);
        }
        length++;
    }

    /// Appends tokens in order.
    public void append(int[] tokens) throws IOException {
        for (int token : tokens) {
            append(token);
        }
    }

    /// Completes the file and returns the number of tokens; only `close()` may follow.
    public long finish() throws IOException {
        AtomicFiles.writeFully(out, buffer.flip());
        ByteBuffer header = ByteBuffer.allocate(TokenFile.HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(wide ? TokenFile.MAGIC_32 : TokenFile.MAGIC_16);
        header.putInt(wide ? TokenFile.VERSION_32 : TokenFile.VERSION_16);
        header.putInt((int) length).rewind();
        out.position(0);
        AtomicFiles.writeFully(out, header);
        output.commit(written -> TokenFile.open(written).close());
        return length;
    }

    @Override
    public void close() throws IOException {
        output.close();
    }
}
