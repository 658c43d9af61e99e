package io.jacquard.benchmarks;

import io.jacquard.nn.Decoder;
import io.jacquard.nn.DecoderConfig;
import io.jacquard.nn.ModelSize;
import io.jacquard.nn.Pass;
import io.jacquard.nn.Weights;
import io.jacquard.optim.AdamW;
import io.jacquard.optim.AdamWSettings;
import io.jacquard.tensor.DType;
import io.jacquard.tensor.Device;
import io.jacquard.tensor.Roofline;
import io.jacquard.tensor.Scope;
import io.jacquard.tensor.Session;
import io.jacquard.tensor.Shape;
import io.jacquard.tensor.Tensor;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Kernels;
import io.jacquard.tensor.spi.Work;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Where a training step's time goes: every launch of steps of random tokens, timed by kernel and shape. The CPU
/// backend's launches return when they are done, so their times add up to the step.
@Command(
        name = "step-profile",
        mixinStandardHelpOptions = true,
        description =
                "Prints the time of each kernel and shape in a training step, and how near that is to the roofline"
                        + " that was measured on this machine just before.")
public final class StepProfile implements Callable<Integer> {
    @Option(names = "--model", description = "A size such as char-gpt or gpt2-124m (default: ${DEFAULT-VALUE}).")
    private String model = "gpt2-124m";

    @Option(names = "--precision", description = "fp32 or bf16 (default: ${DEFAULT-VALUE}).")
    private String precision = "bf16";

    @Option(names = "--steps", description = "Steps to time (default: ${DEFAULT-VALUE}).")
    private int steps = 6;

    @Option(names = "--warmup", description = "Steps before (default: ${DEFAULT-VALUE}).")
    private int warmup = 4;

    private final Map<String, Launches> launches = new LinkedHashMap<>();
    private final Roofline roofline = Roofline.of("cpu");
    private boolean timing;

    private static final class Step {
        private final Decoder decoder;
        private final AdamW optimizer;
        private final Shape shape;
        private final Tensor scale;
        private final Tensor learningRate = Tensor.of(Shape.of(1), 3e-4f);
        private final Random random = new Random(7);

        Step(String model, String precision) {
            DecoderConfig config = ModelSize.of(model).config(256);
            DType dtype = precision.equals("bf16") ? DType.BF16 : DType.F32;
            Weights weights = new Weights();
            decoder = Decoder.of(config, weights);
            weights.allocate(dtype, dtype, 1337);
            optimizer = new AdamW(weights, AdamWSettings.DEFAULT);
            shape = Shape.of(model.equals("char-gpt") ? 8 : 4, config.context());
            scale = Tensor.of(Shape.of(1), 1f / shape.elements());
        }

        /// The milliseconds of one step.
        double run() {
            int vocabulary = decoder.config().vocabulary();
            int[] tokens = random.ints(shape.elements(), 0, vocabulary).toArray();
            int[] labels = random.ints(shape.elements(), 0, vocabulary).toArray();
            try (var _ = Scope.open("step")) {
                Tensor x = Tensor.of(shape, tokens);
                Tensor y = Tensor.of(shape, labels);
                long start = System.nanoTime();
                Tensor loss = decoder.loss(x, y, scale, Pass.PLAIN);
                loss.backward();
                optimizer.step(learningRate);
                loss.item();
                return (System.nanoTime() - start) / 1e6;
            }
        }
    }

    private static final class Launches {
        int count;
        double micros;
        double least;
        double flops; // on the matrix unit
    }

    public static void main(String[] args) {
        System.exit(new CommandLine(new StepProfile()).execute(args));
    }

    @Override
    public Integer call() {
        roofline.gigabytesPerSecond(); // before the steps: a probe in their midst would cool their caches
        roofline.teraflops(precision.equals("bf16") ? DType.BF16 : DType.F32);
        List<Double> millis = new ArrayList<>();
        try (Session _ = Session.over(timed(cpu()))) {
            Step step = new Step(model, precision);
            for (int i = 0; i < warmup; i++) {
                step.run();
            }
            timing = true;
            for (int i = 0; i < steps; i++) {
                millis.add(step.run());
            }
        }
        report(millis.stream().mapToDouble(Double::doubleValue).average().orElseThrow());
        return 0;
    }

    private void report(double stepMillis) {
        System.out.printf(
                Locale.ROOT, "%10s %6s %6s %9s  %s%n", "ms a step", "share", "calls", "roofline", "kernel and shapes");
        double kernels = 0;
        double matrixMillis = 0;
        double matrixFlops = 0;
        double least = 0;
        List<Map.Entry<String, Launches>> slowest = new ArrayList<>(launches.entrySet());
        slowest.sort(Comparator.comparingDouble(e -> -e.getValue().micros));
        for (Map.Entry<String, Launches> e : slowest) {
            Launches l = e.getValue();
            kernels += l.micros / 1e3 / steps;
            least += l.least / 1e3 / steps;
            if (l.flops > 0) {
                matrixMillis += l.micros / 1e3 / steps;
                matrixFlops += l.flops / steps;
            }
            System.out.printf(
                    Locale.ROOT,
                    "%10.2f %5.1f%% %6d %8.0f%%  %s%n",
                    l.micros / 1e3 / steps,
                    l.micros / 10 / steps / stepMillis,
                    l.count / steps,
                    100 * l.least / l.micros,
                    e.getKey());
        }
        System.out.printf(
                Locale.ROOT,
                "step %.0f ms; matmul and attention %.0f ms (%.0f%%) at %.0f GFLOP/s; all kernels %.0f ms, at the"
                        + " roofline %.0f ms (%s)%n",
                stepMillis,
                matrixMillis,
                100 * matrixMillis / stepMillis,
                matrixFlops / matrixMillis / 1e6,
                kernels,
                least,
                roofline);
    }

    private static Backend cpu() {
        for (BackendProvider p : ServiceLoader.load(BackendProvider.class)) {
            if (p.kind().equals("cpu")) {
                return p.open(Device.parse("cpu"));
            }
        }
        throw new IllegalStateException("step-profile: no CPU backend on the class path");
    }

    private Backend timed(Backend backend) {
        Kernels kernels = proxy(Kernels.class, (_, method, args) -> {
            long start = System.nanoTime();
            Object result = call(backend.kernels(), method, args);
            if (timing) {
                record(method, args, (System.nanoTime() - start) / 1e3);
            }
            return result;
        });
        return proxy(
                Backend.class,
                (_, method, args) -> method.getName().equals("kernels") ? kernels : call(backend, method, args));
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object call(Object on, Method method, Object[] args) throws Throwable {
        try {
            return method.invoke(on, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private void record(Method method, Object[] args, double micros) {
        Tensor out = (Tensor) (args[0] == null ? args[2] : args[0]);
        String key = method.getName() + " " + out.shape();
        if (method.getName().equals("matmul")) {
            key += " = " + operand(args[1], args[2]) + " · " + operand(args[3], args[4]);
        }
        Launches l = launches.computeIfAbsent(key, _ -> new Launches());
        l.count++;
        l.micros += micros;
        Work work = Work.of(counter -> count(counter, method, args));
        l.least += roofline.micros(work);
        l.flops += work.matrix() == null ? 0 : work.operations();
    }

    private static String operand(Object tensor, Object transposed) {
        return ((Tensor) tensor).shape() + ((boolean) transposed ? "ᵀ" : "");
    }

    private static void count(Kernels on, Method method, Object[] args) {
        try {
            method.invoke(on, args);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
