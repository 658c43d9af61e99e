package io.jacquard.cuda.driver;

import io.jacquard.tensor.DeviceException;

/// Work that a library of NVIDIA's puts on the stream of a [Gpu]: for [Launcher#run(LibraryCall)], which treats it as
/// a launch.
public interface LibraryCall {
    /// For traces.
    String name();

    /// Puts the work on the stream; 0, or the library's own code.
    int launch();

    /// What to say about a code that was not 0.
    DeviceException failure(int status, String operands);
}
