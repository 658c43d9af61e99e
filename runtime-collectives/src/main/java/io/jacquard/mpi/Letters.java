package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/// Short messages between watchdogs, over a communicator of their own.
///
/// **Thread**: one at a time.
final class Letters {
    /// Small enough for every library to send without the receiver's help, which a stopped one does not give.
    static final int BYTES = 2048;

    private static final int TEXT = 24;
    private static final int IN = 0;
    private static final int OUT = 1;
    private static final int LAST = 2;

    enum Kind {
        /// Where are you?
        ASK,
        /// The answer.
        STATUS,
        /// The group has failed.
        FAIL,
        /// The last one.
        BYE
    }

    /// @param inside of an operation
    /// @param quietNanos since something moved there
    record Letter(Kind kind, boolean inside, long quietNanos, String text) {}

    private final Mpi mpi;
    private final long communicator;
    private final int rank;
    private final int size;
    private final MemorySegment boxes;
    private final MemorySegment requests;
    private final MemorySegment flag = Arena.global().allocate(JAVA_INT);
    private final boolean[] sending;

    Letters(Mpi mpi, long communicator, int rank, int size) {
        this.mpi = mpi;
        this.communicator = communicator;
        this.rank = rank;
        this.size = size;
        boxes = Arena.global().allocate(3L * size * BYTES);
        requests = Arena.global().allocate(JAVA_LONG, 3L * size);
        sending = new boolean[3 * size];
        for (int r = 0; r < size; r++) {
            expect(r);
        }
    }

    private MemorySegment box(int which, int peer) {
        return boxes.asSlice((long) (which * size + peer) * BYTES, BYTES);
    }

    private long request(int which, int peer) {
        return requests.address() + 8L * (which * size + peer);
    }

    private void expect(int from) {
        if (from != rank) {
            requests.setAtIndex(JAVA_LONG, from, 0);
            mpi.irecv(box(IN, from).address(), BYTES, from, 0, communicator, request(IN, from));
        }
    }

    /// The next letter from a rank, if it is there.
    @Nullable
    Letter receive(int from) {
        if (from == rank || !mpi.test(request(IN, from), flag)) {
            return null;
        }
        MemorySegment box = box(IN, from);
        byte[] text = new byte[box.get(JAVA_INT, 8)];
        MemorySegment.copy(box, TEXT, MemorySegment.ofArray(text), 0, text.length);
        Kind kind = Kind.values()[box.get(JAVA_INT, 0)];
        Letter letter = new Letter(
                kind, box.get(JAVA_INT, 4) != 0, box.get(JAVA_LONG, 16), new String(text, StandardCharsets.UTF_8));
        if (kind != Kind.BYE) {
            expect(from);
        }
        return letter;
    }

    /// Sends, unless an earlier letter to this rank is still under way. Failures and the last word have a place of
    /// their own.
    void send(int to, Letter letter) {
        int which = letter.kind == Kind.FAIL || letter.kind == Kind.BYE ? LAST : OUT;
        if (to == rank || underWay(which, to)) {
            return;
        }
        MemorySegment box = box(which, to);
        byte[] text = letter.text.getBytes(StandardCharsets.UTF_8);
        text = text.length > BYTES - TEXT ? Arrays.copyOf(text, BYTES - TEXT) : text;
        box.set(JAVA_INT, 0, letter.kind.ordinal());
        box.set(JAVA_INT, 4, letter.inside ? 1 : 0);
        box.set(JAVA_INT, 8, text.length);
        box.set(JAVA_LONG, 16, letter.quietNanos);
        MemorySegment.copy(MemorySegment.ofArray(text), 0, box, TEXT, text.length);
        requests.setAtIndex(JAVA_LONG, (long) which * size + to, 0);
        sending[which * size + to] = true;
        mpi.isend(box.address(), BYTES, to, 0, communicator, request(which, to));
    }

    private boolean underWay(int which, int to) {
        int slot = which * size + to;
        if (sending[slot] && mpi.test(request(which, to), flag)) {
            sending[slot] = false;
        }
        return sending[slot];
    }

    /// Whether everything sent to a rank has left.
    boolean sent(int to) {
        return !underWay(OUT, to) && !underWay(LAST, to);
    }
}
