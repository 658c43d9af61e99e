package io.jacquard.nccl;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.group.Flight;
import io.jacquard.group.Group;
import io.jacquard.group.Operation;
import io.jacquard.group.Operation.Kind;
import io.jacquard.group.Pending;
import io.jacquard.group.Sizes;
import io.jacquard.line.Activity.Source;
import io.jacquard.line.Line;
import io.jacquard.line.RollCall;
import io.jacquard.nccl.Messages.Message;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

/// Ranks with a GPU each, threads or processes, on one machine or many, that NCCL connects.
///
/// **Sums** are NCCL's: F32 is added in F32, in an order that follows NCCL's rings and trees; 16-bit sums are rounded
/// along the way, after each rank or, where the switch of the GPUs adds up, once. All ranks receive the same bits, and
/// so does each run with the same ranks, places, NCCL and settings.
///
/// **Order.** A collective runs on a stream of its own, beside kernels: behind what the rank launched before, and
/// before what it launches after [Pending#join]. The host waits for neither. All groups of a rank share that stream. In
/// a capture it becomes a branch of the graph; what is not joined there is joined at its end.
///
/// **Failures.** When an operation is new to a group, the ranks name it to each other first. After that different ones
/// are not noticed until they wait for each other: then the watchdog says where each rank is, as for the other engines,
/// also when a rank is gone or NCCL reports an error, and ends what runs on the devices. A rank that waited for its
/// device then throws what failed, rather than read what is worth nothing.
public final class NcclGroup implements Group {
    private final Communicators all;
    private final Nccl nccl;
    private final Line line;
    private final int rank;
    private final int size;
    private final Communicator communicator;
    private final boolean whole;
    private final RollCall roll;
    private final Fingerprints known = new Fingerprints();
    private final Messages messages = new Messages();
    private boolean closed;

    private NcclGroup(Communicators all, Line line, Communicator communicator, boolean whole) {
        this.all = all;
        this.nccl = all.nccl;
        this.line = line;
        this.rank = line.rank();
        this.size = line.members().size();
        this.communicator = communicator;
        this.whole = whole;
        this.roll = new RollCall(line);
    }

    /// Opens a communicator of all ranks of a line; all call.
    static NcclGroup open(Nccl nccl, Gpu gpu, Line line) {
        Communicators all = new Communicators(nccl, gpu, line.activity(), line.rank());
        RollCall roll = new RollCall(line); // its operations do not count as the group's
        try {
            roll.baggage(4 + Nccl.ID_BYTES).set(JAVA_INT, 0, nccl.version());
            if (line.rank() == 0) {
                nccl.uniqueId(roll.baggage(4 + Nccl.ID_BYTES).asSlice(4));
            }
            Flight flight = roll.begin(Operation.of(Kind.SPLIT)); // of nothing yet into all ranks
            roll.meet(flight);
            int[] versions = IntStream.range(0, line.members().size())
                    .map(r -> roll.baggage(r, 4).get(JAVA_INT, 0))
                    .toArray();
            sameVersion(versions, nccl.path());
            Communicator communicator =
                    all.opened(roll.baggage(0, 4 + Nccl.ID_BYTES).asSlice(4), line);
            roll.end(flight);
            return new NcclGroup(all, line, communicator, true);
        } catch (RuntimeException e) {
            line.activity().fail(String.valueOf(e.getMessage()), Source.FOUND);
            line.activity().end();
            all.close(true);
            throw e;
        }
    }

