package io.jacquard.line;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// Some ranks of a run.
///
/// @param ranks their numbers in the whole run, ascending; the place of a rank here is its rank in the group
/// @param all how many ranks the run has
public record Members(int[] ranks, int all) {
    private static final int SHOWN = 16;

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

    /// Goes behind the words of an operation: nothing if they are everybody, else ` among ranks 0, 2`.
    public String among() {
        if (ranks.length == all) {
            return "";
        }
        return " among ranks "
                + Arrays.stream(ranks).limit(SHOWN).mapToObj(Integer::toString).collect(Collectors.joining(", "))
                + (ranks.length > SHOWN ? ", ..." : "");
    }
}
