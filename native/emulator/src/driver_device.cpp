// driver_device.cpp: initialisation, the devices, their contexts, errors.
#include "driver.h"

#include <pthread.h>
#include <unistd.h>
#include <cstdarg>
#include <mutex>

namespace emulator::driver {

static std::recursive_mutex& mutex() {
    static auto* m = new std::recursive_mutex;
    return *m;
}
static bool initialised;
static int retained[MAX_DEVICES], stickyCodes[MAX_DEVICES];
static int depth;  // of calls by the thread that has the driver
static std::string lastError;
static const char* callName = "";

// Thread by thread, without thread_local: that is the emulated shared memory.
static pthread_key_t currentKey() {
    static const pthread_key_t key = [] {
        pthread_key_t k;
        pthread_key_create(&k, nullptr);
        return k;
    }();
    return key;
}
static const uintptr_t FIRST_CONTEXT = 0x1ac0;  // of device 0; those of the others follow

int currentDevice() {
    const void* context = pthread_getspecific(currentKey());
    return context ? (int)((uintptr_t)context - FIRST_CONTEXT) : 0;
}

void rest() {
    const char* name = callName;
    const int held = depth;
    depth = 0;
    for (int i = 0; i < held; i++) mutex().unlock();
    usleep(100);
    for (int i = 0; i < held; i++) mutex().lock();
    depth = held;
    callName = name;
}

static std::map<std::string, int>& counts() {
    static auto* map = new std::map<std::string, int>;
    return *map;
}

int call(const char* name, Needs needs, const std::function<int()>& body) {
    std::lock_guard<std::recursive_mutex> guard(mutex());
    depth++;
    counts()[name]++;
    const char* outer = callName;
    callName = name;
    int result;
    if (needs != Needs::NOTHING && !initialised) {
        result = refuse(NOT_INITIALIZED, "cuInit was not called");
    } else if (needs >= Needs::CONTEXT && !pthread_getspecific(currentKey())) {
        result = refuse(INVALID_CONTEXT, "the calling thread has no current context");
    } else if (needs == Needs::CONTEXT && sticky(currentDevice())) {
        result = sticky(currentDevice());
    } else {
        result = body();
        if (needs == Needs::RELEASE && sticky(currentDevice())) result = sticky(currentDevice());
    }
    callName = outer;
    depth--;
    return result;
}

int refuse(int code, const char* format, ...) {
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lastError = std::string(callName) + ": " + text;
    return code;
}

void setSticky(int device, int code, const std::string& text) {
    if (stickyCodes[device]) return;
    stickyCodes[device] = code;
    lastError = text;
}

int sticky(int device) {
    return stickyCodes[device];
}

void resetDevice(int device) {
    stickyCodes[device] = 0;
    lastError.clear();
    forgetStreams(device);
}

// ---- the devices, all alike

int sharedOptIn() {
    return config.smVersion >= 90 && config.smVersion < 120 ? 227 << 10 : config.smVersion == 80 ? 163 << 10 : 99 << 10;
}

static int attribute(int id, int device) {
    switch (id) {
        case 1: return 1024;  // MAX_THREADS_PER_BLOCK
        case 2:
        case 3: return 1024;        // MAX_BLOCK_DIM_X, Y
        case 4: return 64;          // MAX_BLOCK_DIM_Z
        case 5: return 0x7fffffff;  // MAX_GRID_DIM_X
        case 6:
        case 7: return 65535;                   // MAX_GRID_DIM_Y, Z
        case 8: return 48 << 10;                // MAX_SHARED_MEMORY_PER_BLOCK
        case 9: return 64 << 10;                // TOTAL_CONSTANT_MEMORY
        case 10: return 32;                     // WARP_SIZE
        case 11: return 0x7fffffff;             // MAX_PITCH
        case 12: return 65536;                  // MAX_REGISTERS_PER_BLOCK
        case 13: return 1000000;                // CLOCK_RATE, kHz
        case 14: return 512;                    // TEXTURE_ALIGNMENT
        case 16: return config.multiprocessors;  // MULTIPROCESSOR_COUNT
        case 19: return 1;                      // CAN_MAP_HOST_MEMORY
        case 31: return 1;                      // CONCURRENT_KERNELS
        case 33: return device;                 // PCI_BUS_ID
        case 36: return 1000000;                // MEMORY_CLOCK_RATE, kHz
        case 37: return 1024;                   // GLOBAL_MEMORY_BUS_WIDTH, bits
        case 38: return 4 << 20;                // L2_CACHE_SIZE
        case 39: return 2048;                   // MAX_THREADS_PER_MULTIPROCESSOR
        case 40: return 2;                      // ASYNC_ENGINE_COUNT
        case 41: return 1;                      // UNIFIED_ADDRESSING
        case 75: return config.smVersion / 10;  // COMPUTE_CAPABILITY_MAJOR
        case 76: return config.smVersion % 10;  // COMPUTE_CAPABILITY_MINOR
        case 78: return 1;                      // STREAM_PRIORITIES_SUPPORTED
        case 81: return sharedOptIn() + 1024;   // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        case 82: return 65536;                  // MAX_REGISTERS_PER_MULTIPROCESSOR
        case 97: return sharedOptIn();          // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        case 106: return 32;                    // MAX_BLOCKS_PER_MULTIPROCESSOR
        case 111: return 1024;                  // RESERVED_SHARED_MEMORY_PER_BLOCK
        case 115: return 1;                     // MEMORY_POOLS_SUPPORTED
        default: return 0;
    }
}

// ---- error names

struct ErrorText {
    int code;
    const char *name, *text;
};
static const ErrorText errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {718, "CUDA_ERROR_INVALID_PC", "invalid program counter"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not initiated in this stream"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
};

static const ErrorText* findError(int code) {
    for (const ErrorText& e : errors) {
        if (e.code == code) return &e;
    }
    return nullptr;
}

static bool isDevice(int device) {
    return device >= 0 && device < config.devices;
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuInit(unsigned flags) {
    return call("cuInit", Needs::NOTHING, [&] {
        if (flags) return refuse(INVALID_VALUE, "flags %u", flags);
        initialised = true;
        return (int)SUCCESS;
    });
}

EXPORT int cuDriverGetVersion(int* version) {
    *version = emulator::config.driverVersion;
    return SUCCESS;
}

EXPORT int cuDeviceGetCount(int* count) {
    return call("cuDeviceGetCount", Needs::INITIALISED, [&] {
        *count = emulator::config.devices;
        return (int)SUCCESS;
    });
}

EXPORT int cuDeviceGet(int* device, int ordinal) {
    return call("cuDeviceGet", Needs::INITIALISED, [&] {
        if (!isDevice(ordinal)) {
            return refuse(INVALID_DEVICE, "there is no device %d; the setting devices is %d", ordinal,
                          emulator::config.devices);
        }
        *device = ordinal;
        return (int)SUCCESS;
    });
}

EXPORT int cuDeviceGetName(char* name, int bytes, int device) {
    return call("cuDeviceGetName", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        snprintf(name, (size_t)bytes, "Jacquard emulator sm_%d", emulator::config.smVersion);
        return (int)SUCCESS;
    });
}

EXPORT int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
    return call("cuDeviceGetUuid_v2", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        memcpy(uuid, "jacquard-emu-v01", 16);
        uuid[15] = (unsigned char)(uuid[15] + device);
        return (int)SUCCESS;
    });
}
EXPORT int cuDeviceGetUuid(unsigned char* uuid, int device) {
    return cuDeviceGetUuid_v2(uuid, device);
}

EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    return call("cuDeviceTotalMem_v2", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        *bytes = emulator::config.memoryBytes;
        return (int)SUCCESS;
    });
}

EXPORT int cuDeviceGetAttribute(int* value, int id, int device) {
    return call("cuDeviceGetAttribute", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        *value = attribute(id, device);
        return (int)SUCCESS;
    });
}

EXPORT int cuDeviceGetPCIBusId(char* id, int bytes, int device) {
    return call("cuDeviceGetPCIBusId", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        snprintf(id, (size_t)bytes, "0000:%02x:00.0", (unsigned)device);
        return (int)SUCCESS;
    });
}

// ---- the primary context

EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
    return call("cuDevicePrimaryCtxRetain", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        retained[device]++;
        *context = (void*)(FIRST_CONTEXT + (uintptr_t)device);
        return (int)SUCCESS;
    });
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
    return call("cuDevicePrimaryCtxRelease_v2", Needs::INITIALISED, [&] {
        if (!isDevice(device) || !retained[device]) return refuse(INVALID_CONTEXT, "the context is not retained");
        if (--retained[device] == 0) resetDevice(device);
        return (int)SUCCESS;
    });
}

EXPORT int cuDevicePrimaryCtxReset_v2(int device) {
    return call("cuDevicePrimaryCtxReset_v2", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        resetDevice(device);
        return (int)SUCCESS;
    });
}

