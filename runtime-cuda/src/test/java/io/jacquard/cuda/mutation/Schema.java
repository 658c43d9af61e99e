package io.jacquard.cuda.mutation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/// A source with many mutations written into it at once, each behind its number. Lines keep their numbers.
final class Schema {
    /// Inserted text: `opens` is true before a range, and `length` the range's.
    private record Insertion(int at, boolean opens, int length, int number, String text) {}

    // At one place: what closes before what opens; inner ranges close first and open last.
    private static final Comparator<Insertion> ORDER = Comparator.comparingInt(Insertion::at)
            .thenComparing(Insertion::opens)
            .thenComparingInt(i -> i.opens() ? -i.length() : i.length())
            .thenComparingInt(i -> i.opens() ? i.number() : -i.number());

    private Schema() {}

    static String apply(Source source, Map<Integer, Mutation> mutations) {
        List<Insertion> insertions = new ArrayList<>();
        mutations.forEach((number, mutation) -> {
            for (Mutation.Edit edit : mutation.edits()) {
                int length = edit.to() - edit.from();
                String id = Integer.toString(number);
                insertions.add(new Insertion(
                        edit.from(), true, length, number, edit.before().replace("@", id)));
                insertions.add(new Insertion(
                        edit.to(), false, length, number, edit.after().replace("@", id)));
            }
        });
        insertions.sort(ORDER);
        StringBuilder text = new StringBuilder();
        int done = 0;
        for (Insertion insertion : insertions) {
            text.append(source.text, done, insertion.at()).append(insertion.text());
            done = insertion.at();
        }
        return text.append(source.text, done, source.text.length()).toString();
    }
}
