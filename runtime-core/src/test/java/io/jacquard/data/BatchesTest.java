package io.jacquard.data;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.data.Batches.Layout;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

final class BatchesTest {
    private static final int T = 5;

    @TempDir
    Path directory;

    @Test
    void permutationIsABijectionOfEverySize() {
        for (int size : new int[] {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4096, 4097, 10_000}) {
            for (int epoch = 0; epoch < 3; epoch++) {
                Permutation order = new Permutation(size, 42, epoch);
                Set<Long> seen = new HashSet<>();
                for (int i = 0; i < size; i++) {
                    long at = order.apply(i);
                    assertTrue(at >= 0 && at < size && seen.add(at), "size " + size);
                }
            }
        }
    }

    @Test
    void permutationSpreadsEvenly() {
        // chi-square over 16 x 16 cells (position, value) of 64 epochs: 255 degrees of freedom, mean 255, sd 22.6
        int size = 1024;
        long[] cells = new long[256];
        for (int epoch = 0; epoch < 64; epoch++) {
            Permutation order = new Permutation(size, 1, epoch);
            for (int i = 0; i < size; i++) {
                cells[(i >> 6) * 16 + (int) (order.apply(i) >> 6)]++;
            }
        }
        double expected = 64 * size / 256.0;
        double chi = Arrays.stream(cells)
                .mapToDouble(c -> (c - expected) * (c - expected) / expected)
                .sum();
        assertTrue(chi < 255 + 5 * 22.6, "chi-square " + chi);
    }

    @Test
    void everyWindowComesOncePerEpochInANewOrder() throws IOException {
        try (Batches batches = batches(1)) {
            // shards of 41, 3, 23 and 6 tokens hold 8, 0, 4 and 1 windows
            assertEquals(13, batches.windows());
            assertEquals(73, batches.tokens());
            Layout one = new Layout(1, 1, 0, 1);
            List<List<Integer>> orders = new ArrayList<>();
            for (int epoch = 0; epoch < 3; epoch++) {
                List<Integer> order = new ArrayList<>();
                for (int i = 0; i < 13; i++) {
                    int step = epoch * 13 + i;
                    assertEquals(epoch, batches.epoch(step, one));
                    order.add(read(batches, step, 0, one)[0]);
                }
                assertEquals(
                        new TreeSet<>(List.of(0, 5, 10, 15, 20, 25, 30, 35, 100, 105, 110, 115, 200)),
                        new TreeSet<>(order));
                orders.add(order);
            }
            assertEquals(3, new HashSet<>(orders).size());
        }
    }

    @Test
    void labelsAreTheNextTokens() throws IOException {
        try (Batches batches = batches(1)) {
            int[] tokens = new int[3 * T];
            int[] labels = new int[3 * T];
            batches.fill(0, 0, new Layout(3, 1, 0, 1), tokens, labels);
            for (int i = 0; i < tokens.length; i++) {
                assertEquals(tokens[i] + 1, labels[i]);
            }
        }
    }

    @Test
    void ranksAndMicroBatchesDivideTheSameSequences() throws IOException {
        try (Batches batches = batches(9)) {
            for (int step = 0; step < 10; step++) {
                int[] whole = read(batches, step, 0, new Layout(12, 1, 0, 1));
                for (int[] split : new int[][] {{3, 2, 2}, {6, 1, 2}, {1, 3, 4}, {1, 1, 12}, {1, 12, 1}, {4, 3, 1}}) {
                    int[] parts = new int[0];
                    for (int micro = 0; micro < split[1]; micro++) {
                        for (int rank = 0; rank < split[2]; rank++) {
                            int[] part = read(batches, step, micro, new Layout(split[0], split[1], rank, split[2]));
                            int at = parts.length;
                            parts = Arrays.copyOf(parts, at + part.length);
                            System.arraycopy(part, 0, parts, at, part.length);
                        }
                    }
                    assertArrayEquals(whole, parts, Arrays.toString(split));
                }
            }
        }
    }

