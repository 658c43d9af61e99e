package io.jacquard.cpu;

import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.KernelsContract;

final class CpuKernelsTest extends KernelsContract {
    @Override
    protected Session open() {
        return Session.open("cpu");
    }
}
