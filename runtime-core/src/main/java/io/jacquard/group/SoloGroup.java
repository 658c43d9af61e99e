package io.jacquard.group;

import io.jacquard.tensor.Tensor;

/// The group of one rank: sums are what they were, gathers are copies. Code for groups needs no case for it.
public final class SoloGroup implements Group {
    @Override
    public int rank() {
        return 0;
    }

    @Override
    public int size() {
        return 1;
    }

    @Override
    public boolean needsHost() {
        return false;
    }

    @Override
    public Group split(int color) {
        return this;
    }

    @Override
    public Pending allReduce(Tensor tensor) {
        Sizes.floating("allReduce", tensor);
        return Pending.DONE;
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        Sizes.floating("reduceScatter", in);
        Sizes.whole("reduceScatter", in, out, 1);
        return copy(out, in);
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        Sizes.whole("allGather", out, in, 1);
        return copy(out, in);
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        Sizes.rank("broadcast", root, 1);
        return Pending.DONE;
    }

    @Override
    public Pending allToAll(Tensor out, Tensor in) {
        Sizes.exchange(out, in, 1);
        return copy(out, in);
    }

    private static Pending copy(Tensor out, Tensor in) {
        if (out.address() != in.address()) {
            out.kernels().cast(out, in);
        }
        return Pending.DONE;
    }

    @Override
    public Pending send(Tensor tensor, int to) {
        throw alone("send", to);
    }

    @Override
    public Pending receive(Tensor out, int from) {
        throw alone("receive", from);
    }

    private static IllegalArgumentException alone(String operation, int rank) {
        return new IllegalArgumentException(operation + ": there is no rank " + rank + " but this one");
    }

    @Override
    public Pending grouped(Runnable calls) {
        calls.run();
        return Pending.DONE;
    }

    @Override
    public void barrier() {}

    /// Does nothing: there is no other rank to tell.
    @Override
    public void abort(String why) {}

    @Override
    public void close() {}
}
