package io.jacquard.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/// Memory straight from the operating system: huge pages, resident when first touched.
@SuppressWarnings("restricted")
final class Posix {
    private static final int PROT_READ = 1;
    private static final int PROT_WRITE = 2;
    private static final int MAP_PRIVATE = 2;
    private static final boolean LINUX =
            System.getProperty("os.name").toLowerCase(Locale.ROOT).contains("linux");
    private static final int MAP_ANONYMOUS = LINUX ? 0x20 : 0x1000;
    private static final int MADV_HUGEPAGE = 14;
    private static final long HUGE_PAGE = 2L << 20;

    private static final MethodHandle MMAP = handle(
            "mmap", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP = handle("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle MADVISE =
            handle("madvise", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));

    private Posix() {}

    private static MethodHandle handle(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(
                linker.defaultLookup()
                        .find(name)
                        .orElseThrow(() -> new UnsatisfiedLinkError("cpu: the C library has no " + name)),
                type);
    }

    /// `bytes`, rounded up to whole huge pages, aligned to one; 0 when the system has none.
    static long map(long bytes) {
        long size = rounded(bytes) + HUGE_PAGE;
        try {
            long raw = (long) MMAP.invokeExact(0L, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
            if (raw == -1) {
                return 0;
            }
            long aligned = (raw + HUGE_PAGE - 1) & -HUGE_PAGE;
            unmapRange(raw, aligned - raw);
            unmapRange(aligned + rounded(bytes), raw + HUGE_PAGE - aligned);
            if (LINUX) {
                // only advice: with huge pages switched off the memory is as good, the page walks slower
                int _ = (int) MADVISE.invokeExact(aligned, rounded(bytes), MADV_HUGEPAGE);
            }
            return aligned;
        } catch (Throwable t) {
            throw new IllegalStateException("cpu: mmap of " + bytes + " bytes", t);
        }
    }

    static void unmap(long address, long bytes) {
        try {
            unmapRange(address, rounded(bytes));
        } catch (Throwable t) {
            throw new IllegalStateException("cpu: munmap of " + bytes + " bytes", t);
        }
    }

    private static void unmapRange(long address, long bytes) throws Throwable {
        if (bytes > 0) {
            int status = (int) MUNMAP.invokeExact(address, bytes);
            if (status != 0) {
                throw new IllegalStateException("munmap: status " + status);
            }
        }
    }

    static long rounded(long bytes) {
        return (Math.max(bytes, 1) + HUGE_PAGE - 1) & -HUGE_PAGE;
    }

    /// What this process may use: physical memory, or the control group's limit where that is lower.
    static long memoryBytes() {
        long limit = physicalBytes();
        for (String file : new String[] {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
            limit = Math.min(limit, readLong(Path.of(file)));
        }
        return limit;
    }

    private static long physicalBytes() {
        var bean = java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        return bean instanceof com.sun.management.OperatingSystemMXBean os ? os.getTotalMemorySize() : Long.MAX_VALUE;
    }

    private static long readLong(Path file) {
        try {
            return Long.parseLong(Files.readString(file).strip());
        } catch (IOException | NumberFormatException e) {
            return Long.MAX_VALUE; // no such control group, or "max"
        }
    }
}
