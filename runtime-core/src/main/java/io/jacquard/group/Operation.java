package io.jacquard.group;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// What a rank comes to, the same for all ranks of a collective.
///
/// @param shape of the operand; that of a scalar if there is none
/// @param peer the root of a broadcast, the other rank of a message
public record Operation(Kind kind, Shape shape, @Nullable DType dtype, int peer) {
    /// What groups do. The order is part of the recorders' files and of what ranks tell each other.
    public enum Kind {
        ALL_REDUCE,
        REDUCE_SCATTER,
        ALL_GATHER,
        BROADCAST,
        ALL_TO_ALL,
        BARRIER,
        SPLIT,
        CLOSE,
        SEND,
        RECEIVE;

        private final String words = name().toLowerCase(Locale.ROOT).replace('_', '-');

        /// Whether all ranks of a group do it, so that it has the same number on each.
        public boolean isCollective() {
            return this != SEND && this != RECEIVE;
        }
    }

    static final Shape NO_OPERAND = Shape.of();

    /// One without an operand.
    public static Operation of(Kind kind) {
        return new Operation(kind, NO_OPERAND, null, 0);
    }

    /// One on a tensor.
    public static Operation of(Kind kind, Tensor operand) {
        return of(kind, operand, 0);
    }

    /// A broadcast or a message.
    public static Operation of(Kind kind, Tensor operand, int peer) {
        return new Operation(kind, operand.shape(), operand.dtype(), peer);
    }

    /// 64 bits that are the same in every process, and others for another operation.
    public long fingerprint() {
        long hash = mix(0xcbf29ce484222325L, kind.ordinal());
        hash = mix(hash, dtype == null ? -1 : dtype.ordinal());
        hash = mix(hash, peer);
        for (int i = 0; i < shape.rank(); i++) {
            hash = mix(hash, shape.dim(i));
        }
        return hash;
    }

    /// FNV-1a, by words.
    private static long mix(long hash, int word) {
        return (hash ^ word) * 0x100000001b3L;
    }

    /// `all-reduce [100000] F32`.
    @Override
    public String toString() {
        String operand = shape + " " + dtype;
        return switch (kind) {
            case BARRIER, SPLIT, CLOSE -> kind.words;
            case BROADCAST -> "broadcast of rank " + peer + "'s " + operand;
            case SEND -> "send " + operand + " to rank " + peer;
            case RECEIVE -> "receive " + operand + " from rank " + peer;
            default -> kind.words + " " + operand;
        };
    }
}
