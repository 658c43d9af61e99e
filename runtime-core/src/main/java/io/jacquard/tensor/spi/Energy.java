package io.jacquard.tensor.spi;

import java.util.OptionalDouble;

/// The energy meter of a device.
public interface Energy {
    /// Joules that the device has used since a moment of its own choice, or nothing where that is not known. Does
    /// not wait for the device.
    OptionalDouble joules();

    /// What measures, or why nothing does.
    String source();

    /// No meter.
    static Energy unknown(String why) {
        return new Energy() {
            @Override
            public OptionalDouble joules() {
                return OptionalDouble.empty();
            }

            @Override
            public String source() {
                return why;
            }
        };
    }
}
