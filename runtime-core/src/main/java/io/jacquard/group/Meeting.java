package io.jacquard.group;

import io.jacquard.tensor.Tensor;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// Where the threads of a [LocalGroup] meet: one monitor for all of them, since they come together for whole tensors,
/// not for words.
final class Meeting {
    /// What a rank brings: the operation, which must be that of the others, and tensors for them to read.
    private record Call(@Nullable Operation operation, long number, Tensor[] parts) {}

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

    /// Longer than most ranks are apart.
    private static final long SHORT_NANOS = 20_000_000;

    private static final long LONG_NANOS = 10_000_000_000L;

    private final Crew crew;
    private final int[] members;
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

    /// @param members the ranks that meet, by their numbers in the crew
    Meeting(Crew crew, int[] members) {
        this.crew = crew;
        this.members = members;
        int size = members.length;
        calls = new Call[size];
        colors = new int[size];
        here = new boolean[size];
        reads = new boolean[size];
        Arrays.fill(calls, new Call(null, 0, NOTHING));
    }

    int size() {
        return calls.length;
    }

    /// Waits until all ranks have come with the same operation; then [#part] has what they brought, until [#leave].
    synchronized void meet(int rank, Flight flight, Tensor... parts) {
        check();
        calls[rank] = new Call(flight.operation(), calls[rank].number + 1, parts);
        gather(rank, flight);
    }

    /// Waits until the devices of all ranks have come to the operation. From here on this rank reads the others'
    /// tensors, until it calls this or [#depart].
    synchronized void arrive(int rank, Flight flight) {
        depart(rank, flight);
        startReading(rank);
    }

    /// As [#arrive], and nobody reads any more.
    synchronized void depart(int rank, Flight flight) {
        stopReading(rank);
        check();
        calls[rank] = new Call(flight.operation(), calls[rank].number, calls[rank].parts);
        gather(rank, flight);
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
    synchronized void leave(int rank, Flight flight) {
        check();
        gather(rank, flight);
    }

    private void gather(int rank, Flight flight) {
        here[rank] = true;
        arrived++;
        if (arrived < calls.length) {
            long mine = generation;
            await(rank, flight, () -> generation != mine, this::missing);
            return;
        }
        for (Call c : calls) {
            if (!flight.operation().equals(c.operation)) {
                flight.waits(true);
                abort(FlightReport.different(
                        Arrays.stream(members).mapToObj(crew::state).toList()));
                flight.waits(false);
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

    synchronized Tensor waitForTensor(Mail m, Flight flight) {
        await(m.route.to, flight, () -> m.tensor != null, () -> world(m.route.from));
        return Objects.requireNonNull(m.tensor);
    }

    /// The receiver has launched what reads the tensor.
    synchronized void opened(Mail m) {
        m.opened = true;
        notifyAll();
    }

    synchronized void waitUntilOpened(Mail m, Flight flight) {
        await(m.route.from, flight, () -> m.opened, () -> world(m.route.to));
    }

    /// The sender's device has made the tensor.
    synchronized void ready(Mail m) {
        m.ready++;
        notifyAll();
    }

    /// From here on the receiver reads the tensor, until [#taken].
    synchronized void waitUntilReady(Mail m, Flight flight) {
        await(m.route.to, flight, () -> m.ready > 0, () -> world(m.route.from));
        m.ready--;
        startReading(m.route.to);
    }

    /// The receiver's device has copied the tensor.
    synchronized void taken(Mail m) {
        m.taken++;
        stopReading(m.route.to);
    }

    synchronized void waitUntilTaken(Mail m, Flight flight) {
        await(m.route.from, flight, () -> m.taken > 0, () -> world(m.route.to));
        m.taken--;
    }

    private List<Integer> world(int rank) {
        return List.of(members[rank]);
    }

    /// A seat in a meeting.
    record Seat(Meeting meeting, int rank) {}

    /// The seat of `rank` among those who bring the same color.
    synchronized Seat split(int rank, int color, Flight flight) {
        colors[rank] = color;
        meet(rank, flight);
        int[] alike = IntStream.range(0, colors.length)
                .filter(r -> colors[r] == color)
                .toArray();
        Meeting part = splits.computeIfAbsent(calls[rank].number, _ -> new HashMap<>())
                .computeIfAbsent(
                        color,
                        _ -> new Meeting(
                                crew, Arrays.stream(alike).map(r -> members[r]).toArray()));
        leave(rank, flight);
        return new Seat(part, Arrays.binarySearch(alike, rank));
    }

    /// The members in words; empty if they are all.
    String words() {
        return members.length == crew.size()
                ? ""
                : Ranks.words(Arrays.stream(members).boxed().toList());
    }

    /// The number in the crew of a member.
    int member(int rank) {
        return members[rank];
    }

    /// The first reason stays. When this returns, nobody reads the tensors of a rank whose memory ends.
    synchronized void abort(String why) {
        crew.failed(why);
        failure = failure == null ? why : failure;
        notifyAll();
        waitForReaders();
        splits().forEach(m -> m.abort(why));
    }

    private Stream<Meeting> splits() {
        return splits.values().stream().flatMap(parts -> parts.values().stream());
    }

    private interface Condition {
        boolean holds();
    }

    /// If it takes long, the crew looks after it, and ends it if there is no hope.
    private void await(int rank, Flight flight, Condition condition, Supplier<List<Integer>> others) {
        boolean interrupted = false;
        if (!condition.holds() && failure == null) {
            flight.waits(true);
            interrupted = sleep(() -> condition.holds() || failure != null, SHORT_NANOS);
            if (!condition.holds() && failure == null && !interrupted) {
                flight.locate();
                crew.waits(members[rank], () -> missing(condition, others));
                while (!condition.holds() && failure == null && !interrupted) {
                    interrupted = sleep(() -> condition.holds() || failure != null, LONG_NANOS);
                }
                crew.waitsNoMore(members[rank]);
            }
            if (interrupted) {
                abort("group: rank " + members[rank] + " was interrupted in " + flight);
                Thread.currentThread().interrupt();
            }
            flight.waits(false);
        }
        if (!condition.holds()) {
            check();
        }
    }

    private synchronized List<Integer> missing(Condition condition, Supplier<List<Integer>> others) {
        return condition.holds() || failure != null ? List.of() : others.get();
    }

    /// Until the condition holds, or the time is over, or the thread was interrupted: then it is true.
    private boolean sleep(Condition condition, long nanos) {
        long deadline = System.nanoTime() + nanos;
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
        while (sleep(() -> !anyReads(), crew.watch().timeout().toNanos())) {
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

    /// Who has not come, by their numbers in the crew.
    private List<Integer> missing() {
        return IntStream.range(0, here.length)
                .filter(r -> !here[r])
                .map(r -> members[r])
                .boxed()
                .toList();
    }
}
