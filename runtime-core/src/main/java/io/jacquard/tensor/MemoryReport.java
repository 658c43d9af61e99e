package io.jacquard.tensor;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Who holds memory, in words.
final class MemoryReport {
    /// Groups named of each scope.
    private static final int GROUPS = 3;

    private MemoryReport() {}

    /// `100.0 MiB (linear h.*.mlp.up 60.0 MiB, 2 others 1.0 MiB)`: the storages by label, the largest first.
    static String of(Collection<Storage> storages, long bytes) {
        Map<String, Long> sizes = new LinkedHashMap<>();
        storages.forEach(s -> sizes.merge(s.label(), Pool.rounded(s.bytes), Long::sum));
        List<Map.Entry<String, Long>> groups = new ArrayList<>(sizes.entrySet());
        groups.sort(Map.Entry.<String, Long>comparingByValue().reversed()); // stable: the oldest first among equals
        StringBuilder text = new StringBuilder(size(bytes));
        for (int i = 0; i < Math.min(GROUPS, groups.size()); i++) {
            text.append(i == 0 ? " (" : ", ")
                    .append(groups.get(i).getKey())
                    .append(' ')
                    .append(size(groups.get(i).getValue()));
        }
        if (groups.size() > GROUPS) {
            long rest =
                    groups.stream().skip(GROUPS).mapToLong(Map.Entry::getValue).sum();
            text.append(", ").append(groups.size() - GROUPS).append(" others ").append(size(rest));
        }
        return text.append(groups.isEmpty() ? "" : ")").toString();
    }

    static String size(long bytes) {
        if (bytes < 1 << 20) {
            return bytes < 1 << 10 ? bytes + " B" : String.format(Locale.ROOT, "%.1f KiB", bytes / 1024.0);
        }
        return bytes < 1L << 30
                ? String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0)
                : String.format(Locale.ROOT, "%.1f GiB", bytes / 1073741824.0);
    }
}
