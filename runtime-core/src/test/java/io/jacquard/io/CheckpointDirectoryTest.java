package io.jacquard.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class CheckpointDirectoryTest {
    @TempDir
    Path root;

    @Test
    void savesAndFindsTheNewest() throws IOException {
        CheckpointDirectory directory = CheckpointDirectory.open(root.resolve("run/states"));
        assertEquals(Optional.empty(), directory.newestVerified(CheckpointDirectoryTest::unexpected));
        for (long step : new long[] {0, 9, 100, 20}) {
            Path saved = directory.save(step, state(step));
            assertEquals("step-" + step, saved.getFileName().toString());
            assertEquals(Optional.empty(), CheckpointDirectory.verify(saved));
        }
        assertEquals(
                List.of(100L, 20L, 9L, 0L),
                directory.list().stream().map(CheckpointDirectory.Found::step).toList());
        Path newest =
                directory.newestVerified(CheckpointDirectoryTest::unexpected).orElseThrow();
        assertEquals("step 100", Files.readString(newest.resolve("state.txt")));
        assertEquals("step 100", Files.readString(newest.resolve("ranks/0.txt")));
    }

    @Test
    void everyFlippedBitIsFound() throws IOException {
        Path saved = CheckpointDirectory.open(root).save(7, state(7));
        for (String name : new String[] {"state.txt", "ranks/0.txt", "manifest.json"}) {
            Path file = saved.resolve(name);
            byte[] good = Files.readAllBytes(file);
            // every third bit of the long manifest: each byte still has two or three
            for (int bit = 0; bit < good.length * 8; bit += good.length > 100 ? 3 : 1) {
                byte[] bad = good.clone();
                bad[bit / 8] ^= (byte) (1 << bit % 8);
                Files.write(file, bad);
                assertTrue(CheckpointDirectory.verify(saved).isPresent(), name + " bit " + bit);
            }
            for (int length = 0; length < good.length; length += good.length > 100 ? 7 : 1) {
                Files.write(file, Arrays.copyOf(good, length));
                assertTrue(CheckpointDirectory.verify(saved).isPresent(), name + " cut to " + length);
            }
            Files.write(file, good);
            assertEquals(Optional.empty(), CheckpointDirectory.verify(saved));
        }
    }

    @Test
    void damagedStatesAreSkippedAndReported() throws Exception {
        CheckpointDirectory directory = CheckpointDirectory.open(root);
        for (long step = 1; step <= 6; step++) {
            directory.save(step, state(step));
        }
        Files.delete(root.resolve("step-6/manifest.json"));
        Files.delete(root.resolve("step-5/state.txt"));
        Files.writeString(root.resolve("step-4/state.txt"), "step 44");
        Files.writeString(root.resolve("step-3/state.txt"), "step x");
        Files.move(root.resolve("step-2"), root.resolve("step-99"));
        List<String> report = new ArrayList<>();
        assertEquals(Optional.of(root.resolve("step-1")), directory.newestVerified(report::add));
        String expectedHash = hash("step 3");
        assertEquals(
                List.of(
                        "skipped " + root.resolve("step-99") + ": manifest.json is not as it was written for step 99",
                        "skipped " + root.resolve("step-6") + ": no manifest.json: it was never finished",
                        "skipped " + root.resolve("step-5") + ": state.txt is missing",
                        "skipped " + root.resolve("step-4") + ": state.txt has 7 bytes; expected 6",
                        "skipped " + root.resolve("step-3") + ": state.txt has SHA-256 " + hash("step x")
                                + "; expected " + expectedHash),
                report);
        assertEquals(Optional.of("not named step-<N>"), CheckpointDirectory.verify(root));
    }

    @Test
    void aFailedSaveLeavesNothingAndTheOldState() throws IOException {
        CheckpointDirectory directory = CheckpointDirectory.open(root);
        directory.save(5, state(5));
        assertEquals(
                "disk full",
                assertThrows(
                                IOException.class,
                                () -> directory.save(5, to -> {
                                    Files.writeString(to.resolve("state.txt"), "half");
                                    throw new IOException("disk full");
                                }))
                        .getMessage());
        assertEquals(List.of("step-5"), names());
        assertEquals(
                Optional.of(root.resolve("step-5")), directory.newestVerified(CheckpointDirectoryTest::unexpected));
        directory.save(5, to -> Files.writeString(to.resolve("other.txt"), "new"));
        assertEquals(List.of("step-5"), names());
        assertFalse(Files.exists(root.resolve("step-5/state.txt")));
        assertEquals(
                "save: step -1 is negative",
                assertThrows(IllegalArgumentException.class, () -> directory.save(-1, state(1)))
                        .getMessage());
    }

    @Test
    void aReplacementCutInTheMiddleIsFinishedByTheNextStart() throws IOException {
        CheckpointDirectory.open(root).save(5, state(5));
        Files.move(root.resolve("step-5"), root.resolve("step-5.replaced"));
        Files.createDirectories(root.resolve("step-5.tmp-999999999999999-0badcafe-1/x"));
        Files.createDirectories(
                root.resolve("step-6.tmp-" + ProcessHandle.current().pid() + "-0badcafe-1"));
        Files.createDirectories(root.resolve("notes.tmp"));
        CheckpointDirectory directory = CheckpointDirectory.open(root);
        assertEquals(List.of("notes.tmp", "step-5"), names());
        assertEquals(
                Optional.of(root.resolve("step-5")), directory.newestVerified(CheckpointDirectoryTest::unexpected));
    }

    @Test
    void lookingChangesNothing() throws IOException {
        CheckpointDirectory.open(root).save(5, state(5));
        Files.createDirectories(root.resolve("step-6.tmp-999999999999999-0badcafe-1"));
        CheckpointDirectory directory = CheckpointDirectory.openReadOnly(root);
        assertEquals(1, directory.list().size());
        assertEquals(List.of("step-5", "step-6.tmp-999999999999999-0badcafe-1"), names());
        assertEquals(
                "save: " + root + " was opened read-only",
                assertThrows(IllegalStateException.class, () -> directory.save(6, state(6)))
                        .getMessage());
        assertEquals(
                "prune: " + root + " was opened read-only",
                assertThrows(IllegalStateException.class, () -> directory.prune(1, 0))
                        .getMessage());
        Path none = root.resolve("none");
        assertEquals(
                none + ": no such directory",
                assertThrows(IllegalArgumentException.class, () -> CheckpointDirectory.openReadOnly(none))
                        .getMessage());
    }

    @Test
    void pruneKeepsTheNewestTheMilestonesAndWhatIsNewerThanThem() throws IOException {
        CheckpointDirectory directory = CheckpointDirectory.open(root);
        for (long step = 10; step <= 100; step += 10) {
            directory.save(step, state(step));
        }
        Files.delete(root.resolve("step-90/state.txt"));
        Files.delete(root.resolve("step-20/state.txt"));
        directory.prune(2, 40);
        assertEquals(List.of("step-100", "step-40", "step-80", "step-90"), names());
        assertEquals(List.of(root.resolve("step-40")), directory.prune(2, 0));
        assertEquals(
                "prune: keepLast=0, keepEvery=0; expected keepLast >= 1 and keepEvery >= 0",
                assertThrows(IllegalArgumentException.class, () -> directory.prune(0, 0))
                        .getMessage());
    }

    @Test
    void theSaverWorksInTheBackgroundAndThrowsLater() throws Exception {
        CheckpointDirectory directory = CheckpointDirectory.open(root);
        CountDownLatch go = new CountDownLatch(1);
        try (CheckpointSaver saver = new CheckpointSaver(directory, 2, 0)) {
            saver.save(1, to -> {
                try {
                    assertTrue(go.await(10, TimeUnit.SECONDS));
                } catch (InterruptedException e) {
                    throw new IOException(e);
                }
                state(1).writeTo(to);
            });
            assertFalse(Files.exists(root.resolve("step-1")));
            go.countDown();
            assertEquals(root.resolve("step-1"), saver.await());
            assertEquals(null, saver.await());
            for (long step = 2; step <= 5; step++) {
                saver.save(step, state(step));
            }
            saver.await();
            assertEquals(List.of("step-4", "step-5"), names());
            saver.save(6, to -> {
                throw new IOException("disk full");
            });
            IOException e = assertThrows(IOException.class, () -> saver.save(7, state(7)));
            assertEquals("background save failed: disk full", e.getMessage());
            saver.save(8, state(8));
        }
        assertEquals(List.of("step-5", "step-8"), names());
        CheckpointSaver failing = new CheckpointSaver(directory, 2, 0);
        failing.save(9, to -> {
            throw new IllegalStateException("bad snapshot");
        });
        assertEquals(
                "background save failed: bad snapshot",
                assertThrows(IOException.class, failing::close).getMessage());
    }

    @Test
    void aKilledProcessNeverSpoilsTheNewestState() throws Exception {
        SplittableRandom random = new SplittableRandom(11);
        long newest = -1;
        int leftovers = 0;
        for (int round = 0; round < 6; round++) {
            Process child = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-cp",
                            System.getProperty("java.class.path"),
                            "-Xshare:auto",
                            "-XX:TieredStopAtLevel=1",
                            CrashingSaver.class.getName(),
                            root.toString())
                    .redirectErrorStream(true)
                    .start();
            try (var lines = child.inputReader()) {
                String line = lines.readLine();
                for (int i = 0; i < 3 && line != null; i++) {
                    assertTrue(line.startsWith("saved "), line);
                    newest = Long.parseLong(line.substring(6));
                    line = lines.readLine();
                }
                Thread.sleep(random.nextInt(1, 60));
                child.destroyForcibly().waitFor();
            }
            leftovers += names().stream().anyMatch(name -> name.contains(".tmp-")) ? 1 : 0;
            CheckpointDirectory directory = CheckpointDirectory.open(root);
            Path found = directory
                    .newestVerified(CheckpointDirectoryTest::unexpected)
                    .orElseThrow();
            long step = Long.parseLong(found.getFileName().toString().substring(5));
            assertTrue(step >= newest, step + " found, " + newest + " was saved");
            assertTrue(names().stream().allMatch(name -> name.matches("step-\\d+")), names().toString());
            newest = step;
        }
        assertTrue(leftovers > 0, "no child was killed inside a save");
    }

    /// Saves one state after the other until it is killed.
    static final class CrashingSaver {
        private CrashingSaver() {}

        public static void main(String[] arguments) throws IOException {
            CheckpointDirectory directory = CheckpointDirectory.open(Path.of(arguments[0]));
            long first = directory
                    .newestVerified(line -> {})
                    .map(path -> Long.parseLong(path.getFileName().toString().substring(5)))
                    .orElse(0L);
            for (long step = first; ; step++) { // the first one replaces what is there
                long now = step;
                directory.save(step, to -> {
                    for (int file = 0; file < 4; file++) {
                        Files.write(to.resolve(file + ".bin"), new byte[400_000 + (int) now]);
                    }
                });
                directory.prune(2, 10);
                System.out.println("saved " + step);
            }
        }
    }

    private static CheckpointDirectory.Writer state(long step) {
        return to -> {
            Files.writeString(to.resolve("state.txt"), "step " + step);
            Files.writeString(Files.createDirectory(to.resolve("ranks")).resolve("0.txt"), "step " + step);
        };
    }

    private static String hash(String text) throws Exception {
        return HexFormat.of()
                .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static void unexpected(String report) {
        throw new AssertionError(report);
    }

    private List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(root)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
