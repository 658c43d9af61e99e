package io.jacquard.data.tokenizer;

import java.util.Arrays;
import java.util.PriorityQueue;
import java.util.function.IntBinaryOperator;
import org.jspecify.annotations.Nullable;

/// The pieces of a corpus as symbols, and for each adjacent pair how often and where it occurs. Merging a pair updates
/// only the pieces that have it.
final class MergeLearner {
    private final int[] symbols;
    private final int[] starts;
    private final int[] lengths;
    private final long[] wordCounts;

    private final PairMap indexOf = new PairMap(1 << 14);
    private long[] pairs = new long[1 << 14];
    private long[] counts = new long[1 << 14];
    // Words in which the pair has appeared since it was last merged; a word may stand there twice.
    private int[] @Nullable [] places = new int[1 << 14][];
    private int[] placeCounts = new int[1 << 14];
    private int pairCount;

    private final PriorityQueue<Candidate> candidates = new PriorityQueue<>();
    private int[] touched = new int[256];
    private int touchedCount;

    /// The most frequent first, of equally frequent ones the lowest ids first, as in Hugging Face's trainer.
    private record Candidate(long count, long pair, int index) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            int byCount = Long.compare(other.count, count);
            return byCount != 0 ? byCount : Long.compare(pair, other.pair);
        }
    }

    MergeLearner(PieceCounts pieces, int[] idOfByte) {
        int words = pieces.size();
        symbols = new int[words == 0 ? 0 : pieces.end(words - 1)];
        starts = new int[words];
        lengths = new int[words];
        wordCounts = new long[words];
        for (int i = 0; i < symbols.length; i++) {
            symbols[i] = idOfByte[pieces.bytes()[i] & 0xFF];
        }
        for (int word = 0; word < words; word++) {
            starts[word] = pieces.start(word);
            lengths[word] = pieces.end(word) - starts[word];
            wordCounts[word] = pieces.count(word);
            for (int i = starts[word]; i + 1 < starts[word] + lengths[word]; i++) {
                change(symbols[i], symbols[i + 1], 1, word);
            }
        }
        queueTouched();
    }

    /// Takes the best pair with at least that count, merges it everywhere into the id that `mergedId` names for it,
    /// and returns it as `PairMap.key`; -1 if there is none.
    long mergeNext(long minFrequency, IntBinaryOperator mergedId) {
        while (true) {
            Candidate best = candidates.poll();
            if (best == null) {
                return -1;
            }
            int index = best.index;
            int[] where = places[index];
            if (where == null) {
                continue;
            }
            if (best.count != counts[index]) {
                queue(index);
                continue;
            }
            if (best.count < minFrequency) {
                return -1;
            }
            int n = placeCounts[index];
            places[index] = null;
            placeCounts[index] = 0;
            int left = (int) (best.pair >>> 32);
            int right = (int) best.pair;
            int merged = mergedId.applyAsInt(left, right);
            for (int i = 0; i < n; i++) {
                mergeInWord(where[i], left, right, merged);
            }
            queueTouched();
            return best.pair;
        }
    }

    private void mergeInWord(int word, int left, int right, int merged) {
        int start = starts[word];
        int end = start + lengths[word];
        int out = start;
        for (int in = start; in < end; in++) {
            if (symbols[in] != left || in + 1 == end || symbols[in + 1] != right) {
                symbols[out++] = symbols[in];
                continue;
            }
            if (out > start) {
                change(symbols[out - 1], left, -1, word);
                change(symbols[out - 1], merged, 1, word);
            }
            if (in + 2 < end) {
                change(right, symbols[in + 2], -1, word);
                change(merged, symbols[in + 2], 1, word);
            }
            symbols[out++] = merged;
            in++;
        }
        lengths[word] = out - start;
    }

    private void change(int left, int right, int by, int word) {
        long found = indexOf.get(left, right);
        int index = found == PairMap.NONE ? addPair(left, right) : (int) found;
        counts[index] += by * wordCounts[word];
        if (by < 0) {
            return;
        }
        int[] where = places[index];
        int n = placeCounts[index];
        if (where == null) {
            where = new int[2];
            places[index] = where;
        } else if (where[n - 1] == word) {
            touch(index);
            return;
        } else if (n == where.length) {
            where = Arrays.copyOf(where, 2 * n);
            places[index] = where;
        }
        where[n] = word;
        placeCounts[index] = n + 1;
        touch(index);
    }

    private int addPair(int left, int right) {
        if (pairCount == pairs.length) {
            int larger = 2 * pairCount;
            pairs = Arrays.copyOf(pairs, larger);
            counts = Arrays.copyOf(counts, larger);
            places = Arrays.copyOf(places, larger);
            placeCounts = Arrays.copyOf(placeCounts, larger);
        }
        pairs[pairCount] = PairMap.key(left, right);
        indexOf.put(left, right, pairCount);
        return pairCount++;
    }

    private void touch(int index) {
        if (touchedCount > 0 && touched[touchedCount - 1] == index) {
            return;
        }
        if (touchedCount == touched.length) {
            touched = Arrays.copyOf(touched, 2 * touchedCount);
        }
        touched[touchedCount++] = index;
    }

    private void queueTouched() {
        Arrays.sort(touched, 0, touchedCount);
        for (int i = 0; i < touchedCount; i++) {
            if (i == 0 || touched[i] != touched[i - 1]) {
                queue(touched[i]);
            }
        }
        touchedCount = 0;
    }

    private void queue(int index) {
        if (counts[index] > 0) {
            candidates.add(new Candidate(counts[index], pairs[index], index));
        }
    }
}
