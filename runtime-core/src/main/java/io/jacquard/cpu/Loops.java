package io.jacquard.cpu;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.invoke.MethodType;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.management.JMException;
import javax.management.ObjectName;

/// Has C2 compile each loop over a run of elements by itself, with the functions of vectors that it calls inside.
///
/// C2 inlines a hot loop into the kernel around it until the kernel has too many nodes; what comes after that point is
/// no longer inlined, not even the vector operations inside the loop, which then allocate each vector they return. A
/// bf16 SwiGLU backward of 512 x 8192 ran in 9.0 ms with 75 MB of boxes instead of 3.7 ms, an add + LayerNorm of 1024 x
/// 768 in 0.69 ms instead of 0.30 (`benchmarks/kernel-benchmark`, two cores). A call costs some 2 ns for a row of
/// elements.
///
/// C1 is left alone: told the same, it runs out of registers in AdamW's loop and gives up on it for good (25x slower).
///
/// There is no annotation for it outside the JDK, and flags would be every user's affair; a compiler directive, the one
/// of `jcmd Compiler.directives_add`, can be added from inside. It takes effect with what is compiled from then on.
final class Loops {
    private static final System.Logger LOG = System.getLogger(Loops.class.getName());

    private static final List<Class<?>> HOLDERS = List.of(
            Activations.class,
            Attention.class,
            Convert.class,
            Copies.class,
            Elementwise.class,
            FloatMath.class,
            Losses.class,
            LowPrecision.class,
            Mem.class,
            Norms.class,
            Optimizers.class,
            Quantization.class,
            Randoms.class);

    private static final AtomicBoolean DONE = new AtomicBoolean();

    private Loops() {}

    /// Adds the directive, once in a process and in the background: the management beans take 100 ms to load, C2
    /// begins with kernels later than that.
    static void keepApart() {
        if (!DONE.getAndSet(true)) {
            Thread.ofPlatform().daemon().name("jacquard-loops").start(() -> {
                try {
                    add();
                } catch (IOException | JMException | RuntimeException e) {
                    LOG.log(
                            Level.INFO,
                            "the CPU's loops are compiled as the JVM likes, and some will be slower: {0}",
                            e.toString());
                }
            });
        }
    }

    /// @return what the virtual machine says to it
    static String add() throws IOException, JMException {
        Path file = Files.createTempFile("jacquard-loops", ".json");
        try {
            Files.writeString(file, directive());
            return String.valueOf(ManagementFactory.getPlatformMBeanServer()
                    .invoke(
                            new ObjectName("com.sun.management:type=DiagnosticCommand"),
                            "compilerDirectivesAdd",
                            new Object[] {new String[] {file.toString()}},
                            new String[] {String[].class.getName()}));
        } finally {
            Files.delete(file);
        }
    }

    /// As `jcmd PID Compiler.directives_add` takes it.
    static String directive() {
        return HOLDERS.stream()
                .flatMap(c -> Arrays.stream(c.getDeclaredMethods()))
                .filter(m -> Modifier.isStatic(m.getModifiers()))
                .map(m -> isLoop(m) ? pattern('-', m) : hasVectors(m) ? pattern('+', m) : "")
                .filter(pattern -> !pattern.isEmpty())
                .sorted()
                .collect(Collectors.joining(", ", "[{ match: \"*.*\", c2: { inline: [", "] } }]"));
    }

    private static String pattern(char sign, Method m) {
        return "\"" + sign + m.getDeclaringClass().getName().replace('.', '/') + "." + m.getName()
                + MethodType.methodType(m.getReturnType(), m.getParameterTypes())
                        .toMethodDescriptorString() + "\"";
    }

    /// Of addresses and numbers alone, with the number of elements at the end.
    private static boolean isLoop(Method m) {
        Class<?>[] types = m.getParameterTypes();
        return types.length > 2
                && types[0] == long.class
                && types[types.length - 1] == int.class
                && Arrays.stream(types).allMatch(Class::isPrimitive);
    }

    private static boolean hasVectors(Method m) {
        return Stream.concat(Stream.of(m.getReturnType()), Arrays.stream(m.getParameterTypes()))
                .anyMatch(t -> t.getPackageName().equals("jdk.incubator.vector"));
    }
}
