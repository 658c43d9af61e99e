package io.jacquard.data;

import io.jacquard.io.AtomicFiles;
import io.jacquard.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// `prepare.json`: the settings of a run, its finished shards, and, when it is complete, its counts.
final class PrepareManifest {
    static final String NAME = "prepare.json";
    private static final int MAX_BYTES = 64 << 20;
    private static final Pattern SHARD = Pattern.compile("(train|validation)-\\d{5,}\\.bin");

    private final Path out;
    private final Map<String, Object> settings;
    private final List<Prepare.Shard> shards = new ArrayList<>();
    private final Map<Corpus.Skip, Long> skipped = new EnumMap<>(Corpus.Skip.class);
    private long documents;
    private boolean complete;

    private PrepareManifest(Path out, Map<String, Object> settings) {
        this.out = out;
        this.settings = settings;
    }

    /// Begins a run, or takes up the one that the directory holds.
    static PrepareManifest open(
            Prepare.Settings settings, Prepare.Division division, String fingerprint, boolean overwrite)
            throws IOException {
        Path out = settings.out();
        AtomicFiles.cleanTemporaries(out);
        PrepareManifest manifest = new PrepareManifest(out, describe(settings, division, fingerprint));
        Path file = out.resolve(NAME);
        if (Files.exists(file)) {
            String refusal = manifest.read(file);
            if (refusal == null) {
                return manifest;
            }
            if (!overwrite) {
                throw new IllegalArgumentException(
                        refusal + "; use another directory, or --overwrite to replace what" + " is there");
            }
        } else if (!overwrite && !shardFiles(out).isEmpty()) {
            throw new IllegalArgumentException(out + ": has token files but no " + NAME
                    + "; use another directory, or --overwrite to replace what is there");
        }
        // the manifest first: shards without it are refused, not continued
        Files.deleteIfExists(file);
        for (Path shard : shardFiles(out)) {
            Files.delete(shard);
        }
        PrepareManifest fresh = new PrepareManifest(out, manifest.settings);
        fresh.write();
        return fresh;
    }

    boolean isComplete() {
        return complete;
    }

    List<Prepare.Shard> shards() {
        return List.copyOf(shards);
    }

    void add(Prepare.Shard shard) throws IOException {
        shards.add(shard);
        write();
    }

    void complete(long documentCount, Map<Corpus.Skip, Long> skippedCounts) throws IOException {
        documents = documentCount;
        skipped.putAll(skippedCounts);
        complete = true;
        write();
    }

    Prepare.Result result(Prepare.Division division, boolean fresh) {
        return new Prepare.Result(
                shards(), division, documents, Collections.unmodifiableMap(new EnumMap<>(skipped)), fresh);
    }

    private static Map<String, Object> describe(
            Prepare.Settings settings, Prepare.Division division, String fingerprint) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("sources", settings.sources().stream().map(Path::toString).toList());
        map.put("content", fingerprint);
        map.put("extensions", List.copyOf(settings.options().extensions()));
        map.put("maxBytes", settings.options().maxBytes());
        map.put(
                "separator",
                settings.options().separator() == null ? "" : settings.options().separator());
        if (!settings.options().field().equals(Corpus.Options.FIELD)) {
            map.put("field", settings.options().field());
        }
        map.put("division", division.name().toLowerCase(Locale.ROOT));
        map.put("validationFraction", settings.validationFraction());
        map.put("shardTokens", settings.shardTokens());
        map.put("tokenizer", settings.tokenizer());
        map.put("vocabulary", (long) settings.vocabulary());
        map.put("endOfText", (long) settings.endOfText());
        return map;
    }

    private void write() throws IOException {
        Map<String, Object> root = new LinkedHashMap<>();
        root.put("format", 1L);
        root.put("settings", settings);
        root.put("shards", shards.stream().map(PrepareManifest::describe).toList());
        root.put("complete", complete);
        if (complete) {
            Map<String, Object> counts = new LinkedHashMap<>();
            skipped.forEach((reason, count) -> counts.put(reason.name(), count));
            root.put("documents", documents);
            root.put("skipped", counts);
        }
        AtomicFiles.writeText(out.resolve(NAME), Json.renderLines(root));
    }

    private static Map<String, Object> describe(Prepare.Shard shard) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("split", shard.split().name());
        map.put("file", shard.file());
        map.put("documents", shard.documents());
        map.put("tokens", shard.tokens());
        return map;
    }

    /// Takes over a manifest of the same settings; returns why it cannot be, or null.
    private @Nullable String read(Path file) throws IOException {
        try {
            Map<String, @Nullable Object> root = Json.readObject(file, MAX_BYTES);
            if (!(root.get("settings") instanceof Map<?, ?> old)
                    || !Long.valueOf(1).equals(root.get("format"))) {
                return file + ": not a manifest of format 1";
            }
            for (Map.Entry<String, Object> entry : settings.entrySet()) {
                Object before = old.get(entry.getKey());
                if (!entry.getValue().equals(before)) {
                    return out + ": was prepared with " + entry.getKey() + " " + before + ", now it is "
                            + entry.getValue();
                }
            }
            readShards(root);
            return null;
        } catch (IllegalArgumentException e) {
            return e.getMessage();
        }
    }

    private void readShards(Map<String, @Nullable Object> root) throws IOException {
        for (Object element : field(root, "shards", List.class)) {
            if (element instanceof Map<?, ?> map) {
                Prepare.Shard shard = new Prepare.Shard(
                        Prepare.Split.valueOf(field(map, "split", String.class)),
                        field(map, "file", String.class),
                        field(map, "documents", Long.class),
                        field(map, "tokens", Long.class));
                checkShard(shard);
                shards.add(shard);
            }
        }
        complete = field(root, "complete", Boolean.class);
        if (complete) {
            documents = field(root, "documents", Long.class);
            Map<?, ?> counts = field(root, "skipped", Map.class);
            for (Corpus.Skip reason : Corpus.Skip.values()) {
                if (counts.containsKey(reason.name())) {
                    skipped.put(reason, field(counts, reason.name(), Long.class));
                }
            }
        }
    }

    private <T> T field(Map<?, ?> map, String name, Class<T> type) {
        Object value = map.get(name);
        if (!type.isInstance(value)) {
            throw new IllegalArgumentException(out.resolve(NAME) + ": field '" + name + "' is " + value);
        }
        return type.cast(value);
    }

    private void checkShard(Prepare.Shard shard) throws IOException {
        Path file = out.resolve(shard.file());
        if (!SHARD.matcher(shard.file()).matches() || !Files.exists(file)) {
            throw new IllegalArgumentException(file + ": listed in " + NAME + " but missing");
        }
        try (TokenFile tokens = TokenFile.open(file)) {
            if (tokens.length() != shard.tokens()) {
                throw new IllegalArgumentException(
                        file + ": has " + tokens.length() + " tokens; expected " + shard.tokens());
            }
        }
    }

    private static List<Path> shardFiles(Path out) throws IOException {
        try (Stream<Path> files = Files.list(out)) {
            return files.filter(
                            file -> SHARD.matcher(file.getFileName().toString()).matches())
                    .sorted()
                    .toList();
        }
    }
}
