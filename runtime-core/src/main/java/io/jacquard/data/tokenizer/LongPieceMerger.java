package io.jacquard.data.tokenizer;

/// Merges one long piece with a heap of pairs by rank, then place: n log n, where scanning for the best pair is n².
final class LongPieceMerger {
    private static final int NONE = -1;

    private final BytePairEncoder.Tables tables;
    private int[] symbols = new int[0];
    private int[] next = new int[0];
    private int[] previous = new int[0];
    // The pair that begins here: rank and merged id.
    private long[] pairs = new long[0];
    // Rank above place; an entry is stale when the pair at that place no longer has that rank.
    private long[] heap = new long[0];
    private int heapSize;

    LongPieceMerger(BytePairEncoder.Tables tables) {
        this.tables = tables;
    }

    /// Writes the ids from `at` on and returns their number.
    int merge(byte[] text, int from, int to, int[] ids, int at) {
        int n = to - from;
        start(text, from, n);
        while (heapSize > 0) {
            long top = pop();
            int left = (int) top;
            long pair = pairs[left];
            if (pair == PairMap.NONE || pair >>> 32 != top >>> 32) {
                continue;
            }
            int right = next[left];
            symbols[left] = (int) pair;
            next[left] = next[right];
            pairs[right] = PairMap.NONE;
            if (next[left] != NONE) {
                previous[next[left]] = left;
            }
            rank(left);
            if (previous[left] != NONE) {
                rank(previous[left]);
            }
        }
        int count = 0;
        for (int i = 0; i != NONE; i = next[i]) {
            ids[at + count++] = symbols[i];
        }
        return count;
    }

    private void start(byte[] text, int from, int n) {
        if (symbols.length < n) {
            symbols = new int[n];
            next = new int[n];
            previous = new int[n];
            pairs = new long[n];
            // Every merge removes one symbol and adds at most two pairs.
            heap = new long[Math.multiplyExact(3, n)];
        }
        heapSize = 0;
        for (int i = 0; i < n; i++) {
            symbols[i] = tables.idOfByte()[text[from + i] & 0xFF];
            previous[i] = i - 1;
            next[i] = i + 1 < n ? i + 1 : NONE;
        }
        for (int i = 0; i < n; i++) {
            rank(i);
        }
    }

    private void rank(int left) {
        int right = next[left];
        long pair = right == NONE ? PairMap.NONE : tables.merges().get(symbols[left], symbols[right]);
        pairs[left] = pair;
        if (pair != PairMap.NONE) {
            push(pair & 0xFFFFFFFF_00000000L | left);
        }
    }

    private void push(long entry) {
        int at = heapSize++;
        while (at > 0 && heap[at - 1 >> 1] > entry) {
            heap[at] = heap[at - 1 >> 1];
            at = at - 1 >> 1;
        }
        heap[at] = entry;
    }

    private long pop() {
        long top = heap[0];
        long last = heap[--heapSize];
        int at = 0;
        while (true) {
            int child = 2 * at + 1;
            if (child >= heapSize) {
                break;
            }
            if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[child] >= last) {
                break;
            }
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = last;
        return top;
    }
}
