package io.jacquard.parallel;

import io.jacquard.group.Group;
import java.util.List;

/// Runs this rank's list of a [Schedule]: stages that divide a model among the ranks of a group, and micro-batches that
/// pass them. Gradients are the sums that one rank computes which holds the whole model and takes one micro-batch after
/// the other, with the same bits.
///
/// Each micro-batch in a chunk has a scope of its own from its forward to the end of its backward: what a rank keeps
/// follows the schedule. Received activations and gradients lie in it.
///
/// **Messages.** Each pair of neighbours has a group for each direction, made by [Group#split] when the pipeline is:
/// engines run the messages of one group in their order, and so no message waits behind an unrelated one. A receive
/// is started one instruction ahead, a send is joined when the receiver is known to have it, so that a rank waits for
/// nothing but what it needs next.
///
/// **Thread**: that of the rank.
public final class Pipeline implements AutoCloseable {
    private final Group group;
    private final Schedule schedule;
    private final List<Stage> chunks;
    private final PipelineLinks links;

    /// Splits `pipeline`; all its ranks must call.
    ///
    /// @param chunks this rank's, in the order in which activations pass them
    /// @throws IllegalArgumentException if the schedule is for another number of ranks or chunks
    public Pipeline(Group pipeline, Schedule schedule, List<? extends Stage> chunks) {
        if (schedule.ranks() != pipeline.size() || schedule.chunks() != chunks.size()) {
            throw new IllegalArgumentException("pipeline: " + schedule + " on a group of " + pipeline.size()
                    + (pipeline.size() == 1 ? " rank" : " ranks") + " with " + chunks.size()
                    + (chunks.size() == 1 ? " chunk" : " chunks") + " each");
        }
        this.group = pipeline;
        this.schedule = schedule;
        this.chunks = List.copyOf(chunks);
        this.links = new PipelineLinks(pipeline, schedule.chunks() > 1);
    }

    /// One optimizer step's forwards and backwards, in a scope that records gradients. Can be captured.
    ///
    /// **Memory**: of the current scope; nothing stays.
    ///
    /// @throws IllegalStateException if another rank failed, or a stage returns what the next cannot use; what a
    /// stage throws is thrown on, and ends the group
    public void run() {
        run(PipelineStep.Clock.NONE);
    }

    private void run(PipelineStep.Clock clock) {
        try (PipelineStep step = new PipelineStep(group.rank(), schedule, chunks, links, clock)) {
            try {
                step.run();
            } catch (RuntimeException | Error e) { // before the memory is freed that others may be reading
                group.abort(
                        "pipeline: rank " + group.rank() + " failed in the " + step.current() + ": " + e.getMessage());
                throw e;
            }
        }
    }

    /// As [#run], and returns on every rank when each of them computed, in microseconds since all had come here;
    /// what lies between is waiting and messages.
    ///
    /// **Device**: waits for it at the begin and the end of each instruction, so that a device behind the host is
    /// slower than by [#run]. Not possible during capture.
    public Timeline timed() {
        PipelineClock clock = new PipelineClock(schedule.of(group.rank()).size());
        clock.start(group);
        run(clock);
        return clock.gather(group, schedule);
    }

    /// Closes the groups that it made.
    @Override
    public void close() {
        links.close();
    }
}
