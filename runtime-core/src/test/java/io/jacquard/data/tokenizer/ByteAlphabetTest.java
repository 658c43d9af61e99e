package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class ByteAlphabetTest {
    static List<String> symbolsInOrder() {
        return IntStream.range(0, 256)
                .mapToObj(b -> String.valueOf(ByteAlphabet.symbol(b)))
                .sorted()
                .toList();
    }

    @Test
    void symbolsAreThoseOfGpt2() {
        assertEquals("Ā", String.valueOf(ByteAlphabet.symbol(0)));
        assertEquals("Ġ", String.valueOf(ByteAlphabet.symbol(' ')));
        assertEquals("Ċ", String.valueOf(ByteAlphabet.symbol('\n')));
        assertEquals("Ń", String.valueOf(ByteAlphabet.symbol(0xAD)));
        assertEquals("ÿ", String.valueOf(ByteAlphabet.symbol(0xFF)));
        assertEquals(256, symbolsInOrder().stream().distinct().count());
    }

    @Test
    void bytesComeBack() {
        byte[] all = new byte[256];
        for (int b = 0; b < 256; b++) {
            all[b] = (byte) b;
        }
        StringBuilder spelled = new StringBuilder();
        for (byte b : all) {
            spelled.append(ByteAlphabet.symbol(b & 0xFF));
        }
        assertArrayEquals(all, ByteAlphabet.bytes(spelled.toString()));
        assertNull(ByteAlphabet.bytes("a b"));
        assertNull(ByteAlphabet.bytes("漢"));
    }
}
