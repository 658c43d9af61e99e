package io.jacquard.benchmarks.peers;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.JniUtils;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/// DJL with its PyTorch engine.
final class DjlPeer implements Peer {
    private static final String EAGER = "eager";
    private static final String TANH = "gelu by tanh, composed";
    private static final String ERF = "gelu by erf";

    private final DjlLibrary library = new DjlLibrary();

    DjlPeer(int threads) {
        JniUtils.setNumThreads(threads);
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("version", "ai.djl " + Engine.getDjlVersion());
        facts.put("torch", Engine.getEngine("PyTorch").getVersion());
        facts.put("threads", JniUtils.getNumThreads());
        facts.put("blas", "MKL"); // its builds of PyTorch are those of the Python packages
        return facts;
    }

    /// DJL's own GELU is the one by erf; the other is put together.
    @Override
    public Map<String, PeerKernel> kernels(KernelRow row) {
        DjlLibrary.requireF32(row.dtype());
        Map<String, PeerKernel> kernels = new LinkedHashMap<>();
        switch (row) {
            case MatmulRow r
            when r.gelu() != null -> {
                kernels.put(ERF, new LibraryKernel<>(library, r.with(Gelu.ERF)));
                kernels.put(TANH, new LibraryKernel<>(library, r));
            }
            case ActivationRow r
            when r.gelu() != null -> {
                kernels.put(ERF, new LibraryKernel<>(library, r.with(Gelu.ERF)));
                kernels.put(TANH, new LibraryKernel<>(library, r));
            }
            default -> kernels.put(EAGER, new LibraryKernel<>(library, row));
        }
        return kernels;
    }

    @Override
    public Map<String, Supplier<PeerSteps>> steps(StepRow row) {
        DjlLibrary.requireF32(row.dtype());
        return Map.of(EAGER, () -> new LibrarySteps<>(library, row));
    }
}
