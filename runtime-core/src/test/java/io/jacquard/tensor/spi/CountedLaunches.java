package io.jacquard.tensor.spi;

import io.jacquard.tensor.Session;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.Map;

/// How often each kernel is launched, for tests of what is left out.
public final class CountedLaunches {
    private final Map<String, Integer> counts = new HashMap<>();

    /// A session like `opened`, on its device, whose launches are counted. The device is closed with `opened`.
    public Session over(Session opened) {
        Backend backend = opened.backend();
        Kernels kernels = (Kernels) Proxy.newProxyInstance(
                Kernels.class.getClassLoader(), new Class<?>[] {Kernels.class}, (_, method, arguments) -> {
                    counts.merge(method.getName(), 1, Integer::sum);
                    return call(backend.kernels(), method, arguments);
                });
        return Session.over((Backend) Proxy.newProxyInstance(
                Backend.class.getClassLoader(),
                new Class<?>[] {Backend.class},
                (_, method, arguments) -> switch (method.getName()) {
                    case "kernels" -> kernels;
                    case "close" -> null;
                    default -> call(backend, method, arguments);
                }));
    }

    private static Object call(Object on, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(on, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /// Of this kernel, since the last call of this for it.
    public int take(String kernel) {
        Integer count = counts.remove(kernel);
        return count == null ? 0 : count;
    }
}
