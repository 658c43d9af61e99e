package io.jacquard.io;

import java.util.List;

/// One tensor of a safetensors file: where its bytes lie and what they are.
///
/// @param shape dimensions, outermost first; empty for a scalar
/// @param begin offset of the first byte from the start of the file's data, in bytes
/// @param end offset after the last byte
public record SafetensorsEntry(String name, SafetensorsType type, List<Long> shape, long begin, long end) {
    /// Copies the shape.
    public SafetensorsEntry {
        shape = List.copyOf(shape);
    }

    /// Size of the data in bytes.
    public long bytes() {
        return end - begin;
    }

    /// How many elements the shape has.
    public long elements() {
        return 8 * bytes() / type.bits();
    }
}
