package io.jacquard.cuda;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.zip.CRC32;
import org.jspecify.annotations.Nullable;

/// What the search of algorithms found, on the disk: a file for each device, driver and library, a line for each shape.
///
/// A file that is damaged, of another form, or not to be written costs a search, never a run: one line says so.
final class MatmulCache {
    private static final String FORM = "jacquard matmul 1";

    private final Path file;
    private final Consumer<String> tell;
    private final Map<String, String> choices = new TreeMap<>();
    private boolean told;

    /// `identity` names the device, the driver and the library; `tell` takes the lines for the user.
    MatmulCache(Path folder, String identity, Consumer<String> tell) {
        this.file = folder.resolve(identity.replaceAll("[^A-Za-z0-9.]+", "-") + ".txt");
        this.tell = tell;
        choices.putAll(read());
    }

    Path file() {
        return file;
    }

    /// The choice for that shape: `own`, or an algorithm in hexadecimal.
    @Nullable
    String get(String shape) {
        return choices.get(shape);
    }

    /// Keeps a choice, beside those that other processes have written meanwhile.
    void put(String shape, String choice) {
        choices.put(shape, choice);
        Map<String, String> all = new TreeMap<>(read());
        all.putAll(choices);
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Path part = Files.createTempFile(file.toAbsolutePath().getParent(), "matmul", ".part");
            try {
                Files.writeString(part, text(all));
                Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(part);
            }
        } catch (IOException e) {
            say("cannot be written (" + e + "): each run will search again, and may choose otherwise");
        }
    }

    private Map<String, String> read() {
        String text;
        try {
            text = Files.readString(file);
        } catch (NoSuchFileException e) {
            return Map.of();
        } catch (IOException e) {
            say("cannot be read (" + e + "): searching again");
            return Map.of();
        }
        int end = text.indexOf('\n');
        String body = text.substring(end + 1);
        if (end < 0 || !text.substring(0, end).equals(header(body))) {
            say("is damaged: searching again");
            return Map.of();
        }
        return body.lines()
                .map(line -> line.split(" = ", 2))
                .filter(parts -> parts.length == 2)
                .collect(Collectors.toMap(parts -> parts[0], parts -> parts[1], (_, last) -> last));
    }

    private static String text(Map<String, String> all) {
        String body = all.entrySet().stream()
                .map(e -> e.getKey() + " = " + e.getValue() + "\n")
                .collect(Collectors.joining());
        return header(body) + "\n" + body;
    }

    private static String header(String body) {
        CRC32 sum = new CRC32();
        sum.update(body.getBytes(UTF_8));
        return FORM + String.format(", crc32 %08x", sum.getValue());
    }

    // once: a folder that cannot be written would say so for each shape
    private void say(String what) {
        if (!told) {
            told = true;
            tell.accept("cuda: the file of matmul algorithms " + file + " " + what);
        }
    }
}
