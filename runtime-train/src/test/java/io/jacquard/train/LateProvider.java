package io.jacquard.train;

import io.jacquard.tensor.Device;
import io.jacquard.tensor.spi.Backend;
import io.jacquard.tensor.spi.BackendProvider;
import io.jacquard.tensor.spi.Readback;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;

/// The CPU as device `late`: what it copies to the host is never there before somebody waits for it, as on a device
/// that is slower than its host.
public final class LateProvider implements BackendProvider {
    /// What was asked for (`+`) and waited for (`-`) since a test emptied it.
    static final List<String> LOG = new ArrayList<>();

    @Override
    public String kind() {
        return "late";
    }

    @Override
    public Backend open(Device device) {
        Backend cpu = ServiceLoader.load(BackendProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(p -> p.kind().equals("cpu"))
                .findFirst()
                .orElseThrow()
                .open(Device.parse("cpu"));
        return (Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (_, method, arguments) -> {
                    try {
                        return switch (method.getName()) {
                            case "device" -> device;
                            case "downloadLater" -> later(cpu, (MemorySegment) arguments[0], (long) arguments[1]);
                            default -> method.invoke(cpu, arguments);
                        };
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static Readback later(Backend cpu, MemorySegment destination, long source) {
        byte[] now = new byte[Math.toIntExact(destination.byteSize())];
        cpu.download(MemorySegment.ofArray(now), source);
        LOG.add("+");
        return new Readback() {
            private boolean done;

            @Override
            public boolean isDone() {
                return done;
            }

            @Override
            public void await() {
                if (!done) {
                    LOG.add("-");
                    done = true;
                    destination.copyFrom(MemorySegment.ofArray(now));
                }
            }
        };
    }
}
