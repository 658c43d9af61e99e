package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.group.Flight;
import io.jacquard.group.FlightReport;
import io.jacquard.group.Group;
import io.jacquard.group.Operation;
import io.jacquard.group.Operation.Kind;
import io.jacquard.group.Pending;
import io.jacquard.group.Sizes;
import io.jacquard.group.Watch;
import io.jacquard.launch.Launch;
import io.jacquard.line.Activity.Source;
import io.jacquard.line.Line;
import io.jacquard.line.RollCall;
import io.jacquard.mpi.Wire.Transfer;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Ranks as processes, on one machine or many, that MPI connects.
///
/// **Sums** are not MPI's own, whose order depends on library, size and network: each rank receives the operands of
/// its part, adds them up with the kernels of its device, rank 0's first, and sends the result round. That is as many
/// bytes as the best all-reduce has, half of them for BF16, and the bits are those of
/// [io.jacquard.group.LocalGroup] with as many ranks: on every rank, every run, every library.
///
/// **Device**: any. CPU memory is sent from where it lies; that of another device is staged through the host, which
/// graphs of that device cannot record. **Thread**: that of the rank.
///
/// **Failures.** Every collective begins with the ranks naming it to each other, so that different ones end in an error
/// on all ranks. A process that does not answer, or ranks that wait for each other, are found after a timeout by a
/// thread that each process has, and reported once ([Watch], [FlightReport]). Since MPI cannot go on without a rank,
/// [#run] ends all processes after any failure.
public final class MpiGroup implements Group {
    /// Bytes that all ranks together bring to a sum that is not worth dividing.
    private static final long SMALL = 256 << 10;

    /// Elements summed at once: their sum stays in a core's second-level cache while all ranks' are added.
    private static final int PIECE = 1 << 18;

    private static final int COLLECTIVE = 0;

    private final World world;
    private final MpiLine line;
    private final int rank;
    private final Wire wire;
    private final RollCall roll;
    private final Deque<Parcel> idle = new ArrayDeque<>();
    private boolean closed;
    private @Nullable List<Pending> gathering;

    private MpiGroup(World world, MpiLine line) {
        this.world = world;
        this.line = line;
        this.rank = line.rank();
        this.wire = line.wire;
        this.roll = new RollCall(line);
    }

    /// All processes of the launch, each of which calls this once.
    ///
    /// @throws IllegalStateException if there is no library, or it is not the launcher's
    public static MpiGroup open(Launch launch) {
        return open(launch, Watch.DEFAULT);
    }

    /// As [#open], with another patience.
    public static MpiGroup open(Launch launch, Watch watch) {
        World world = World.open(launch, System.getenv(), watch);
        return new MpiGroup(world, MpiLine.of(world));
    }

    /// Runs `work` with the group of all processes, and closes it. If `work`, or any other thread, ends in an
    /// error, that is printed and all processes end.
    public static void run(Launch launch, Watch watch, Consumer<Group> work) {
        MpiGroup group = open(launch, watch);
        Thread.UncaughtExceptionHandler before = Thread.getDefaultUncaughtExceptionHandler();
        Thread.setDefaultUncaughtExceptionHandler((_, failure) -> group.world.end(failure));
        try {
            work.accept(group);
            group.close();
        } catch (RuntimeException | Error failure) {
            group.world.end(failure);
        } finally {
            Thread.setDefaultUncaughtExceptionHandler(before);
        }
    }

    /// The library that was opened, and its version.
    public String library() {
        return world.library;
    }

    /// The line of its ranks, for an engine that moves its data in other ways.
    public Line line() {
        return line;
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return line.members().size();
    }

    @Override
    public boolean needsHost() {
        return true;
    }

    @Override
    public Group split(int color) {
        roll.baggage(4).set(JAVA_INT, 0, color);
        Flight flight = begin(Operation.of(Kind.SPLIT));
        roll.meet(flight);
        int[] alike = IntStream.range(0, size())
                .filter(r -> roll.baggage(r, 4).get(JAVA_INT, 0) == color)
                .toArray();
        MpiLine part = line.split(alike);
        roll.end(flight);
        return new MpiGroup(world, part);
    }

    // ---- how all operations run

