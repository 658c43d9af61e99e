package io.jacquard.line;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.jacquard.group.Watch;
import io.jacquard.line.Activity.Source;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// A rank's line through a [Hub].
public final class HubLine implements Line, AutoCloseable {
    /// How long a rank waits for the others to come to life.
    public static final Duration START = Duration.ofMinutes(2);

    private final Hub hub;
    private final String name;
    private final Members members;
    private final int rank;
    private final Activity activity;
    private final @Nullable Mailbox mailbox;
    private final @Nullable Watchdog watchdog;
    private final @Nullable LastWords lastWords;
    private long meetings;

    private HubLine(HubLine whole, String name, Members members, int rank) {
        this.hub = whole.hub;
        this.name = name;
        this.members = members;
        this.rank = rank;
        this.activity = whole.activity;
        this.mailbox = null;
        this.watchdog = null;
        this.lastWords = null;
    }

    private HubLine(Hub hub, int rank, int size, Watch watch, Peers peers) {
        this.hub = hub;
        this.name = "all";
        this.members = Members.everybody(size);
        this.rank = rank;
        this.activity = new Activity(rank, size, watch);
        this.mailbox = new Mailbox(hub, rank, size);
        this.watchdog = new Watchdog(mailbox, peers, activity, size, watch, this::end);
        this.lastWords = new LastWords(activity, watchdog, size, watch);
        activity.eachRound(this::look);
    }

    /// The line of one rank to all `size`, each of which opens its own; waits until all have come.
    ///
    /// @param watch how long ranks wait for each other
    /// @param start how long this one waits for the others to come to life
    /// @throws IllegalStateException if they do not come within `start`
    public static HubLine open(Hub hub, int rank, int size, Watch watch, Duration start) {
        long deadline = System.nanoTime() + start.toNanos();
        byte[] processes = hub.gather("start", rank, size, Peers.mine(), () -> {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("line: the ranks did not find each other within " + start.toSeconds()
                        + " s: " + hub.absent("start"));
            }
        });
        HubLine line = new HubLine(hub, rank, size, watch, new Peers(rank, MemorySegment.ofArray(processes)));
        line.start();
        return line;
    }

    private void start() {
        if (mailbox != null && watchdog != null && lastWords != null) {
            mailbox.start();
            watchdog.start();
            lastWords.arm();
        }
    }

    private void look() {
        String problem = hub.problem();
        if (problem != null) {
            activity.fail(problem, Source.FOUND);
        }
    }

    /// The rank's thread has not come back from where it was when the ranks failed.
    private void end() {
        if (lastWords != null) {
            lastWords.late();
        }
        Runtime.getRuntime().halt(1);
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public Members members() {
        return members;
    }

    @Override
    public void gather(MemorySegment mine, MemorySegment all) {
        String meeting = name + "." + ++meetings;
        byte[] bytes = mine.toArray(JAVA_BYTE);
        try {
            byte[] brought = hub.gather(meeting, rank, members.size(), bytes, activity::check);
            MemorySegment.copy(MemorySegment.ofArray(brought), 0, all, 0, brought.length);
        } catch (IllegalStateException e) {
            activity.fail(String.valueOf(e.getMessage()), Source.FOUND);
            throw e;
        }
        activity.moved();
    }

    @Override
    public Line part(int[] places) {
        String part = name + "." + ++meetings + "-" + places[0];
        return new HubLine(this, part, members.at(places), Arrays.binarySearch(places, rank));
    }

    @Override
    public Activity activity() {
        return activity;
    }

    /// The work of this rank, which is a process of its own, has thrown: tells people, if it is for this rank to do
    /// so, and returns when the process may be ended.
    public void end(Throwable thrown) {
        if (lastWords != null) {
            lastWords.of(thrown);
        }
    }

    /// Of the whole line: all ranks close it together, unless they have failed; then each by itself, as soon as the
    /// others have been told. The line of a part holds nothing.
    @Override
    public void close() {
        if (watchdog == null || mailbox == null || lastWords == null) {
            return;
        }
        if (activity.hasFailed()) {
            lastWords.part();
            watchdog.leave();
        } else {
            watchdog.stop();
        }
        lastWords.disarm();
        mailbox.close();
    }

    /// The letters for a rank, fetched by a thread of their own, since the hub makes whoever asks wait.
    private static final class Mailbox implements Letters {
        private final Hub hub;
        private final int rank;
        private final List<Queue<Letter>> from;
        private final Thread thread;
        private volatile boolean closed;

        Mailbox(Hub hub, int rank, int size) {
            this.hub = hub;
            this.rank = rank;
            this.from = Stream.<Queue<Letter>>generate(ConcurrentLinkedQueue::new)
                    .limit(size)
                    .toList();
            this.thread =
                    Thread.ofPlatform().daemon().name("letters of rank " + rank).unstarted(this::fetch);
        }

        void start() {
            thread.start();
        }

        private void fetch() {
            try {
                while (!closed) {
                    for (Hub.Parcel p : hub.collect(rank)) {
                        from.get(p.from()).add(Letter.read(MemorySegment.ofArray(p.letter())));
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // the line is closed
            }
        }

        @Override
        public @Nullable Letter receive(int of) {
            return from.get(of).poll();
        }

        @Override
        public boolean send(int to, Letter letter) {
            if (to != rank) {
                byte[] bytes = new byte[Letter.BYTES];
                letter.write(MemorySegment.ofArray(bytes));
                hub.post(rank, to, bytes);
            }
            return true;
        }

        @Override
        public boolean sent(int to) {
            return to == rank || hub.isCollected(to);
        }

        void close() {
            closed = true;
            thread.interrupt();
        }
    }
}
