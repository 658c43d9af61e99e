package io.jacquard.cpu;

import io.jacquard.tensor.Device;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;

/// Opens `cpu`.
public final class CpuBackendProvider implements BackendProvider {
    @Override
    public String kind() {
        return "cpu";
    }

    @Override
    public Backend open(Device device) {
        if (device.index() != 0) {
            throw new DeviceException("device: " + device + " does not exist; all cores are one device, cpu:0");
        }
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            throw new DeviceException("cpu: the Vector API is not there; start java with"
                    + " --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED");
        }
        return new CpuBackend(device, Workers.shared());
    }
}
