package io.jacquard.data.tokenizer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/// A value of a JSON file that knows where it stands, so that each complaint can name the file and the place.
///
/// @param value a map, a list, a string, a long, a double, a boolean or null
record JsonTree(Path file, String place, @Nullable Object value) {
    // The largest published tokenizer.json of byte-level BPE has 256 Ki tokens and 33 MB.
    private static final long LARGEST_FILE = 128L << 20;
    private static final long MOST_TOKENS = 16L << 20;
    private static final int DEEPEST = 32;
    private static final int LONGEST_TEXT = 1 << 16;

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxDocumentLength(LARGEST_FILE)
                    .maxTokenCount(MOST_TOKENS)
                    .maxNestingDepth(DEEPEST)
                    .maxStringLength(LONGEST_TEXT)
                    .maxNameLength(LONGEST_TEXT)
                    .maxNumberLength(32)
                    .build())
            .build();

    static JsonTree read(Path file) throws IOException {
        long size = Files.size(file);
        if (size > LARGEST_FILE) {
            throw new JsonTree(file, "", null).bad("has " + size + " bytes, more than the limit of " + LARGEST_FILE);
        }
        return parse(file, Files.readAllBytes(file));
    }

    /// As if `file` held those bytes.
    static JsonTree parse(Path file, byte[] bytes) {
        JsonTree root = new JsonTree(file, "", null);
        try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), bytes)) {
            parser.nextToken();
            JsonTree tree = new JsonTree(file, "", value(parser, root));
            if (parser.nextToken() != null) {
                throw root.bad("goes on after its end");
            }
            return tree;
        } catch (JacksonException e) {
            throw root.bad("is damaged or not JSON: " + firstLine(e));
        }
    }

    private static String firstLine(JacksonException e) {
        String message =
                String.valueOf(e.getOriginalMessage()).lines().findFirst().orElse("");
        return e.getLocation() == null
                ? message
                : message + " (line " + e.getLocation().getLineNr() + ", column "
                        + e.getLocation().getColumnNr() + ")";
    }

    private static @Nullable Object value(JsonParser parser, JsonTree root) {
        JsonToken token = parser.currentToken();
        if (token == null) {
            throw root.bad("is empty");
        }
        return switch (token) {
            case START_OBJECT -> {
                Map<String, @Nullable Object> map = new LinkedHashMap<>();
                while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                    String name = parser.currentName();
                    parser.nextToken();
                    map.put(name, value(parser, root));
                }
                yield map;
            }
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(parser, root));
                }
                yield list;
            }
            case VALUE_STRING -> parser.getString();
            case VALUE_NUMBER_INT -> parser.getLongValue();
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            case VALUE_NULL -> null;
            default -> throw root.bad("has an unexpected " + token);
        };
    }

    IllegalArgumentException bad(String what) {
        String where = place.isEmpty() ? "" : " '" + place + "'";
        return new IllegalArgumentException(file + ":" + where + " " + what
                + "; export the tokenizer again as byte-level BPE, or train one with BpeTrainer");
    }

    private IllegalArgumentException expected(String what) {
        return bad("is " + shown() + ", expected " + what);
    }

    /// Short enough for one line.
    String shown() {
        return switch (value) {
            case null -> "null";
            case Map<?, ?> map when map.get("type") instanceof String type -> quoted(type);
            case Map<?, ?> map -> "an object";
            case List<?> list -> "a list of " + list.size();
            case String text -> quoted(text);
            default -> value.toString();
        };
    }

    static String quoted(String text) {
        StringBuilder shown = new StringBuilder("'");
        text.codePoints().limit(40).forEach(point -> {
            if (Character.isISOControl(point) || Character.getType(point) == Character.SURROGATE) {
                shown.append("\\u%04X".formatted(point));
            } else {
                shown.appendCodePoint(point);
            }
        });
        return shown.append(text.codePointCount(0, text.length()) > 40 ? "...'" : "'")
                .toString();
    }

    boolean isNull() {
        return value == null;
    }

    /// The member of that name; as a null if there is none.
    JsonTree get(String name) {
        String inner = place.isEmpty() ? name : place + "." + name;
        return new JsonTree(file, inner, object().get(name));
    }

    JsonTree at(int index) {
        return new JsonTree(file, place + "[" + index + "]", list().get(index));
    }

    Map<?, ?> object() {
        if (value instanceof Map<?, ?> map) {
            return map;
        }
        throw expected("an object");
    }

    List<?> list() {
        if (value instanceof List<?> list) {
            return list;
        }
        throw expected("a list");
    }

    String text() {
        if (value instanceof String text) {
            if (Utf8.unpairedSurrogate(text, 0) >= 0) {
                throw bad("has an unpaired surrogate, expected Unicode text");
            }
            return text;
        }
        throw expected("a text");
    }

    boolean flag(boolean whenAbsent) {
        if (value == null) {
            return whenAbsent;
        }
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw expected("true or false");
    }

    int id(int limit) {
        if (value instanceof Long id && id >= 0 && id < limit) {
            return id.intValue();
        }
        throw expected("an id from 0 to " + (limit - 1));
    }

    void mustBe(String what, @Nullable Object... allowed) {
        for (Object one : allowed) {
            if (one == null ? value == null : one.equals(value)) {
                return;
            }
        }
        throw bad("is " + shown() + ", which is not supported, expected " + what);
    }

    void noOtherNamesThan(Set<String> names) {
        for (Object name : object().keySet()) {
            if (!names.contains(name)) {
                throw get(String.valueOf(name)).bad("is not supported, expected it to be absent");
            }
        }
    }
}
