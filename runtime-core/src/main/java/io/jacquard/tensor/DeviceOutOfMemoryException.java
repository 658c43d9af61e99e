package io.jacquard.tensor;

/// The device has no room for a tensor; the message says who holds what.
public final class DeviceOutOfMemoryException extends DeviceException {
    private static final long serialVersionUID = 1L;

    /// The message names what was wanted, what is free, and who holds the rest.
    public DeviceOutOfMemoryException(String message) {
        super(message);
    }
}
