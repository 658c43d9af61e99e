package io.jacquard.data;

/// A pseudo-random permutation of `0 ... size - 1` that needs no memory: a Feistel network on the smallest even number
/// of bits that holds the size, applied again while the result is not below it (cycle walking; under 4 rounds on
/// average).
final class Permutation {
    private static final int ROUNDS = 6;
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;

    private final long size;
    private final long key;
    private final int halfBits;
    private final long halfMask;

    Permutation(long size, long seed, long epoch) {
        if (size < 1) {
            throw new IllegalArgumentException("permutation of " + size + " elements; expected at least 1");
        }
        this.size = size;
        key = mix(mix(seed) ^ (epoch + 1) * GOLDEN);
        int bits = Long.SIZE - Long.numberOfLeadingZeros(size - 1);
        halfBits = Math.max(1, (bits + 1) / 2);
        halfMask = (1L << halfBits) - 1;
    }

    /// Where `index` goes.
    long apply(long index) {
        long at = index;
        do {
            at = encrypt(at);
        } while (at >= size);
        return at;
    }

    private long encrypt(long block) {
        long left = block >>> halfBits;
        long right = block & halfMask;
        for (int round = 0; round < ROUNDS; round++) {
            long next = left ^ (mix(key + round * GOLDEN ^ right) & halfMask);
            left = right;
            right = next;
        }
        return left << halfBits | right;
    }

    /// The finalizer of MurmurHash3 with Stafford's constants (variant 13), a bijection on 64 bits.
    static long mix(long value) {
        long z = (value ^ value >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }
}
