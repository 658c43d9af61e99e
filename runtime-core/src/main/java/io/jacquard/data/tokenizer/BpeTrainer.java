package io.jacquard.data.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;

/// Learns a byte-level BPE from texts: special tokens first, then the 256 bytes, then one token per merge.
///
/// The merges are those of Hugging Face's `BpeTrainer` on the same texts: the most frequent pair first, and of equally
/// frequent ones that with the lowest ids. The result depends on nothing but the texts and these settings. The text of
/// a special token divides the texts and is not learned.
public final class BpeTrainer {
    private static final int BYTES = 256;
    private static final int PROGRESS_EVERY_BYTES = 1 << 20;
    private static final int PROGRESS_EVERY_MERGES = 100;

    private final int vocabularySize;
    private final List<String> specialTokens;
    private final long minFrequency;
    private final Consumer<Progress> listener;

    /// How far the training is.
    ///
    /// @param doing `counting`, in bytes of text with an unknown total of -1, or `merging`, in tokens
    public record Progress(String doing, long done, long total) {}

    private BpeTrainer(int vocabularySize, List<String> specialTokens, long minFrequency, Consumer<Progress> listener) {
        this.vocabularySize = vocabularySize;
        this.specialTokens = specialTokens;
        this.minFrequency = minFrequency;
        this.listener = listener;
        int least = BYTES + specialTokens.size();
        if (vocabularySize < least || vocabularySize > TokenizerReader.ID_LIMIT) {
            throw new IllegalArgumentException("BpeTrainer: vocabulary size " + vocabularySize + ", expected " + least
                    + " (256 bytes and " + specialTokens.size() + " special tokens) to " + TokenizerReader.ID_LIMIT);
        }
    }

    /// A trainer with the one special token `<|endoftext|>`, and merges for pairs that occur twice or more.
    public static BpeTrainer ofVocabularySize(int vocabularySize) {
        return new BpeTrainer(vocabularySize, List.of(Tokenizer.END_OF_TEXT), 2, progress -> {});
    }

    /// Replaces the special tokens; the first has id 0.
    public BpeTrainer specialTokens(String... tokens) {
        for (String token : checkSpecialTokens(List.of(tokens))) {
            byte[] spelled = ByteAlphabet.bytes(token);
            // In the vocabulary of the file it could not be told from a token of the text.
            if (spelled != null && (spelled.length == 1 || !Arrays.equals(spelled, Utf8.bytes(token)))) {
                throw new IllegalArgumentException("BpeTrainer: special token " + JsonTree.quoted(token)
                        + " spells bytes in tokenizer.json, expected two or more ASCII characters");
            }
        }
        return new BpeTrainer(vocabularySize, List.of(tokens), minFrequency, listener);
    }

    /// Stops when no pair occurs that often.
    public BpeTrainer minFrequency(long occurrences) {
        return new BpeTrainer(vocabularySize, specialTokens, Math.max(1, occurrences), listener);
    }

    /// Calls the listener now and then, on the thread that trains.
    public BpeTrainer onProgress(Consumer<Progress> progressListener) {
        return new BpeTrainer(vocabularySize, specialTokens, minFrequency, progressListener);
    }

    static List<String> checkSpecialTokens(List<String> tokens) {
        Set<String> seen = new HashSet<>();
        for (String token : tokens) {
            if (token.isEmpty() || Utf8.unpairedSurrogate(token, 0) >= 0 || !seen.add(token)) {
                throw new IllegalArgumentException("special token " + JsonTree.quoted(token)
                        + " is empty, repeated or not Unicode, expected different texts");
            }
        }
        return tokens;
    }

    /// Learns from all texts; no piece reaches from one text into the next.
    ///
    /// **Memory**: the different pieces of the texts (words, roughly), not the texts.
    public BytePairTokenizer train(Iterable<String> texts) {
        return train(texts.iterator());
    }

