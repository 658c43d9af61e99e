package io.jacquard.group;

import io.jacquard.group.Operation.Kind;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/// Ranks as threads of this JVM, each with a session of its own. They read each other's tensors where these lie, with
/// the kernels of their own device, so all devices must reach each other's memory: the CPU, or one GPU. A message is
/// copied by the receiver, when it joins.
///
/// A sum over n ranks is split: each rank adds up its n-th part, rank 0's first, and the others copy it. So every rank
/// does the same work, an element is always added in the same order, and is the same on all ranks.
public final class LocalGroup implements Group {
    /// Elements summed at once, 1 MiB of F32: it stays in a core's second-level cache while all ranks' are added,
    /// and a sum needs no memory that grows with its operands.
    private static final long PIECE = 1 << 18;

    private final Crew crew;
    private final Meeting meeting;
    private final int rank;
    private final FlightRecorder.Track track;
    private @Nullable Messages gathering;

    private record Messages(List<Pending> receives, List<Pending> sends) implements Pending {
        @Override
        public void join() {
            receives.forEach(Pending::join);
            sends.forEach(Pending::join);
        }
    }

    private LocalGroup(Crew crew, Meeting meeting, int rank) {
        this.crew = crew;
        this.meeting = meeting;
        this.rank = rank;
        this.track = crew.recorder(meeting.member(rank)).track(meeting.words());
    }

    /// Runs `work` once in each of `ranks` threads, this one among them, and returns when all have ended. The
    /// first failure ends the others and is thrown again; if it is that ranks wait in vain, with a [FlightReport].
    public static void run(int ranks, Consumer<Group> work) {
        run(ranks, Watch.DEFAULT, work);
    }

    /// As [#run], with another patience for ranks that do not come.
    public static void run(int ranks, Watch watch, Consumer<Group> work) {
        if (ranks < 1) {
            throw new IllegalArgumentException("group: " + ranks + " ranks; expected at least 1");
        }
        Crew crew = new Crew(ranks, watch);
        Meeting meeting = new Meeting(crew, IntStream.range(0, ranks).toArray());
        crew.start(meeting::abort);
        List<Thread> threads = new ArrayList<>();
        for (int r = 1; r < ranks; r++) {
            LocalGroup group = new LocalGroup(crew, meeting, r);
            threads.add(Thread.ofPlatform().name("rank " + r).start(() -> one(group, work)));
        }
        one(new LocalGroup(crew, meeting, 0), work);
        for (Thread t : threads) {
            joined(t);
        }
        crew.end();
    }

    private static void one(LocalGroup group, Consumer<Group> work) {
        group.crew.begins(group.rank);
        try {
            work.accept(group);
            group.crew.ends(group.rank);
        } catch (RuntimeException | Error e) {
            String why = group.crew.fails(group.rank, e);
            if (why != null) {
                group.abort(why);
            }
        }
    }

