package io.jacquard.train;

import java.util.Collection;
import java.util.Comparator;

/// Finds what a mistyped name was probably meant to be.
final class Nearest {
    private Nearest() {}

    /// "did you mean 'x'?" with the known name of the least edit distance.
    static String hint(String name, Collection<String> known) {
        String nearest =
                known.stream().min(Comparator.comparingInt(k -> score(name, k))).orElseThrow();
        return "did you mean '" + nearest + "'?";
    }

    // A key under the wrong group is as frequent a mistake as a typing error, so the last part alone counts as well.
    private static int score(String name, String known) {
        return Math.min(2 * distance(name, known), 2 * distance(last(name), last(known)) + 1);
    }

    private static String last(String path) {
        return path.substring(path.lastIndexOf('.') + 1);
    }

    /// Levenshtein distance, upper and lower case alike, `-` and `_` as nothing.
    static int distance(String left, String right) {
        String a = left.toLowerCase(java.util.Locale.ROOT).replaceAll("[-_]", "");
        String b = right.toLowerCase(java.util.Locale.ROOT).replaceAll("[-_]", "");
        int[] row = new int[b.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.length; j++) {
                int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(replaced, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }
}
