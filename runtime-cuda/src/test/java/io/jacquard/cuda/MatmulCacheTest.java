package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MatmulCacheTest {
    @TempDir
    private Path folder;

    private final List<String> told = new ArrayList<>();

    private MatmulCache open() {
        return new MatmulCache(folder, "NVIDIA H200 / sm90", told::add);
    }

    @Test
    void keepsChoicesAndThoseOfOthers() {
        MatmulCache one = open();
        MatmulCache two = open();
        one.put("2x3x4 a b F32", "own");
        two.put("5x6x7 a b BF16", "00ff");
        MatmulCache later = open();
        assertEquals(folder.resolve("NVIDIA-H200-sm90.txt"), later.file());
        assertEquals("own", later.get("2x3x4 a b F32"));
        assertEquals("00ff", later.get("5x6x7 a b BF16"));
        assertNull(later.get("another"));
        assertEquals(List.of(), told);
    }

    @Test
    void aDamagedFileIsSaidAndReplaced() throws IOException {
        open().put("shape", "own");
        Path file = open().file();
        Files.writeString(file, Files.readString(file).replace("own", "0wn"));
        MatmulCache damaged = open();
        assertNull(damaged.get("shape"));
        assertEquals(List.of("cuda: the file of matmul algorithms " + file + " is damaged: searching again"), told);
        damaged.put("shape", "1234");
        assertEquals("1234", open().get("shape"));
        Files.writeString(file, "");
        assertNull(open().get("shape"));
    }

    @Test
    void aFolderThatCannotBeWrittenCostsNoRun() throws IOException {
        Path blocked = Files.createFile(folder.resolve("file"));
        MatmulCache cache = new MatmulCache(blocked, "x", told::add);
        cache.put("shape", "own");
        cache.put("other", "own");
        assertEquals("own", cache.get("shape"));
        assertEquals(1, told.size(), told::toString);
        assertTrue(told.getFirst().endsWith("searching again"), told::toString);
    }

    @Test
    void nothingIsLeftBesideTheFile() throws IOException {
        open().put("shape", "own");
        try (var files = Files.list(folder)) {
            assertEquals(1, files.count());
        }
    }
}
