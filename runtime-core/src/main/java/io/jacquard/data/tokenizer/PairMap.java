package io.jacquard.data.tokenizer;

import java.util.Arrays;

/// Two non-negative ints to one long. Open addressing, key and value side by side: one cache line for a look-up.
final class PairMap {
    static final long NONE = Long.MAX_VALUE;

    private static final long EMPTY = -1;
    private static final long MIX = 0x9E3779B97F4A7C15L;

    private long[] table;
    private int shift;
    private int size;

    PairMap(int expected) {
        int bits = Math.max(4, 33 - Integer.numberOfLeadingZeros(Math.max(1, expected)));
        table = emptyTable(bits);
        shift = 64 - bits;
    }

    private static long[] emptyTable(int bits) {
        if (bits > 29) {
            throw new OutOfMemoryError("PairMap: more than 2^28 entries");
        }
        long[] table = new long[2 << bits];
        Arrays.fill(table, EMPTY);
        return table;
    }

    static long key(int a, int b) {
        return (long) a << 32 | b;
    }

    int size() {
        return size;
    }

    /// The value, or `NONE`.
    long get(int a, int b) {
        long key = key(a, b);
        long[] t = table;
        int at = slot(key);
        while (true) {
            long found = t[at];
            if (found == key) {
                return t[at + 1];
            }
            if (found == EMPTY) {
                return NONE;
            }
            at = at + 2 & t.length - 1;
        }
    }

    void put(int a, int b, long value) {
        if (size >= table.length >> 2) {
            grow();
        }
        long key = key(a, b);
        int at = place(key);
        if (table[at] == EMPTY) {
            size++;
            table[at] = key;
        }
        table[at + 1] = value;
    }

    private int slot(long key) {
        return (int) (key * MIX >>> shift) << 1;
    }

    private int place(long key) {
        int at = slot(key);
        while (table[at] != EMPTY && table[at] != key) {
            at = at + 2 & table.length - 1;
        }
        return at;
    }

    private void grow() {
        long[] old = table;
        shift--;
        table = emptyTable(64 - shift);
        for (int i = 0; i < old.length; i += 2) {
            if (old[i] != EMPTY) {
                int at = place(old[i]);
                table[at] = old[i];
                table[at + 1] = old[i + 1];
            }
        }
    }
}
