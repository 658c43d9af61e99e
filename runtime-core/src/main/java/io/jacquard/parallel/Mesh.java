package io.jacquard.parallel;

import io.jacquard.group.Group;

/// The ranks of a run as a grid, with the groups along its axes. Ranks that differ in the tensor axis follow one
/// another, so that they share a machine; then come those of the data axis, then the stages of the pipeline.
public final class Mesh implements AutoCloseable {
    private final Group world;
    private final Topology topology;
    private final Group tensor;
    private final Group data;
    private final Group pipeline;
    private final Group model;
    private final Group ends;

    /// Splits `world`; all its ranks must call.
    ///
    /// @throws IllegalArgumentException if the sizes do not multiply to the world's
    public Mesh(Group world, Topology topology) {
        topology.check(world.size());
        this.world = world;
        this.topology = topology;
        int t = world.rank() % topology.tensor();
        int d = world.rank() / topology.tensor() % topology.data();
        int p = world.rank() / topology.tensor() / topology.data();
        tensor = world.split(p * topology.data() + d);
        data = world.split(p * topology.tensor() + t);
        pipeline = world.split(d * topology.tensor() + t);
        model = world.split(d);
        ends = pipeline.split(p == 0 || p == topology.pipeline() - 1 ? 0 : 1);
    }

    /// All ranks.
    public Group world() {
        return world;
    }

    /// How many ranks each axis has.
    public Topology topology() {
        return topology;
    }

    /// The ranks that divide each layer with this one.
    public Group tensor() {
        return tensor;
    }

    /// The ranks that hold the same part of the model as this one, for other data.
    public Group data() {
        return data;
    }

    /// The stages that this rank's batch passes through, the first being rank 0.
    public Group pipeline() {
        return pipeline;
    }

    /// The ranks that hold one replica of the model together: tensor and pipeline.
    public Group model() {
        return model;
    }

    /// The first and the last stage, for those two; a group of no use for the others.
    public Group ends() {
        return ends;
    }

    /// Closes the groups along the axes; the world is its owner's.
    @Override
    public void close() {
        ends.close();
        model.close();
        pipeline.close();
        data.close();
        tensor.close();
    }

    @Override
    public String toString() {
        return topology + ", rank " + world.rank() + ": dp " + data.rank() + ", tp " + tensor.rank() + ", pp "
                + pipeline.rank();
    }
}
