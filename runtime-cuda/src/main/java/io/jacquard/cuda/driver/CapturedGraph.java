package io.jacquard.cuda.driver;

/// Launches recorded from the stream, launched again as one.
public final class CapturedGraph implements AutoCloseable {
    private final Gpu gpu;
    private final long executable;
    private boolean closed;

    CapturedGraph(Gpu gpu, long executable) {
        this.gpu = gpu;
        this.executable = executable;
    }

    /// Launches everything that was recorded, behind the work before it.
    ///
    /// @throws IllegalStateException if the graph is closed
    public void replay() {
        if (closed) {
            throw new IllegalStateException("replay: the graph is closed");
        }
        Events.Replay event = new Events.Replay();
        event.begin();
        gpu.check(Calls.graphLaunch(executable, gpu.stream()), "replaying a graph");
        event.commit();
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            int _ = Calls.graphExecDestroy(executable);
        }
    }
}
