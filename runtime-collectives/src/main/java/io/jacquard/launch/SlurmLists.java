package io.jacquard.launch;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Slurm's short forms: `n[001-004,9]` for hosts, `2(x3),1` for tasks per node.
final class SlurmLists {
    private static final Pattern TASKS = Pattern.compile("(\\d+)(?:\\(x(\\d+)\\))?");
    private static final Pattern RANGE = Pattern.compile("\\[([^\\]\\-,]+)[^\\]]*\\]");

    private SlurmLists() {}

    /// Tasks on node number `node`.
    static int tasksOn(int node, String list) {
        int seen = 0;
        for (String item : list.split(",", -1)) {
            Matcher m = TASKS.matcher(item.strip());
            if (!m.matches()) {
                break;
            }
            seen += m.group(2) == null ? 1 : Integer.parseInt(m.group(2));
            if (node < seen) {
                return Integer.parseInt(m.group(1));
            }
        }
        throw new IllegalArgumentException("launch: tasks per node " + list + " have no node " + node);
    }

    /// The first host of a list.
    static String firstHost(String list) {
        int depth = 0;
        int end = 0;
        while (end < list.length() && (list.charAt(end) != ',' || depth > 0)) {
            depth += list.charAt(end) == '[' ? 1 : list.charAt(end) == ']' ? -1 : 0;
            end++;
        }
        return RANGE.matcher(list.substring(0, end)).replaceAll("$1");
    }
}
