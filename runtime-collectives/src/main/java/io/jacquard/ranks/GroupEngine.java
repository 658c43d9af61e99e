package io.jacquard.ranks;

import io.jacquard.group.Group;
import io.jacquard.line.Line;

/// What makes groups of the ranks on one kind of device; found with `java.util.ServiceLoader`.
public interface GroupEngine {
    /// `cuda`.
    String kind();

    /// The group of all ranks of a line, each of which calls this with the session of its device current on its
    /// thread. Closing the group closes all that were split off it; the line stays open.
    ///
    /// @throws io.jacquard.tensor.DeviceException with what is missing and how to get it
    Group open(Line line);
}
