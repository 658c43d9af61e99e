package io.jacquard.tensor.spi;

import io.jacquard.tensor.Device;

/// Opens backends of one kind of device; found with `java.util.ServiceLoader`.
public interface BackendProvider {
    /// `cpu` or `cuda`.
    String kind();

    /// Opens the device or says, in one exception, what is missing and how to get it.
    Backend open(Device device);
}
