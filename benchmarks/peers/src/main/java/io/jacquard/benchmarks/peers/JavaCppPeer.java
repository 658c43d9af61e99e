package io.jacquard.benchmarks.peers;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.openblas.global.openblas_full;
import org.bytedeco.pytorch.global.torch;

/// PyTorch's C++ library through JavaCPP's preset.
final class JavaCppPeer implements Peer {
    private static final String EAGER = "eager";

    private final JavaCppLibrary library = new JavaCppLibrary();

    JavaCppPeer(int threads) {
        torch.set_num_threads(threads);
        openblas_full.openblas_set_num_threads(threads);
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        try (BytePointer config = torch.show_config();
                BytePointer capability = torch.get_cpu_capability()) {
            String built = config.getString();
            String version = setting(built, "TORCH_VERSION");
            facts.put("version", "org.bytedeco:pytorch " + version);
            facts.put("torch", version);
            facts.put("threads", torch.get_num_threads());
            facts.put("blas", setting(built, "BLAS_INFO").equals("open") ? "OpenBLAS" : setting(built, "BLAS_INFO"));
            facts.put("capability", capability.getString());
        }
        return facts;
    }

    private static String setting(String config, String key) {
        Matcher m = Pattern.compile(key + "=([^,]*)").matcher(config);
        return m.find() ? m.group(1) : "unknown";
    }

    @Override
    public Map<String, PeerKernel> kernels(KernelRow row) {
        return Map.of(EAGER, new LibraryKernel<>(library, row));
    }

    @Override
    public Map<String, Supplier<PeerSteps>> steps(StepRow row) {
        return Map.of(EAGER, () -> new LibrarySteps<>(library, row));
    }
}
