package io.jacquard.nccl;

/// Operations that a group has had, by their fingerprints: a set that is asked without making garbage.
final class Fingerprints {
    private static final int FIRST = 64;

    /// 0 is an empty place; a fingerprint of 0 is always new, which costs a roll call.
    private long[] table = new long[FIRST];

    private int size;

    /// Whether it was not there before.
    boolean add(long fingerprint) {
        if (4 * size > table.length) {
            long[] old = table;
            table = new long[2 * old.length];
            for (long f : old) {
                table[place(f)] = f;
            }
        }
        int place = place(fingerprint);
        boolean isNew = table[place] == 0;
        table[place] = fingerprint;
        size += isNew ? 1 : 0;
        return isNew;
    }

    private int place(long fingerprint) {
        int i = Long.hashCode(fingerprint) & (table.length - 1);
        while (table[i] != 0 && table[i] != fingerprint) {
            i = (i + 1) & (table.length - 1);
        }
        return i;
    }
}