    private static void joined(Thread t) {
        boolean interrupted = false;
        while (t.isAlive()) {
            try {
                t.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return meeting.size();
    }

    @Override
    public boolean needsHost() {
        return true;
    }

    @Override
    public Group split(int color) {
        Flight flight = begin(Operation.of(Kind.SPLIT));
        flight.enter();
        Meeting.Seat seat = meeting.split(rank, color, flight);
        flight.leave();
        return new LocalGroup(crew, seat.meeting(), seat.rank());
    }

    // ---- collectives

    @Override
    public Pending allReduce(Tensor tensor) {
        Sizes.floating("allReduce", tensor);
        Tensor[][] pieces = pieces(parts(tensor));
        Flight flight = begin(Operation.of(Kind.ALL_REDUCE, tensor));
        return exchange(flight, flat(pieces), () -> {
            sum(pieces[rank], pieces);
            inOrder(() -> meeting.arrive(rank, flight));
            int i = 0;
            for (int r = 0; r < pieces.length; r++) {
                for (Tensor piece : pieces[r]) {
                    if (r != rank) {
                        copy(piece, meeting.part(r, i));
                    }
                    i++;
                }
            }
        });
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        Sizes.floating("reduceScatter", in);
        Sizes.whole("reduceScatter", in, out, size());
        Tensor[][] pieces = pieces(parts(in));
        return exchange(begin(Operation.of(Kind.REDUCE_SCATTER, in)), flat(pieces), () -> sum(pieces(out), pieces));
    }

    /// `out` = the sum of this rank's pieces over all ranks: `out` may lie in an operand.
    private void sum(Tensor[] out, Tensor[][] pieces) {
        int first = 0;
        for (int r = 0; r < rank; r++) {
            first += pieces[r].length;
        }
        for (int i = 0; i < out.length; i++) {
            try (Scope _ = Scope.openWithoutGrad("sum over ranks")) {
                Tensor sum = Tensor.empty(out[i].shape(), DType.F32);
                for (int r = 0; r < size(); r++) {
                    sum.kernels().axpby(sum, 1f, meeting.part(r, first + i), r == 0 ? 0f : 1f);
                }
                sum.kernels().cast(out[i], sum);
            }
        }
    }

    /// Views are made by the rank that owns the memory: others only read through them.
    private static Tensor[][] pieces(Tensor[] parts) {
        Tensor[][] pieces = new Tensor[parts.length][];
        for (int r = 0; r < parts.length; r++) {
            pieces[r] = pieces(parts[r]);
        }
        return pieces;
    }

    private static Tensor[] pieces(Tensor part) {
        Tensor[] pieces = new Tensor[Math.toIntExact(Math.ceilDiv(part.size(), PIECE))];
        for (int i = 0; i < pieces.length; i++) {
            long from = i * PIECE;
            pieces[i] = part.detach().slice(from, Shape.of((int) Math.min(PIECE, part.size() - from)));
        }
        return pieces;
    }

    private static Tensor[] flat(Tensor[][] pieces) {
        return Arrays.stream(pieces).flatMap(Arrays::stream).toArray(Tensor[]::new);
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        Sizes.whole("allGather", out, in, size());
        Tensor[] parts = parts(out);
        return exchange(begin(Operation.of(Kind.ALL_GATHER, in)), new Tensor[] {in}, () -> {
            for (int r = 0; r < parts.length; r++) {
                copy(parts[r], meeting.part(r, 0));
            }
        });
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        Sizes.rank("broadcast", root, size());
        return exchange(
                begin(Operation.of(Kind.BROADCAST, tensor, root)),
                new Tensor[] {tensor},
                () -> copy(tensor, meeting.part(root, 0)));
    }

    @Override
    public Pending allToAll(Tensor out, Tensor in) {
        Sizes.exchange(out, in, size());
        Tensor[] to = parts(out);
        return exchange(begin(Operation.of(Kind.ALL_TO_ALL, in)), parts(in), () -> {
            for (int r = 0; r < to.length; r++) {
                copy(to[r], meeting.part(r, rank));
            }
        });
    }

    @Override
    public void barrier() {
        exchange(begin(Operation.of(Kind.BARRIER)), new Tensor[0], () -> {});
    }

    /// The threads meet to see each other's tensors while they launch, the devices before and after they read them:
    /// at a replay, only the devices do.
    private Pending exchange(Flight flight, Tensor[] mine, Runnable launches) {
        meeting.meet(rank, flight, mine);
        inOrder(() -> {
            flight.enter();
            meeting.arrive(rank, flight);
        });
        reading(launches);
        inOrder(() -> {
            meeting.depart(rank, flight);
            flight.leave();
        });
        meeting.leave(rank, flight);
        flight.returned();
        return Pending.DONE;
    }

    private Flight begin(Operation operation) {
        if (gathering != null && operation.kind().isCollective()) {
            throw new IllegalStateException("group: grouped() takes sends and receives only");
        }
        return track.begin(operation);
    }

    /// If a launch fails, this rank reads no more, and nobody need wait for that.
    private void reading(Runnable launches) {
        try {
            launches.run();
        } catch (RuntimeException | Error e) {
            meeting.stopReading(rank);
            throw e;
        }
    }

    private static void inOrder(Runnable work) {
        Session.current().backend().inOrder(work);
    }

    private static void copy(Tensor out, Tensor in) {
        if (out.address() != in.address()) {
            out.kernels().cast(out, in);
        }
    }

    /// As equal parts as there are ranks, of whole elements.
    private Tensor[] parts(Tensor t) {
        Tensor flat = t.detach();
        Tensor[] parts = new Tensor[size()];
        for (int r = 0; r < parts.length; r++) {
            long from = t.size() * r / parts.length;
            long to = t.size() * (r + 1) / parts.length;
            parts[r] = flat.slice(from, Shape.of(Math.toIntExact(to - from)));
        }
        return parts;
    }

    // ---- two ranks

    @Override
    public Pending send(Tensor tensor, int to) {
        Sizes.other("send", to, rank, size());
        Flight flight = begin(Operation.of(Kind.SEND, tensor, to));
        Meeting.Mail mail = meeting.post(rank, to, tensor);
        inOrder(() -> {
            flight.enter();
            meeting.ready(mail);
        });
        flight.returned();
        Pending send = pending(() -> {
            inOrder(() -> {
                meeting.waitUntilTaken(mail, flight);
                flight.leave();
            });
            meeting.waitUntilOpened(mail, flight);
        });
        if (gathering != null) {
            gathering.sends.add(send);
        }
        return send;
    }

    @Override
    public Pending receive(Tensor out, int from) {
        Sizes.other("receive", from, rank, size());
        Flight flight = begin(Operation.of(Kind.RECEIVE, out, from));
        Meeting.Mail mail = meeting.expect(from, rank);
        Pending receive = pending(() -> take(out, mail, from, flight));
        if (gathering != null) {
            gathering.receives.add(receive);
        }
        return receive;
    }

    @Override
    public Pending grouped(Runnable calls) {
        if (gathering != null) {
            throw new IllegalStateException("group: grouped() inside grouped()");
        }
        Messages all = new Messages(new ArrayList<>(), new ArrayList<>());
        gathering = all;
        try {
            calls.run();
        } finally {
            gathering = null;
        }
        return all;
    }

    /// `rest` at the first join.
    private static Pending pending(Runnable rest) {
        boolean[] joined = {false};
        return () -> {
            if (!joined[0]) {
                joined[0] = true;
                rest.run();
            }
        };
    }

    private void take(Tensor out, Meeting.Mail mail, int from, Flight flight) {
        Tensor sent = meeting.waitForTensor(mail, flight);
        if (out.size() != sent.size() || out.dtype() != sent.dtype()) {
            String why = "group: rank " + from + " sent " + sent + ", rank " + rank + " receives " + out;
            abort(why);
            throw new IllegalStateException(why);
        }
        inOrder(() -> {
            flight.enter();
            meeting.waitUntilReady(mail, flight);
        });
        reading(() -> copy(out, sent));
        inOrder(() -> {
            meeting.taken(mail);
            flight.leave();
        });
        meeting.opened(mail);
        flight.returned();
    }

    @Override
    public void abort(String why) {
        meeting.abort(why);
    }

    /// Nothing is held: the memory is the ranks' own.
    @Override
    public void close() {}
}
