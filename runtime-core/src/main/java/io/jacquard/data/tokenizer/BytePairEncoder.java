package io.jacquard.data.tokenizer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// The scratch memory of one encoding at a time, and a cache of pieces that outlives it. Not for two threads at once.
final class BytePairEncoder implements AddedTokens.Sink {

    /// @param merges rank and merged id, packed by `PairMap.key`, of each pair that has a merge
    /// @param idOfPiece ids of pieces that are not merged, by their bytes as characters; null for none
    record Tables(int[] idOfByte, PairMap merges, @Nullable Map<String, Integer> idOfPiece) {}

    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    // A cache line per piece: 31 bytes and their count in four longs, the number of ids and up to seven in the other
    // four. Direct mapped; a newer piece takes the place.
    private static final int CACHE_BITS = 14;
    private static final int LONGS = 8;
    private static final int LONGEST_CACHED = 31;
    private static final int MOST_CACHED_IDS = 7;
    private static final int PADDING = 32;
    private static final int LARGEST_KEPT = 1 << 24;
    // Above it the quadratic scan for the best pair loses to a heap.
    private static final int LONGEST_SCANNED = 64;

    private final Tables tables;
    private final boolean prefixSpace;
    private final boolean splitByPattern;
    private final @Nullable RegexPieces regex;
    private final long[] cache = new long[LONGS << CACHE_BITS];
    private final int[] symbols = new int[LONGEST_SCANNED];
    private final long[] ranked = new long[LONGEST_SCANNED];
    private @Nullable LongPieceMerger longPieces;
    private byte[] text = new byte[1024];
    private int[] ids = new int[1024];
    private int size;

    BytePairEncoder(Tables tables, BytePairTokenizer.Model model) {
        this.tables = tables;
        this.prefixSpace = model.prefixSpace();
        this.splitByPattern = model.splitByPattern();
        this.regex = model.splits().isEmpty() ? null : new RegexPieces(model.splits());
    }

    int[] encode(byte[] utf8, int from, int to, @Nullable AddedTokens recognised) {
        Objects.checkFromToIndex(from, to, utf8.length);
        int n = to - from;
        // The byte before the text is there for a prefix space, those behind it for whole-long loads.
        if (text.length < n + 1 + PADDING) {
            text = new byte[Math.addExact(n, 1 + PADDING + n / 8)];
        }
        System.arraycopy(utf8, from, text, 1, n);
        size = 0;
        if (recognised == null) {
            text(1, 1 + n);
        } else {
            recognised.split(text, 1, 1 + n, this);
        }
        int[] result = Arrays.copyOf(ids, size);
        if (text.length > LARGEST_KEPT) {
            text = new byte[1024];
            ids = new int[1024];
            longPieces = null;
        }
        return result;
    }

    @Override
    public void token(int id) {
        reserve(1);
        ids[size++] = id;
    }

    @Override
    public void text(int from, int to) {
        if (from == to) {
            return;
        }
        if (regex != null) { // and no prefix space: the reader refuses both together
            regex.cut(text, from, to, this::pieces);
        } else if (prefixSpace && text[from] != ' ') {
            byte before = text[from - 1];
            text[from - 1] = ' ';
            pieces(from - 1, to);
            text[from - 1] = before;
        } else {
            pieces(from, to);
        }
    }

    private void pieces(int from, int to) {
        if (!splitByPattern) {
            piece(from, to);
            return;
        }
        for (int at = from; at < to; ) {
            int end = Gpt2Pieces.end(text, at, to);
            piece(at, end);
            at = end;
        }
    }

    private void reserve(int more) {
        if (ids.length - size < more) {
            ids = Arrays.copyOf(ids, Math.max(Math.addExact(size, more), ids.length + (ids.length >> 1)));
        }
    }

