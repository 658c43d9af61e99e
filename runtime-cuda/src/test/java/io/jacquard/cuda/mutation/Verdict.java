package io.jacquard.cuda.mutation;

import java.util.Locale;
import java.util.Optional;

/// What became of a mutant.
record Verdict(String family, Kind kind, String operator, String key, String detail) {
    enum Kind {
        /// The emulator stopped the launch: out of bounds, race, uninitialised, deadlock ...
        MESSAGE,
        /// The results were wrong.
        WRONG,
        /// The kernel did not end, or took the process with it.
        STUCK,
        SURVIVED
    }

    /// `failure` is what the contract said: nothing when the mutant did not end, "" when it noticed nothing.
    static Verdict of(String family, Mutation mutation, Optional<String> failure) {
        Kind kind = Kind.WRONG;
        if (failure.isEmpty()) {
            kind = Kind.STUCK;
        } else if (failure.get().isEmpty()) {
            kind = Kind.SURVIVED;
        } else if (failure.get().matches("[^:]*: cuda.*")) {
            // Failed launches are device exceptions, and these begin with the device.
            kind = Kind.MESSAGE;
        }
        return new Verdict(family, kind, mutation.operator(), mutation.key(), failure.orElse(""));
    }

    boolean caught() {
        return kind != Kind.SURVIVED;
    }

    /// As it stands in `native/mutations/results`: without the detail, which holds addresses.
    String line() {
        return kind.name().toLowerCase(Locale.ROOT) + " " + operator + " " + key;
    }

    static Verdict parse(String family, String line) {
        String[] words = line.split(" ", 3);
        return new Verdict(family, Kind.valueOf(words[0].toUpperCase(Locale.ROOT)), words[1], words[2], "");
    }
}
