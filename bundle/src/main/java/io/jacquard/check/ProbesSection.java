package io.jacquard.check;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.cuda.driver.KernelLibrary;
import io.jacquard.cuda.driver.Launcher;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.DeviceException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// The probes of `native/emulator/probes` on the device: what each PTX wrapper leaves, against the digests of what it
/// leaves on the emulator. The C++ program beside them does the same where there is a compiler.
final class ProbesSection implements AutoCloseable {
    /// In words.
    private static final int OUT = 16384;

    private static final int[] SWIZZLE_BYTES = {0, 32, 64, 128};

    private final Path folder;
    private Gpu gpu;
    private Launcher launcher;
    private KernelLibrary library;

    private ProbesSection(Path folder) throws IOException {
        this.folder = folder;
        this.gpu = Driver.get().open(0);
        this.library = load();
        this.launcher = new Launcher(gpu, library);
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Manifest.root().resolve("probes");
        List<Probe> probes = Files.readAllLines(folder.resolve("probes.txt")).stream()
                .filter(line -> !line.isBlank() && !line.startsWith("#"))
                .map(Probe::parse)
                .toList();
        try (ProbesSection section = new ProbesSection(folder)) {
            int capability = section.gpu.capability();
            List<Probe> due = probes.stream().filter(p -> p.runsOn(capability)).toList();
            Findings.expect(due.size());
            Findings.fact("of another architecture", (long) probes.size() - due.size());
            for (Probe p : due) {
                section.check(p);
            }
        }
    }

    private void check(Probe p) throws IOException {
        String digest;
        try {
            digest = ProbeData.digest(run(p));
        } catch (DeviceException e) {
            Findings.failed(p.name(), e);
            // after a fault nothing works in this context; the last one who lets go of it ends it
            close();
            gpu = Driver.get().open(0);
            library = load();
            launcher = new Launcher(gpu, library);
            return;
        }
        if (digest.equals(p.digest())) {
            Findings.passed(p.name());
        } else {
            Findings.failed(p.name(), "digest " + digest + ", the emulator's " + p.digest());
        }
    }

    private int[] run(Probe p) {
        long in = gpu.allocate(4L * ProbeData.WORDS);
        long out = gpu.allocate(4L * OUT);
        try {
            gpu.upload(in, MemorySegment.ofArray(ProbeData.inputs()));
            gpu.upload(out, MemorySegment.ofArray(new int[OUT]));
            launcher.start(launcher.kernel("probe_" + p.name())).pointer(out).pointer(in);
            map(p, in);
            map(p, out + OUT * 2L);
            launcher.run(1, 1, 1, p.threads(), p.sharedBytes());
            gpu.synchronize();
            int[] words = new int[OUT];
            gpu.download(MemorySegment.ofArray(words), out);
            return words;
        } finally {
            gpu.free(in);
            gpu.free(out);
        }
    }

    /// A tensor of 16-bit elements with 64 in its innermost dimension; the box is 8 rows of as much as the swizzle
    /// spans.
    private void map(Probe p, long address) {
        long[] sizes = {64, 16};
        int[] box = {new int[] {24, 16, 32, 64}[p.swizzle()], 8};
        switch (p.rank()) {
            case 3 -> {
                sizes = new long[] {64, 16, 4};
                box = new int[] {box[0], 8, 2};
            }
            case 4 -> {
                sizes = new long[] {64, 16, 2, 4};
                box = new int[] {box[0], 8, 1, 2};
            }
            case 5 -> {
                sizes = new long[] {64, 16, 2, 2, 2};
                box = new int[] {box[0], 8, 1, 2, 2};
            }
            default -> {}
        }
        long[] strides = new long[sizes.length - 1];
        long bytes = 2;
        for (int i = 0; i < strides.length; i++) {
            bytes *= sizes[i];
            strides[i] = bytes;
        }
        launcher.tensorMap(DType.BF16, address, sizes, strides, box, SWIZZLE_BYTES[p.swizzle()]);
    }

    private KernelLibrary load() throws IOException {
        byte[] image = gpu.isEmulated() ? new byte[] {1} : Files.readAllBytes(cubin());
        return KernelLibrary.load(gpu, List.of(image), "the probes");
    }

    /// Code of an architecture runs on its own major version from its minor on, with an "a" on exactly its own.
    private Path cubin() {
        int capability = gpu.capability();
        Path own = folder.resolve("sm_" + capability + "a.cubin");
        for (int i = capability; !Files.exists(own) && i >= capability / 10 * 10; i--) {
            Path older = folder.resolve("sm_" + i + ".cubin");
            if (Files.exists(older)) {
                return older;
            }
        }
        return own;
    }

    @Override
    public void close() {
        launcher.close();
        library.close();
        gpu.close();
    }

    /// A line of `probes.txt`.
    private record Probe(
            String name, int threads, int sharedBytes, int architecture, int rank, int swizzle, String digest) {
        static Probe parse(String line) {
            String[] words = line.strip().split(" +", -1);
            int[] numbers = new int[words.length];
            for (int i = 1; i < 6; i++) {
                numbers[i] = Integer.parseInt(words[i]);
            }
            return new Probe(words[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], words[6]);
        }

        // 90 stands for sm_90a, whose features later architectures do not have
        boolean runsOn(int capability) {
            return architecture <= capability && (architecture != 90 || capability == 90);
        }
    }
}
