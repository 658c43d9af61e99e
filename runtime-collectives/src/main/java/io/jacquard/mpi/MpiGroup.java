package io.jacquard.mpi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.group.Group;
import io.jacquard.group.Pending;
import io.jacquard.group.Sizes;
import io.jacquard.launch.Launch;
import io.jacquard.line.Line;
import io.jacquard.line.RollCall;
import io.jacquard.mpi.Wire.Transfer;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Collectors;
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
/// thread that each process has, and reported once; see [#TIMEOUT]. Since MPI cannot go on without a rank,
/// [#run] ends all processes after any failure.
public final class MpiGroup implements Group {
    /// After how long without any progress a rank asks the others where they are. All have ended within twice that
    /// if one does not answer; ranks that compute, or write a checkpoint, are waited for forty times as long.
    public static final Duration TIMEOUT = Duration.ofSeconds(12);

    /// Bytes that all ranks together bring to a sum that is not worth dividing.
    private static final long SMALL = 256 << 10;

    /// Elements summed at once: their sum stays in a core's second-level cache while all ranks' are added.
    private static final int PIECE = 1 << 18;

    private static final int COLLECTIVE = 0;
    private static final int SLIP = 1;
    private static final int MESSAGE = 2;

    private final World world;
    private final MpiLine line;
    private final int rank;
    private final Wire wire;
    private final RollCall roll;
    private final Slips slips = new Slips();
    private final String among;
    private long number;
    private @Nullable String failure;
    private boolean closed;
    private @Nullable List<Message> gathering;

    private MpiGroup(World world, MpiLine line) {
        this.world = world;
        this.line = line;
        this.rank = line.rank();
        this.wire = line.wire;
        this.roll = new RollCall(line);
        this.among = line.members().among();
    }

    /// All processes of the launch, each of which calls this once.
    ///
    /// @throws IllegalStateException if there is no library, or it is not the launcher's
    public static MpiGroup open(Launch launch) {
        return open(launch, TIMEOUT);
    }

    /// As [#open], with another timeout.
    public static MpiGroup open(Launch launch, Duration timeout) {
        World world = World.open(launch, System.getenv(), timeout);
        return new MpiGroup(world, MpiLine.of(world));
    }

