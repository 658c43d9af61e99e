package io.jacquard.group;

import io.jacquard.tensor.Tensor;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/// Where the threads of a [LocalGroup] meet: one monitor for all of them, since they come together for whole tensors,
/// not for words.
final class Meeting {
    /// What a rank brings: the operation in words, which must be that of the others, and tensors for them to read.
    private record Call(String operation, long number, Tensor[] parts) {}

    record Route(int from, int to) {}

    /// A tensor on its way, and where sender and receiver are with it: they meet again at every replay of a graph.
    static final class Mail {
        final Tensor tensor;
        private final Route route;
        private boolean opened;
        private int ready;
        private int taken;

        Mail(Tensor tensor, Route route) {
            this.tensor = tensor;
            this.route = route;
        }
    }

    private static final Tensor[] NOTHING = {};

    private final long timeoutNanos;
    private final Call[] calls;
    private final int[] colors;
    private final boolean[] here;
    private final Map<Route, Deque<Mail>> mail = new HashMap<>();
    private final Map<Long, Map<Integer, Meeting>> splits = new HashMap<>();
    private int arrived;
    private long generation;
    private @Nullable String failure;

    Meeting(int size, Duration timeout) {
        timeoutNanos = timeout.toNanos();
        calls = new Call[size];
        colors = new int[size];
        here = new boolean[size];
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

    /// Waits until the devices of all ranks have come to the operation.
    synchronized void arrive(int rank, String operation) {
        check();
        calls[rank] = new Call(operation, calls[rank].number, calls[rank].parts);
        gather(rank);
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
                fail("group: ranks came to different operations: " + all());
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

    synchronized Mail post(int from, int to, Tensor tensor) {
        check();
        Route route = new Route(from, to);
        Mail m = new Mail(tensor, route);
        mail.computeIfAbsent(route, _ -> new ArrayDeque<>()).add(m);
        notifyAll();
        return m;
    }

    synchronized Mail waitForMail(int from, int to) {
        check();
        Deque<Mail> route = mail.computeIfAbsent(new Route(from, to), _ -> new ArrayDeque<>());
        await(
                () -> !route.isEmpty(),
                () -> "group: rank " + from + " sent nothing to rank " + to + " within " + seconds()
                        + "; last operations: " + all());
        return route.remove();
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

    synchronized void waitUntilReady(Mail m) {
        await(
                () -> m.ready > 0,
                () -> "group: what rank " + m.route.from + " sends to rank " + m.route.to + ", " + m.tensor
                        + ", was not ready within " + seconds() + "; last operations: " + all());
        m.ready--;
    }

    /// The receiver's device has copied the tensor.
    synchronized void taken(Mail m) {
        m.taken++;
        notifyAll();
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

    /// The first reason stays.
    synchronized void abort(String why) {
        failure = failure == null ? why : failure;
        notifyAll();
        splits.values().forEach(parts -> parts.values().forEach(m -> m.abort(why)));
    }

    private interface Condition {
        boolean holds();
    }

    private interface Text {
        String get();
    }

    private void await(Condition condition, Text late) {
        long deadline = System.nanoTime() + timeoutNanos;
        boolean interrupted = false;
        while (!condition.holds() && failure == null) {
            long left = (deadline - System.nanoTime() + 999_999) / 1_000_000;
            if (left <= 0) {
                fail(late.get());
            }
            try {
                wait(left);
            } catch (InterruptedException e) {
                interrupted = true;
                abort("group: a rank was interrupted while it waited for others; last operations: " + all());
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (!condition.holds()) {
            check();
        }
    }

    private void check() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
    }

    private void fail(String why) {
        abort(why);
        throw new IllegalStateException(Objects.requireNonNull(failure));
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
