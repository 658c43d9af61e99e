package io.jacquard.group;

/// An operation that a rank has called, for the engine that does it.
///
/// What an engine does in the order of the device, it puts between [#enter] and [#leave], and further parts between
/// [#resume] and [#leave]: a graph comes by there at each replay, and each is recorded.
public final class Flight {
    private final FlightRecorder.Track track;
    private final Operation operation;
    private String calledAt;
    private long ticket;
    private long number;
    private boolean entered;
    private int replays;

    Flight(FlightRecorder.Track track, Operation operation, String calledAt, long ticket) {
        this.track = track;
        this.operation = operation;
        this.calledAt = calledAt;
        this.ticket = ticket;
    }

    public Operation operation() {
        return operation;
    }

    /// Its place among the collectives of its group, from 1, after [#enter]; 0 for a message.
    public long number() {
        return number;
    }

    /// The device has come to it.
    public void enter() {
        if (entered) {
            replays++;
            ticket = track.replay(operation, replays);
            track.locate(ticket, calledAt);
        }
        entered = true;
        number = track.next(operation);
    }

    /// The device has come to another part of it.
    public void resume() {
        track.resume(ticket);
    }

    /// It is done, or a part of it.
    public void leave() {
        track.end(ticket, false);
    }

    /// The call returns. What was not entered then, a graph has recorded.
    public void returned() {
        if (!entered) {
            entered = true;
            track.end(ticket, true);
        }
    }

    /// The rank begins, or ends, to wait for others in it.
    public void waits(boolean waits) {
        track.waits(ticket, waits);
    }

    /// The rank has waited for a while: so there is time to see where it was called.
    public void locate() {
        if (calledAt.isEmpty()) {
            calledAt = CallSites.here();
            track.locate(ticket, calledAt);
        }
    }

    /// As an entry of the recorder.
    @Override
    public String toString() {
        return track.entry(operation, number, replays).toString();
    }
}
