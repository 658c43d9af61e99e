package io.jacquard.group;

import io.jacquard.tensor.Tensor;

/// Ranks 0 to size - 1 that call the same collectives in the same order, each with tensors of its own device.
///
/// A collective is asynchronous like a kernel: it runs after what this rank launched before, and what it launches after
/// [Pending#join] sees the result.
///
/// Every rank receives the same bits of a sum, and so does every run on the same machines. Threads ([LocalGroup]) and
/// MPI add in F32, rank 0's first, and round once: the same bits everywhere. NCCL adds in an order of its own, which
/// follows the connections of the GPUs, and rounds sums of 16 bits along the way.
///
/// **Device**: tensors of the session that is current on the calling thread. **Thread**: that of the rank.
///
/// Every method throws an `IllegalStateException` that names ranks and operations when another rank failed, left, or
/// came to a different operation. Where the device works behind the host, so does whatever waits for the device, and
/// another operation may be noticed only then.
public interface Group extends AutoCloseable {
    /// This rank, from 0.
    int rank();

    /// How many ranks there are.
    int size();

    /// Whether an operation needs the host between what is launched before it and after it. A graph of the CPU
    /// records that, one of another device cannot.
    boolean needsHost();

    /// The group of the ranks that give the same `color`, in the order of their ranks here. All ranks must call.
    Group split(int color);

    /// `tensor` = the sum of `tensor` over all ranks.
    ///
    /// @throws IllegalArgumentException if it is not of a floating dtype
    Pending allReduce(Tensor tensor);

    /// `out` = this rank's part of the sum of `in` over all ranks: elements `rank * out.size()` on.
    /// `out` may be that part of `in`; the rest of `in` then holds nothing of use.
    ///
    /// @throws IllegalArgumentException if `in` is not `size` times as large as `out`, or not of its floating dtype
    Pending reduceScatter(Tensor out, Tensor in);

    /// `out` = the `in` of all ranks, one after the other. `in` may be this rank's part of `out`.
    ///
    /// @throws IllegalArgumentException if `out` is not `size` times as large as `in`, or not of its dtype
    Pending allGather(Tensor out, Tensor in);

    /// `tensor` = that of rank `root`.
    ///
    /// @throws IllegalArgumentException if there is no such rank
    Pending broadcast(Tensor tensor, int root);

    /// Part r of `out` = part [#rank] of the `in` of rank r, each part being one of [#size] equal ones.
    ///
    /// @throws IllegalArgumentException if sizes or dtypes differ, or the size does not divide
    Pending allToAll(Tensor out, Tensor in);

    /// Sends to rank `to`, which must [#receive]; waits for nothing. Until [Pending#join], which may wait for the
    /// receiver, `tensor` must live and stay as it is. Messages from one rank to another arrive in their order.
    ///
    /// Engines may run the messages of one group one after the other, so that one which waits for its receiver
    /// holds up those behind it, in both directions: ranks that send to each other do so inside [#grouped], or with
    /// a group for each direction.
    ///
    /// @throws IllegalArgumentException if there is no such other rank
    Pending send(Tensor tensor, int to);

    /// Receives what rank `from` sends, as many elements of the same dtype: `out` is it after [Pending#join], which
    /// may wait for the sender. To start early lets the message travel while this rank computes, with engines that
    /// can; others do all at the join, so that receives must be joined before the sends that answer them.
    ///
    /// @throws IllegalArgumentException if there is no such other rank
    Pending receive(Tensor out, int from);

    /// The sends and receives that `calls` makes, all at once; joining what this returns joins them all.
    Pending grouped(Runnable calls);

    /// Returns when all ranks have come here. Waits for this rank's device.
    void barrier();

    /// Ends the group for all ranks: those that wait, or call later, fail with `why`.
    void abort(String why);

    @Override
    void close();
}
