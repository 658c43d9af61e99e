package io.jacquard.data.tokenizer;

import java.util.Arrays;

/// How often each piece of text occurs. Pieces are looked up in place, and only a new one is copied.
final class PieceCounts {
    private byte[] bytes = new byte[1 << 16];
    private int used;
    // Piece i is bytes[ends[i - 1], ends[i]).
    private int[] ends = new int[1 << 12];
    private long[] counts = new long[1 << 12];
    private int size;
    // Hash above piece + 1; 0 is a free place.
    private long[] table = new long[1 << 14];

    int size() {
        return size;
    }

    byte[] bytes() {
        return bytes;
    }

    int start(int piece) {
        return piece == 0 ? 0 : ends[piece - 1];
    }

    int end(int piece) {
        return ends[piece];
    }

    long count(int piece) {
        return counts[piece];
    }

    void add(byte[] text, int from, int to) {
        int hash = 0;
        for (int i = from; i < to; i++) {
            hash = 31 * hash + text[i];
        }
        hash *= 0x9E3779B9;
        int at = hash >>> 7 & table.length - 1;
        while (table[at] != 0) {
            int piece = (int) table[at] - 1;
            if ((int) (table[at] >>> 32) == hash && Arrays.equals(bytes, start(piece), end(piece), text, from, to)) {
                counts[piece]++;
                return;
            }
            at = at + 1 & table.length - 1;
        }
        table[at] = PairMap.key(hash, append(text, from, to) + 1);
        if (2 * size > table.length) {
            grow();
        }
    }

    private int append(byte[] text, int from, int to) {
        int needed = Math.addExact(used, to - from);
        if (needed > bytes.length) {
            bytes = Arrays.copyOf(bytes, (int) Math.min(Integer.MAX_VALUE - 8, Math.max(needed, 2L * bytes.length)));
        }
        if (size == counts.length) {
            counts = Arrays.copyOf(counts, 2 * size);
            ends = Arrays.copyOf(ends, 2 * size);
        }
        System.arraycopy(text, from, bytes, used, to - from);
        used = needed;
        ends[size] = used;
        counts[size] = 1;
        return size++;
    }

    private void grow() {
        long[] old = table;
        table = new long[2 * old.length];
        for (long entry : old) {
            if (entry != 0) {
                int at = (int) (entry >>> 32) >>> 7 & table.length - 1;
                while (table[at] != 0) {
                    at = at + 1 & table.length - 1;
                }
                table[at] = entry;
            }
        }
    }
}
