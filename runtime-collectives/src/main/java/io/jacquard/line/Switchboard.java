package io.jacquard.line;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/// The hub itself, for ranks that are threads of its JVM; [HubServer] gives the others access.
public final class Switchboard implements Hub {
    private static final long MOMENT_NANOS = 2_000_000_000;
    private static final long LOOK_MILLIS = 50;

    private static final class Meeting {
        final boolean[] here;
        final byte[] brought;
        int came;
        int left;

        Meeting(int places, int bytes) {
            here = new boolean[places];
            brought = new byte[places * bytes];
        }
    }

    private final Map<String, Meeting> meetings = new HashMap<>();
    private final Map<Integer, Deque<Parcel>> letters = new HashMap<>();

    @Override
    public synchronized byte[] gather(String meeting, int place, int places, byte[] mine, Patience patience) {
        Meeting m = meetings.computeIfAbsent(meeting, _ -> new Meeting(places, mine.length));
        if (m.here.length != places || m.here[place] || m.brought.length != places * mine.length) {
            throw new IllegalStateException("line: place " + place + " of " + places + " of meeting " + meeting
                    + " is taken, or the others bring another size than " + mine.length);
        }
        m.here[place] = true;
        System.arraycopy(mine, 0, m.brought, place * mine.length, mine.length);
        m.came++;
        notifyAll();
        try {
            while (m.came < places) {
                wait(LOOK_MILLIS);
                patience.check();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("group: a rank was interrupted while it waited for others", e);
        }
        if (++m.left == places) {
            meetings.remove(meeting);
        }
        return m.brought;
    }

    @Override
    public synchronized String absent(String meeting) {
        StringJoiner absent = new StringJoiner(", ");
        Meeting m = meetings.get(meeting);
        for (int r = 0; m != null && r < m.here.length; r++) {
            if (!m.here[r]) {
                absent.add("rank " + r);
            }
        }
        return absent + " did not come";
    }

    private Deque<Parcel> letters(int to) {
        return letters.computeIfAbsent(to, _ -> new ArrayDeque<>());
    }

    @Override
    public synchronized void post(int from, int to, byte[] letter) {
        letters(to).add(new Parcel(from, letter));
        notifyAll();
    }

    @Override
    public synchronized List<Parcel> collect(int rank) throws InterruptedException {
        long deadline = System.nanoTime() + MOMENT_NANOS;
        for (long left = MOMENT_NANOS; letters(rank).isEmpty() && left > 0; left = deadline - System.nanoTime()) {
            wait(left / 1_000_000 + 1);
        }
        List<Parcel> all = new ArrayList<>(letters(rank));
        letters(rank).clear();
        return all;
    }

    @Override
    public synchronized boolean isCollected(int rank) {
        return letters(rank).isEmpty();
    }

    @Override
    public @Nullable String problem() {
        return null;
    }

    /// Nothing is held.
    @Override
    public void close() {}
}
