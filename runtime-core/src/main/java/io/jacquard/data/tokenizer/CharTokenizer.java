package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// One id for each code point of a corpus, in ascending order, and after them the special tokens. For small
/// experiments: a character that the corpus did not have is refused.
public final class CharTokenizer implements Tokenizer {
    // Of a code point: a map is enough above the first 64 Ki.
    private final int[] idOfBasic = new int[1 << 16];
    private final Map<Integer, Integer> idOfOther = new HashMap<>();
    private final @Nullable String[] vocabulary;
    private final byte[] @Nullable [] bytesOfId;
    private final AddedTokens added;

    /// The tokenizer for all code points of the corpus.
    ///
    /// @param specialTokens recognised in the text by `encode`; `<|endoftext|>` is the usual one
    public static CharTokenizer of(String corpus, String... specialTokens) {
        if (Utf8.unpairedSurrogate(corpus, 0) >= 0) {
            throw new IllegalArgumentException("CharTokenizer: the corpus has an unpaired surrogate at index "
                    + Utf8.unpairedSurrogate(corpus, 0) + ", which is no character; read the corpus as UTF-8");
        }
        String[] characters = corpus.codePoints()
                .sorted()
                .distinct()
                .mapToObj(Character::toString)
                .toArray(String[]::new);
        List<AddedToken> specials = new ArrayList<>();
        for (String content : BpeTrainer.checkSpecialTokens(List.of(specialTokens))) {
            specials.add(AddedToken.special(characters.length + specials.size(), content));
        }
        return new CharTokenizer(characters, new AddedTokens(specials));
    }

    /// Each entry of the vocabulary is null, one code point, or the content of an added token.
    CharTokenizer(@Nullable String[] vocabulary, AddedTokens added) {
        this.vocabulary = vocabulary;
        this.added = added;
        Arrays.fill(idOfBasic, -1);
        int highestAdded = added.all().isEmpty() ? -1 : added.all().getLast().id();
        bytesOfId = new byte[Math.max(vocabulary.length, highestAdded + 1)][];
        for (int id = 0; id < vocabulary.length; id++) {
            String token = vocabulary[id];
            if (token == null) {
                continue;
            }
            bytesOfId[id] = token.getBytes(StandardCharsets.UTF_8);
            int point = token.codePointAt(0);
            if (Character.charCount(point) != token.length()) {
                continue;
            }
            if (point < idOfBasic.length) {
                idOfBasic[point] = id;
            } else {
                idOfOther.put(point, id);
            }
        }
        for (AddedToken token : added.all()) {
            bytesOfId[token.id()] = token.content().getBytes(StandardCharsets.UTF_8);
        }
    }

    @Override
    public int[] encode(byte[] utf8, int from, int to) {
        Objects.checkFromToIndex(from, to, utf8.length);
        Collector collector = new Collector(utf8, from, to);
        added.split(utf8, from, to, collector);
        return Arrays.copyOf(collector.ids, collector.size);
    }

    @Override
    public int[] encodeOrdinary(byte[] utf8, int from, int to) {
        Objects.checkFromToIndex(from, to, utf8.length);
        Collector collector = new Collector(utf8, from, to);
        collector.text(from, to);
        return Arrays.copyOf(collector.ids, collector.size);
    }

    private final class Collector implements AddedTokens.Sink {
        private final byte[] utf8;
        private final int begin;
        private final int[] ids;
        private int size;

        Collector(byte[] utf8, int from, int to) {
            this.utf8 = utf8;
            begin = from;
            ids = new int[to - from];
        }

        @Override
        public void text(int from, int to) {
            for (int at = from; at < to; ) {
                int length = utf8[at] >= 0 ? 1 : Utf8.length(utf8, at, to);
                if (length == 1 && utf8[at] < 0) {
                    throw new IllegalArgumentException("CharTokenizer: byte %d is 0x%02X, which is not UTF-8; use"
                                    .formatted(at - begin, utf8[at] & 0xFF)
                            + " ByteTokenizer for bytes");
                }
                int point = length == 1 ? utf8[at] : Utf8.codePoint(utf8, at, length);
                ids[size++] = id(point, at - begin);
                at += length;
            }
        }

        @Override
        public void token(int id) {
            ids[size++] = id;
        }
    }

    private int id(int point, int position) {
        int id = point < idOfBasic.length ? idOfBasic[point] : idOfOther.getOrDefault(point, -1);
        if (id < 0) {
            String shown = Character.isISOControl(point) ? "" : " '" + Character.toString(point) + "'";
            throw new IllegalArgumentException("CharTokenizer: U+%04X%s at byte %d is not among the %d tokens; build"
                            .formatted(point, shown, position, vocabularySize())
                    + " the tokenizer from a corpus that has it, or use ByteTokenizer");
        }
        return id;
    }

    @Override
    public byte[] decodeBytes(int... ids) {
        return Decoding.concatenate(ids, bytesOfId);
    }

    @Override
    public int vocabularySize() {
        return bytesOfId.length;
    }

    @Override
    public Map<String, Integer> specialTokens() {
        return added.special();
    }

    /// As BPE without merges and without a pre-tokenizer.
    @Override
    public void save(Path tokenizerJson) throws IOException {
        TokenizerWriter.writeCharacters(tokenizerJson, vocabulary, added);
    }

    @Override
    public String toString() {
        return "CharTokenizer[" + vocabularySize() + " ids]";
    }
}
