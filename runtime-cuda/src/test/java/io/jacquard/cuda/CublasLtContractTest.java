package io.jacquard.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.jacquard.cuda.driver.StandIn;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.KernelsContract;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/// The contract's matrix products through the JavaCPP presets, by a stand-in for cuBLASLt.
final class CublasLtContractTest extends KernelsContract {
    @TempDir
    private static Path cache;

    private static long before;

    /// One algorithm, that which needs a workspace: hundreds of shapes would be hundreds of searches.
    @BeforeAll
    static void count() {
        StandIn.only(3);
        before = StandIn.products();
    }

    @AfterAll
    static void theLibraryDidThem() {
        StandIn.only(-1);
        assertTrue(StandIn.products() - before > 1000, "products by the library");
    }

    @Override
    protected Session open() {
        return EmulatedDevice.openWithCublasLt(90, "cublaslt", cache);
    }

    @Override
    protected String methods() {
        return "matmul,matmulScaled";
    }
}
