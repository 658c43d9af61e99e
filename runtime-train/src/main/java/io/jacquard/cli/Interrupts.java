package io.jacquard.cli;

import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;

/// Lets work end in order when the process is asked to stop (Ctrl-C, SIGTERM).
///
/// A shutdown hook, because it is the JDK's only public way to hear of a signal: the JVM ends with 130 or 143 by itself
/// once the hook returns.
final class Interrupts {
    private Interrupts() {}

    /// Runs `work`; at an interrupt `stop` is called, and the process waits for `work` to return.
    static <T> T during(Runnable stop, Callable<T> work) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        Thread hook = Thread.ofPlatform().unstarted(() -> {
            stop.run();
            try {
                done.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            return work.call();
        } finally {
            done.countDown();
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                // The JVM is going down already, and the hook was part of that.
                hook.interrupt();
            }
        }
    }
}
