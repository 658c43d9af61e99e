package io.jacquard.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.tensor.spi.HostBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

final class PoolTest {
    private static final long BASE = 1 << 20;
    private final HostBackend backend = new HostBackend(256L << 20);

    private Pool fixed(long bytes) {
        return new Pool(backend, BASE, bytes);
    }

    @Test
    void roundsToAlignment() {
        Pool p = fixed(4096);
        assertEquals(BASE, p.take(1));
        assertEquals(BASE + 256, p.take(257));
        assertEquals(BASE + 768, p.take(0)); // an empty tensor has an address of its own
        assertEquals(BASE + 1024, p.take(256));
        assertEquals(1280, p.used());
    }

    @Test
    void takesTheFirstHoleThatFits() {
        Pool p = fixed(1 << 16);
        long a = p.take(512);
        long b = p.take(256);
        long c = p.take(1024);
        p.take(256);
        p.give(a, 512);
        p.give(c, 1024);
        assertEquals(c, p.take(1024), "the hole of 512 is too small");
        assertEquals(a, p.take(256));
        assertEquals(a + 256, p.take(256), "the rest of the first hole");
        assertEquals(b, a + 512);
    }

    @Test
    void neighbouringHolesBecomeOne() {
        for (int[] order : new int[][] {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
            Pool p = fixed(768);
            long[] address = {p.take(256), p.take(256), p.take(256)};
            assertEquals(0, p.take(1), "full");
            for (int i : order) {
                p.give(address[i], 256);
            }
            assertEquals(0, p.used());
            assertEquals(BASE, p.take(768));
        }
    }

    @Test
    void peakAndExtent() {
        Pool p = fixed(4096);
        long a = p.take(1024);
        p.take(256);
        p.give(a, 1024);
        p.take(512);
        assertEquals(768, p.used());
        assertEquals(1280, p.peak());
        assertEquals(1280, p.extent());
        p.take(1024); // does not fit the hole of 512
        assertEquals(1792, p.peak());
        assertEquals(2304, p.extent(), "the extent counts holes, the peak does not");
    }

    @Test
    void growsByBlocksAndReturnsThem() {
        Pool p = new Pool(backend);
        p.take(1);
        assertEquals(64L << 20, p.reserved());
        p.take(100L << 20);
        assertEquals(164L << 20, p.reserved());
        assertEquals(p.reserved(), backend.reservedBytes());
        assertEquals(0, p.take(100L << 20), "beyond the backend's limit");
        assertEquals(0, p.extent());
        p.close();
        assertEquals(0, backend.reservedBytes());
    }

    @Test
    void trimmingGivesBackWhatNobodyUses() {
        Pool p = new Pool(backend);
        long kept = p.take(1);
        long large = p.take(100L << 20);
        p.trim();
        assertEquals(164L << 20, backend.reservedBytes(), "both are in use");
        p.give(large, 100L << 20);
        p.trim();
        assertEquals(64L << 20, backend.reservedBytes());
        assertNotEquals(0, p.take(150L << 20), "there is room for it now");
        p.give(kept, 1);
        p.close();
    }

    /// The backend has 256 MiB.
    @Test
    void beforeItIsOutOfMemoryItTrims() {
        Pool p = new Pool(backend);
        long a = p.take(100L << 20);
        p.give(a, 100L << 20);
        assertNotEquals(0, p.take(250L << 20));
        assertEquals(250L << 20, backend.reservedBytes());
        assertNotEquals(0, p.take(6L << 20), "less than a block is left, but enough");
        assertEquals(0, p.take(1));
        p.close();
    }

    @Test
    void aFixedPoolDoesNotGrow() {
        Pool p = fixed(1024);
        assertEquals(0, p.take(1025));
        assertEquals(0, backend.reservedBytes());
    }

    @Test
    void givingWhatIsOfNoBlockFails() {
        AssertionError e = assertThrows(AssertionError.class, () -> fixed(1024).give(12, 256));
        assertEquals("pool: address 12 is of no block", e.getMessage());
    }

    /// A thousand random requests: never two at one place, all accounted for, and the same addresses the second
    /// time.
    @Test
    void randomRequestsNeverOverlapAndRepeat() {
        List<Long> first = randomRequests();
        assertEquals(first, randomRequests());
        assertNotEquals(first.getFirst(), first.getLast());
    }

    private record Taken(long address, long bytes) {}

    private List<Long> randomRequests() {
        SplittableRandom random = new SplittableRandom(1);
        Pool p = fixed(1 << 20);
        List<Taken> live = new ArrayList<>();
        List<Long> addresses = new ArrayList<>();
        long used = 0;
        for (int i = 0; i < 1000; i++) {
            if (live.size() > 20 && random.nextBoolean()) {
                Taken t = live.remove(random.nextInt(live.size()));
                p.give(t.address, t.bytes);
                used -= Pool.rounded(t.bytes);
            } else {
                long bytes = random.nextLong(1, 9000);
                long address = p.take(bytes);
                assertNotEquals(0, address);
                for (Taken t : live) {
                    assertTrue(
                            address + bytes <= t.address || address >= t.address + t.bytes,
                            () -> "overlap at " + address);
                }
                live.add(new Taken(address, bytes));
                addresses.add(address);
                used += Pool.rounded(bytes);
            }
            assertEquals(used, p.used());
        }
        live.forEach(t -> p.give(t.address, t.bytes));
        assertEquals(BASE, p.take(1 << 20), "all holes are one again");
        return addresses;
    }
}
