package io.jacquard.data;

import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.json.JsonFactory;

/// One text from each line of a `.jsonl` file: a string member of the object that the line is.
final class JsonLines {
    private static final JsonFactory FACTORY = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(256)
                    .maxStringLength(Integer.MAX_VALUE)
                    .build())
            .build();

    private JsonLines() {}

    /// The member `name` of the object in `line`; null where there is none, or it is no string.
    ///
    /// @throws JacksonException if the line is not JSON
    static @Nullable String text(String line, String name) {
        String found = null;
        try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), line)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                return null;
            }
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                boolean wanted = parser.currentName().equals(name);
                if (parser.nextToken() == JsonToken.VALUE_STRING && wanted) {
                    found = parser.getString();
                }
                parser.skipChildren();
            }
            parser.nextToken(); // complains of what does not belong there
        }
        return found;
    }
}
