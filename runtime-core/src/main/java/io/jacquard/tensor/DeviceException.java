package io.jacquard.tensor;

/// A device could not do what was asked of it: missing libraries, failed launches, lost devices.
public sealed class DeviceException extends RuntimeException permits DeviceOutOfMemoryException {
    private static final long serialVersionUID = 1L;

    /// The message names the device, what was asked of it, and the way out.
    public DeviceException(String message) {
        super(message);
    }

    /// As above, for what another library has thrown.
    public DeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