    @Test
    void aResumedRunSeesWhatAnUninterruptedOneWould() throws IOException {
        Layout layout = new Layout(2, 2, 1, 2);
        List<int[]> whole = new ArrayList<>();
        try (Batches batches = batches(3)) {
            for (int step = 0; step < 40; step++) {
                whole.add(read(batches, step, step % 2, layout));
            }
        }
        try (Batches batches = batches(3)) {
            for (int step = 39; step >= 17; step--) {
                assertArrayEquals(whole.get(step), read(batches, step, step % 2, layout));
            }
        }
        try (Batches other = batches(4)) {
            assertNotEquals(Arrays.toString(whole.get(0)), Arrays.toString(read(other, 0, 0, layout)));
        }
    }

    @Test
    void validationReadsEachWindowOnceInOrder() throws IOException {
        try (Batches batches = batches(1)) {
            int[] tokens = new int[4 * T];
            int[] labels = new int[4 * T];
            List<Integer> starts = new ArrayList<>();
            assertEquals(4, batches.sequentialBatches(4));
            for (int batch = 0; batch < 4; batch++) {
                int valid = batches.fillSequential(batch, 4, tokens, labels);
                assertEquals(batch < 3 ? 4 : 1, valid);
                for (int b = 0; b < valid; b++) {
                    starts.add(tokens[b * T]);
                }
            }
            assertEquals(List.of(0, 5, 10, 15, 20, 25, 30, 35, 100, 105, 110, 115, 200), starts);
            assertTrue(Arrays.stream(labels, T, 4 * T).allMatch(label -> label == Batches.IGNORED));
            assertEquals(0, batches.fillSequential(4, 4, tokens, labels));
        }
    }

    @Test
    void refusesWhatCannotBeRead() throws IOException {
        Path small = directory.resolve("small.bin");
        TokenFileWriter.write(small, 100, out -> out.append(new int[] {1, 2, 99}));
        assertRefused(
                "batches: 3 tokens in 1 files [" + small + "] have no window of 3 + 1; use more text or a shorter"
                        + " context",
                () -> Batches.open(List.of(small), 3, 100, 0).close());
        assertRefused(
                "batches: context=0, vocabulary=100; expected both to be at least 1",
                () -> Batches.open(List.of(small), 0, 100, 0).close());
        try (Batches batches = Batches.open(List.of(small), 2, 99, 0)) {
            assertRefused(
                    small + ": token 99 at position 2; expected 0 to 98 (was this file made with another"
                            + " tokenizer?)",
                    () -> read(batches, 0, 0, new Layout(1, 1, 0, 1)));
            assertRefused(
                    "batches: tokens[2], labels[3]; expected rows(1) * context(2) = 2",
                    () -> batches.fill(0, 0, new Layout(1, 1, 0, 1), new int[2], new int[3]));
            assertRefused(
                    "batches: step=0, microBatch=1; expected step >= 0 and microBatch from 0 to 0",
                    () -> batches.fill(0, 1, new Layout(1, 1, 0, 1), new int[2], new int[2]));
        }
        assertRefused(
                "batches: rows=1, microBatches=1, rank=2, ranks=2; expected rows, microBatches, ranks >= 1 and"
                        + " rank < ranks",
                () -> new Layout(1, 1, 2, 2));
    }

    private static void assertRefused(String message, Executable code) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, code).getMessage());
    }

    private Batches batches(long seed) throws IOException {
        int[] lengths = {41, 3, 23, 6};
        int[] first = {0, 50, 100, 200};
        List<Path> files = new ArrayList<>();
        for (int i = 0; i < lengths.length; i++) {
            int[] tokens = IntStream.range(first[i], first[i] + lengths[i]).toArray();
            Path file = directory.resolve(i + ".bin");
            TokenFileWriter.write(file, i == 2 ? 300 : 100_000, out -> out.append(tokens));
            files.add(file);
        }
        return Batches.open(files, T, 300, seed);
    }

    /// The tokens of one micro-batch.
    private static int[] read(Batches batches, long step, int micro, Layout layout) {
        int[] tokens = new int[layout.rows() * batches.context()];
        batches.fill(step, micro, layout, tokens, new int[tokens.length]);
        return tokens;
    }
}
