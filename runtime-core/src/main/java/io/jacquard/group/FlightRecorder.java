package io.jacquard.group;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.Session;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The last operations of a rank, over all of its groups, for the day on which something goes wrong. Always on.
///
/// In a file ([#in]) the recorder outlives its process, however that ends: [FlightReport#ofDirectory] reads it.
///
/// **Thread**: operations begin on the rank's thread; any may end them, or read.
///
/// **Cost** (two cores, one rank): 0.1 µs and 80 bytes of garbage for an operation; looking where it was called from
/// takes 1 % of the time at most ([CallSites]).
public final class FlightRecorder {
    /// Operations that are held.
    public static final int SLOTS = 64;

    private static final int HEAD = 128;
    private static final int BYTES = HEAD + SLOTS * FlightMemory.SLOT;
    private static final long MAGIC = 0x3130_7468_6769_6c46L; // "Flight01"
    private static final int AT_RANK = 8;
    private static final int AT_SIZE = 12;
    private static final int AT_PROCESS = 16;
    private static final int AT_SPACE = 24;
    private static final int SPACE = HEAD - AT_SPACE;
    private static final long EPOCH = System.currentTimeMillis() * 1_000_000 - System.nanoTime();

    private final int rank;
    private final MemorySegment[] slots;
    private final CallSites callSites = new CallSites();
    private volatile long begun;
    private volatile @Nullable Session session;

    private FlightRecorder(int rank, MemorySegment memory) {
        this.rank = rank;
        this.slots = slots(memory);
    }

    private static MemorySegment[] slots(MemorySegment memory) {
        MemorySegment[] slots = new MemorySegment[SLOTS];
        for (int i = 0; i < SLOTS; i++) {
            slots[i] = memory.asSlice(HEAD + (long) i * FlightMemory.SLOT, FlightMemory.SLOT);
        }
        return slots;
    }

    /// The recorder of rank `rank`, in the memory of this process.
    public static FlightRecorder inMemory(int rank) {
        return new FlightRecorder(rank, FlightMemory.allocate(BYTES));
    }

