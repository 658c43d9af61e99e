package io.jacquard.data;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;

/// Runs its seeds as a plain test, and for long with `JAZZER_FUZZ=1`.
@Tag("fuzz")
final class TokenFileFuzzTest {
    @FuzzTest(maxDuration = "1m")
    void file(byte[] bytes) throws IOException {
        Path file = Files.createTempFile("tokens", ".bin");
        try {
            Files.write(file, bytes);
            try (TokenFile read = TokenFile.open(file)) {
                read.copy(0, new int[(int) read.length()], 0, (int) read.length());
            } catch (IllegalArgumentException e) {
                assertEquals(1, e.getMessage().lines().count());
            }
        } finally {
            Files.delete(file);
        }
    }
}
