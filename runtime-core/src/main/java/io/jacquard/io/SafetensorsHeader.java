package io.jacquard.io;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/// Parses and checks the header of a safetensors file; the rules are those of the format's reference implementation.
/// One addition: a field of a tensor other than the three known ones is refused, not skipped.
final class SafetensorsHeader {
    static final int MAX_BYTES = 100_000_000;
    static final int LENGTH_BYTES = 8;
    static final String METADATA = "__metadata__";
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final String file;
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private final List<SafetensorsEntry> tensors = new ArrayList<>();
    private long dataOffset;

    private SafetensorsHeader(String file) {
        this.file = file;
    }

    /// Reads the header at the start of a whole file's bytes; `file` names it in messages.
    static SafetensorsHeader read(String file, MemorySegment bytes) {
        SafetensorsHeader header = new SafetensorsHeader(file);
        header.parse(header.json(bytes));
        header.checkLayout(bytes.byteSize());
        return header;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    /// In the order of their data.
    List<SafetensorsEntry> tensors() {
        return tensors;
    }

    /// Offset of the first data byte in the file.
    long dataOffset() {
        return dataOffset;
    }

    private String json(MemorySegment bytes) {
        long fileBytes = bytes.byteSize();
        if (fileBytes < LENGTH_BYTES) {
            throw bad("file of " + fileBytes + " bytes; expected at least 8 for the header length");
        }
        long length = bytes.get(LENGTH, 0);
        if (length < 0 || length > MAX_BYTES) {
            throw bad("header length " + Long.toUnsignedString(length) + "; expected at most " + MAX_BYTES);
        }
        if (length > fileBytes - LENGTH_BYTES) {
            throw bad("header length " + length + "; expected at most " + (fileBytes - LENGTH_BYTES) + " in a file of "
                    + fileBytes + " bytes");
        }
        byte[] text = bytes.asSlice(LENGTH_BYTES, length).toArray(ValueLayout.JAVA_BYTE);
        if (length == 0 || text[0] != '{') {
            throw bad("header does not start with '{'");
        }
        dataOffset = LENGTH_BYTES + length;
        return Json.utf8(file + ": header", text);
    }

    private void parse(String json) {
        Set<String> names = new HashSet<>();
        try (JsonParser parser = Json.parser(json)) {
            parser.nextToken();
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = Json.checkedString(file, parser.currentName());
                if (!names.add(name)) {
                    throw bad("duplicate key " + Json.quote(name));
                }
                if (name.equals(METADATA)) {
                    metadata(parser);
                } else {
                    tensors.add(tensor(name, parser));
                }
            }
            if (parser.nextToken() != null) {
                throw bad("header has text after its JSON object at character "
                        + parser.currentTokenLocation().getCharOffset());
            }
        } catch (JacksonException e) {
            throw Json.invalid(file + ": header", e);
        }
    }

    private void metadata(JsonParser parser) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw bad("__metadata__ is not an object");
        }
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String key = Json.checkedString(file, parser.currentName());
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw bad("__metadata__ key " + Json.quote(key) + " has a value that is not a string");
            }
            if (metadata.put(key, Json.checkedString(file, parser.getString())) != null) {
                throw bad("duplicate key " + Json.quote(key) + " in __metadata__");
            }
        }
    }

    private SafetensorsEntry tensor(String name, JsonParser parser) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw badTensor(name, "is not an object; expected {\"dtype\", \"shape\", \"data_offsets\"}");
        }
        SafetensorsType type = null;
        List<Long> shape = null;
        List<Long> offsets = null;
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String field = parser.currentName();
            Object before;
            switch (field) {
                case "dtype" -> {
                    before = type;
                    type = type(name, parser);
                }
                case "shape" -> {
                    before = shape;
                    shape = integers(name, "shape", parser);
                }
                case "data_offsets" -> {
                    before = offsets;
                    offsets = integers(name, "data_offsets", parser);
                }
                default ->
                    throw badTensor(
                            name,
                            "has the unknown field " + Json.quote(field) + "; expected dtype, shape, data_offsets");
            }
            if (before != null) {
                throw badTensor(name, "has a duplicate field '" + field + "'");
            }
        }
        return entry(name, type, shape, offsets);
    }

    private SafetensorsEntry entry(
            String name, @Nullable SafetensorsType type, @Nullable List<Long> shape, @Nullable List<Long> offsets) {
        if (type == null || shape == null || offsets == null) {
            throw badTensor(name, "has no " + (type == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
        }
        if (offsets.size() != 2) {
            throw badTensor(name, "has " + offsets.size() + " data_offsets; expected 2");
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (end < begin) {
            throw badTensor(name, "has data_offsets [" + begin + ", " + end + "] that end before they begin");
        }
        long bytes;
        try {
            bytes = type.bytes(shape);
        } catch (IllegalArgumentException e) {
            throw badTensor(name, "has an impossible size: " + e.getMessage());
        }
        if (end - begin != bytes) {
            throw badTensor(
                    name, "has " + (end - begin) + " bytes of data; expected " + bytes + " for " + type + " " + shape);
        }
        return new SafetensorsEntry(name, type, shape, begin, end);
    }

    private SafetensorsType type(String name, JsonParser parser) {
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
            throw badTensor(name, "has a dtype that is not a string");
        }
        try {
            return SafetensorsType.valueOf(parser.getString());
        } catch (IllegalArgumentException e) {
            throw badTensor(name, "has the unknown dtype " + Json.quote(parser.getString()));
        }
    }

    private List<Long> integers(String name, String field, JsonParser parser) {
        if (parser.nextToken() != JsonToken.START_ARRAY) {
            throw badTensor(name, "has a " + field + " that is not a list");
        }
        List<Long> values = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            // "-0" is an integer to the parser, but no size
            if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
                    || parser.getString().startsWith("-")
                    || parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
                throw badTensor(
                        name,
                        "has " + Json.quote(element(parser)) + " in " + field
                                + "; expected whole numbers from 0 to 2^63 - 1");
            }
            values.add(parser.getLongValue());
        }
        return List.copyOf(values);
    }

    private static String element(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_ARRAY -> "[";
            case START_OBJECT -> "{";
            default -> parser.getString();
        };
    }

    private void checkLayout(long fileBytes) {
        tensors.sort(Comparator.comparingLong(SafetensorsEntry::begin).thenComparingLong(SafetensorsEntry::end));
        long end = 0;
        String previous = "the header";
        for (SafetensorsEntry tensor : tensors) {
            if (tensor.begin() != end) {
                throw badTensor(
                        tensor.name(),
                        "begins at " + tensor.begin() + "; expected " + end + ", where " + previous + " ends ("
                                + (tensor.begin() > end ? "hole" : "overlap") + ")");
            }
            end = tensor.end();
            previous = Json.quote(tensor.name());
        }
        if (end != fileBytes - dataOffset) {
            throw bad("file of " + fileBytes + " bytes; expected 8 + " + (dataOffset - LENGTH_BYTES) + " (header) + "
                    + end + " (data)");
        }
    }

    private IllegalArgumentException badTensor(String name, String what) {
        return bad("tensor " + Json.quote(name) + " " + what);
    }

    private IllegalArgumentException bad(String what) {
        return new IllegalArgumentException(file + ": " + what);
    }
}