    /// Runs `work` with the group of all processes, and closes it. If `work`, or any other thread, ends in an
    /// error, that is printed and all processes end.
    public static void run(Launch launch, Duration timeout, Consumer<Group> work) {
        MpiGroup group = open(launch, timeout);
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
    public Group split(int color) {
        roll.baggage(4).set(JAVA_INT, 0, color);
        meet("split");
        int[] alike = IntStream.range(0, size())
                .filter(r -> roll.baggage(r, 4).get(JAVA_INT, 0) == color)
                .toArray();
        MpiLine part = line.split(alike);
        world.activity.end();
        return new MpiGroup(world, part);
    }

    // ---- how all operations run

    /// Waits for all ranks to come to `operation`, and is inside it from there on.
    private void meet(String operation) {
        check();
        if (gathering != null) {
            throw new IllegalStateException("group: grouped() takes sends and receives only");
        }
        number++;
        world.activity.begin("#" + number + " " + operation + among);
        try {
            roll.call(number, operation);
        } catch (IllegalStateException e) {
            failure = e.getMessage();
            world.activity.end();
            world.told(e, rank == 0);
            throw e;
        }
    }

    private void check() {
        if (closed || failure != null) {
            throw new IllegalStateException(closed ? "group: closed" : failure);
        }
        world.activity.check();
    }

    private interface Work {
        void on(Backend backend);
    }

    /// `work` on the host, in the order of the launches, when all ranks have come to `operation`.
    private void together(String operation, Work work) {
        Backend backend = backend();
        backend.inOrder(() -> {
            meet(operation);
            work.on(backend);
            world.activity.end();
        });
    }

    /// `work` of an operation that has begun.
    private void alone(String operation, Work work) {
        Backend backend = backend();
        backend.inOrder(() -> {
            check();
            world.activity.begin(operation + among);
            work.on(backend);
            world.activity.end();
        });
    }

    private static Backend backend() {
        return Session.current().backend();
    }

    // ---- collectives

    @Override
    public Pending allReduce(Tensor tensor) {
        Sizes.floating("allReduce", tensor);
        String operation = "all-reduce " + tensor;
        if (tensor.bytes() * size() <= SMALL) {
            try (Scope _ = Scope.openWithoutGrad("sum over ranks")) {
                Tensor all = Tensor.empty(Shape.of(Math.toIntExact(tensor.size() * size())), tensor.dtype());
                gather(operation, all, tensor);
                long n = tensor.size();
                addUp(tensor, (r, at, some) -> flat(all, r * n + at, some));
            }
            return Pending.DONE;
        }
        long[] starts = starts(tensor.size());
        long mine = starts[rank + 1] - starts[rank];
        together(operation, _ -> {});
        sum(operation, tensor.detach(), starts, flat(tensor, starts[rank], mine));
        List<Transfer> parts = parts(tensor.address(), starts, tensor.dtype());
        alone(operation, backend -> wire.exchange(backend, parts, COLLECTIVE));
        return Pending.DONE;
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        Sizes.floating("reduceScatter", in);
        Sizes.whole("reduceScatter", in, out, size());
        String operation = "reduce-scatter " + in;
        together(operation, _ -> {});
        sum(operation, in.detach(), starts(in.size()), flat(out, 0, out.size()));
        return Pending.DONE;
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        Sizes.whole("allGather", out, in, size());
        gather("all-gather " + in, out, in);
        return Pending.DONE;
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        Sizes.rank("broadcast", root, size());
        String operation = "broadcast of rank " + root + "'s " + tensor;
        long bytes = tensor.bytes();
        long address = tensor.address();
        if (bytes <= RollCall.BAGGAGE) {
            Backend backend = backend();
            backend.inOrder(() -> {
                backend.download(roll.baggage(bytes), address);
                meet(operation);
                backend.upload(address, roll.baggage(root, bytes));
                world.activity.end();
            });
            return Pending.DONE;
        }
        // root gives each rank a part, and the ranks give theirs to all: no rank sends more than the whole
        long[] starts = starts(tensor.size());
        List<Transfer> dealt = deal(tensor, root, starts);
        List<Transfer> parts = parts(address, starts, tensor.dtype()).stream()
                .filter(t -> t.out() ? t.peer() != root : rank != root)
                .toList();
        together(operation, backend -> {
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
        copy(flat(out, rank * part, part), flat(in, rank * part, part));
        together("all-to-all " + in, backend -> {
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
        together("barrier", _ -> {});
    }

    /// `all` = the `mine` of all ranks, one after the other; `mine` may be this rank's part of it.
    private void gather(String operation, Tensor all, Tensor mine) {
        long bytes = mine.bytes();
        long from = mine.address();
        long to = all.address();
        if (bytes <= RollCall.BAGGAGE) {
            Backend backend = backend();
            backend.inOrder(() -> {
                backend.download(roll.baggage(bytes), from);
                meet(operation);
                for (int r = 0; r < size(); r++) {
                    backend.upload(to + r * bytes, roll.baggage(r, bytes));
                }
                world.activity.end();
            });
            return;
        }
        copy(flat(all, rank * mine.size(), mine.size()), flat(mine, 0, mine.size()));
        long[] starts =
                IntStream.rangeClosed(0, size()).mapToLong(r -> r * mine.size()).toArray();
        List<Transfer> parts = parts(to, starts, all.dtype());
        together(operation, backend -> wire.exchange(backend, parts, COLLECTIVE));
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
    private void sum(String operation, Tensor in, long[] starts, Tensor out) {
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
                alone(operation, backend -> wire.exchange(backend, transfers, COLLECTIVE));
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

    private record Message(Tensor tensor, int peer, boolean out) {
        @Override
        public String toString() {
            return (out ? "send " : "receive ") + tensor + (out ? " to rank " : " from rank ") + peer;
        }

        Transfer transfer() {
            return new Transfer(peer, tensor.address(), tensor.bytes(), out);
        }
    }

    @Override
    public Pending send(Tensor tensor, int to) {
        Sizes.other("send", to, rank, size());
        return message(new Message(tensor, to, true));
    }

    @Override
    public Pending receive(Tensor out, int from) {
        Sizes.other("receive", from, rank, size());
        return message(new Message(out, from, false));
    }

    private Pending message(Message m) {
        if (gathering != null) {
            gathering.add(m);
        } else {
            deliver(List.of(m));
        }
        return Pending.DONE;
    }

    @Override
    public Pending grouped(Runnable calls) {
        if (gathering != null) {
            throw new IllegalStateException("group: grouped() inside grouped()");
        }
        List<Message> all = new ArrayList<>();
        gathering = all;
        try {
            calls.run();
        } finally {
            gathering = null;
        }
        deliver(all);
        return Pending.DONE;
    }

    private void deliver(List<Message> messages) {
        String operation = messages.stream().map(Message::toString).collect(Collectors.joining(", "));
        List<Transfer> transfers = messages.stream().map(Message::transfer).toList();
        alone(operation, backend -> {
            slips.reserve(messages.size());
            List<Transfer> announcements = new ArrayList<>();
            for (int i = 0; i < messages.size(); i++) {
                Message m = messages.get(i);
                slips.write(i, m.tensor);
                announcements.add(new Transfer(m.peer, slips.address(i), Slips.BYTES, m.out));
            }
            wire.post(announcements, SLIP);
            for (int i = 0; i < messages.size(); i++) {
                Message m = messages.get(i);
                if (!m.out && !slips.fits(i, m.tensor)) {
                    String why = "group: rank " + m.peer + " sent " + slips.words(i) + ", rank " + rank + " receives "
                            + m.tensor;
                    abort(why);
                    throw new IllegalStateException(why);
                }
            }
            wire.exchange(backend, transfers, MESSAGE);
        });
    }

    /// Ends all groups of the processes, not this one only.
    @Override
    public void abort(String why) {
        world.activity.fail(why, true);
    }

    /// Of the group of all processes: all must call; MPI cannot be opened again. A group that was split off holds
    /// nothing that could be given back before.
    @Override
    public void close() {
        if (closed || !line.isWhole() || failure != null || world.activity.failure() != null) {
            return;
        }
        meet("close");
        closed = true;
        world.activity.end();
        world.close();
    }
}
