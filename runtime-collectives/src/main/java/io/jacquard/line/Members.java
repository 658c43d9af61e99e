package io.jacquard.line;

import io.jacquard.group.Ranks;
import java.util.Arrays;
import java.util.stream.IntStream;

/// Some ranks of a run.
///
/// @param ranks their numbers in the whole run, ascending; the place of a rank here is its rank in the group
/// @param all how many ranks the run has
public record Members(int[] ranks, int all) {
    /// All ranks of a run of `size`.
    public static Members everybody(int size) {
        return new Members(IntStream.range(0, size).toArray(), size);
    }

    /// How many they are.
    public int size() {
        return ranks.length;
    }

    /// Those at some places of these.
    public Members at(int[] places) {
        return new Members(Arrays.stream(places).map(p -> ranks[p]).toArray(), all);
    }

    /// `ranks 0, 2`; empty if they are everybody.
    public String words() {
        return ranks.length == all
                ? ""
                : Ranks.words(Arrays.stream(ranks).boxed().toList());
    }
}
