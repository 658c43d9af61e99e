package io.jacquard.group;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// The slots of a [FlightRecorder] as bytes: written with no garbage, read by other threads, by other processes, and
/// after the process has died.
final class FlightMemory {
    /// Bytes of one operation.
    static final int SLOT = 192;

    static final int AMONG = 48;
    static final int CALLED_AT = 64;

    private static final int DIMS = 8;
    private static final VarHandle TICKET = JAVA_LONG.varHandle();

    // ---- offsets in a slot

    private static final int AT_TICKET = 0;
    private static final int AT_NUMBER = 8;
    private static final int AT_BEGAN = 16;
    private static final int AT_ENDED = 24;
    private static final int AT_REPLAY = 32;
    private static final int AT_PEER = 36;
    private static final int AT_KIND = 40;
    private static final int AT_DTYPE = 41;
    private static final int AT_CAPTURED = 42;
    private static final int AT_RANK = 43;
    private static final int AT_WAITS = 44;
    private static final int AT_DIMS = 48;
    private static final int AT_AMONG = AT_DIMS + 4 * DIMS;
    private static final int AT_CALLED_AT = AT_AMONG + AMONG;

    private static final Operation.Kind[] KINDS = Operation.Kind.values();
    private static final DType[] DTYPES = DType.values();

    private FlightMemory() {}

    /// Zeroed memory of this process.
    static MemorySegment allocate(int bytes) {
        return MemorySegment.ofArray(new long[bytes / 8]);
    }

    /// Text of a fixed length, zeros behind it.
    static byte[] fixed(String text, int length) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        bytes = Arrays.copyOf(bytes, length);
        bytes[length - 1] = 0;
        return bytes;
    }

    /// Writes an operation that begins. A reader that looks meanwhile finds the slot empty.
    static void begin(
            MemorySegment slot, long ticket, long number, Operation operation, long began, int replay, byte[] among) {
        TICKET.setRelease(slot, (long) AT_TICKET, 0L);
        VarHandle.storeStoreFence();
        slot.set(JAVA_LONG, AT_NUMBER, number);
        slot.set(JAVA_LONG, AT_BEGAN, began);
        slot.set(JAVA_LONG, AT_ENDED, 0);
        slot.set(JAVA_INT, AT_REPLAY, replay);
        slot.set(JAVA_INT, AT_PEER, operation.peer());
        slot.set(JAVA_BYTE, AT_KIND, (byte) operation.kind().ordinal());
        DType dtype = operation.dtype();
        slot.set(JAVA_BYTE, AT_DTYPE, (byte) (dtype == null ? -1 : dtype.ordinal()));
        slot.set(JAVA_BYTE, AT_CAPTURED, (byte) 0);
        slot.set(JAVA_BYTE, AT_WAITS, (byte) 0);
        Shape shape = operation.shape();
        int rank = Math.min(DIMS, shape.rank());
        slot.set(JAVA_BYTE, AT_RANK, (byte) rank);
        for (int i = 0; i < rank; i++) {
            slot.set(JAVA_INT, AT_DIMS + 4L * i, shape.dim(i));
        }
        MemorySegment.copy(among, 0, slot, JAVA_BYTE, AT_AMONG, AMONG);
        slot.set(JAVA_BYTE, AT_CALLED_AT, (byte) 0);
        TICKET.setRelease(slot, (long) AT_TICKET, ticket);
    }

    /// Whether the slot still is that operation's.
    static boolean holds(MemorySegment slot, long ticket) {
        return slot.get(JAVA_LONG, AT_TICKET) == ticket;
    }

    static void end(MemorySegment slot, long ended, boolean captured) {
        slot.set(JAVA_BYTE, AT_CAPTURED, (byte) (captured ? 1 : 0));
        slot.set(JAVA_LONG, AT_ENDED, ended);
    }

    static void waits(MemorySegment slot, boolean waits) {
        slot.set(JAVA_BYTE, AT_WAITS, (byte) (waits ? 1 : 0));
    }

    static void calledAt(MemorySegment slot, byte[] text) {
        MemorySegment.copy(text, 0, slot, JAVA_BYTE, AT_CALLED_AT, CALLED_AT);
    }

    /// The operation of a slot; null if it has none, or another one is being written.
    static @Nullable FlightEntry read(MemorySegment slot) {
        long ticket = (long) TICKET.getAcquire(slot, (long) AT_TICKET);
        MemorySegment copy = allocate(SLOT).copyFrom(slot);
        VarHandle.loadLoadFence();
        boolean same = slot.get(JAVA_LONG, AT_TICKET) == ticket;
        int kind = copy.get(JAVA_BYTE, AT_KIND);
        int dtype = copy.get(JAVA_BYTE, AT_DTYPE);
        int rank = copy.get(JAVA_BYTE, AT_RANK);
        if (!same || ticket <= 0 || kind < 0 || kind >= KINDS.length || dtype >= DTYPES.length || rank > DIMS) {
            return null;
        }
        int[] dims = new int[Math.max(rank, 0)];
        for (int i = 0; i < dims.length; i++) {
            dims[i] = Math.max(0, copy.get(JAVA_INT, AT_DIMS + 4L * i));
        }
        Operation operation = new Operation(
                KINDS[kind], Shape.of(dims), dtype < 0 ? null : DTYPES[dtype], copy.get(JAVA_INT, AT_PEER));
        return new FlightEntry(
                ticket,
                text(copy, AT_AMONG, AMONG),
                copy.get(JAVA_LONG, AT_NUMBER),
                operation,
                text(copy, AT_CALLED_AT, CALLED_AT),
                copy.get(JAVA_LONG, AT_BEGAN),
                copy.get(JAVA_LONG, AT_ENDED),
                copy.get(JAVA_BYTE, AT_WAITS) != 0,
                copy.get(JAVA_BYTE, AT_CAPTURED) != 0,
                copy.get(JAVA_INT, AT_REPLAY));
    }

    /// A slot from what was read of one.
    static void write(MemorySegment slot, FlightEntry e) {
        begin(slot, e.ticket(), e.number(), e.operation(), e.beganNanos(), e.replay(), fixed(e.among(), AMONG));
        end(slot, e.endedNanos(), e.captured());
        waits(slot, e.waits());
        calledAt(slot, fixed(e.calledAt(), CALLED_AT));
    }

    static String text(MemorySegment from, long offset, int length) {
        byte[] bytes = from.asSlice(offset, length).toArray(JAVA_BYTE);
        int end = 0;
        while (end < length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }
}
