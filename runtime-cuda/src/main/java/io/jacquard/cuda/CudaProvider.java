package io.jacquard.cuda;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;

/// Opens `cuda:0`, `cuda:1`, ...
public final class CudaProvider implements BackendProvider {
    @Override
    public String kind() {
        return "cuda";
    }

    @Override
    public Backend open(Device device) {
        return new CudaBackend(device, Driver.get().open(device.index()));
    }
}
