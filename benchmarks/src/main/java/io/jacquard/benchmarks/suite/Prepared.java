package io.jacquard.benchmarks.suite;

import io.jacquard.tensor.DType;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.Graph;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/// A kernel ready to run: operands in a session of their own, launches, and the least work
/// that they are. Belongs to the thread that makes it.
public final class Prepared implements AutoCloseable {
    private final Session session;
    private final Backend backend;
    private final KernelCase row;
    private final Kernels kernels;
    private final List<Consumer<Kernels>> launches;
    private long bytes;
    private long operations;
    private @Nullable DType matrix;
    private @Nullable Tensor flushed;
    private @Nullable Graph graph;
    private int runsAtOnce = 1;
    private final Runnable run = this::run;

    /// Opens a session, in which `makes` allocates.
    ///
    /// @param device `cpu`, `cuda:0` ...
    public Prepared(String device, Supplier<KernelCase> makes) {
        session = Session.open(device);
        backend = session.backend();
        kernels = backend.kernels();
        row = makes.get();
        launches = row.launches();
        for (Consumer<Kernels> launch : launches) {
            Work work = row.work(launch);
            bytes += work.bytes();
            operations += work.operations();
            matrix = work.matrix() == null ? matrix : work.matrix();
        }
    }

    /// Operands moved once.
    public long bytes() {
        return bytes;
    }

    /// Additions and multiplications.
    public long operations() {
        return operations;
    }

    /// The type whose matrix units do the operations; null where they are not what takes the time.
    public @Nullable DType matrix() {
        return matrix;
    }

    /// Makes good what runs have spoiled of the inputs.
    public void reset() {
        row.reset();
    }

    /// From now on [#run] replays so many runs from a recording, as a recorded training step does. Before, each run
    /// launches by itself.
    public void record(int runs) {
        graph = session.capture(() -> {
            for (int i = 0; i < runs; i++) {
                launch();
            }
        });
        runsAtOnce = runs;
    }

    /// Runs once, or as often as was recorded. The CPU is done on return.
    public void run() {
        Graph g = graph;
        if (g == null) {
            launch();
        } else {
            g.replay();
        }
    }

    private void launch() {
        for (int i = 0; i < launches.size(); i++) { // without an iterator
            launches.get(i).accept(kernels);
        }
    }

    /// The mean time of a run by the device's own clock, in microseconds, behind a write of `flushBytes` that
    /// leaves nothing of the operands in its caches.
    public double micros(int flushBytes) {
        if (flushBytes > 0) {
            Tensor t = flushed;
            if (t == null) {
                t = Tensor.empty(Shape.of(flushBytes / 4), DType.F32);
                flushed = t;
            }
            kernels.fill(t, 1f);
        }
        return backend.micros(run) / runsAtOnce;
    }

    /// Runs once from fresh inputs.
    ///
    /// @param allowed the largest deviation that rounding explains
    /// @return how far the outputs are from the same computed in doubles
    /// @throws IllegalStateException if that is more than rounding explains: a time of it would mean nothing
    public double check(double allowed) {
        reset();
        launch();
        double error = row.deviation().relative();
        if (!(error <= allowed)) {
            throw new IllegalStateException("the result is wrong: off by " + error + ", allowed " + allowed);
        }
        return error;
    }

    @Override
    public void close() {
        Graph g = graph;
        if (g != null) {
            g.close();
        }
        session.close();
    }
}