    static void sameVersion(int[] versions, String path) {
        for (int r = 1; r < versions.length; r++) {
            if (versions[r] != versions[0]) {
                throw new IllegalStateException("nccl: rank 0 has version " + Nccl.words(versions[0]) + ", rank " + r
                        + " has " + Nccl.words(versions[r]) + "; all must have the same (here it is " + path + ")");
            }
        }
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public int size() {
        return size;
    }

    /// The library that was opened, and its version.
    public String library() {
        return nccl.path() + " (NCCL " + Nccl.words(nccl.version()) + ")";
    }

    /// Waits for this rank's device.
    @Override
    public boolean needsHost() {
        return false;
    }

    @Override
    public Group split(int color) {
        Session.current().synchronize();
        roll.baggage(4).set(JAVA_INT, 0, color);
        Flight flight = begin(Operation.of(Kind.SPLIT));
        roll.meet(flight);
        int[] alike = IntStream.range(0, size)
                .filter(r -> roll.baggage(r, 4).get(JAVA_INT, 0) == color)
                .toArray();
        Line part = line.part(alike);
        // colors of NCCL are not negative: the lowest rank stands for all that are alike
        Communicator split = all.split(communicator, alike[0], rank);
        roll.end(flight);
        return new NcclGroup(all, part, split, false);
    }

    // ---- how all operations run

    private Flight begin(Operation operation) {
        if (closed) {
            throw new IllegalStateException("group: closed");
        }
        if (messages.isGathering() && operation.kind().isCollective()) {
            throw new IllegalStateException("group: grouped() takes sends and receives only");
        }
        if (operation.dtype() == DType.I4) {
            throw new IllegalArgumentException(
                    "nccl: " + operation
                            + ": NCCL counts elements of whole bytes, and two of I4 share one; expected another dtype, such as I8");
        }
        return roll.begin(operation);
    }

    /// Everything before the call of NCCL, which [#end] must follow.
    private void start(Kind kind, Tensor t, int peer) {
        Flight flight = begin(Operation.of(kind, t, peer));
        if (known.add(flight.operation().fingerprint())) {
            roll.meet(flight);
            roll.end(flight);
        } else {
            pass(flight);
        }
        all.begin(communicator, flight);
    }

    /// What is recorded into a graph has not been done; the rest is, as far as this rank's thread has to do with
    /// it.
    private void pass(Flight flight) {
        if (!all.gpu.isCapturing()) {
            flight.enter();
            flight.leave();
        }
        flight.returned();
    }

    private Pending end(String function, int code) {
        return all.end(communicator, function, code);
    }

    private static int type(Tensor t) {
        return switch (t.dtype()) {
            case F32 -> Nccl.FLOAT32;
            case BF16 -> Nccl.BFLOAT16;
            case F16 -> Nccl.FLOAT16;
            case I32 -> Nccl.INT32;
            case U8, F8E4M3, F8E5M2, I8, I4 -> Nccl.UINT8; // moved, never added up; `begin` refuses I4
        };
    }

    // ---- collectives

    @Override
    public Pending allReduce(Tensor tensor) {
        Sizes.floating("allReduce", tensor);
        start(Kind.ALL_REDUCE, tensor, 0);
        long at = tensor.address();
        return end(
                "ncclAllReduce",
                nccl.allReduce(at, at, tensor.size(), type(tensor), communicator.handle, communicator.stream()));
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        Sizes.floating("reduceScatter", in);
        Sizes.whole("reduceScatter", in, out, size);
        start(Kind.REDUCE_SCATTER, in, 0);
        return end(
                "ncclReduceScatter",
                nccl.reduceScatter(
                        in.address(), out.address(), out.size(), type(in), communicator.handle, communicator.stream()));
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        Sizes.whole("allGather", out, in, size);
        start(Kind.ALL_GATHER, in, 0);
        return end(
                "ncclAllGather",
                nccl.allGather(
                        in.address(), out.address(), in.size(), type(in), communicator.handle, communicator.stream()));
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        Sizes.rank("broadcast", root, size);
        start(Kind.BROADCAST, tensor, root);
        long at = tensor.address();
        return end(
                "ncclBroadcast",
                nccl.broadcast(at, at, tensor.size(), type(tensor), root, communicator.handle, communicator.stream()));
    }

    @Override
    public Pending allToAll(Tensor out, Tensor in) {
        Sizes.exchange(out, in, size);
        start(Kind.ALL_TO_ALL, in, 0);
        long part = in.size() / size;
        long bytes = in.dtype().bytes(part);
        int code = nccl.groupStart();
        for (int r = 0; code == 0 && r < size; r++) {
            code = nccl.send(in.address() + r * bytes, part, type(in), r, communicator.handle, communicator.stream());
            if (code == 0) {
                code = nccl.receive(
                        out.address() + r * bytes, part, type(in), r, communicator.handle, communicator.stream());
            }
        }
        int ended = nccl.groupEnd();
        return end("ncclSend and ncclRecv", code == 0 ? ended : code);
    }

    @Override
    public void barrier() {
        Flight flight = begin(Operation.of(Kind.BARRIER));
        Session.current().synchronize();
        roll.meet(flight);
        roll.end(flight);
    }

    // ---- two ranks

    @Override
    public Pending send(Tensor tensor, int to) {
        Sizes.other("send", to, rank, size);
        return message(new Message(begin(Operation.of(Kind.SEND, tensor, to)), tensor, to, true));
    }

    @Override
    public Pending receive(Tensor out, int from) {
        Sizes.other("receive", from, rank, size);
        return message(new Message(begin(Operation.of(Kind.RECEIVE, out, from)), out, from, false));
    }

    private Pending message(Message m) {
        messages.add(m);
        return messages.isGathering() ? communicator.next() : deliver();
    }

    @Override
    public Pending grouped(Runnable calls) {
        messages.gather(calls);
        return deliver();
    }

    private Pending deliver() {
        List<Message> leaving = messages.waiting();
        if (leaving.isEmpty()) {
            return Pending.DONE;
        }
        roll.check();
        leaving.forEach(m -> pass(m.flight()));
        all.begin(communicator, leaving.getFirst().flight());
        int code = nccl.groupStart();
        for (int i = 0; code == 0 && i < leaving.size(); i++) {
            Message m = leaving.get(i);
            Tensor t = m.tensor();
            code = m.isSent()
                    ? nccl.send(t.address(), t.size(), type(t), m.peer(), communicator.handle, communicator.stream())
                    : nccl.receive(
                            t.address(), t.size(), type(t), m.peer(), communicator.handle, communicator.stream());
        }
        int ended = nccl.groupEnd();
        leaving.clear();
        return end("ncclSend and ncclRecv", code == 0 ? ended : code);
    }

    // ---- the end

    /// Ends all groups of this rank's line, not this one only, and what runs on the devices.
    @Override
    public void abort(String why) {
        line.activity().fail(why, Source.OWN); // what this rank throws then is told with it
        all.abort();
    }

    /// All ranks of the group call, unless they have failed. Waits for this rank's device.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        try {
            if (!roll.hasFailed()) {
                Flight flight = begin(Operation.of(Kind.CLOSE));
                Session.current().synchronize();
                roll.meet(flight);
                roll.end(flight);
            }
        } finally {
            closed = true;
            if (whole) {
                all.close(roll.hasFailed());
            } else {
                all.close(communicator, roll.hasFailed());
            }
        }
    }
}
