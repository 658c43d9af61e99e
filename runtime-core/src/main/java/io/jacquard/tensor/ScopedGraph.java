package io.jacquard.tensor;

import io.jacquard.tensor.spi.Graph;

/// A recording that knows whose memory it writes: replayed after that was freed, it would overwrite other tensors.
///
/// @param home the scope that was current when it was recorded
record ScopedGraph(Graph graph, Scope home) implements Graph {
    @Override
    public void replay() {
        home.checkOpen("replay: the memory of this graph is gone: it was captured in ");
        graph.replay();
    }

    @Override
    public void close() {
        graph.close();
    }
}
