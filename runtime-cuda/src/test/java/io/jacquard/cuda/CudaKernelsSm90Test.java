package io.jacquard.cuda;

/// The contract on an emulated device of compute capability 9.0.
final class CudaKernelsSm90Test extends EmulatedContract {
    CudaKernelsSm90Test() {
        super(90);
    }
}
