package io.jacquard.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;

/// The documents of text files, folders (recursive) and zip or jar archives, in an order that depends on names alone.
/// A file is a document; of a `.jsonl` file, each line is one.
///
/// Nothing is dropped without being counted: [#skipped()] says how many files or documents were left out and why.
/// Archives are opened when they are named as a source, not when they lie inside a folder.
public final class Corpus {
    private final Options options;
    private final List<Item> items = new ArrayList<>();
    private final Map<Skip, Long> skippedFiles = new EnumMap<>(Skip.class);
    private Map<Skip, Long> skipped = new EnumMap<>(Skip.class);

    /// Why a file or a document is left out.
    public enum Skip {
        /// Its name, or that of a folder above it, begins with a dot.
        HIDDEN,
        /// Its extension is not in the list.
        EXTENSION,
        /// It is larger than the limit.
        TOO_LARGE,
        /// It has no text but white space.
        EMPTY,
        /// It has a zero byte.
        BINARY,
        /// It is not UTF-8.
        INVALID_UTF8,
        /// The same text came before.
        DUPLICATE,
        /// A line of a `.jsonl` file that is not JSON.
        MALFORMED,
        /// A line of a `.jsonl` file that is no object, or has no text in the field.
        NO_FIELD
    }

    /// What to read.
    ///
    /// @param extensions file endings without the dot, in lower case; empty for all. Files named as a source are
    /// always
    ///     read
    /// @param maxBytes largest document, in bytes (in characters with a separator or in `.jsonl`)
    /// @param separator a line that divides one file into documents, such as `<|endoftext|>`; null for one document
    /// per
    ///     file. Line ends become `\n` then
    /// @param field the member of each line of a `.jsonl` file that is a document
    public record Options(
            Set<String> extensions, long maxBytes, @Nullable String separator, String field) {
        /// What a line's text is called unless said otherwise.
        public static final String FIELD = "text";

        /// All files of up to 16 MiB, one document each.
        public static final Options DEFAULT = new Options(Set.of(), 16L << 20, null);

        /// With the usual field.
        public Options(Set<String> extensions, long maxBytes, @Nullable String separator) {
            this(extensions, maxBytes, separator, FIELD);
        }

        /// Copies the set and checks the limit.
        public Options {
            if (maxBytes < 1 || maxBytes > 1 << 30) {
                throw new IllegalArgumentException("corpus: maxBytes=" + maxBytes + "; expected 1 to 2^30");
            }
            extensions = Collections.unmodifiableSet(new TreeSet<>(extensions));
        }
    }

    /// Takes the documents one by one.
    @FunctionalInterface
    public interface Visitor {
        /// `bytesDone` of [Corpus#totalBytes()] have been read, this document's file included.
        void visit(Document document, long bytesDone) throws IOException;
    }

    /// A file, or an entry of an archive; `stamp` changes when the content does.
    private record Item(Path file, @Nullable String entry, String name, long bytes, long stamp) {}

    private Corpus(Options options) {
        this.options = options;
    }

    /// Lists the sources; reads no document yet.
    ///
    /// @throws IllegalArgumentException if a source does not exist, an archive is damaged, or no file is left
    public static Corpus open(List<Path> sources, Options options) throws IOException {
        Corpus corpus = new Corpus(options);
        for (Path source : sources) {
            if (Files.isDirectory(source)) {
                corpus.listFolder(source);
            } else if (!Files.isRegularFile(source)) {
                throw new IllegalArgumentException(source + ": no such file or folder");
            } else if (isArchive(source)) {
                corpus.listArchive(source);
            } else {
                corpus.add(source, source.getFileName().toString());
            }
        }
        if (corpus.items.isEmpty()) {
            throw new IllegalArgumentException("corpus: no file to read in " + sources + "; skipped "
                    + corpus.skippedFiles + ", extensions wanted: "
                    + (options.extensions.isEmpty() ? "all" : options.extensions));
        }
        return corpus;
    }

    /// Number of files that will be read.
    public int files() {
        return items.size();
    }

    /// Whether all of it is one document: a single file that is not divided.
    boolean isOneDocument() {
        return items.size() == 1 && options.separator == null && !hasLines(items.getFirst().name);
    }