EXPORT int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    return call("cuDevicePrimaryCtxGetState", Needs::INITIALISED, [&] {
        if (!isDevice(device)) return refuse(INVALID_DEVICE, "device %d", device);
        *flags = 0;
        *active = retained[device] > 0;
        return (int)SUCCESS;
    });
}

EXPORT int cuCtxSetCurrent(void* context) {
    return call("cuCtxSetCurrent", Needs::INITIALISED, [&] {
        if (context && !isDevice((int)((uintptr_t)context - FIRST_CONTEXT))) {
            return refuse(INVALID_CONTEXT, "%p is not a context", context);
        }
        pthread_setspecific(currentKey(), context);
        return (int)SUCCESS;
    });
}

EXPORT int cuCtxGetCurrent(void** context) {
    return call("cuCtxGetCurrent", Needs::INITIALISED, [&] {
        *context = pthread_getspecific(currentKey());
        return (int)SUCCESS;
    });
}

EXPORT int cuCtxGetDevice(int* device) {
    return call("cuCtxGetDevice", Needs::CONTEXT, [&] {
        *device = currentDevice();
        return (int)SUCCESS;
    });
}

EXPORT int cuCtxSynchronize() {
    return call("cuCtxSynchronize", Needs::CONTEXT, [&] {
        if (const int refused = forbidCapture("waiting for the context")) return refused;
        return runEverything();
    });
}

EXPORT int cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    return call("cuCtxGetStreamPriorityRange", Needs::CONTEXT, [&] {
        *least = 0;
        *greatest = -5;
        return (int)SUCCESS;
    });
}

EXPORT int cuProfilerStart() {
    return SUCCESS;
}
EXPORT int cuProfilerStop() {
    return SUCCESS;
}

// ---- errors

EXPORT int cuGetErrorName(int code, const char** name) {
    const ErrorText* e = findError(code);
    *name = e ? e->name : nullptr;
    return e ? SUCCESS : INVALID_VALUE;
}

EXPORT int cuGetErrorString(int code, const char** text) {
    const ErrorText* e = findError(code);
    *text = e ? e->text : nullptr;
    return e ? SUCCESS : INVALID_VALUE;
}

// The last error in full: what a launch found, or why a call was refused. Empty if none; valid until the next error.
EXPORT const char* jacquard_emulator_error() {
    return lastError.c_str();
}

// How often a function of the driver was called: for tests that count waits.
EXPORT int jacquard_emulator_calls(const char* function) {
    std::lock_guard<std::recursive_mutex> guard(mutex());
    const auto found = counts().find(function);
    return found == counts().end() ? 0 : found->second;
}

// Settings at run time: see docs/emulator.md. 0, or 1 for an unknown key or value.
EXPORT int jacquard_emulator_config(const char* key, const char* value) {
    return call("jacquard_emulator_config", Needs::NOTHING, [&] {
        if (!emulator::configure(key, value)) return refuse(INVALID_VALUE, "%s=%s", key, value);
        return (int)SUCCESS;
    });
}

// Forgets an error, and work that never ran, but keeps memory and modules: for tests that provoke errors.
EXPORT void jacquard_emulator_reset() {
    call("jacquard_emulator_reset", Needs::NOTHING, [&] {
        for (int device = 0; device < emulator::MAX_DEVICES; device++) resetDevice(device);
        return (int)SUCCESS;
    });
}
