package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/// Writes `tokenizer.json` with the keys and in the order of Hugging Face's `tokenizers`.
final class TokenizerWriter {
    private TokenizerWriter() {}

    static void write(Path file, BytePairTokenizer.Model model, AddedTokens added) throws IOException {
        write(file, json -> {
            head(json, added);
            json.writeName("pre_tokenizer");
            preTokenizer(json, model);
            json.writeName("post_processor");
            raw(json, model.postProcessor());
            json.writeName("decoder");
            byteLevel(json, true, true);
            model(json, model.vocabulary(), model.merges(), model.ignoreMerges());
        });
    }

    static void writeCharacters(Path file, @Nullable String[] vocabulary, AddedTokens added) throws IOException {
        write(file, json -> {
            head(json, added);
            json.writeNullProperty("pre_tokenizer");
            json.writeNullProperty("post_processor");
            json.writeObjectPropertyStart("decoder");
            json.writeStringProperty("type", "Fuse");
            json.writeEndObject();
            model(json, vocabulary, new int[0], false);
        });
    }

    @FunctionalInterface
    private interface Body {
        void write(JsonGenerator json);
    }

    private static void write(Path file, Body body) throws IOException {
        // Not createTempFile: its files can be read by their owner alone.
        Path partial = file.resolveSibling(
                file.getFileName() + "." + ProcessHandle.current().pid() + "-" + System.nanoTime() + ".partial");
        try {
            try (OutputStream out = Files.newOutputStream(partial);
                    JsonGenerator json = new JsonFactory().createGenerator(ObjectWriteContext.empty(), out)) {
                json.writeStartObject();
                body.write(json);
                json.writeEndObject();
            }
            Files.move(partial, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(partial);
        }
    }

    private static void head(JsonGenerator json, AddedTokens added) {
        json.writeStringProperty("version", "1.0");
        json.writeNullProperty("truncation");
        json.writeNullProperty("padding");
        json.writeArrayPropertyStart("added_tokens");
        for (AddedToken token : added.all()) {
            json.writeStartObject();
            json.writeNumberProperty("id", token.id());
            json.writeStringProperty("content", token.content());
            json.writeBooleanProperty("single_word", token.singleWord());
            json.writeBooleanProperty("lstrip", token.stripLeft());
            json.writeBooleanProperty("rstrip", token.stripRight());
            json.writeBooleanProperty("normalized", token.normalized());
            json.writeBooleanProperty("special", token.special());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeNullProperty("normalizer");
    }

    private static void preTokenizer(JsonGenerator json, BytePairTokenizer.Model model) {
        if (model.splits().isEmpty()) {
            byteLevel(json, model.prefixSpace(), model.splitByPattern());
            return;
        }
        json.writeStartObject();
        json.writeStringProperty("type", "Sequence");
        json.writeArrayPropertyStart("pretokenizers");
        for (RegexPieces.Split split : model.splits()) {
            json.writeStartObject();
            json.writeStringProperty("type", "Split");
            json.writeObjectPropertyStart("pattern");
            json.writeStringProperty(split.literal() ? "String" : "Regex", split.pattern());
            json.writeEndObject();
            json.writeStringProperty("behavior", "Isolated");
            json.writeBooleanProperty("invert", false);
            json.writeEndObject();
        }
        byteLevel(json, model.prefixSpace(), model.splitByPattern());
        json.writeEndArray();
        json.writeEndObject();
    }

    /// A value as `JsonTree` reads it.
    private static void raw(JsonGenerator json, @Nullable Object value) {
        switch (value) {
            case null -> json.writeNull();
            case Map<?, ?> map -> {
                json.writeStartObject();
                map.forEach((name, member) -> {
                    json.writeName((String) name);
                    raw(json, member);
                });
                json.writeEndObject();
            }
            case List<?> list -> {
                json.writeStartArray();
                list.forEach(member -> raw(json, member));
                json.writeEndArray();
            }
            case String text -> json.writeString(text);
            case Boolean flag -> json.writeBoolean(flag);
            case Long number -> json.writeNumber(number);
            case Double number -> json.writeNumber(number);
            default -> throw new AssertionError("not a value of JSON: " + value);
        }
    }

    private static void byteLevel(JsonGenerator json, boolean prefixSpace, boolean pattern) {
        json.writeStartObject();
        json.writeStringProperty("type", "ByteLevel");
        json.writeBooleanProperty("add_prefix_space", prefixSpace);
        json.writeBooleanProperty("trim_offsets", true);
        json.writeBooleanProperty("use_regex", pattern);
        json.writeEndObject();
    }

    private static void model(JsonGenerator json, @Nullable String[] vocabulary, int[] merges, boolean ignoreMerges) {
        json.writeObjectPropertyStart("model");
        json.writeStringProperty("type", "BPE");
        json.writeNullProperty("dropout");
        json.writeNullProperty("unk_token");
        json.writeNullProperty("continuing_subword_prefix");
        json.writeNullProperty("end_of_word_suffix");
        json.writeBooleanProperty("fuse_unk", false);
        json.writeBooleanProperty("byte_fallback", false);
        json.writeBooleanProperty("ignore_merges", ignoreMerges);
        json.writeObjectPropertyStart("vocab");
        for (int id = 0; id < vocabulary.length; id++) {
            if (vocabulary[id] != null) {
                json.writeNumberProperty(vocabulary[id], id);
            }
        }
        json.writeEndObject();
        // "a b" and not ["a","b"]: versions of Hugging Face's library before 0.20 read only this.
        json.writeArrayPropertyStart("merges");
        for (int i = 0; i < merges.length; i += 3) {
            json.writeString(vocabulary[merges[i]] + " " + vocabulary[merges[i + 1]]);
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
