package io.jacquard.nn;

import io.jacquard.group.Group;
import io.jacquard.group.SoloGroup;
import java.util.ArrayList;
import java.util.List;

/// The part of a model that one rank holds: a share of each layer (tensor parallelism, Shoeybi et al.,
/// arXiv:1909.08053) of some of the layers (pipeline parallelism).
///
/// What is divided among tensor ranks need not divide evenly: of 5 heads, 2 ranks hold 2 and 3.
///
/// @param tensor the ranks that divide each layer
/// @param chunks the blocks that are here, in the order of the model: one range for each virtual stage of this rank
/// @param first whether the token embedding is here
/// @param last whether the last norm and the head are here
/// @param ends the ranks that hold the two ends of the model, where one token table serves both: this one alone where
/// it holds both ends, or none
public record Partition(Group tensor, List<Slice.Range> chunks, boolean first, boolean last, Group ends) {
    private static final Group ALONE = new SoloGroup();

    /// Copies the list.
    public Partition {
        chunks = List.copyOf(chunks);
    }

    /// All of a model, for a process of its own.
    public static Partition whole(DecoderConfig config) {
        return new Partition(ALONE, List.of(new Slice.Range(0, config.layers())), true, true, ALONE);
    }

    /// Whether block `layer` is here.
    boolean holds(int layer) {
        return chunks.stream().anyMatch(c -> layer >= c.from() && layer < c.to());
    }

    /// Rows or columns of a parameter that belong together when it is divided.
    ///
    /// @param count how many of them
    /// @param size indices of each
    record Units(int count, int size) {}

    /// What each tensor rank holds of a parameter whose dimension `dim` has these units, one list after the other:
    /// of each its share.
    ///
    /// @throws IllegalArgumentException if there are fewer units than ranks
    List<Slice> divide(String what, int dim, Units... all) {
        List<Slice> slices = new ArrayList<>();
        for (int r = 0; r < tensor.size(); r++) {
            List<Slice.Range> ranges = new ArrayList<>();
            int start = 0;
            for (Units u : all) {
                Slice.Range share = share(what, u.count(), r);
                ranges.add(new Slice.Range(start + share.from() * u.size(), start + share.to() * u.size()));
                start += u.count() * u.size();
            }
            slices.add(new Slice(dim, ranges));
        }
        return slices;
    }

    /// Which of `count` things are here.
    Slice.Range share(String what, int count) {
        return share(what, count, tensor.rank());
    }

    /// Which of `count` things rank `rank` holds.
    Slice.Range share(String what, int count, int rank) {
        int ranks = tensor.size();
        if (count < ranks) {
            throw new IllegalArgumentException("tensor parallel: " + count + " " + what + " cannot be divided among "
                    + ranks + " ranks; expected at most " + count + " ranks");
        }
        return new Slice.Range((int) ((long) count * rank / ranks), (int) ((long) count * (rank + 1) / ranks));
    }

    /// The query, key and value rows of attention: key/value heads, each with the queries that read it.
    static Units[] attention(DecoderConfig c) {
        int group = c.heads() / c.kvHeads();
        Units kv = new Units(c.kvHeads(), c.headDim());
        return new Units[] {new Units(c.kvHeads(), group * c.headDim()), kv, kv};
    }
}
