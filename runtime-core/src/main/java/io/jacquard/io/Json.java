package io.jacquard.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.io.JsonStringEncoder;
import tools.jackson.core.json.JsonFactory;

/// Strict JSON for small files of foreign or own making: index files, manifests, configurations.
///
/// Values are `Map<String, Object>` (in file order), `List<Object>`, `String`, `Long`, `Double`, `Boolean` and `null`.
/// Refused, each with one line: a duplicate key, an integer beyond 64 bits, text after the value, invalid UTF-8, a
/// nesting deeper than 64, an unpaired surrogate.
public final class Json {
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(64)
                    .maxStringLength(SafetensorsHeader.MAX_BYTES)
                    .maxNameLength(1_000_000)
                    .build())
            .build();

    private Json() {}

    /// Reads a file whose top level is an object.
    ///
    /// @throws IllegalArgumentException if the file is larger than `maxBytes` or is not such an object
    public static Map<String, @Nullable Object> readObject(Path file, long maxBytes) throws IOException {
        long bytes = Files.size(file);
        if (bytes > maxBytes) {
            throw new IllegalArgumentException(file + ": " + bytes + " bytes of JSON; expected at most " + maxBytes);
        }
        byte[] content = Files.readAllBytes(file);
        return parseObject(file.toString(), utf8(file.toString(), content));
    }

    /// Reads text whose top level is an object; `what` names it in messages.
    public static Map<String, @Nullable Object> parseObject(String what, String text) {
        try (JsonParser parser = parser(text)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IllegalArgumentException(what + ": JSON does not start with an object; expected '{'");
            }
            Map<String, @Nullable Object> object = object(what, parser);
            if (parser.nextToken() != null) {
                throw new IllegalArgumentException(what + ": text after the JSON object at character "
                        + parser.currentTokenLocation().getCharOffset());
            }
            return object;
        } catch (JacksonException e) {
            throw invalid(what, e);
        }
    }

    /// Renders a value of the kinds listed above on one line; maps keep their iteration order.
    public static String render(@Nullable Object value) {
        StringBuilder out = new StringBuilder();
        write(out, value, null);
        return out.toString();
    }

    /// Renders as [#render(Object)] does, but with a line for each key, indented by two spaces, and a last newline.
    public static String renderLines(@Nullable Object value) {
        StringBuilder out = new StringBuilder();
        write(out, value, "\n");
        return out.append('\n').toString();
    }

    static JsonParser parser(String text) {
        return FACTORY.createParser(ObjectReadContext.empty(), text);
    }

    static IllegalArgumentException invalid(String what, JacksonException e) {
        long at = e.getLocation() == null ? -1 : e.getLocation().getCharOffset();
        return new IllegalArgumentException(what + ": not valid JSON at character " + at, e);
    }

    static String utf8(String what, byte[] bytes) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException(what + ": not valid UTF-8", e);
        }
    }

    /// A foreign name made safe for a one-line message: quoted, control characters escaped, cut at 80 characters.
    static String quote(String name) {
        StringBuilder out = new StringBuilder("'");
        String head = name.length() > 80 ? name.substring(0, 80) : name;
        head.chars().forEach(c -> {
            if (c < 0x20 || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 || Character.isSurrogate((char) c)) {
                out.append(String.format("\\u%04x", c));
            } else {
                out.append((char) c);
            }
        });
        return out.append(name.length() > 80 ? "...'" : "'").toString();
    }

    static String checkedString(String what, String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                if (!Character.isHighSurrogate(text.charAt(i))
                        || i + 1 == text.length()
                        || !Character.isLowSurrogate(text.charAt(i + 1))) {
                    throw new IllegalArgumentException(what + ": unpaired surrogate in the string " + quote(text));
                }
                i++;
            }
        }
        return text;
    }

    private static Map<String, @Nullable Object> object(String what, JsonParser parser) {
        Map<String, @Nullable Object> object = new LinkedHashMap<>();
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String name = checkedString(what, parser.currentName());
            parser.nextToken();
            if (object.containsKey(name)) {
                throw new IllegalArgumentException(what + ": duplicate key " + quote(name));
            }
            object.put(name, value(what, parser));
        }
        return object;
    }

    private static @Nullable Object value(String what, JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> object(what, parser);
            case START_ARRAY -> {
                List<@Nullable Object> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    list.add(value(what, parser));
                }
                yield Collections.unmodifiableList(list);
            }
            case VALUE_STRING -> checkedString(what, parser.getString());
            case VALUE_NUMBER_INT -> integer(what, parser);
            case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
            case VALUE_TRUE -> true;
            case VALUE_FALSE -> false;
            default -> null;
        };
    }

    private static Long integer(String what, JsonParser parser) {
        if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
            throw new IllegalArgumentException(
                    what + ": the integer " + quote(parser.getString()) + " does not fit 64 bits");
        }
        return parser.getLongValue();
    }

    private static void write(StringBuilder out, @Nullable Object value, @Nullable String newline) {
        switch (value) {
            case null -> out.append("null");
            case Map<?, ?> map -> writeMap(out, map, newline);
            case List<?> list -> {
                String separator = "[";
                for (Object element : list) {
                    out.append(separator);
                    write(out, element, null);
                    separator = ",";
                }
                out.append(list.isEmpty() ? "[]" : "]");
            }
            case String text -> out.append('"').append(quoted(text)).append('"');
            case Boolean bool -> out.append(bool);
            case Double number -> out.append(number);
            case Number number -> out.append(number.longValue());
            default ->
                throw new IllegalArgumentException(
                        "not a JSON value: " + value.getClass().getName());
        }
    }

    private static void writeMap(StringBuilder out, Map<?, ?> map, @Nullable String newline) {
        String inner = newline == null ? null : newline + "  ";
        String separator = "{";
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            out.append(separator).append(inner == null ? "" : inner);
            out.append('"').append(quoted(String.valueOf(entry.getKey()))).append(inner == null ? "\":" : "\": ");
            write(out, entry.getValue(), inner);
            separator = ",";
        }
        out.append(map.isEmpty() ? "{" : newline == null ? "" : newline).append('}');
    }

    private static char[] quoted(String text) {
        return JsonStringEncoder.getInstance().quoteAsCharArray(text);
    }
}
