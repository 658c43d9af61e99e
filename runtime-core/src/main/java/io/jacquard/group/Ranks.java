package io.jacquard.group;

import java.util.List;
import java.util.StringJoiner;

/// Ranks in words.
public final class Ranks {
    private Ranks() {}

    /// `rank 3`, `ranks 0, 2-7`. In rising order.
    public static String words(List<Integer> ranks) {
        return (ranks.size() == 1 ? "rank " : "ranks ") + list(ranks);
    }

    /// `0, 2-7`.
    static String list(List<Integer> ranks) {
        StringJoiner text = new StringJoiner(", ");
        for (int i = 0; i < ranks.size(); i++) {
            int first = ranks.get(i);
            int last = first;
            while (i + 1 < ranks.size() && ranks.get(i + 1) == last + 1) {
                last++;
                i++;
            }
            text.add(first == last ? "" + first : last == first + 1 ? first + ", " + last : first + "-" + last);
        }
        return text.toString();
    }
}
