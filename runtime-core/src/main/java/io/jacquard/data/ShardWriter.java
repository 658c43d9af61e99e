package io.jacquard.data;

import java.io.IOException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/// The shards of one part of the data, one after the other; skips the documents that an earlier run has finished.
final class ShardWriter implements AutoCloseable {
    private final Prepare.Split split;
    private final Prepare.Settings settings;
    private final PrepareManifest manifest;
    private long toSkip;
    private int number;
    private long documents;
    private @Nullable TokenFileWriter out;

    ShardWriter(Prepare.Split split, Prepare.Settings settings, PrepareManifest manifest) {
        this.split = split;
        this.settings = settings;
        this.manifest = manifest;
        for (Prepare.Shard shard : manifest.shards()) {
            if (shard.split() == split) {
                toSkip += shard.documents();
                number++;
            }
        }
    }

    /// True if the next document of this part is in a finished shard.
    boolean skip() {
        if (toSkip == 0) {
            return false;
        }
        toSkip--;
        return true;
    }

    void append(int[] tokens) throws IOException {
        if (out == null) {
            out = TokenFileWriter.open(settings.out().resolve(fileName()), settings.vocabulary());
            documents = 0;
        } else if (out.length() + tokens.length >= TokenFileWriter.MAX_TOKENS) {
            finish();
            append(tokens);
            return;
        }
        out.append(settings.endOfText());
        out.append(tokens);
        documents++;
        if (out.length() >= settings.shardTokens()) {
            finish();
        }
    }

    /// Completes the shard that is open, if any, and records it.
    void finish() throws IOException {
        TokenFileWriter writer = out;
        if (writer == null) {
            return;
        }
        try (writer) {
            long tokens = writer.finish();
            manifest.add(new Prepare.Shard(split, fileName(), documents, tokens));
        }
        out = null;
        number++;
    }

    /// Abandons the shard that is open.
    @Override
    public void close() throws IOException {
        if (out != null) {
            out.close();
        }
    }

    private String fileName() {
        return String.format(Locale.ROOT, "%s-%05d.bin", split.name().toLowerCase(Locale.ROOT), number);
    }
}
