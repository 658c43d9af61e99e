package io.jacquard.kernels;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// Compiles the probes of `emulator/probes` for every architecture: `ProbeCompiler MODULE LIBRARY OUT`. They are no
/// part of the jar; a bundle carries them.
final class ProbeCompiler {
    private static final String FAMILY = "probes";

    private ProbeCompiler() {}

    public static void main(String[] arguments) throws IOException {
        Path module = Path.of(arguments[0]);
        Path out = Path.of(arguments[2]);
        String source = Files.readString(module.resolve("emulator/probes/probes.cu"));
        KernelSources sources = new KernelSources(
                new TreeMap<>(Map.of(FAMILY, source)),
                KernelSources.read(module).headers());
        KernelCache cache = new KernelCache(module.resolve("target/kernels"), Path.of(arguments[1]));
        int threads = Math.min(8, Runtime.getRuntime().availableProcessors());
        List<KernelCache.Built> built = cache.build(sources, Cubins.ARCHITECTURES, threads);
        Files.createDirectories(out);
        for (KernelCache.Built unit : built) {
            Files.write(out.resolve(unit.architecture() + ".cubin"), unit.cubin());
        }
    }
}
