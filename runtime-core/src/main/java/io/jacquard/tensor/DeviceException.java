package io.jacquard.tensor;

/// A device could not do what was asked of it: missing libraries, failed launches, lost devices.
public sealed class DeviceException extends RuntimeException permits DeviceOutOfMemoryException {
    private static final long serialVersionUID = 1L;

    public DeviceException(String message) {
        super(message);
    }

    public DeviceException(String message, Throwable cause) {
        super(message, cause);
    }
}
