package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// Each byte is its own id, and 256 is `<|endoftext|>`. Needs no corpus, encodes everything.
public final class ByteTokenizer implements Tokenizer {
    static final AddedToken END = AddedToken.special(256, END_OF_TEXT);

    private static final byte[] END_BYTES = Utf8.bytes(END_OF_TEXT);
    private static final AddedTokens ADDED = new AddedTokens(List.of(END));

    @Override
    public int[] encode(byte[] utf8, int from, int to) {
        Objects.checkFromToIndex(from, to, utf8.length);
        int[] ids = new int[to - from];
        Collector collector = new Collector(utf8, ids);
        ADDED.split(utf8, from, to, collector);
        return collector.size == ids.length ? ids : Arrays.copyOf(ids, collector.size);
    }

    @Override
    public int[] encodeOrdinary(byte[] utf8, int from, int to) {
        Objects.checkFromToIndex(from, to, utf8.length);
        int[] ids = new int[to - from];
        new Collector(utf8, ids).text(from, to);
        return ids;
    }

    private static final class Collector implements AddedTokens.Sink {
        private final byte[] utf8;
        private final int[] ids;
        private int size;

        Collector(byte[] utf8, int[] ids) {
            this.utf8 = utf8;
            this.ids = ids;
        }

        @Override
        public void text(int from, int to) {
            for (int i = from; i < to; i++) {
                ids[size++] = utf8[i] & 0xFF;
            }
        }

        @Override
        public void token(int id) {
            ids[size++] = id;
        }
    }

    @Override
    public byte[] decodeBytes(int... ids) {
        long length = 0;
        for (int i = 0; i < ids.length; i++) {
            if (ids[i] < 0 || ids[i] > END.id()) {
                throw Decoding.unknown(ids[i], i, vocabularySize());
            }
            length += ids[i] == END.id() ? END_BYTES.length : 1;
        }
        byte[] bytes = new byte[Math.toIntExact(length)];
        int at = 0;
        for (int id : ids) {
            if (id == END.id()) {
                System.arraycopy(END_BYTES, 0, bytes, at, END_BYTES.length);
                at += END_BYTES.length;
            } else {
                bytes[at++] = (byte) id;
            }
        }
        return bytes;
    }

    @Override
    public int vocabularySize() {
        return END.id() + 1;
    }

    @Override
    public Map<String, Integer> specialTokens() {
        return ADDED.special();
    }

    /// As byte-level BPE without merges.
    @Override
    public void save(Path tokenizerJson) throws IOException {
        TokenizerWriter.write(tokenizerJson, model(), ADDED);
    }

    static BytePairTokenizer.Model model() {
        String[] vocabulary = new String[256];
        Arrays.setAll(vocabulary, b -> String.valueOf(ByteAlphabet.symbol(b)));
        return new BytePairTokenizer.Model(vocabulary, new int[0], false, false);
    }

    @Override
    public String toString() {
        return "ByteTokenizer[" + vocabularySize() + " ids]";
    }
}
