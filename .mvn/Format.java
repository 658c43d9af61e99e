import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.ImportOrderer;
import com.palantir.javaformat.java.JavaFormatterOptions;
import com.palantir.javaformat.java.JavaFormatterOptions.Style;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// `Format check|apply ROOT`: palantir-java-format over every Java file of the modules under ROOT.
/// A program of its own because Spotless runs inside Maven's JDK, which may be too old for our syntax.
final class Format {
    private static final int WIDTH = 120;

    public static void main(String[] args) throws IOException {
        boolean apply = args[0].equals("apply");
        Path root = Path.of(args[1]);
        Formatter formatter = Formatter.createFormatter(
                JavaFormatterOptions.builder().style(Style.PALANTIR).build());
        List<Path> wrong = sources(root).parallelStream()
                .filter(file -> differs(file, formatter, apply))
                .map(root::relativize)
                .sorted()
                .toList();
        if (wrong.isEmpty()) {
            return;
        }
        wrong.forEach(file -> System.out.println((apply ? "formatted " : "not formatted: ") + file));
        if (!apply) {
            System.out.println("to format all files: mvn -N validate exec:exec@format");
            System.exit(1);
        }
    }

    private static List<Path> sources(Path root) throws IOException {
        // modules are at most two deep
        try (Stream<Path> modules = Files.find(root, 2, (path, _) -> Files.exists(path.resolve("pom.xml")))) {
            return modules.map(module -> module.resolve("src"))
                    .filter(Files::isDirectory)
                    .flatMap(Format::javaFiles)
                    .toList();
        }
    }

    private static Stream<Path> javaFiles(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(file -> file.toString().endsWith(".java")).toList().stream();
        } catch (IOException e) {
            throw new IllegalStateException("cannot list " + folder, e);
        }
    }

    private static boolean differs(Path file, Formatter formatter, boolean apply) {
        try {
            String source = Files.readString(file);
            String ordered = ImportOrderer.reorderImports(wrapMarkdown(source), Style.PALANTIR);
            String formatted = formatter.formatSource(ordered);
            if (formatted.equals(source)) {
                return false;
            }
            if (apply) {
                Files.writeString(file, formatted);
            }
            return true;
        } catch (Exception e) {
            throw new IllegalStateException("cannot format " + file + ": " + e, e);
        }
    }

    // The formatter wraps long /// lines itself but drops the prefix, and counts the indentation twice.
    private static String wrapMarkdown(String source) {
        StringBuilder out = new StringBuilder();
        String rest = "";
        for (String next : source.lines().toList()) {
            int indent = next.indexOf("///");
            boolean comment = indent >= 0 && next.substring(0, indent).isBlank();
            if (!rest.isEmpty()) {
                if (comment && isProse(next.substring(indent + 3))) {
                    next = rest + next.substring(indent + 3);
                } else {
                    out.append(rest).append('\n');
                }
                rest = "";
            }
            while (comment && next.length() > WIDTH - indent) {
                int cut = next.lastIndexOf(' ', WIDTH - indent);
                if (cut <= indent + 4) {
                    break;
                }
                if (!rest.isEmpty()) {
                    out.append(rest).append('\n');
                }
                out.append(next, 0, cut).append('\n');
                next = " ".repeat(indent) + "/// " + next.substring(cut + 1);
                rest = next.length() > WIDTH - indent ? "" : next;
            }
            if (rest.isEmpty()) {
                out.append(next).append('\n');
            }
        }
        return out.append(rest).toString();
    }

    // A line that goes on with the paragraph above: no list, table, heading, fence or tag.
    private static boolean isProse(String text) {
        return text.matches(" (?!```|    )[^-*|#>@\\s<].*") && !text.matches(" \\d+[.)] .*");
    }
}
