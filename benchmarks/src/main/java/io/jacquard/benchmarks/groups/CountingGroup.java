package io.jacquard.benchmarks.groups;

import io.jacquard.group.Group;
import io.jacquard.group.Pending;
import io.jacquard.tensor.Tensor;
import java.util.concurrent.atomic.AtomicLong;

/// A group that counts what this rank sends, as the best algorithm would: a ring for collectives.
final class CountingGroup implements Group {
    private final Group group;
    private final AtomicLong sent;

    /// Counts into `sent`, as do the groups that are split off.
    CountingGroup(Group group, AtomicLong sent) {
        this.group = group;
        this.sent = sent;
    }

    private void count(long bytes) {
        sent.addAndGet(bytes);
    }

    /// Of `bytes` on all ranks together, each rank passes on all but one part.
    private long round(long bytes) {
        return bytes * (size() - 1) / size();
    }

    @Override
    public int rank() {
        return group.rank();
    }

    @Override
    public int size() {
        return group.size();
    }

    @Override
    public boolean needsHost() {
        return group.needsHost();
    }

    @Override
    public Group split(int color) {
        return new CountingGroup(group.split(color), sent);
    }

    @Override
    public Pending allReduce(Tensor tensor) {
        count(2 * round(tensor.bytes()));
        return group.allReduce(tensor);
    }

    @Override
    public Pending reduceScatter(Tensor out, Tensor in) {
        count(round(in.bytes()));
        return group.reduceScatter(out, in);
    }

    @Override
    public Pending allGather(Tensor out, Tensor in) {
        count(round(out.bytes()));
        return group.allGather(out, in);
    }

    @Override
    public Pending broadcast(Tensor tensor, int root) {
        count(round(tensor.bytes()));
        return group.broadcast(tensor, root);
    }

    @Override
    public Pending allToAll(Tensor out, Tensor in) {
        count(round(in.bytes()));
        return group.allToAll(out, in);
    }

    @Override
    public Pending send(Tensor tensor, int to) {
        count(tensor.bytes());
        return group.send(tensor, to);
    }

    @Override
    public Pending receive(Tensor out, int from) {
        return group.receive(out, from);
    }

    @Override
    public Pending grouped(Runnable calls) {
        return group.grouped(calls);
    }

    @Override
    public void barrier() {
        group.barrier();
    }

    @Override
    public void abort(String why) {
        group.abort(why);
    }

    @Override
    public void close() {
        group.close();
    }
}