    private void piece(int from, int to) {
        int n = to - from;
        reserve(Math.max(n, LONGS));
        if (n > LONGEST_CACHED) {
            merge(from, to);
            return;
        }
        byte[] t = text;
        long k0 = (long) LONG.get(t, from);
        long k1 = 0;
        long k2 = 0;
        long k3 = 0;
        if (n < 8) {
            k0 &= (1L << (n << 3)) - 1;
        } else {
            k1 = (long) LONG.get(t, from + 8);
            if (n < 16) {
                k1 &= (1L << (n << 3)) - 1;
            } else {
                k2 = (long) LONG.get(t, from + 16);
                if (n < 24) {
                    k2 &= (1L << (n << 3)) - 1;
                } else {
                    k3 = (long) LONG.get(t, from + 24) & (1L << (n << 3)) - 1;
                }
            }
        }
        k3 |= (long) n << 56;
        cached(from, to, k0, k1, k2, k3);
    }

    private void cached(int from, int to, long k0, long k1, long k2, long k3) {
        long[] c = cache;
        int at = slot(k0, k1, k2, k3);
        if (c[at] == k0 && c[at + 1] == k1 && c[at + 2] == k2 && c[at + 3] == k3) {
            int count = (int) c[at + 4];
            ids[size] = (int) (c[at + 4] >>> 32);
            for (int i = 1; i < count; i++) {
                ids[size + i] = (int) (c[at + 4 + (i + 1 >> 1)] >>> ((i + 1 & 1) << 5));
            }
            size += count;
            return;
        }
        int start = size;
        merge(from, to);
        int count = size - start;
        if (count > MOST_CACHED_IDS) {
            return;
        }
        c[at] = k0;
        c[at + 1] = k1;
        c[at + 2] = k2;
        c[at + 3] = k3;
        Arrays.fill(c, at + 4, at + LONGS, 0);
        c[at + 4] = count;
        for (int i = 0; i < count; i++) {
            c[at + 4 + (i + 1 >> 1)] |= (long) ids[start + i] << ((i + 1 & 1) << 5);
        }
    }

    private static int slot(long k0, long k1, long k2, long k3) {
        long h = (k0 ^ Long.rotateLeft(k1, 23) ^ k3) * 0x9E3779B97F4A7C15L + k2;
        h = (h ^ h >>> 32) * 0xD6E8FEB86659FD93L;
        return (int) (h >>> 64 - CACHE_BITS) * LONGS;
    }

    private void merge(int from, int to) {
        int n = to - from;
        if (tables.idOfPiece != null) {
            Integer whole = tables.idOfPiece.get(new String(text, from, n, StandardCharsets.ISO_8859_1));
            if (whole != null) {
                ids[size++] = whole;
                return;
            }
        }
        if (n > LONGEST_SCANNED) {
            if (longPieces == null) {
                longPieces = new LongPieceMerger(tables);
            }
            size += longPieces.merge(text, from, to, ids, size);
            return;
        }
        int[] s = symbols;
        long[] r = ranked;
        PairMap merges = tables.merges;
        for (int i = 0; i < n; i++) {
            s[i] = tables.idOfByte[text[from + i] & 0xFF];
        }
        for (int i = 0; i + 1 < n; i++) {
            r[i] = merges.get(s[i], s[i + 1]);
        }
        while (n > 1) {
            int best = lowest(r, n - 1);
            if (r[best] == PairMap.NONE) {
                break;
            }
            s[best] = (int) r[best];
            n--;
            System.arraycopy(s, best + 2, s, best + 1, n - best - 1);
            System.arraycopy(r, best + 1, r, best, n - best - 1);
            if (best > 0) {
                r[best - 1] = merges.get(s[best - 1], s[best]);
            }
            if (best + 1 < n) {
                r[best] = merges.get(s[best], s[best + 1]);
            }
        }
        System.arraycopy(s, 0, ids, size, n);
        size += n;
    }

    private static int lowest(long[] ranked, int n) {
        int best = 0;
        for (int i = 1; i < n; i++) {
            best = ranked[i] < ranked[best] ? i : best;
        }
        return best;
    }
}
