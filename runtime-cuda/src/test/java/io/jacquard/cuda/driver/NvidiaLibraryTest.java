package io.jacquard.cuda.driver;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
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
    void aFileThatIsNoLibraryIsSaidAndTheNextPlaceServes() throws IOException {
        Path broken = Files.writeString(folder.resolve("libm.so.6"), "no library");
        NvidiaLibrary found = NvidiaLibrary.open("libm.so.6", places());
        assertTrue(found.isOpen());
        assertEquals(broken + " (" + broken + ": file too short)", found.tried().getFirst());
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
