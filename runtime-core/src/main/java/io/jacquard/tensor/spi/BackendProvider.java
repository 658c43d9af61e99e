package io.jacquard.tensor.spi;

import io.jacquard.tensor.Device;
import java.util.List;

/// Opens backends of one kind of device; found with `java.util.ServiceLoader`.
public interface BackendProvider {
    /// `cpu` or `cuda`.
    String kind();

    /// Opens the device or says, in one exception, what is missing and how to get it.
    Backend open(Device device);

    /// How many devices of the kind this process sees.
    ///
    /// @throws io.jacquard.tensor.DeviceException if none can be had, with what is missing
    default int devices() {
        return 1;
    }

    /// What this machine has of what its devices need, for `doctor`: drivers and libraries, where they were found
    /// or looked for. Opens no device, and reports trouble instead of throwing.
    default List<Finding> findings() {
        return List.of();
    }
}
