package io.jacquard.cuda.mutation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/// Why mutants live on: `native/mutations/survivors.txt`, a line `family mutation` and below it, indented, the reason.
/// A reason that begins with "equivalent" says that the mutant computes the same.
final class Survivors {
    private final Map<String, String> reasons = new LinkedHashMap<>();

    static Survivors read(Path file) throws IOException {
        Survivors survivors = new Survivors();
        String mutant = "";
        for (String line : Files.readAllLines(file)) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            if (!line.startsWith(" ")) {
                mutant = line.strip();
            } else {
                survivors.reasons.merge(mutant, line.strip(), (a, b) -> a + " " + b);
            }
        }
        return survivors;
    }

    Optional<String> reason(Verdict verdict) {
        return Optional.ofNullable(reasons.get(verdict.family() + " " + verdict.key()));
    }

    boolean equivalent(Verdict verdict) {
        return reason(verdict).filter(text -> text.startsWith("equivalent")).isPresent();
    }
}
