package io.jacquard.tensor;

/// One place that computes: `cpu:0`, `cuda:1`.
///
/// @param kind `cpu`, `cuda`
/// @param index counted from 0 within the kind
public record Device(String kind, int index) {
    /// Parses `cpu`, `cuda` or `cuda:1`; without an index the device is number 0.
    ///
    /// @throws IllegalArgumentException if the text is none of these
    public static Device parse(String text) {
        int colon = text.indexOf(':');
        String kind = colon < 0 ? text : text.substring(0, colon);
        try {
            int index = colon < 0 ? 0 : Integer.parseInt(text.substring(colon + 1));
            if (index >= 0 && !kind.isEmpty()) {
                return new Device(kind, index);
            }
        } catch (NumberFormatException e) {
            // falls through to the message below
        }
        throw new IllegalArgumentException("device: '" + text + "' is not a device; write cpu, cuda or cuda:1");
    }

    @Override
    public String toString() {
        return kind + ":" + index;
    }
}
