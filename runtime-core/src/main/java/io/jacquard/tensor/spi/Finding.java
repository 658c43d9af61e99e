package io.jacquard.tensor.spi;

import org.jspecify.annotations.Nullable;

/// One thing that was looked at on this machine: what it is, what was found, and what to do about it (null: nothing).
public record Finding(
        State state, String what, String found, @Nullable String fix) {
    /// How good it is; WARN is slower or absent, BAD does not work.
    public enum State {
        OK,
        WARN,
        BAD
    }
}