    /// Learns from all texts that the iterator still has.
    public BytePairTokenizer train(Iterator<String> texts) {
        List<AddedToken> specials = new ArrayList<>();
        for (String content : specialTokens) {
            specials.add(AddedToken.special(specials.size(), content));
        }
        AddedTokens added = new AddedTokens(specials);
        PieceCounts pieces = count(texts, added);

        List<String> vocabulary = new ArrayList<>(specialTokens);
        char[] alphabet = new char[BYTES];
        for (int b = 0; b < BYTES; b++) {
            alphabet[b] = ByteAlphabet.symbol(b);
        }
        Arrays.sort(alphabet);
        for (char symbol : alphabet) {
            vocabulary.add(String.valueOf(symbol));
        }
        int[] merges = learn(pieces, vocabulary);
        return new BytePairTokenizer(
                new BytePairTokenizer.Model(vocabulary.toArray(String[]::new), merges, false, true), added);
    }

    private PieceCounts count(Iterator<String> texts, AddedTokens added) {
        PieceCounts pieces = new PieceCounts();
        long bytes = 0;
        long reported = 0;
        while (texts.hasNext()) {
            byte[] text = Utf8.bytes(texts.next());
            added.split(text, 0, text.length, new AddedTokens.Sink() {
                @Override
                public void text(int from, int to) {
                    for (int at = from; at < to; ) {
                        int end = Gpt2Pieces.end(text, at, to);
                        pieces.add(text, at, end);
                        at = end;
                    }
                }

                @Override
                public void token(int id) {}
            });
            bytes += text.length;
            if (bytes - reported >= PROGRESS_EVERY_BYTES) {
                reported = bytes;
                listener.accept(new Progress("counting", bytes, -1));
            }
        }
        return pieces;
    }

    private int[] learn(PieceCounts pieces, List<String> vocabulary) {
        Map<String, Integer> idOf = new HashMap<>();
        int[] idOfByte = new int[BYTES];
        for (int id = 0; id < vocabulary.size(); id++) {
            idOf.put(vocabulary.get(id), id);
        }
        for (int b = 0; b < BYTES; b++) {
            idOfByte[b] = Objects.requireNonNull(idOf.get(String.valueOf(ByteAlphabet.symbol(b))));
        }
        MergeLearner learner = new MergeLearner(pieces, idOfByte);
        MergeList merges = new MergeList(vocabulary, idOf);
        while (vocabulary.size() < vocabularySize && learner.mergeNext(minFrequency, merges::add) >= 0) {
            if (vocabulary.size() % PROGRESS_EVERY_MERGES == 0) {
                listener.accept(new Progress("merging", vocabulary.size(), vocabularySize));
            }
        }
        listener.accept(new Progress("merging", vocabulary.size(), vocabulary.size()));
        return merges.toArray();
    }

    private static final class MergeList {
        private final List<String> vocabulary;
        private final Map<String, Integer> idOf;
        private final PairMap known = new PairMap(1 << 14);
        private int[] triples = new int[3 << 10];
        private int size;

        MergeList(List<String> vocabulary, Map<String, Integer> idOf) {
            this.vocabulary = vocabulary;
            this.idOf = idOf;
        }

        /// The id of the merged token, which may exist: `abc` can be made of `ab c` and of `a bc`.
        int add(int left, int right) {
            String token = vocabulary.get(left) + vocabulary.get(right);
            Integer existing = idOf.get(token);
            int id = existing == null ? vocabulary.size() : existing;
            if (existing == null) {
                vocabulary.add(token);
                idOf.put(token, id);
            }
            if (known.get(left, right) == PairMap.NONE) {
                known.put(left, right, id);
                if (size == triples.length) {
                    triples = Arrays.copyOf(triples, 2 * size);
                }
                triples[size++] = left;
                triples[size++] = right;
                triples[size++] = id;
            }
            return id;
        }

        int[] toArray() {
            return Arrays.copyOf(triples, size);
        }
    }
}
