/// The CUDA driver API through `java.lang.foreign`: the only package of this module that makes foreign calls.
///
/// `Driver` finds the library and opens a device; `Gpu` is the device with its memory, its one stream and its copies;
/// `KernelLibrary` loads a compiled image and finds kernels in it; `Launcher` passes arguments and launches;
/// `CapturedGraph` is a recorded sequence of launches. `Calls` holds one method per function of the driver and nothing
/// else: addresses and handles are `long`, so that no call makes garbage.
///
/// The library may be NVIDIA's or the emulator of this project, which answers the same names: nothing here asks which,
/// except for the text of an error.
@NullMarked
package io.jacquard.cuda.driver;

import org.jspecify.annotations.NullMarked;
