package io.jacquard.cuda;

/// The contract on an emulated device of compute capability 8.0.
final class CudaKernelsSm80Test extends EmulatedContract {
    CudaKernelsSm80Test() {
        super(80);
    }
}
