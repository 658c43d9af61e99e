package io.jacquard.cuda;

import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.KernelsContract;

/// The contract on an emulated device of compute capability 8.0.
final class CudaKernelsSm80Test extends KernelsContract {
    @Override
    protected Session open() {
        return EmulatedDevice.open(80);
    }
}
