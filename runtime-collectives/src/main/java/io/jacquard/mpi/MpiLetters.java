package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.line.Letter;
import io.jacquard.line.Letter.Kind;
import io.jacquard.line.Letters;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/// Letters over a communicator of their own.
final class MpiLetters implements Letters {
    /// Small enough for every library to send without the receiver's help, which a stopped one does not give.
    private static final int BYTES = Letter.BYTES;

    private static final int IN = 0;
    private static final int OUT = 1;
    private static final int LAST = 2;

    private final Mpi mpi;
    private final long communicator;
    private final int rank;
    private final int size;
    private final MemorySegment boxes;
    private final MemorySegment requests;
    private final MemorySegment flag = Arena.global().allocate(JAVA_INT);
    private final boolean[] sending;

    MpiLetters(Mpi mpi, long communicator, int rank, int size) {
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

    @Override
    public @Nullable Letter receive(int from) {
        if (from == rank || !mpi.test(request(IN, from), flag)) {
            return null;
        }
        Letter letter = Letter.read(box(IN, from));
        if (letter.kind() != Kind.BYE) {
            expect(from);
        }
        return letter;
    }

    /// Failures and the last word have a place of their own.
    @Override
    public boolean send(int to, Letter letter) {
        int which = letter.kind() == Kind.FAIL || letter.kind() == Kind.BYE ? LAST : OUT;
        if (to == rank || underWay(which, to)) {
            return to == rank;
        }
        MemorySegment box = box(which, to);
        letter.write(box);
        requests.setAtIndex(JAVA_LONG, (long) which * size + to, 0);
        sending[which * size + to] = true;
        mpi.isend(box.address(), BYTES, to, 0, communicator, request(which, to));
        return true;
    }

    private boolean underWay(int which, int to) {
        int slot = which * size + to;
        if (sending[slot] && mpi.test(request(which, to), flag)) {
            sending[slot] = false;
        }
        return sending[slot];
    }

    @Override
    public boolean sent(int to) {
        return !underWay(OUT, to) && !underWay(LAST, to);
    }
}
