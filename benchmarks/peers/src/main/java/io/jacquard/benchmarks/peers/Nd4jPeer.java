package io.jacquard.benchmarks.peers;

import io.jacquard.tensor.DType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.function.Supplier;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOpsHolder;

/// ND4J with its CPU backend: single operations at once, models by SameDiff.
final class Nd4jPeer implements Peer {
    private static final String SIGMOID = "gelu by sigmoid";

    Nd4jPeer(int threads) {
        // of itself it takes half of the processors of many machines
        Nd4j.factory().blas().setMaxThreads(threads);
        NativeOpsHolder.getInstance().getDeviceNativeOps().setOmpNumThreads(threads);
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("version", "org.nd4j:nd4j-native " + version());
        facts.put("threads", Nd4j.factory().blas().getMaxThreads());
        facts.put("blas", Nd4j.factory().blas().getBlasVendor().toString());
        return facts;
    }

    /// As the jar's own pom says.
    private static String version() {
        try (InputStream in = Nd4j.class.getResourceAsStream("/META-INF/maven/org.nd4j/nd4j-native/pom.properties")) {
            Properties properties = new Properties();
            properties.load(Objects.requireNonNull(in, "nd4j-native is not on the class path"));
            return properties.getProperty("version");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// ND4J's own GELU is the one by the logistic function.
    @Override
    public Map<String, PeerKernel> kernels(KernelRow row) {
        return switch (row) {
            case MatmulRow r when r.dtype() == DType.BF16 -> throw noProducts();
            case AttentionRow r when r.dtype() == DType.BF16 -> throw noProducts();
            case MatmulRow r when r.gelu() != null -> Map.of(SIGMOID, new Nd4jKernel(r.with(Gelu.SIGMOID)));
            case ActivationRow r when r.gelu() != null -> Map.of(SIGMOID, new Nd4jKernel(r.with(Gelu.SIGMOID)));
            default -> Map.of("eager", new Nd4jKernel(row));
        };
    }

    private static UnsupportedOperationException noProducts() {
        return new UnsupportedOperationException(
                "ND4J adds the terms of BF16 products up in BF16: its results are off by 1e-2 and more");
    }

    @Override
    public Map<String, Supplier<PeerSteps>> steps(StepRow row) {
        if (row.dtype() != DType.F32) {
            throw new UnsupportedOperationException(
                    "SameDiff trains in f32 only: ND4J adds the terms of BF16 products up in BF16");
        }
        return Map.of("samediff", () -> new Nd4jSteps(row));
    }
}
