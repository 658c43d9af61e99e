package io.jacquard.check;

import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.KernelsContract;

/// The contract on the first device that the driver shows.
class DeviceContract extends KernelsContract {
    @Override
    protected Session open() {
        return Session.open("cuda");
    }
}
