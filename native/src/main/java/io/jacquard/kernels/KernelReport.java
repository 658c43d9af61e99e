package io.jacquard.kernels;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Collects the comment above each kernel into `docs/kernels.md`:
///
/// ```
/// // name: meaning            or  name, other name: meaning
/// // Bytes: what it moves
/// // Operations: what it computes
/// // Roofline: what bounds it
/// // Tile: block and tile, with the reason
/// ```
///
/// Lines between go on with the line above. The comment `name` serves the kernels `name` and `name_*` of its file.
final class KernelReport {
    static final String ARCHITECTURE = "sm_90a";
    private static final List<String> FIELDS = List.of("Bytes", "Operations", "Roofline", "Tile");
    private static final Pattern FIELD = Pattern.compile("(" + String.join("|", FIELDS) + "):\\s*(.*)");
    private static final Pattern TITLE = Pattern.compile("([a-z]\\w*(?:, [a-z]\\w*)*): (.*)");

    /// One comment: the first name heads its section.
    record Comment(List<String> names, String meaning, Map<String, String> fields) {
        private int match(String kernel) {
            return names.stream()
                    .filter(name -> kernel.equals(name) || kernel.startsWith(name + "_"))
                    .mapToInt(String::length)
                    .max()
                    .orElse(0);
        }
    }

    private KernelReport() {}

    /// The comments of a source; `findings` receives a line for each that is not in the form above.
    static List<Comment> comments(String family, String source, List<String> findings) {
        List<Comment> comments = new ArrayList<>();
        List<String> block = new ArrayList<>();
        int line = 0;
        for (String text : (source + "\n").split("\n", -1)) {
            line++;
            String trimmed = text.strip();
            if (trimmed.startsWith("//")) {
                block.add(trimmed.substring(2).strip());
            } else {
                if (block.stream().anyMatch(l -> FIELD.matcher(l).matches())) {
                    String place = "native/src/" + family + ".cu:" + (line - block.size());
                    comment(place, block, findings).ifPresent(comments::add);
                }
                block.clear();
            }
        }
        return comments;
    }

    private static Optional<Comment> comment(String place, List<String> block, List<String> findings) {
        Matcher title = TITLE.matcher(block.getFirst());
        if (!title.matches()) {
            findings.add(place + ": the comment of a kernel starts with its name: '// gelu: out = ...'");
            return Optional.empty();
        }
        Map<String, StringBuilder> texts = new LinkedHashMap<>();
        StringBuilder current = texts.computeIfAbsent("", _ -> new StringBuilder(title.group(2)));
        for (String line : block.subList(1, block.size())) {
            Matcher field = FIELD.matcher(line);
            if (field.matches()) {
                current = texts.computeIfAbsent(field.group(1), _ -> new StringBuilder());
                line = field.group(2);
            }
            current.append(current.isEmpty() || line.isEmpty() ? "" : " ").append(line);
        }
        Map<String, String> fields = new LinkedHashMap<>();
        for (String name : FIELDS) {
            StringBuilder text = texts.get(name);
            if (text == null || text.isEmpty()) {
                findings.add(place + ": the comment of " + title.group(1) + " has no line '// " + name + ": ...'");
                return Optional.empty();
            }
            fields.put(name, text.toString().replaceAll("\\s+", " "));
        }
        return Optional.of(new Comment(
                List.of(title.group(1).split(", ")),
                String.valueOf(texts.get("")).replaceAll("\\s+", " "),
                fields));
    }

    /// One line per malformed comment, kernel without one and comment without a kernel.
    static List<String> findings(KernelSources sources, SortedMap<String, ResourceTable> tables) {
        List<String> findings = new ArrayList<>();
        tables.forEach((family, table) -> {
            List<Comment> comments = comments(family, sources.families().getOrDefault(family, ""), findings);
            List<String> kernels = kernels(table);
            for (String kernel : kernels) {
                if (serving(comments, kernel).isEmpty()) {
                    findings.add("native/src/" + family + ".cu: no comment for kernel " + kernel
                            + ": write '// " + kernel.replaceFirst("_(f32|bf16|f16)$", "")
                            + ": what it computes' with lines " + String.join(", ", FIELDS) + " above it");
                }
            }
            for (Comment comment : comments) {
                for (String name : comment.names()) {
                    if (kernels.stream().noneMatch(kernel -> kernel.equals(name) || kernel.startsWith(name + "_"))) {
                        findings.add("native/src/" + family + ".cu: a comment for " + name + ", which is no kernel");
                    }
                }
            }
        });
        return findings;
    }

    private static List<String> kernels(ResourceTable table) {
        return table.rows().stream().map(ResourceTable.Row::kernel).distinct().toList();
    }

    private static Optional<Comment> serving(List<Comment> comments, String kernel) {
        return comments.stream()
                .filter(comment -> comment.match(kernel) > 0)
                .max(Comparator.comparingInt(comment -> comment.match(kernel)));
    }

    /// The whole page.
    static String page(KernelSources sources, SortedMap<String, ResourceTable> tables) {
        StringBuilder page = new StringBuilder("""
                # Kernels

                What each hand-written kernel moves and computes, the bound that follows, and the reason of its tile. Generated
                from the comments in `native/src` and the tables in `native/resources`; to rewrite both:
                `mvn -pl native process-classes -Djacquard.resources=write`.

                `s` stands for the bytes of an element. Rooflines are of an H200: 4.8 TB/s, 989 TFLOP/s of dense bf16, so
                206 operations per byte. They are arithmetic, not measurements. Registers per thread and static shared memory
                per block are what ptxas gives for sm_90a; other architectures are in the tables.
                """);
        tables.forEach((family, table) -> {
            List<Comment> comments = comments(family, sources.families().getOrDefault(family, ""), new ArrayList<>());
            page.append("\n## ").append(family).append('\n');
            for (Comment comment : comments) {
                section(
                        page,
                        comment,
                        table.rows().stream()
                                .filter(row -> row.architecture().equals(ARCHITECTURE))
                                .filter(row -> serving(comments, row.kernel()).equals(Optional.of(comment)))
                                .toList());
            }
        });
        return page.toString();
    }

    private static void section(StringBuilder page, Comment comment, List<ResourceTable.Row> rows) {
        page.append("\n### ")
                .append(escaped(String.join(", ", comment.names())))
                .append("\n\n");
        page.append(escaped(comment.meaning())).append("\n\n");
        comment.fields()
                .forEach((name, text) -> page.append("- **")
                        .append(name)
                        .append("**: ")
                        .append(escaped(text))
                        .append('\n'));
        page.append("\n| kernel | registers | static shared bytes | spilled bytes |\n| --- | --- | --- | --- |\n");
        for (ResourceTable.Row row : rows) {
            page.append("| `").append(row.kernel()).append("` | ").append(row.registers());
            page.append(" | ").append(row.staticSharedBytes());
            page.append(" | ")
                    .append(row.spillStoreBytes() + row.spillLoadBytes())
                    .append(" |\n");
        }
    }

    private static String escaped(String text) {
        return text.replaceAll("([\\\\*_<`|\\[\\]])", "\\\\$1");
    }
}
