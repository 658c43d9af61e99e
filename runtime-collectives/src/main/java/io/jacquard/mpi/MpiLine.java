package io.jacquard.mpi;

import io.jacquard.line.Activity;
import io.jacquard.line.Line;
import io.jacquard.line.Members;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// A communicator, and its ranks.
final class MpiLine implements Line {
    final Wire wire;
    private final World world;
    private final long communicator;
    private final Members members;
    private final int rank;

    private MpiLine(World world, long communicator, Members members, int rank) {
        this.world = world;
        this.communicator = communicator;
        this.members = members;
        this.rank = rank;
        this.wire = new Wire(world.mpi, communicator, world.activity);
    }

    /// That of all processes.
    static MpiLine of(World world) {
        return new MpiLine(world, world.mpi.world, Members.everybody(world.size), world.rank);
    }

    boolean isWhole() {
        return communicator == world.mpi.world;
    }

    @Override
    public int rank() {
        return rank;
    }

    @Override
    public Members members() {
        return members;
    }

    @Override
    public void gather(MemorySegment mine, MemorySegment all) {
        wire.gather(mine, all);
    }

    @Override
    public Line part(int[] places) {
        return split(places);
    }

    MpiLine split(int[] places) {
        // colors of MPI are not negative: the lowest rank stands for all that are alike
        long part = world.mpi.split(communicator, places[0], rank);
        return new MpiLine(world, part, members.at(places), Arrays.binarySearch(places, rank));
    }

    @Override
    public Activity activity() {
        return world.activity;
    }
}