    /// Their size in bytes.
    public long totalBytes() {
        return items.stream().mapToLong(Item::bytes).sum();
    }

    /// Changes when a file is added, removed, renamed or written: SHA-256 of the names, sizes and times or
    /// checksums.
    public String fingerprint() {
        MessageDigest digest = Document.sha256();
        for (Item item : items) {
            String line = item.name + "\0" + item.bytes + "\0" + item.stamp + "\n";
            digest.update(line.getBytes(StandardCharsets.UTF_8));
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /// What the last [#visit(Visitor)] left out, files that were never opened included; by reason.
    public Map<Skip, Long> skipped() {
        return Collections.unmodifiableMap(skipped);
    }

    /// Reads all documents in order. The same corpus gives the same documents each time.
    public void visit(Visitor visitor) throws IOException {
        skipped = new EnumMap<>(skippedFiles);
        Set<Document.Hash> seen = new HashSet<>();
        long done = 0;
        int at = 0;
        while (at < items.size()) {
            Path file = items.get(at).file;
            int end = at + 1;
            while (end < items.size()
                    && items.get(end).entry != null
                    && items.get(end).file.equals(file)) {
                end++;
            }
            if (items.get(at).entry == null) {
                Item item = items.get(at);
                done += item.bytes;
                try (InputStream in = Files.newInputStream(file)) {
                    read(item, in, seen, visitor, done);
                }
            } else {
                done = visitArchive(file, items.subList(at, end), seen, visitor, done);
            }
            at = end;
        }
    }

    private long visitArchive(Path file, List<Item> entries, Set<Document.Hash> seen, Visitor visitor, long doneBefore)
            throws IOException {
        long done = doneBefore;
        try (ZipFile archive = new ZipFile(file.toFile())) {
            for (Item item : entries) {
                done += item.bytes;
                ZipEntry entry = archive.getEntry(item.entry);
                if (entry == null) {
                    throw new IllegalArgumentException(file + ": changed while it was read: no " + item.name);
                }
                try (InputStream in = archive.getInputStream(entry)) {
                    read(item, in, seen, visitor, done);
                } catch (ZipException e) {
                    throw new IllegalArgumentException(
                            file + ": damaged archive: " + item.name + ": " + e.getMessage(), e);
                }
            }
        }
        return done;
    }

    private void read(Item item, InputStream in, Set<Document.Hash> seen, Visitor visitor, long done)
            throws IOException {
        if (hasLines(item.name)) {
            readLines(item, in, seen, visitor, done);
            return;
        }
        if (options.separator != null) {
            readSeparated(item, in, options.separator, seen, visitor, done);
            return;
        }
        // one byte more than allowed: an archive entry may be larger than it says
        byte[] bytes = in.readNBytes((int) Math.min(Integer.MAX_VALUE - 16, options.maxBytes + 1));
        if (bytes.length > options.maxBytes) {
            skip(skipped, Skip.TOO_LARGE);
            return;
        }
        for (byte b : bytes) {
            if (b == 0) {
                skip(skipped, Skip.BINARY);
                return;
            }
        }
        String text;
        try {
            text = decoder().decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            skip(skipped, Skip.INVALID_UTF8);
            return;
        }
        emit(item.name, text.startsWith("\uFEFF") ? text.substring(1) : text, seen, visitor, done);
    }

    private void readSeparated(
            Item item, InputStream in, String separator, Set<Document.Hash> seen, Visitor visitor, long done)
            throws IOException {
        StringBuilder text = new StringBuilder();
        int number = 0;
        boolean tooLarge = false;
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(in, decoder()))) {
            while (true) {
                String line = reader.readLine();
                if (line != null && !line.equals(separator)) {
                    tooLarge |= text.length() + (long) line.length() >= options.maxBytes;
                    text.append(tooLarge ? "" : line).append(tooLarge ? "" : "\n");
                    continue;
                }
                number++;
                if (tooLarge) {
                    skip(skipped, Skip.TOO_LARGE);
                } else if (line != null || !text.isEmpty()) {
                    emit(item.name + "#" + number, text.toString(), seen, visitor, done);
                }
                if (line == null) {
                    return;
                }
                text.setLength(0);
                tooLarge = false;
            }
        } catch (CharacterCodingException e) {
            skip(skipped, Skip.INVALID_UTF8); // the rest of this file
        }
    }

