package io.jacquard.cuda;

import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.KernelLibrary;
import io.jacquard.kernels.Cubins;
import io.jacquard.kernels.Cubins.Cubin;
import io.jacquard.tensor.DeviceException;
import java.util.List;

/// The compiled kernels for a device.
final class KernelImages {
    private KernelImages() {}

    static KernelLibrary load(Gpu gpu) {
        if (gpu.isEmulated()) {
            // its kernels are C++ that was linked in; it looks at no image, but wants one
            return KernelLibrary.load(gpu, List.of(new byte[] {1}), "the emulator's kernels");
        }
        int major = gpu.capability() / 10;
        int minor = gpu.capability() % 10;
        List<byte[]> images;
        try {
            images = Cubins.forDevice(major, minor).stream().map(Cubin::image).toList();
        } catch (IllegalStateException e) {
            throw new DeviceException("cuda: " + e.getMessage(), e);
        }
        return KernelLibrary.load(gpu, images, "the kernels for compute capability " + major + "." + minor);
    }
}