    /// The recorder of rank `rank` of `size` in the file `rank-<rank>` of a directory, which is made if absent.
    ///
    /// @throws UncheckedIOException if it cannot be written
    public static FlightRecorder in(Path directory, int rank, int size) {
        Path file = file(directory, rank);
        try {
            Files.createDirectories(directory);
            Files.deleteIfExists(file); // whoever has it open keeps what is in it
            try (FileChannel channel = FileChannel.open(
                    file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                channel.write(ByteBuffer.allocate(BYTES), 0); // a full disk says so here, not at a memory access
                MemorySegment memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, BYTES, Arena.ofAuto());
                memory.set(JAVA_INT, AT_RANK, rank);
                memory.set(JAVA_INT, AT_SIZE, size);
                memory.set(JAVA_LONG, AT_PROCESS, ProcessHandle.current().pid());
                MemorySegment.copy(FlightMemory.fixed(Processes.SPACE, SPACE), 0, memory, JAVA_BYTE, AT_SPACE, SPACE);
                memory.set(JAVA_LONG, 0, MAGIC);
                return new FlightRecorder(rank, memory);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("group: cannot record into " + file, e);
        }
    }

    /// A recorder in `directory`, or in memory if there is none.
    public static FlightRecorder of(@Nullable Path directory, int rank, int size) {
        return directory == null ? inMemory(rank) : in(directory, rank, size);
    }

    /// What was read of a recorder's file.
    ///
    /// @param process that recorded
    /// @param space of that process ([Processes])
    record Found(int rank, int size, long process, String space, List<FlightEntry> flights) {}

    static Path file(Path directory, int rank) {
        return directory.resolve("rank-" + rank);
    }

    /// Reads a recorder's file; null if it is none.
    static @Nullable Found read(Path file) throws IOException {
        byte[] bytes = Files.readAllBytes(file);
        MemorySegment memory = FlightMemory.allocate(BYTES);
        if (bytes.length != BYTES) {
            return null;
        }
        memory.copyFrom(MemorySegment.ofArray(bytes));
        return memory.get(JAVA_LONG, 0) != MAGIC
                ? null
                : new Found(
                        memory.get(JAVA_INT, AT_RANK),
                        memory.get(JAVA_INT, AT_SIZE),
                        memory.get(JAVA_LONG, AT_PROCESS),
                        FlightMemory.text(memory, AT_SPACE, SPACE),
                        last(slots(memory), SLOTS));
    }

    static boolean isPart(Class<?> type) {
        return type == FlightRecorder.class || type == Track.class || type == Flight.class;
    }

    static long now() {
        return EPOCH + System.nanoTime();
    }

    public int rank() {
        return rank;
    }

    /// How many operations have begun.
    long begun() {
        return begun;
    }

    /// That of the last operation on a tensor.
    @Nullable
    Session session() {
        return session;
    }

    /// What a group of this rank records into.
    ///
    /// @param among its ranks in words, empty if these are all
    public Track track(String among) {
        return new Track(among);
    }

    /// The operations of one group.
    public final class Track {
        private final String words;
        private final byte[] among;
        private long number;

        private Track(String among) {
            this.words = among;
            this.among = FlightMemory.fixed(among, FlightMemory.AMONG);
        }

        /// The rank has called an operation.
        public Flight begin(Operation operation) {
            if (operation.dtype() != null) {
                session = Session.current();
            }
            long now = System.nanoTime();
            String calledAt = callSites.look(now);
            long ticket = write(operation, 0, now);
            Flight flight = new Flight(this, operation, calledAt, ticket);
            locate(ticket, calledAt);
            return flight;
        }

        FlightEntry entry(Operation operation, long place, int replay) {
            return new FlightEntry(begun, words, place, operation, "", 0, 0, false, false, replay);
        }

        /// Its collectives count from here on.
        long next(Operation operation) {
            return operation.kind().isCollective() ? ++number : 0;
        }

        long replay(Operation operation, int replay) {
            return write(operation, replay, System.nanoTime());
        }

        /// The slot of an operation that begins, or of another replay.
        private long write(Operation operation, int replay, long now) {
            long ticket = begun + 1;
            long place = operation.kind().isCollective() ? number + 1 : 0;
            FlightMemory.begin(slot(ticket), ticket, place, operation, EPOCH + now, replay, among);
            begun = ticket;
            return ticket;
        }

        void resume(long ticket) {
            MemorySegment slot = slot(ticket);
            if (FlightMemory.holds(slot, ticket)) {
                FlightMemory.end(slot, 0, false);
            }
        }

        void end(long ticket, boolean captured) {
            MemorySegment slot = slot(ticket);
            if (FlightMemory.holds(slot, ticket)) {
                FlightMemory.end(slot, now(), captured);
            }
        }

        void waits(long ticket, boolean waits) {
            MemorySegment slot = slot(ticket);
            if (FlightMemory.holds(slot, ticket)) {
                FlightMemory.waits(slot, waits);
            }
        }

        void locate(long ticket, String calledAt) {
            if (!calledAt.isEmpty() && FlightMemory.holds(slot(ticket), ticket)) {
                FlightMemory.calledAt(slot(ticket), FlightMemory.fixed(calledAt, FlightMemory.CALLED_AT));
            }
        }
    }

    private MemorySegment slot(long ticket) {
        return slots[(int) (ticket % SLOTS)];
    }

    /// The newest operations, oldest first, at most `most`; before others the one that the rank waits in, and those
    /// that have not ended.
    public List<FlightEntry> last(int most) {
        return last(slots, most);
    }

    private static List<FlightEntry> last(MemorySegment[] slots, int most) {
        List<FlightEntry> all = new ArrayList<>();
        for (MemorySegment slot : slots) {
            FlightEntry entry = FlightMemory.read(slot);
            if (entry != null) {
                all.add(entry);
            }
        }
        all.sort(Comparator.comparing(FlightEntry::waits)
                .thenComparing(FlightEntry::isOpen)
                .thenComparingLong(FlightEntry::ticket));
        return all.subList(Math.max(0, all.size() - most), all.size()).stream()
                .sorted(Comparator.comparingLong(FlightEntry::ticket))
                .toList();
    }
}
