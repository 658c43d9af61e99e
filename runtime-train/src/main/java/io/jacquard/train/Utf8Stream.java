package io.jacquard.train;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/// Bytes in, whole characters out: a token may end in the middle of a character.
final class Utf8Stream implements AutoCloseable {
    private final Consumer<String> out;
    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private ByteBuffer pending = ByteBuffer.allocate(0);

    Utf8Stream(Consumer<String> out) {
        this.out = out;
    }

    void write(byte[] bytes) {
        decode(bytes, false);
    }

    private void decode(byte[] bytes, boolean last) {
        ByteBuffer in = ByteBuffer.allocate(pending.remaining() + bytes.length)
                .put(pending)
                .put(bytes)
                .flip();
        CharBuffer chars = CharBuffer.allocate(in.remaining() + 1);
        decoder.decode(in, chars, last);
        pending = in.slice();
        if (chars.flip().hasRemaining()) {
            out.accept(chars.toString());
        }
    }

    /// Hands out what is left of an unfinished character as U+FFFD.
    @Override
    public void close() {
        decode(new byte[0], true);
    }
}
