package io.jacquard.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.jacquard.tensor.DeviceException;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.net.URL;
import org.bytedeco.javacpp.Loader;

/// The functions of oneDNN that we call, bound to the library inside JavaCPP's preset jar. The preset's own classes
/// stay unused: they need OpenCL, and a call through them costs a `Pointer` object per argument.
@SuppressWarnings("restricted")
final class OneDnn {
    static final int F16 = 1;
    static final int BF16 = 2;
    static final int F32 = 3;
    static final int ARG_SRC = 1;
    static final int ARG_DST = 17;
    static final int ARG_WEIGHTS = 33;
    static final int ARG_BIAS = 41;
    static final int ARG_SCRATCHPAD = 80;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final SymbolLookup OPENMP = library("gomp");
    private static final SymbolLookup DNNL = library("dnnl");

    private static final MethodHandle SET_THREADS =
            handle(OPENMP, "omp_set_num_threads", FunctionDescriptor.ofVoid(JAVA_INT));
    private static final MethodHandle SGEMM = handle(
            DNNL,
            "dnnl_sgemm",
            FunctionDescriptor.of(
                    JAVA_INT,
                    JAVA_BYTE,
                    JAVA_BYTE,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_FLOAT,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_LONG,
                    JAVA_FLOAT,
                    JAVA_LONG,
                    JAVA_LONG));
    static final MethodHandle ENGINE_CREATE = dnnl("dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG);
    static final MethodHandle STREAM_CREATE = dnnl("dnnl_stream_create", ADDRESS, JAVA_LONG, JAVA_INT);
    static final MethodHandle DESC_CREATE =
            dnnl("dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
    static final MethodHandle MEMORY_CREATE = dnnl("dnnl_memory_create", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle SET_HANDLE = dnnl("dnnl_memory_set_data_handle", JAVA_LONG, JAVA_LONG);
    static final MethodHandle MATMUL_CREATE = dnnl(
            "dnnl_matmul_primitive_desc_create",
            ADDRESS,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);
    static final MethodHandle ATTR_CREATE = dnnl("dnnl_primitive_attr_create", ADDRESS);
    static final MethodHandle ATTR_SET_POST_OPS = dnnl("dnnl_primitive_attr_set_post_ops", JAVA_LONG, JAVA_LONG);
    static final MethodHandle POST_OPS_CREATE = dnnl("dnnl_post_ops_create", ADDRESS);
    static final MethodHandle POST_OPS_SUM =
            dnnl("dnnl_post_ops_append_sum", JAVA_LONG, JAVA_FLOAT, JAVA_INT, JAVA_INT);
    static final MethodHandle PRIMITIVE_CREATE = dnnl("dnnl_primitive_create", ADDRESS, JAVA_LONG);
    static final MethodHandle EXECUTE = dnnl("dnnl_primitive_execute", JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS);
    static final MethodHandle ATTR_SET_SCRATCHPAD =
            dnnl("dnnl_primitive_attr_set_scratchpad_mode", JAVA_LONG, JAVA_INT);
    static final MethodHandle QUERY_DESC = handle(
            DNNL, "dnnl_primitive_desc_query_md", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT));
    static final MethodHandle DESC_SIZE =
            handle(DNNL, "dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));
    static final MethodHandle DESC_CLONE = dnnl("dnnl_memory_desc_clone", ADDRESS, JAVA_LONG);
    static final MethodHandle DESTROY_PRIMITIVE_DESC = dnnl("dnnl_primitive_desc_destroy", JAVA_LONG);
    static final MethodHandle DESTROY_ATTR = dnnl("dnnl_primitive_attr_destroy", JAVA_LONG);
    static final MethodHandle DESTROY_POST_OPS = dnnl("dnnl_post_ops_destroy", JAVA_LONG);

    private OneDnn() {}

    private static MethodHandle dnnl(String name, java.lang.foreign.MemoryLayout... arguments) {
        return handle(DNNL, name, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    private static MethodHandle handle(SymbolLookup library, String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(
                library.find(name).orElseThrow(() -> new DeviceException("cpu: oneDNN has no function " + name)), type);
    }

    private static SymbolLookup library(String name) {
        String platform = Loader.getPlatform();
        String folder = "org/bytedeco/dnnl/" + platform + "/";
        String file = switch (platform.substring(0, platform.indexOf('-'))) {
            case "windows" -> name.equals("gomp") ? "vcomp140.dll" : name + ".dll";
            case "macosx" -> name.equals("gomp") ? "libgomp.1.dylib" : "lib" + name + ".3.dylib";
            default -> name.equals("gomp") ? "libgomp.so.1" : "lib" + name + ".so.3";
        };
        URL resource = OneDnn.class.getClassLoader().getResource(folder + file);
        if (resource == null) {
            throw new DeviceException("cpu: " + folder + file + " is not on the class path;"
                    + " add org.bytedeco:dnnl with the classifier " + platform);
        }
        try {
            File library = Loader.cacheResource(resource);
            return SymbolLookup.libraryLookup(library.toPath(), Arena.global());
        } catch (IOException e) {
            throw new DeviceException("cpu: cannot unpack " + file + ": " + e);
        }
    }

    /// Makes oneDNN run on the calling thread alone: our own threads each run whole serial calls.
    static void serialThread() {
        try {
            SET_THREADS.invokeExact(1);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
    }

    /// Row-major `c[m, n] = alpha op(a) op(b) + beta c`, serial.
    static void sgemm(
            boolean ta,
            boolean tb,
            long m,
            long n,
            long k,
            float alpha,
            long a,
            long lda,
            long b,
            long ldb,
            float beta,
            long c,
            long ldc) {
        if (m == 0 || n == 0) {
            return;
        }
        int status;
        try {
            status = (int) SGEMM.invokeExact(
                    (byte) (ta ? 'T' : 'N'), (byte) (tb ? 'T' : 'N'), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        } catch (Throwable t) {
            throw new IllegalStateException(t);
        }
        if (status != 0) {
            throw new DeviceException(
                    "cpu: dnnl_sgemm [" + m + ", " + k + "] x [" + k + ", " + n + "]: status " + status);
        }
    }

    /// The handle that a creating function stored.
    static long created(MemorySegment slot) {
        return slot.get(JAVA_LONG, 0);
    }

    static void check(int status, String what) {
        if (status != 0) {
            throw new DeviceException("cpu: " + what + ": oneDNN status " + status);
        }
    }
}