    private Flight begin(Operation operation) {
        if (closed) {
            throw new IllegalStateException("group: closed");
        }
        if (gathering != null && operation.kind().isCollective()) {
            throw new IllegalStateException("group: grouped() takes sends and receives only");
        }
        return roll.begin(operation);
    }

    private interface Work {
        void on(Backend backend);
    }

    /// `work` on the host, in the order of the launches, when all ranks have come to the operation.
    private void together(Flight flight, Work work) {
        Backend backend = backend();
        backend.inOrder(() -> {
            roll.meet(flight);
            work.on(backend);
            roll.end(flight);
        });
        flight.returned();
    }

    /// `work` of an operation that has begun.
    private void alone(Flight flight, Work work) {
        Backend backend = backend();
        backend.inOrder(() -> {
            roll.resume(flight);
            work.on(backend);
            roll.end(flight);
        });
    }

    private static Backend backend() {
        return Session.current().backend();
    }

    // ---- collectives

    @Override
    public Pending allReduce(Tensor tensor) {
        Sizes.floating("allReduce", tensor);
        Flight flight = begin(Operation.of(Kind.ALL_REDUCE, tensor));
        if (tensor.bytes() * size() <= SMALL) {
            try (Scope _ = Scope.openWithoutGrad("sum over ranks")) {
                Tensor all = Tensor.empty(Shape.of(Math.toIntExact(tensor.size() * size())), tensor.dtype());
                gather(flight, all, tensor);
                long n = tensor.size();
                addUp(tensor, (r, at, some) -> flat(all, r * n + at, some));
            }
            return Pending.DONE;
        }
        long[] starts = starts(tensor.size());
        long mine = starts[rank + 1] - starts[rank];
        together(flight, _ -> {});
        sum(flight, tensor.detach(), starts, flat(tensor, starts[rank], mine));
        List<Transfer> parts = parts(tensor.address(), starts, tensor.dtype());
        alone(flight, backend -> wire.exchange(backend, parts, COLLECTIVE));
        return Pending.DONE;
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        Sizes.floating("reduceScatter", in);
        Sizes.whole("reduceScatter", in, out, size());
        Flight flight = begin(Operation.of(Kind.REDUCE_SCATTER, in));
        together(flight, _ -> {});
        sum(flight, in.detach(), starts(in.size()), flat(out, 0, out.size()));
        return Pending.DONE;
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        Sizes.whole("allGather", out, in, size());
        gather(begin(Operation.of(Kind.ALL_GATHER, in)), out, in);
        return Pending.DONE;
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        Sizes.rank("broadcast", root, size());
        Flight flight = begin(Operation.of(Kind.BROADCAST, tensor, root));
        long bytes = tensor.bytes();
        long address = tensor.address();
        if (bytes <= RollCall.BAGGAGE) {
            Backend backend = backend();
            backend.inOrder(() -> {
                backend.download(roll.baggage(bytes), address);
                roll.meet(flight);
                backend.upload(address, roll.baggage(root, bytes));
                roll.end(flight);
            });
            flight.returned();
            return Pending.DONE;
        }
        // root gives each rank a part, and the ranks give theirs to all: no rank sends more than the whole
        long[] starts = starts(tensor.size());
        List<Transfer> dealt = deal(tensor, root, starts);
        List<Transfer> parts = parts(address, starts, tensor.dtype()).stream()
                .filter(t -> t.out() ? t.peer() != root : rank != root)
                .toList();
        together(flight, backend -> {
            wire.exchange(backend, dealt, COLLECTIVE);
            wire.exchange(backend, parts, COLLECTIVE);
        });
        return Pending.DONE;
    }

    private List<Transfer> deal(Tensor tensor, int root, long[] starts) {
        List<Transfer> dealt = new ArrayList<>();
        for (int r = 0; r < size(); r++) {
            long at = tensor.address() + tensor.dtype().bytes(starts[r]);
            long bytes = tensor.dtype().bytes(starts[r + 1] - starts[r]);
            if (rank == root && r != root) {
                dealt.add(Transfer.to(r, at, bytes));
            } else if (r == rank && r != root) {
                dealt.add(Transfer.from(root, at, bytes));
            }
        }
        return dealt;
    }

