package io.jacquard.parallel;

/// How many ranks each axis of a [Mesh] has.
///
/// @param data replicas of the model, each with its part of the batch
/// @param tensor ranks that divide each layer
/// @param pipeline ranks that divide the layers
public record Topology(int data, int tensor, int pipeline) {
    /// One rank.
    public static final Topology ONE = new Topology(1, 1, 1);

    /// Checks the sizes.
    ///
    /// @throws IllegalArgumentException if one is not positive
    public Topology {
        positive("dp", data);
        positive("tp", tensor);
        positive("pp", pipeline);
    }

    private static void positive(String axis, int size) {
        if (size < 1) {
            throw new IllegalArgumentException("mesh: " + axis + "(" + size + ") is not positive");
        }
    }

    /// How many ranks there are.
    public int ranks() {
        return Math.multiplyExact(Math.multiplyExact(data, tensor), pipeline);
    }

    /// @throws IllegalArgumentException unless there are as many ranks
    void check(int worldSize) {
        if (ranks() != worldSize) {
            throw new IllegalArgumentException(
                    "mesh: " + this + " = " + ranks() + " does not equal the world size " + worldSize);
        }
    }

    @Override
    public String toString() {
        return "dp(" + data + ") * tp(" + tensor + ") * pp(" + pipeline + ")";
    }
}
