package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.kernels.LibraryPlaces;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class NvidiaLibraryTest {
    @TempDir
    private Path folder;

    @Test
    void aFileThatIsNoLibraryIsSaidAndTheSearchGoesOn() throws IOException {
        String name = "libnobody-has-this.so.9";
        Path broken = Files.writeString(folder.resolve(name), "no library");
        NvidiaLibrary missing = NvidiaLibrary.open(name, places());
        assertFalse(missing.isOpen());
        assertEquals(
                broken + " (" + broken + ": file too short)", missing.tried().getFirst());
        assertTrue(missing.tried().size() > 10);
    }

    @Test
    void aLibraryThatIsOpenIsNotOpenedAgain() throws IOException {
        Path other = Files.writeString(folder.resolve("libc.so.6"), "another");
        NvidiaLibrary found = NvidiaLibrary.open("libc.so.6", places());
        assertTrue(found.isOpen());
        assertNotEquals(other.toString(), found.path());
        assertTrue(Path.of(found.path()).isAbsolute(), found::path);
    }

    @Test
    void everyPlaceIsRemembered() {
        NvidiaLibrary missing = NvidiaLibrary.open("libnobody-has-this.so.7", places());
        assertFalse(missing.isOpen());
        assertEquals(folder.toString(), missing.tried().getFirst());
        assertEquals("the loader's own search", missing.tried().getLast());
        assertTrue(missing.tried().contains("/usr/local/cuda/lib64"));
    }

    @Test
    void aProcessLooksOnce() {
        NvidiaLibrary first = NvidiaLibrary.open("libnobody-has-this.so.8");
        assertSame(first, NvidiaLibrary.open("libnobody-has-this.so.8"));
        assertTrue(NvidiaLibrary.lookedFor().contains(first));
    }

    private LibraryPlaces places() {
        return new LibraryPlaces(Map.of("jacquard.cuda.libraries", folder.toString())::get, Map.of());
    }
}
