package io.jacquard.group;

import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Where the threads of a [LocalGroup] meet: one monitor for all of them, since they come together for whole tensors,
/// not for words.
final class Meeting {
    /// What a rank brings: the operation in words, which must be that of the others, and tensors for them to read.
    private record Call(String operation, long number, Tensor[] parts) {}

    record Route(int from, int to) {}

    /// A tensor on its way, and where sender and receiver are with it: they meet again at every replay of a graph.
    static final class Mail {
        private final Route route;
        private @Nullable Tensor tensor;
        private boolean opened;
        private int ready;
        private int taken;

        Mail(Route route) {
            this.route = route;
        }
    }

    private static final Tensor[] NOTHING = {};
    private static final Deque<Mail> NO_MAIL = new ArrayDeque<>();

    private final long timeoutNanos;
    private final Call[] calls;
    private final int[] colors;
    private final boolean[] here;
    private final boolean[] reads;
    private final Map<Route, Deque<Mail>> sent = new HashMap<>();
    private final Map<Route, Deque<Mail>> expected = new HashMap<>();
    private final Map<Long, Map<Integer, Meeting>> splits = new HashMap<>();
    private int arrived;
    private long generation;
    private @Nullable String failure;

    Meeting(int size, Duration timeout) {
        timeoutNanos = timeout.toNanos();
        calls = new Call[size];
        colors = new int[size];
        here = new boolean[size];
        reads = new boolean[size];
        Arrays.fill(calls, new Call("nothing", 0, NOTHING));
    }

    int size() {
        return calls.length;
    }

    /// Waits until all ranks have come with the same operation; then [#part] has what they brought, until [#leave].
    synchronized void meet(int rank, String operation, Tensor... parts) {
        check();
        calls[rank] = new Call(operation, calls[rank].number + 1, parts);
        gather(rank);
    }

    /// Waits until the devices of all ranks have come to the operation. From here on this rank reads the others'
    /// tensors, until it calls this or [#depart].
    synchronized void arrive(int rank, String operation) {
        depart(rank, operation);
        startReading(rank);
    }

    /// As [#arrive], and nobody reads any more.
    synchronized void depart(int rank, String operation) {
        stopReading(rank);
        check();
        calls[rank] = new Call(operation, calls[rank].number, calls[rank].parts);
        gather(rank);
    }

    private void startReading(int rank) {
        check();
        reads[rank] = true;
    }

    /// As if [#depart] or [#taken] had been called, for a rank that fails.
    synchronized void stopReading(int rank) {
        reads[rank] = false;
        notifyAll();
    }

    /// Waits until all ranks have launched what reads the others' tensors.
    synchronized void leave(int rank) {
        check();
        gather(rank);
    }

    private void gather(int rank) {
        here[rank] = true;
        arrived++;
        if (arrived < calls.length) {
            long mine = generation;
            await(() -> generation != mine, () -> missing(calls[rank].operation));
            return;
        }
        for (Call c : calls) {
            if (!c.operation.equals(calls[rank].operation)) {
                abort("group: ranks came to different operations: " + all());
                check();
            }
        }
        arrived = 0;
        Arrays.fill(here, false);
        generation++;
        notifyAll();
    }

    /// What rank `rank` brought to the operation that is going on.
    synchronized Tensor part(int rank, int index) {
        return calls[rank].parts[index];
    }

    /// The next tensor from `from` to `to`; the n-th is for the n-th that is expected, whoever is first.
    synchronized Mail post(int from, int to, Tensor tensor) {
        Mail m = meetOn(new Route(from, to), expected, sent);
        m.tensor = tensor;
        notifyAll();
        return m;
    }

    synchronized Mail expect(int from, int to) {
        return meetOn(new Route(from, to), sent, expected);
    }

    private Mail meetOn(Route route, Map<Route, Deque<Mail>> theirs, Map<Route, Deque<Mail>> ours) {
        check();
        Deque<Mail> waiting = theirs.getOrDefault(route, NO_MAIL);
        if (!waiting.isEmpty()) {
            return waiting.remove();
        }
        Mail m = new Mail(route);
        ours.computeIfAbsent(route, _ -> new ArrayDeque<>()).add(m);
        return m;
    }

    synchronized Tensor waitForTensor(Mail m) {
        await(
                () -> m.tensor != null,
                () -> "group: rank " + m.route.from + " sent nothing to rank " + m.route.to + " within " + seconds()
                        + "; last operations: " + all());
        return Objects.requireNonNull(m.tensor);
    }

    /// The receiver has launched what reads the tensor.
    synchronized void opened(Mail m) {
        m.opened = true;
        notifyAll();
    }

