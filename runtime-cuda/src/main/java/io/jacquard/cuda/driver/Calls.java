package io.jacquard.cuda.driver;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.invoke.MethodHandle;

/// One method per function of the driver, in the order and with the parameters of `cuda.h`; each returns the CUresult.
/// Pointers, handles and addresses are `long`: a `MemorySegment` per argument would be garbage on every launch.
///
/// The class initialises by looking the functions up; [DriverLibrary#get] must have been called and found a library.
final class Calls {
    private static final DriverLibrary LIBRARY = DriverLibrary.get();

    private static final MethodHandle INIT = LIBRARY.function("cuInit", JAVA_INT);
    private static final MethodHandle DRIVER_GET_VERSION = LIBRARY.function("cuDriverGetVersion", JAVA_LONG);
    private static final MethodHandle GET_ERROR_NAME = LIBRARY.function("cuGetErrorName", JAVA_INT, JAVA_LONG);
    private static final MethodHandle GET_ERROR_STRING = LIBRARY.function("cuGetErrorString", JAVA_INT, JAVA_LONG);
    private static final MethodHandle DEVICE_GET_COUNT = LIBRARY.function("cuDeviceGetCount", JAVA_LONG);
    private static final MethodHandle DEVICE_GET = LIBRARY.function("cuDeviceGet", JAVA_LONG, JAVA_INT);
    private static final MethodHandle DEVICE_GET_NAME =
            LIBRARY.function("cuDeviceGetName", JAVA_LONG, JAVA_INT, JAVA_INT);
    private static final MethodHandle DEVICE_TOTAL_MEM = LIBRARY.function("cuDeviceTotalMem_v2", JAVA_LONG, JAVA_INT);
    private static final MethodHandle DEVICE_GET_ATTRIBUTE =
            LIBRARY.function("cuDeviceGetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT);
    private static final MethodHandle PRIMARY_CTX_RETAIN =
            LIBRARY.function("cuDevicePrimaryCtxRetain", JAVA_LONG, JAVA_INT);
    private static final MethodHandle PRIMARY_CTX_RELEASE = LIBRARY.function("cuDevicePrimaryCtxRelease_v2", JAVA_INT);
    private static final MethodHandle CTX_SET_CURRENT = LIBRARY.function("cuCtxSetCurrent", JAVA_LONG);

    private static final MethodHandle MEM_GET_INFO = LIBRARY.function("cuMemGetInfo_v2", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle MEM_ALLOC = LIBRARY.function("cuMemAlloc_v2", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle MEM_FREE = LIBRARY.function("cuMemFree_v2", JAVA_LONG);
    private static final MethodHandle MEM_ALLOC_HOST = LIBRARY.function("cuMemAllocHost_v2", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle MEM_FREE_HOST = LIBRARY.function("cuMemFreeHost", JAVA_LONG);
    private static final MethodHandle MEMCPY_HTOD =
            LIBRARY.function("cuMemcpyHtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle MEMCPY_DTOH =
            LIBRARY.function("cuMemcpyDtoHAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle MEMSET =
            LIBRARY.function("cuMemsetD8Async", JAVA_LONG, JAVA_BYTE, JAVA_LONG, JAVA_LONG);

    private static final MethodHandle STREAM_CREATE = LIBRARY.function("cuStreamCreate", JAVA_LONG, JAVA_INT);
    private static final MethodHandle STREAM_DESTROY = LIBRARY.function("cuStreamDestroy_v2", JAVA_LONG);
    private static final MethodHandle STREAM_SYNCHRONIZE = LIBRARY.function("cuStreamSynchronize", JAVA_LONG);
    private static final MethodHandle STREAM_WAIT_EVENT =
            LIBRARY.function("cuStreamWaitEvent", JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle STREAM_BEGIN_CAPTURE =
            LIBRARY.function("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
    private static final MethodHandle STREAM_END_CAPTURE = LIBRARY.function("cuStreamEndCapture", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle EVENT_CREATE = LIBRARY.function("cuEventCreate", JAVA_LONG, JAVA_INT);
    private static final MethodHandle EVENT_DESTROY = LIBRARY.function("cuEventDestroy_v2", JAVA_LONG);
    private static final MethodHandle EVENT_RECORD = LIBRARY.function("cuEventRecord", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle EVENT_QUERY = LIBRARY.function("cuEventQuery", JAVA_LONG);
    private static final MethodHandle EVENT_SYNCHRONIZE = LIBRARY.function("cuEventSynchronize", JAVA_LONG);
    private static final MethodHandle EVENT_ELAPSED_TIME =
            LIBRARY.function("cuEventElapsedTime", JAVA_LONG, JAVA_LONG, JAVA_LONG);

    private static final MethodHandle GRAPH_INSTANTIATE =
            LIBRARY.function("cuGraphInstantiateWithFlags", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle GRAPH_LAUNCH = LIBRARY.function("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle GRAPH_EXEC_DESTROY = LIBRARY.function("cuGraphExecDestroy", JAVA_LONG);
    private static final MethodHandle GRAPH_DESTROY = LIBRARY.function("cuGraphDestroy", JAVA_LONG);

    private static final MethodHandle LIBRARY_LOAD_DATA = LIBRARY.function(
            "cuLibraryLoadData", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
    private static final MethodHandle LIBRARY_UNLOAD = LIBRARY.function("cuLibraryUnload", JAVA_LONG);
    private static final MethodHandle LIBRARY_GET_KERNEL =
            LIBRARY.function("cuLibraryGetKernel", JAVA_LONG, JAVA_LONG, JAVA_LONG);
    private static final MethodHandle KERNEL_GET_FUNCTION =
            LIBRARY.function("cuKernelGetFunction", JAVA_LONG, JAVA_LONG);
    private static final MethodHandle FUNC_SET_ATTRIBUTE =
            LIBRARY.function("cuFuncSetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT);
    private static final MethodHandle LAUNCH_KERNEL = LIBRARY.function(
            "cuLaunchKernel",
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);
    private static final MethodHandle TENSOR_MAP_ENCODE_TILED = LIBRARY.function(
            "cuTensorMapEncodeTiled",
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT);

    private Calls() {}

    private static IllegalStateException broken(String function, Throwable cause) {
        return new IllegalStateException("cuda: the call of " + function + " failed in Java", cause);
    }

    static int init(int flags) {
        try {
            return (int) INIT.invokeExact(flags);
        } catch (Throwable t) {
            throw broken("cuInit", t);
        }
    }

    static int driverGetVersion(long version) {
        try {
            return (int) DRIVER_GET_VERSION.invokeExact(version);
        } catch (Throwable t) {
            throw broken("cuDriverGetVersion", t);
        }
    }

    static int getErrorName(int error, long text) {
        try {
            return (int) GET_ERROR_NAME.invokeExact(error, text);
        } catch (Throwable t) {
            throw broken("cuGetErrorName", t);
        }
    }

    static int getErrorString(int error, long text) {
        try {
            return (int) GET_ERROR_STRING.invokeExact(error, text);
        } catch (Throwable t) {
            throw broken("cuGetErrorString", t);
        }
    }

    static int deviceGetCount(long count) {
        try {
            return (int) DEVICE_GET_COUNT.invokeExact(count);
        } catch (Throwable t) {
            throw broken("cuDeviceGetCount", t);
        }
    }

    static int deviceGet(long device, int ordinal) {
        try {
            return (int) DEVICE_GET.invokeExact(device, ordinal);
        } catch (Throwable t) {
            throw broken("cuDeviceGet", t);
        }
    }

    static int deviceGetName(long name, int length, int device) {
        try {
            return (int) DEVICE_GET_NAME.invokeExact(name, length, device);
        } catch (Throwable t) {
            throw broken("cuDeviceGetName", t);
        }
    }

    static int deviceTotalMem(long bytes, int device) {
        try {
            return (int) DEVICE_TOTAL_MEM.invokeExact(bytes, device);
        } catch (Throwable t) {
            throw broken("cuDeviceTotalMem_v2", t);
        }
    }

    static int deviceGetAttribute(long value, int attribute, int device) {
        try {
            return (int) DEVICE_GET_ATTRIBUTE.invokeExact(value, attribute, device);
        } catch (Throwable t) {
            throw broken("cuDeviceGetAttribute", t);
        }
    }

    static int primaryCtxRetain(long context, int device) {
        try {
            return (int) PRIMARY_CTX_RETAIN.invokeExact(context, device);
        } catch (Throwable t) {
            throw broken("cuDevicePrimaryCtxRetain", t);
        }
    }

    static int primaryCtxRelease(int device) {
        try {
            return (int) PRIMARY_CTX_RELEASE.invokeExact(device);
        } catch (Throwable t) {
            throw broken("cuDevicePrimaryCtxRelease_v2", t);
        }
    }

    static int ctxSetCurrent(long context) {
        try {
            return (int) CTX_SET_CURRENT.invokeExact(context);
        } catch (Throwable t) {
            throw broken("cuCtxSetCurrent", t);
        }
    }

    static int memGetInfo(long free, long total) {
        try {
            return (int) MEM_GET_INFO.invokeExact(free, total);
        } catch (Throwable t) {
            throw broken("cuMemGetInfo_v2", t);
        }
    }

    static int memAlloc(long address, long bytes) {
        try {
            return (int) MEM_ALLOC.invokeExact(address, bytes);
        } catch (Throwable t) {
            throw broken("cuMemAlloc_v2", t);
        }
    }

    static int memFree(long address) {
        try {
            return (int) MEM_FREE.invokeExact(address);
        } catch (Throwable t) {
            throw broken("cuMemFree_v2", t);
        }
    }

    static int memAllocHost(long address, long bytes) {
        try {
            return (int) MEM_ALLOC_HOST.invokeExact(address, bytes);
        } catch (Throwable t) {
            throw broken("cuMemAllocHost_v2", t);
        }
    }

    static int memFreeHost(long address) {
        try {
            return (int) MEM_FREE_HOST.invokeExact(address);
        } catch (Throwable t) {
            throw broken("cuMemFreeHost", t);
        }
    }

    static int memcpyHtoD(long device, long host, long bytes, long stream) {
        try {
            return (int) MEMCPY_HTOD.invokeExact(device, host, bytes, stream);
        } catch (Throwable t) {
            throw broken("cuMemcpyHtoDAsync_v2", t);
        }
    }

    static int memcpyDtoH(long host, long device, long bytes, long stream) {
        try {
            return (int) MEMCPY_DTOH.invokeExact(host, device, bytes, stream);
        } catch (Throwable t) {
            throw broken("cuMemcpyDtoHAsync_v2", t);
        }
    }

    static int memset(long address, byte value, long bytes, long stream) {
        try {
            return (int) MEMSET.invokeExact(address, value, bytes, stream);
        } catch (Throwable t) {
            throw broken("cuMemsetD8Async", t);
        }
    }

    static int streamCreate(long stream, int flags) {
        try {
            return (int) STREAM_CREATE.invokeExact(stream, flags);
        } catch (Throwable t) {
            throw broken("cuStreamCreate", t);
        }
    }

    static int streamDestroy(long stream) {
        try {
            return (int) STREAM_DESTROY.invokeExact(stream);
        } catch (Throwable t) {
            throw broken("cuStreamDestroy_v2", t);
        }
    }

    static int streamSynchronize(long stream) {
        try {
            return (int) STREAM_SYNCHRONIZE.invokeExact(stream);
        } catch (Throwable t) {
            throw broken("cuStreamSynchronize", t);
        }
    }

    static int streamWaitEvent(long stream, long event, int flags) {
        try {
            return (int) STREAM_WAIT_EVENT.invokeExact(stream, event, flags);
        } catch (Throwable t) {
            throw broken("cuStreamWaitEvent", t);
        }
    }

    static int streamBeginCapture(long stream, int mode) {
        try {
            return (int) STREAM_BEGIN_CAPTURE.invokeExact(stream, mode);
        } catch (Throwable t) {
            throw broken("cuStreamBeginCapture_v2", t);
        }
    }

    static int streamEndCapture(long stream, long graph) {
        try {
            return (int) STREAM_END_CAPTURE.invokeExact(stream, graph);
        } catch (Throwable t) {
            throw broken("cuStreamEndCapture", t);
        }
    }

    static int eventCreate(long event, int flags) {
        try {
            return (int) EVENT_CREATE.invokeExact(event, flags);
        } catch (Throwable t) {
            throw broken("cuEventCreate", t);
        }
    }

    static int eventDestroy(long event) {
        try {
            return (int) EVENT_DESTROY.invokeExact(event);
        } catch (Throwable t) {
            throw broken("cuEventDestroy_v2", t);
        }
    }

    static int eventRecord(long event, long stream) {
        try {
            return (int) EVENT_RECORD.invokeExact(event, stream);
        } catch (Throwable t) {
            throw broken("cuEventRecord", t);
        }
    }

    static int eventQuery(long event) {
        try {
            return (int) EVENT_QUERY.invokeExact(event);
        } catch (Throwable t) {
            throw broken("cuEventQuery", t);
        }
    }

    static int eventSynchronize(long event) {
        try {
            return (int) EVENT_SYNCHRONIZE.invokeExact(event);
        } catch (Throwable t) {
            throw broken("cuEventSynchronize", t);
        }
    }

    static int eventElapsedTime(long milliseconds, long from, long to) {
        try {
            return (int) EVENT_ELAPSED_TIME.invokeExact(milliseconds, from, to);
        } catch (Throwable t) {
            throw broken("cuEventElapsedTime", t);
        }
    }

    static int graphInstantiate(long executable, long graph, long flags) {
        try {
            return (int) GRAPH_INSTANTIATE.invokeExact(executable, graph, flags);
        } catch (Throwable t) {
            throw broken("cuGraphInstantiateWithFlags", t);
        }
    }

    static int graphLaunch(long executable, long stream) {
        try {
            return (int) GRAPH_LAUNCH.invokeExact(executable, stream);
        } catch (Throwable t) {
            throw broken("cuGraphLaunch", t);
        }
    }

    static int graphExecDestroy(long executable) {
        try {
            return (int) GRAPH_EXEC_DESTROY.invokeExact(executable);
        } catch (Throwable t) {
            throw broken("cuGraphExecDestroy", t);
        }
    }

    static int graphDestroy(long graph) {
        try {
            return (int) GRAPH_DESTROY.invokeExact(graph);
        } catch (Throwable t) {
            throw broken("cuGraphDestroy", t);
        }
    }

    static int libraryLoadData(
            long library,
            long image,
            long jitOptions,
            long jitValues,
            int jitCount,
            long options,
            long values,
            int count) {
        try {
            return (int) LIBRARY_LOAD_DATA.invokeExact(
                    library, image, jitOptions, jitValues, jitCount, options, values, count);
        } catch (Throwable t) {
            throw broken("cuLibraryLoadData", t);
        }
    }

    static int libraryUnload(long library) {
        try {
            return (int) LIBRARY_UNLOAD.invokeExact(library);
        } catch (Throwable t) {
            throw broken("cuLibraryUnload", t);
        }
    }

    static int libraryGetKernel(long kernel, long library, long name) {
        try {
            return (int) LIBRARY_GET_KERNEL.invokeExact(kernel, library, name);
        } catch (Throwable t) {
            throw broken("cuLibraryGetKernel", t);
        }
    }

    static int kernelGetFunction(long function, long kernel) {
        try {
            return (int) KERNEL_GET_FUNCTION.invokeExact(function, kernel);
        } catch (Throwable t) {
            throw broken("cuKernelGetFunction", t);
        }
    }

    static int funcSetAttribute(long function, int attribute, int value) {
        try {
            return (int) FUNC_SET_ATTRIBUTE.invokeExact(function, attribute, value);
        } catch (Throwable t) {
            throw broken("cuFuncSetAttribute", t);
        }
    }

    static int launchKernel(
            long function,
            int gridX,
            int gridY,
            int gridZ,
            int blockX,
            int blockY,
            int blockZ,
            int sharedBytes,
            long stream,
            long parameters,
            long extra) {
        try {
            return (int) LAUNCH_KERNEL.invokeExact(
                    function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters, extra);
        } catch (Throwable t) {
            throw broken("cuLaunchKernel", t);
        }
    }

    static int tensorMapEncodeTiled(
            long map,
            int dtype,
            int rank,
            long address,
            long dims,
            long strides,
            long box,
            long elementStrides,
            int interleave,
            int swizzle,
            int promotion,
            int fill) {
        try {
            return (int) TENSOR_MAP_ENCODE_TILED.invokeExact(
                    map,
                    dtype,
                    rank,
                    address,
                    dims,
                    strides,
                    box,
                    elementStrides,
                    interleave,
                    swizzle,
                    promotion,
                    fill);
        } catch (Throwable t) {
            throw broken("cuTensorMapEncodeTiled", t);
        }
    }
}
