package io.jacquard.cuda;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Finding;
import java.util.List;

/// Opens `cuda:0`, `cuda:1`, ...
public final class CudaProvider implements BackendProvider {
    @Override
    public String kind() {
        return "cuda";
    }

    @Override
    public Backend open(Device device) {
        Gpu gpu = Driver.get().open(device.index());
        try {
            return new CudaBackend(device, gpu);
        } catch (RuntimeException e) {
            gpu.close();
            throw e;
        }
    }

    @Override
    public int devices() {
        return Driver.get().deviceCount();
    }

    @Override
    public List<Finding> findings() {
        return CudaFindings.all();
    }
}