    @Override
    public Pending allToAll(Tensor out, Tensor in) {
        Sizes.exchange(out, in, size());
        long part = in.size() / size();
        long bytes = in.dtype().bytes(part);
        long from = in.address();
        long to = out.address();
        Flight flight = begin(Operation.of(Kind.ALL_TO_ALL, in));
        copy(flat(out, rank * part, part), flat(in, rank * part, part));
        together(flight, backend -> {
            List<Transfer> transfers = new ArrayList<>();
            others((next, before) -> {
                transfers.add(Transfer.from(before, to + before * bytes, bytes));
                transfers.add(Transfer.to(next, from + next * bytes, bytes));
            });
            wire.exchange(backend, transfers, COLLECTIVE);
        });
        return Pending.DONE;
    }

    @Override
    public void barrier() {
        together(begin(Operation.of(Kind.BARRIER)), _ -> {});
    }

    /// `all` = the `mine` of all ranks, one after the other; `mine` may be this rank's part of it.
    private void gather(Flight flight, Tensor all, Tensor mine) {
        long bytes = mine.bytes();
        long from = mine.address();
        long to = all.address();
        if (bytes <= RollCall.BAGGAGE) {
            Backend backend = backend();
            backend.inOrder(() -> {
                backend.download(roll.baggage(bytes), from);
                roll.meet(flight);
                for (int r = 0; r < size(); r++) {
                    backend.upload(to + r * bytes, roll.baggage(r, bytes));
                }
                roll.end(flight);
            });
            flight.returned();
            return;
        }
        copy(flat(all, rank * mine.size(), mine.size()), flat(mine, 0, mine.size()));
        long[] starts =
                IntStream.rangeClosed(0, size()).mapToLong(r -> r * mine.size()).toArray();
        List<Transfer> parts = parts(to, starts, all.dtype());
        together(flight, backend -> wire.exchange(backend, parts, COLLECTIVE));
    }

    /// Every rank's own part to all.
    private List<Transfer> parts(long address, long[] starts, DType dtype) {
        List<Transfer> transfers = new ArrayList<>();
        long mine = address + dtype.bytes(starts[rank]);
        long bytes = dtype.bytes(starts[rank + 1] - starts[rank]);
        others((next, before) -> {
            long part = dtype.bytes(starts[before + 1] - starts[before]);
            transfers.add(Transfer.from(before, address + dtype.bytes(starts[before]), part));
            transfers.add(Transfer.to(next, mine, bytes));
        });
        return transfers;
    }

    /// `out` = the sum over ranks of part `rank` of `in`. Rank r's own part begins at element `starts[r]`.
    private void sum(Flight flight, Tensor in, long[] starts, Tensor out) {
        DType dtype = in.dtype();
        long longest = IntStream.range(0, size())
                .mapToLong(r -> starts[r + 1] - starts[r])
                .max()
                .orElse(0);
        int piece = (int) Math.min(longest, PIECE);
        try (Scope _ = Scope.openWithoutGrad("sum over ranks")) {
            Tensor received = Tensor.empty(Shape.of(size(), piece), dtype);
            for (long at = 0; at < longest; at += piece) {
                long mine = Math.clamp(starts[rank + 1] - starts[rank] - at, 0, piece);
                List<Transfer> transfers = trade(in, starts, at, piece, received);
                alone(flight, backend -> wire.exchange(backend, transfers, COLLECTIVE));
                long ours = starts[rank] + at;
                addUp(
                        flat(out, at, mine),
                        (r, from, some) -> r == rank
                                ? flat(in, ours + from, some)
                                : flat(received, (long) r * piece + from, some));
            }
        }
    }

    /// To each rank a piece of its part, from each a piece of ours.
    private List<Transfer> trade(Tensor in, long[] starts, long at, int piece, Tensor received) {
        DType dtype = in.dtype();
        long base = in.address();
        long into = received.address();
        long ours = dtype.bytes(Math.clamp(starts[rank + 1] - starts[rank] - at, 0, piece));
        List<Transfer> transfers = new ArrayList<>();
        others((next, before) -> {
            transfers.add(Transfer.from(before, into + dtype.bytes((long) before * piece), ours));
            long theirs = dtype.bytes(Math.clamp(starts[next + 1] - starts[next] - at, 0, piece));
            transfers.add(Transfer.to(next, base + dtype.bytes(starts[next] + at), theirs));
        });
        return transfers;
    }