    private void readLines(Item item, InputStream in, Set<Document.Hash> seen, Visitor visitor, long done)
            throws IOException {
        int number = 0;
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(in, decoder()))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                number++;
                if (line.isBlank()) {
                    continue; // often the last one
                }
                readLine(item.name + "#" + number, line, seen, visitor, done);
            }
        } catch (CharacterCodingException e) {
            skip(skipped, Skip.INVALID_UTF8); // the rest of this file
        }
    }

    private void readLine(String name, String line, Set<Document.Hash> seen, Visitor visitor, long done)
            throws IOException {
        String text;
        try {
            text = JsonLines.text(line, options.field);
        } catch (JacksonException e) {
            skip(skipped, Skip.MALFORMED);
            return;
        }
        if (text == null) {
            skip(skipped, Skip.NO_FIELD);
        } else if (text.length() > options.maxBytes) {
            skip(skipped, Skip.TOO_LARGE);
        } else if (text.indexOf('\0') >= 0) {
            skip(skipped, Skip.BINARY);
        } else {
            emit(name, text, seen, visitor, done);
        }
    }

    private void emit(String name, String text, Set<Document.Hash> seen, Visitor visitor, long done)
            throws IOException {
        if (text.isBlank()) {
            skip(skipped, Skip.EMPTY);
            return;
        }
        Document document = Document.of(name, text);
        if (seen.add(document.hash())) {
            visitor.visit(document, done);
        } else {
            skip(skipped, Skip.DUPLICATE);
        }
    }

    private void listFolder(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> tree = Files.walk(folder)) {
            files = tree.filter(Files::isRegularFile)
                    .sorted(Comparator.comparing(path -> name(folder, path)))
                    .toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        for (Path file : files) {
            String name = name(folder, file);
            if (wanted(name, Files.size(file))) {
                add(file, name);
            }
        }
    }

    private void listArchive(Path file) throws IOException {
        try (ZipFile archive = new ZipFile(file.toFile())) {
            List<? extends ZipEntry> entries = archive.stream()
                    .filter(entry -> !entry.isDirectory())
                    .sorted(Comparator.comparing(ZipEntry::getName))
                    .toList();
            for (ZipEntry entry : entries) {
                if (wanted(entry.getName(), entry.getSize())) {
                    items.add(new Item(
                            file,
                            entry.getName(),
                            file.getFileName() + "!" + entry.getName(),
                            Math.max(0, entry.getSize()),
                            entry.getCrc()));
                }
            }
        } catch (ZipException e) {
            throw new IllegalArgumentException(file + ": damaged archive: " + e.getMessage(), e);
        }
    }

    private void add(Path file, String name) throws IOException {
        items.add(new Item(
                file,
                null,
                name,
                Files.size(file),
                Files.getLastModifiedTime(file).toMillis()));
    }

    private boolean wanted(String name, long bytes) {
        Skip reason = null;
        if (name.startsWith(".") || name.contains("/.")) {
            reason = Skip.HIDDEN;
        } else if (!options.extensions.isEmpty() && !options.extensions.contains(extension(name))) {
            reason = Skip.EXTENSION;
        } else if (options.separator == null && !hasLines(name) && bytes > options.maxBytes) {
            reason = Skip.TOO_LARGE;
        }
        if (reason != null) {
            skip(skippedFiles, reason);
        }
        return reason == null;
    }

    private static void skip(Map<Skip, Long> counts, Skip reason) {
        counts.merge(reason, 1L, Long::sum);
    }

    private static CharsetDecoder decoder() {
        return StandardCharsets.UTF_8
                .newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
    }

    private static boolean isArchive(Path file) {
        String extension = extension(file.getFileName().toString());
        return extension.equals("zip") || extension.equals("jar");
    }

    private static boolean hasLines(String name) {
        return extension(name).equals("jsonl");
    }

    private static String extension(String name) {
        return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    }

    private static String name(Path folder, Path file) {
        return folder.relativize(file).toString().replace('\\', '/');
    }
}