    synchronized void waitUntilOpened(Mail m) {
        await(() -> m.opened, () -> notReceived(m));
    }

    /// The sender's device has made the tensor.
    synchronized void ready(Mail m) {
        m.ready++;
        notifyAll();
    }

    /// From here on the receiver reads the tensor, until [#taken].
    synchronized void waitUntilReady(Mail m) {
        await(
                () -> m.ready > 0,
                () -> "group: what rank " + m.route.from + " sends to rank " + m.route.to + ", " + m.tensor
                        + ", was not ready within " + seconds() + "; last operations: " + all());
        m.ready--;
        startReading(m.route.to);
    }

    /// The receiver's device has copied the tensor.
    synchronized void taken(Mail m) {
        m.taken++;
        stopReading(m.route.to);
    }

    synchronized void waitUntilTaken(Mail m) {
        await(() -> m.taken > 0, () -> notReceived(m));
        m.taken--;
    }

    private String notReceived(Mail m) {
        return "group: rank " + m.route.to + " did not receive what rank " + m.route.from + " sent, " + m.tensor
                + ", within " + seconds() + "; last operations: " + all();
    }

    private String seconds() {
        return timeoutNanos / 1_000_000_000 + " s";
    }

    /// A seat in a meeting.
    record Seat(Meeting meeting, int rank) {}

    /// The seat of `rank` among those who bring the same color.
    synchronized Seat split(int rank, int color) {
        colors[rank] = color;
        meet(rank, "split");
        int members = 0;
        int before = 0;
        for (int r = 0; r < colors.length; r++) {
            members += colors[r] == color ? 1 : 0;
            before += colors[r] == color && r < rank ? 1 : 0;
        }
        int seats = members;
        Meeting part = splits.computeIfAbsent(calls[rank].number, _ -> new HashMap<>())
                .computeIfAbsent(color, _ -> new Meeting(seats, Duration.ofNanos(timeoutNanos)));
        leave(rank);
        return new Seat(part, before);
    }

    /// The first reason stays. When this returns, nobody reads the tensors of a rank whose memory ends.
    synchronized void abort(String why) {
        failure = failure == null ? why : failure;
        notifyAll();
        waitForReaders();
        splits().forEach(m -> m.abort(why));
    }

    /// Whether this meeting, or one that was split off, ended with these words.
    synchronized boolean endedWith(@Nullable String why) {
        return failure != null && failure.equals(why) || splits().anyMatch(m -> m.endedWith(why));
    }

    private Stream<Meeting> splits() {
        return splits.values().stream().flatMap(parts -> parts.values().stream());
    }

    private interface Condition {
        boolean holds();
    }

    private interface Text {
        String get();
    }

    private void await(Condition condition, Text late) {
        boolean interrupted = sleep(() -> condition.holds() || failure != null, System.nanoTime() + timeoutNanos);
        if (!condition.holds() && failure == null) {
            abort(
                    interrupted
                            ? "group: a rank was interrupted while it waited for others; last operations: " + all()
                            : late.get());
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (!condition.holds()) {
            check();
        }
    }

    /// Until the condition holds, or the time is over, or the thread was interrupted: then it is true.
    private boolean sleep(Condition condition, long deadline) {
        for (long left = 1; left > 0 && !condition.holds(); ) {
            left = (deadline - System.nanoTime() + 999_999) / 1_000_000;
            try {
                wait(Math.max(1, left));
            } catch (InterruptedException e) {
                return true;
            }
        }
        return false;
    }

    /// A rank that fails frees its memory, which another may be reading just now.
    private void waitForReaders() {
        boolean interrupted = false;
        long deadline = System.nanoTime() + timeoutNanos;
        while (sleep(() -> !anyReads(), deadline)) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean anyReads() {
        for (boolean r : reads) {
            if (r) {
                return true;
            }
        }
        return false;
    }

    private void check() {
        if (failure != null) {
            waitForReaders();
            throw new IllegalStateException(failure);
        }
    }

    private String missing(String operation) {
        StringBuilder absent = new StringBuilder();
        for (int r = 0; r < here.length; r++) {
            if (!here[r]) {
                absent.append(absent.isEmpty() ? "rank " : ", rank ").append(r);
            }
        }
        return "group: " + absent + " did not come to " + operation + " within " + seconds() + "; last operations: "
                + all();
    }

    private String all() {
        StringBuilder text = new StringBuilder();
        for (int r = 0; r < calls.length; r++) {
            text.append(r == 0 ? "" : "; ")
                    .append("rank ")
                    .append(r)
                    .append(" #")
                    .append(calls[r].number)
                    .append(' ')
                    .append(calls[r].operation);
        }
        return text.toString();
    }
}
