package io.jacquard.cuda;

import io.jacquard.cuda.driver.CublasLt;
import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Nccl;
import io.jacquard.cuda.driver.NvidiaLibrary;
import io.jacquard.tensor.DeviceException;
import io.jacquard.tensor.spi.Finding;
import io.jacquard.tensor.spi.Finding.State;
import java.util.ArrayList;
import java.util.List;

/// What the CUDA backend finds on this machine, for `doctor`.
final class CudaFindings {
    private CudaFindings() {}

    static List<Finding> all() {
        List<Finding> findings = new ArrayList<>();
        boolean usable = driver(findings);
        cublasLt(findings, usable);
        findings.add(nccl(NvidiaLibrary.open(Nccl.LIBRARY)));
        if (usable) {
            findings.addAll(GpuFindings.all());
        }
        return findings;
    }

    /// Whether there is a driver that can be asked.
    private static boolean driver(List<Finding> findings) {
        try {
            Driver driver = Driver.get();
            int version = driver.version();
            boolean old = version < Driver.OLDEST;
            int devices = driver.deviceCount();
            findings.add(new Finding(
                    old ? State.BAD : devices == 0 ? State.WARN : State.OK,
                    "cuda driver",
                    (driver.isEmulator() ? "emulated, " : "") + "for CUDA " + version / 1000 + "." + version % 1000 / 10
                            + ", " + devices + (devices == 1 ? " device" : " devices") + "; " + driver.path(),
                    old
                            ? "the kernels need CUDA 13.0: update the driver to 580 or newer"
                            : devices == 0 ? "CUDA_VISIBLE_DEVICES may hide devices; nvidia-smi -L lists all" : null));
            return true;
        } catch (DeviceException e) {
            findings.add(new Finding(State.WARN, "cuda driver", String.valueOf(e.getMessage()), null));
            return false;
        }
    }

    static Finding nccl(NvidiaLibrary library) {
        if (!library.isOpen()) {
            return new Finding(
                    State.WARN,
                    library.name(),
                    "not found; tried " + String.join(", ", library.tried()),
                    "several GPUs need it: " + Nccl.REMEDY);
        }
        try {
            Nccl nccl = Nccl.get();
            return new Finding(
                    State.OK, library.name(), nccl.path() + " (NCCL " + Nccl.words(nccl.version()) + ")", null);
        } catch (DeviceException e) {
            return new Finding(State.WARN, library.name(), String.valueOf(e.getMessage()), null);
        }
    }

    private static void cublasLt(List<Finding> findings, boolean hasDriver) {
        // without a driver the presets' classes must not be touched: they would fail for good
        String problem = hasDriver ? CublasLt.problem() : null;
        for (NvidiaLibrary library : CublasLt.libraries()) {
            boolean found = library.isOpen();
            findings.add(new Finding(
                    found ? State.OK : State.WARN,
                    library.name(),
                    found ? String.valueOf(library.path()) : "not found; tried " + String.join(", ", library.tried()),
                    found ? null : CublasLt.REMEDY));
        }
        if (hasDriver) {
            findings.add(new Finding(
                    problem == null ? State.OK : State.WARN,
                    "matmul",
                    problem == null
                            ? "cuBLASLt " + CublasLt.version() + " or our own kernels, by measurement"
                            : "our own kernels; no cuBLASLt: "
                                    + (problem.startsWith("no lib") ? "a library is missing" : problem),
                    null));
        }
    }
}
