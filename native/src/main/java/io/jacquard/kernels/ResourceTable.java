package io.jacquard.kernels;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// What each kernel of a family takes of a multiprocessor, for each architecture: `native/resources/<family>.csv`.
record ResourceTable(List<Row> rows) {
    private static final String HEADER =
            "kernel,architecture,registers,spill_store_bytes,spill_load_bytes,stack_bytes,static_shared_bytes";
    private static final Pattern KERNEL =
            Pattern.compile("ptxas info\\s*: Compiling entry function '(\\w+)' for '(\\w+)'");
    private static final Pattern FUNCTION = Pattern.compile("ptxas info\\s*: Function properties for (\\w+)");
    private static final Pattern FRAME =
            Pattern.compile("(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
    private static final Pattern USED = Pattern.compile("ptxas info\\s*: Used (\\d+) registers(.*)");
    private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");

    record Row(
            String kernel,
            String architecture,
            int registers,
            int spillStoreBytes,
            int spillLoadBytes,
            int stackBytes,
            int staticSharedBytes) {
        String csv() {
            return kernel + "," + architecture + "," + registers + "," + spillStoreBytes + "," + spillLoadBytes + ","
                    + stackBytes + "," + staticSharedBytes;
        }

        boolean spills() {
            return spillStoreBytes > 0 || spillLoadBytes > 0;
        }

        private String words() {
            return registers + " registers, " + spillStoreBytes + " + " + spillLoadBytes + " bytes spilled, "
                    + stackBytes + " bytes of stack, " + staticSharedBytes + " bytes of static shared memory";
        }
    }

    /// The rows of several logs of `--ptxas-options=-v`, by kernel, architectures in the order given.
    static ResourceTable ofLogs(List<String> logs) {
        List<Row> rows = new ArrayList<>();
        logs.forEach(log -> rows.addAll(parse(log)));
        rows.sort(Comparator.comparing(Row::kernel)); // stable: architectures stay in order
        return new ResourceTable(List.copyOf(rows));
    }

    // Of each kernel a line that names it, later its own frame (functions that it calls have one too), then the rest.
    private static List<Row> parse(String log) {
        List<Row> rows = new ArrayList<>();
        String kernel = "";
        String architecture = "";
        String function = "";
        int[] frame = new int[3];
        for (String line : log.lines().toList()) {
            Matcher start = KERNEL.matcher(line);
            Matcher owner = FUNCTION.matcher(line);
            Matcher bytes = FRAME.matcher(line);
            Matcher used = USED.matcher(line);
            if (start.find()) {
                kernel = start.group(1);
                architecture = start.group(2);
                frame = new int[3];
            } else if (owner.find()) {
                function = owner.group(1);
            } else if (bytes.find() && function.equals(kernel)) {
                frame = new int[] {number(bytes, 1), number(bytes, 2), number(bytes, 3)};
            } else if (used.find() && !kernel.isEmpty()) {
                Matcher shared = SHARED.matcher(used.group(2));
                rows.add(new Row(
                        kernel,
                        architecture,
                        number(used, 1),
                        frame[1],
                        frame[2],
                        frame[0],
                        shared.find() ? number(shared, 1) : 0));
                kernel = "";
            }
        }
        return rows;
    }

    private static int number(Matcher matcher, int group) {
        return Integer.parseInt(matcher.group(group));
    }

    static ResourceTable ofCsv(String text) {
        List<Row> rows = new ArrayList<>();
        for (String line : text.lines().skip(1).toList()) {
            String[] cells = line.split(",", -1);
            int[] numbers = new int[5];
            for (int i = 0; i < numbers.length; i++) {
                numbers[i] = Integer.parseInt(cells[i + 2]);
            }
            rows.add(new Row(cells[0], cells[1], numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]));
        }
        return new ResourceTable(List.copyOf(rows));
    }

    String csv() {
        StringBuilder text = new StringBuilder(HEADER).append('\n');
        rows.forEach(row -> text.append(row.csv()).append('\n'));
        return text.toString();
    }

    /// One line per row in which `built` differs from this table.
    List<String> differences(ResourceTable built) {
        SortedMap<String, Row> before = byKey();
        SortedMap<String, Row> after = built.byKey();
        List<String> lines = new ArrayList<>();
        after.forEach((key, row) -> {
            Row old = before.get(key);
            if (old == null) {
                lines.add(key + ": not in the table; built with " + row.words());
            } else if (!old.equals(row)) {
                lines.add(key + ": the table says " + old.words() + "; built with " + row.words());
            }
        });
        before.keySet().stream()
                .filter(key -> !after.containsKey(key))
                .forEach(key -> lines.add(key + ": in the table, no longer in the source"));
        return lines;
    }

    private SortedMap<String, Row> byKey() {
        SortedMap<String, Row> map = new TreeMap<>();
        rows.forEach(row -> map.put(row.kernel() + " for " + row.architecture(), row));
        return map;
    }

    /// Spills that `allowed` (lines `kernel architecture: reason`, `*` for any architecture) does not explain, then
    /// lines of `allowed` that match nothing.
    static List<String> spillFindings(List<Row> rows, String allowed) {
        Map<String, Boolean> entries = new TreeMap<>();
        List<String> findings = new ArrayList<>();
        for (String line : allowed.lines().toList()) {
            if (!line.isBlank() && !line.startsWith("#")) {
                int colon = line.indexOf(':');
                if (colon < 0 || line.substring(colon + 1).isBlank()) {
                    findings.add("native/spills.txt: no reason in '" + line + "'");
                } else {
                    entries.put(line.substring(0, colon).strip(), false);
                }
            }
        }
        for (Row row : rows) {
            if (row.spills()) {
                String exact = row.kernel() + " " + row.architecture();
                String any = row.kernel() + " *";
                if (entries.containsKey(exact)) {
                    entries.put(exact, true);
                } else if (entries.containsKey(any)) {
                    entries.put(any, true);
                } else {
                    findings.add(exact + " spills: " + row.words());
                }
            }
        }
        entries.forEach((entry, used) -> {
            if (!used) {
                findings.add("native/spills.txt: '" + entry + "' does not spill");
            }
        });
        return findings;
    }
}