    private interface Operands {
        Tensor of(int rank, long from, long size);
    }

    /// `out` = the sum of the ranks' operands, of which it may be one.
    private void addUp(Tensor out, Operands operands) {
        long n = out.size();
        for (long at = 0; at < n; at += PIECE) {
            long some = Math.min(PIECE, n - at);
            try (Scope _ = Scope.openWithoutGrad("sum")) {
                Tensor sum = Tensor.empty(Shape.of(Math.toIntExact(some)), DType.F32);
                for (int r = 0; r < size(); r++) {
                    sum.kernels().axpby(sum, 1f, operands.of(r, at, some), r == 0 ? 0f : 1f);
                }
                sum.kernels().cast(flat(out, at, some), sum);
            }
        }
    }

    private static Tensor flat(Tensor t, long from, long size) {
        return t.detach().slice(from, Shape.of(Math.toIntExact(size)));
    }

    private static void copy(Tensor out, Tensor in) {
        if (out.address() != in.address()) {
            out.kernels().cast(out, in);
        }
    }

    /// Where each rank's part of `n` elements begins, and the end.
    private long[] starts(long n) {
        return IntStream.rangeClosed(0, size()).mapToLong(r -> n * r / size()).toArray();
    }

    private interface Pair {
        void of(int next, int before);
    }

    /// Each other rank once as receiver and once as sender, so that not all send to the same one first.
    private void others(Pair pair) {
        for (int k = 1; k < size(); k++) {
            pair.of((rank + k) % size(), (rank - k + size()) % size());
        }
    }

    // ---- two ranks

    @Override
    public Pending send(Tensor tensor, int to) {
        Sizes.other("send", to, rank, size());
        return message(begin(Operation.of(Kind.SEND, tensor, to)), tensor, to, true);
    }

    @Override
    public Pending receive(Tensor out, int from) {
        Sizes.other("receive", from, rank, size());
        return message(begin(Operation.of(Kind.RECEIVE, out, from)), out, from, false);
    }

    private Pending message(Flight flight, Tensor tensor, int peer, boolean out) {
        Parcel parcel = idle.isEmpty() ? new Parcel(wire) : idle.remove();
        Transfer content = new Transfer(peer, tensor.address(), tensor.bytes(), out);
        Backend backend = backend();
        backend.inOrder(() -> {
            flight.enter();
            roll.resume(flight);
            parcel.start(backend, tensor, content);
            roll.end(flight);
        });
        flight.returned();
        boolean[] joined = {false};
        Pending rest = () -> {
            if (!joined[0]) {
                joined[0] = true;
                finish(flight, parcel, tensor, content);
            }
        };
        if (gathering != null) {
            gathering.add(rest);
        }
        return rest;
    }

    private void finish(Flight flight, Parcel parcel, Tensor tensor, Transfer content) {
        boolean[] done = {false};
        alone(flight, backend -> {
            if (!parcel.finish(backend, tensor, content)) {
                String why = "group: rank " + content.peer() + " sent " + parcel.words() + ", rank " + rank
                        + " receives " + tensor;
                abort(why);
                throw new IllegalStateException(why);
            }
            done[0] = true;
        });
        if (done[0]) { // or else it belongs to the graph that was recorded
            idle.add(parcel);
        }
    }

    @Override
    public Pending grouped(Runnable calls) {
        if (gathering != null) {
            throw new IllegalStateException("group: grouped() inside grouped()");
        }
        List<Pending> all = new ArrayList<>();
        gathering = all;
        try {
            calls.run();
        } finally {
            gathering = null;
        }
        return () -> all.forEach(Pending::join);
    }

    /// Ends all groups of the processes, not this one only. What this rank throws then is told with it.
    @Override
    public void abort(String why) {
        world.activity.fail(why, Source.OWN);
    }

    /// Of the group of all processes: all must call; MPI cannot be opened again. A group that was split off holds
    /// nothing that could be given back before.
    @Override
    public void close() {
        if (closed || !line.isWhole() || roll.hasFailed()) {
            return;
        }
        Flight flight = begin(Operation.of(Kind.CLOSE));
        roll.meet(flight);
        closed = true;
        roll.end(flight);
        world.close();
    }
}
