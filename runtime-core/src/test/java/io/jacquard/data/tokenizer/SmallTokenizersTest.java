package io.jacquard.data.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SmallTokenizersTest {
    @TempDir
    Path directory;

    @Test
    void bytesAreIds() {
        Tokenizer bytes = new ByteTokenizer();
        assertEquals(257, bytes.vocabularySize());
        assertEquals(256, bytes.endOfText().orElseThrow());
        assertArrayEquals(new int[] {'a', 256, 0xC3, 0xA9}, bytes.encode("a<|endoftext|>é"));
        assertEquals(15, bytes.encodeOrdinary("a<|endoftext|>é".substring(0, 15)).length - 1);
        assertEquals("a<|endoftext|>é", bytes.decode('a', 256, 0xC3, 0xA9));
        assertEquals(
                "decode: no token has id 257, found at position 0 (ids are below 257); decode with the tokenizer that"
                        + " made the ids",
                assertThrows(IllegalArgumentException.class, () -> bytes.decode(257))
                        .getMessage());
        byte[] all = new byte[4096];
        new Random(1).nextBytes(all);
        assertArrayEquals(all, bytes.decodeBytes(bytes.encode(all)));
    }

    @Test
    void byteTokenizerIsReadByHuggingFace() throws IOException {
        Path file = directory.resolve("bytes.json");
        new ByteTokenizer().save(file);
        Tokenizer read = assertInstanceOf(ByteTokenizer.class, Tokenizer.read(file));
        Random random = new Random(2);
        try (HuggingFace theirs = new HuggingFace(file)) {
            for (int i = 0; i < 300; i++) {
                String text = Texts.random(random, 50);
                assertArrayEquals(theirs.encode(text), read.encode(text));
                assertEquals(theirs.decode(read.encode(text)), read.decode(read.encode(text)));
            }
        }
    }

    @Test
    void charactersAreIdsInOrder() {
        CharTokenizer characters = CharTokenizer.of("hello 😀 world", "<|endoftext|>");
        assertEquals(10, characters.vocabularySize());
        assertEquals(Map.of("<|endoftext|>", 9), characters.specialTokens());
        assertArrayEquals(new int[] {0, 8, 9, 4}, characters.encode(" 😀<|endoftext|>l"));
        assertEquals(" 😀<|endoftext|>l", characters.decode(0, 8, 9, 4));
        assertEquals(
                "CharTokenizer: U+0078 'x' at byte 2 is not among the 10 tokens; build the tokenizer from a corpus that"
                        + " has it, or use ByteTokenizer",
                assertThrows(IllegalArgumentException.class, () -> characters.encode("hex"))
                        .getMessage());
        assertEquals(
                "CharTokenizer: byte 1 is 0xFF, which is not UTF-8; use ByteTokenizer for bytes",
                assertThrows(IllegalArgumentException.class, () -> characters.encode(new byte[] {'h', (byte) 0xFF}))
                        .getMessage());
        assertEquals(
                "CharTokenizer: the corpus has an unpaired surrogate at index 1, which is no character; read the corpus"
                        + " as UTF-8",
                assertThrows(IllegalArgumentException.class, () -> CharTokenizer.of("a\uD800"))
                        .getMessage());
    }

    @Test
    void charTokenizerIsReadByHuggingFace() throws IOException {
        StringBuilder corpus = new StringBuilder();
        Random random = new Random(3);
        for (int i = 0; i < 50; i++) {
            corpus.append(Texts.random(random, 100));
        }
        CharTokenizer ours = CharTokenizer.of(corpus.toString(), "<|endoftext|>");
        Path file = directory.resolve("characters.json");
        ours.save(file);
        Tokenizer read = assertInstanceOf(CharTokenizer.class, Tokenizer.read(file));
        assertEquals(ours.vocabularySize(), read.vocabularySize());
        assertEquals(ours.endOfText(), read.endOfText());
        try (HuggingFace theirs = new HuggingFace(file)) {
            for (int from = 0; from + 60 < corpus.length(); from += 60) {
                String text = Utf8.decode(Utf8.bytes(corpus.substring(from, from + 60)));
                if (text.indexOf('\uFFFD') >= 0) {
                    continue;
                }
                assertArrayEquals(theirs.encode(text), read.encode(text));
                assertEquals(text, read.decode(ours.encode(text)));
                assertEquals(text, theirs.decode(ours.encode(text)));
            }
        }
    }
}
