package io.jacquard.check;

import io.jacquard.cuda.driver.Driver;
import io.jacquard.cuda.driver.Gpu;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.spi.ContractRun;
import io.jacquard.tensor.spi.ContractRun.Outcome;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// The same kernels on the same random inputs, here and on the emulator that the bundle carries:
/// `EmulatorSection SEED COUNT`. The inputs are those of some cases of the contract, drawn anew; the emulator takes the
/// place of a device of the same capability and size, so that it runs the same grids.
///
/// Both are allowed the distance of the contract from the exact result, so they may be twice that apart. What has to
/// be exact must have equal bits.
final class EmulatorSection {
    private final long seed;
    private final Path file;
    private long outputs;
    private long equalOutputs;
    private double worst;

    private EmulatorSection(long seed, Path file) {
        this.seed = seed;
        this.file = file;
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        long seed = Long.parseLong(arguments[0]);
        int count = Integer.parseInt(arguments[1]);
        if (arguments.length > 2) {
            new EmulatorSection(seed, Path.of(arguments[2])).write(ContractRun.sample(seed, count));
            return;
        }
        Findings.expect(count);
        Findings.fact("seed", seed);
        Path file = Files.createTempFile("jacquard-emulator", ".bin");
        try {
            long start = System.nanoTime();
            if (emulate(seed, count, file)) {
                Findings.fact("emulator seconds", Math.round((System.nanoTime() - start) / 1e8) / 10.0);
                new EmulatorSection(seed, file).compare(count);
            }
        } finally {
            Files.delete(file);
        }
    }

    private static boolean emulate(long seed, int count, Path file) throws IOException, InterruptedException {
        Path library = Manifest.root().resolve("emulator").resolve("libjacquard-emulator.so");
        ProcessBuilder process = new ProcessBuilder(Child.command(
                List.of("-Djacquard.cuda.driver=" + library),
                EmulatorSection.class.getName(),
                Long.toString(seed),
                Integer.toString(count),
                file.toString()));
        try (Gpu gpu = Driver.get().open(0)) {
            process.environment().put("JACQUARD_EMULATOR_ARCH", Integer.toString(gpu.capability()));
            process.environment().put("JACQUARD_EMULATOR_MULTIPROCESSORS", Integer.toString(gpu.multiprocessors()));
        }
        int cores = Runtime.getRuntime().availableProcessors();
        process.environment().put("JACQUARD_EMULATOR_WORKERS", Integer.toString(cores));
        int code = process.inheritIO().start().waitFor();
        if (code != 0) {
            Findings.failed("the emulator", "its JVM ended with " + code);
        }
        return code == 0;
    }

    /// On the emulator.
    private void write(List<String> cases) throws IOException {
        try (Session session = Session.open("cuda");
                DataOutputStream out =
                        new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file), 1 << 20))) {
            for (String name : cases) {
                List<Outcome> outcomes = ContractRun.outcomes(session, name, seed);
                out.writeUTF(name);
                out.writeInt(outcomes.size());
                for (Outcome o : outcomes) {
                    out.writeInt(o.values().length);
                    for (double v : o.values()) {
                        out.writeDouble(v);
                    }
                }
            }
        }
    }

    /// On the device.
    private void compare(int count) throws IOException {
        Session session = Session.open("cuda");
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file), 1 << 20))) {
            for (int i = 0; i < count; i++) {
                String name = in.readUTF();
                double[][] emulated = new double[in.readInt()][];
                for (int j = 0; j < emulated.length; j++) {
                    emulated[j] = new double[in.readInt()];
                    for (int k = 0; k < emulated[j].length; k++) {
                        emulated[j][k] = in.readDouble();
                    }
                }
                Session usable = session;
                Findings.test(name, () -> compare(usable, name, emulated));
            }
        } finally {
            session.close();
        }
        Findings.fact("outputs", outputs);
        Findings.fact("outputs of equal bits", equalOutputs);
        Findings.fact("largest difference in shares of what is allowed", worst);
    }

    private void compare(Session session, String name, double[][] emulated) {
        List<Outcome> outcomes = ContractRun.outcomes(session, name, seed);
        for (int j = 0; j < emulated.length; j++) {
            Outcome o = outcomes.get(j);
            double[] bounds = o.bounds().get();
            boolean equal = true;
            for (int k = 0; k < bounds.length; k++) {
                double here = o.values()[k];
                double there = emulated[j][k];
                if (Double.compare(here, there) != 0) {
                    equal = false;
                    require(Math.abs(here - there), 2 * bounds[k], o.output() + "[" + k + "]", here, there);
                }
            }
            outputs++;
            equalOutputs += equal ? 1 : 0;
        }
    }

    private void require(double off, double allowed, String what, double here, double there) {
        if (!(off <= allowed)) { // NaN where the other has a number
            throw new AssertionError(String.format(
                    Locale.ROOT,
                    "%s is %s here and %s on the emulator: off by %s, allowed %s",
                    what,
                    here,
                    there,
                    off,
                    allowed));
        }
        worst = Math.max(worst, allowed == 0 ? 0 : off / allowed);
    }
}
