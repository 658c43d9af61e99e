// driver_module.cpp: modules, functions and launches. Kernels are found by name among those compiled into this library,
// whatever image is loaded.
#include "driver.h"

namespace emulator::driver {

static std::set<const void*>& modules() {
    static auto* set = new std::set<const void*>;
    return *set;
}
static std::map<std::string, Function>& functions() {
    static auto* map = new std::map<std::string, Function>;
    return *map;
}

static int load(void** module, const void* image) {
    if (!image || !*(const unsigned char*)image) return refuse(INVALID_IMAGE, "the image is empty");
    *module = new char;
    modules().insert(*module);
    return SUCCESS;
}

static int unload(void* module) {
    if (!modules().erase(module)) return refuse(INVALID_HANDLE, "%p is not a module", module);
    runEverything();
    delete (char*)module;
    return SUCCESS;
}

static int find(void** function, const void* module, const char* name) {
    if (!modules().count(module)) return refuse(INVALID_HANDLE, "%p is not a module", module);
    const KernelEntry* kernel = findKernel(name);
    if (!kernel) return refuse(NOT_FOUND, "there is no kernel %s in the emulator", name);
    *function = &functions().try_emplace(name, Function{kernel}).first->second;
    return SUCCESS;
}

static Function* functionOf(void* handle) {
    for (auto& [name, function] : functions()) {
        if (&function == handle) return &function;
    }
    return nullptr;
}

// ---- parameters, laid out as in a C struct

static size_t offsetOfParameter(const KernelEntry& kernel, size_t index) {
    size_t offset = 0;
    for (size_t i = 0;; i++) {
        const Parameter& p = kernel.parameters[i];
        offset = (offset + p.alignment - 1) / p.alignment * p.alignment;
        if (i == index) return offset;
        offset += p.bytes;
    }
}

void KernelWork::copyParameters(void** from) {
    const KernelEntry& kernel = *function->kernel;
    constexpr size_t ALIGNMENT = 128;  // of a tensor map, and more than any other type needs
    size_t total = ALIGNMENT;
    for (unsigned i = 0; i < kernel.parameterCount; i++) total += (kernel.parameters[i].bytes + 127) / 128 * 128;
    bytes.assign(total, 0);
    parameters.clear();
    auto at = ((uintptr_t)bytes.data() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (unsigned i = 0; i < kernel.parameterCount; i++) {
        memcpy((void*)at, from[i], kernel.parameters[i].bytes);
        parameters.push_back((void*)at);
        at += (kernel.parameters[i].bytes + 127) / 128 * 128;
    }
}

// ---- launches

static uint32_t launches;

static int checkShape(const Function& f, dim3 grid, dim3 block, unsigned sharedBytes) {
    const char* name = f.kernel->name;
    const uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        return refuse(INVALID_VALUE, "%s with a grid of (%u, %u, %u)", name, grid.x, grid.y, grid.z);
    }
    if (!threads || threads > MAX_THREADS || block.z > 64) {
        return refuse(INVALID_VALUE, "%s with a block of (%u, %u, %u)", name, block.x, block.y, block.z);
    }
    if (threads > f.kernel->maxThreads) {
        return refuse(INVALID_VALUE, "%s with %llu threads, its bound is %u", name, (unsigned long long)threads,
                      f.kernel->maxThreads);
    }
    if ((int64_t)sharedBytes > f.maxDynamicShared) {
        return refuse(INVALID_VALUE,
                      "%s with %u bytes of dynamic shared memory, its limit is %d: set the attribute first", name,
                      sharedBytes, f.maxDynamicShared);
    }
    const size_t length = strlen(name);
    if (config.smVersion < 90 && length > 5 && !strcmp(name + length - 5, "_sm90")) {
        return refuse(NO_BINARY_FOR_GPU, "%s on sm_%d", name, config.smVersion);
    }
    return SUCCESS;
}

// Copies of parameters point into their own bytes.
KernelWork::KernelWork(const KernelWork& other)
    : function(other.function), grid(other.grid), block(other.block), sharedBytes(other.sharedBytes) {
    std::vector<void*> from = other.parameters;
    copyParameters(from.data());
}

Operation kernelOperation(const KernelWork& kernel) {
    auto work = std::make_shared<KernelWork>(kernel);
    return {Kind::KERNEL,
            [work] {
                return runLaunch({work->function->kernel, work->grid, work->block, work->sharedBytes,
                                  work->parameters.data(), ++launches});
            },
            work};
}

static int launch(void* handle, dim3 grid, dim3 block, unsigned sharedBytes, void* stream, void** parameters,
                  void** extra) {
    Function* f = functionOf(handle);
    if (!f) return refuse(INVALID_HANDLE, "%p is not a function", handle);
    if (const int refused = checkShape(*f, grid, block, sharedBytes)) return refused;
    const KernelEntry& kernel = *f->kernel;
    std::vector<void*> fromBuffer;
    if (!parameters && extra) {  // CU_LAUNCH_PARAM_BUFFER_POINTER (1), _SIZE (2), _END (0)
        const unsigned char* buffer = nullptr;
        for (int i = 0; extra[i]; i += 2) {
            if ((uintptr_t)extra[i] == 1) buffer = (const unsigned char*)extra[i + 1];
        }
        if (!buffer) return refuse(INVALID_VALUE, "%s: no parameter buffer in extra", kernel.name);
        for (unsigned i = 0; i < kernel.parameterCount; i++) {
            fromBuffer.push_back((void*)(buffer + offsetOfParameter(kernel, i)));
        }
        parameters = fromBuffer.data();
    }
    if (!parameters && kernel.parameterCount) return refuse(INVALID_VALUE, "%s without parameters", kernel.name);
    KernelWork work;
    work.function = f;
    work.grid = grid;
    work.block = block;
    work.sharedBytes = sharedBytes;
    work.copyParameters(parameters);
    return enqueue(stream, kernelOperation(work));
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuModuleLoadData(void** module, const void* image) {
    return call("cuModuleLoadData", Needs::CONTEXT, [&] { return load(module, image); });
}
EXPORT int cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    return call("cuModuleLoadDataEx", Needs::CONTEXT, [&] { return load(module, image); });
}
EXPORT int cuModuleUnload(void* module) {
    return call("cuModuleUnload", Needs::RELEASE, [&] { return unload(module); });
}
EXPORT int cuModuleGetFunction(void** function, void* module, const char* name) {
    return call("cuModuleGetFunction", Needs::CONTEXT, [&] { return find(function, module, name); });
}

EXPORT int cuLibraryLoadData(void** library, const void* image, int*, void**, unsigned, int*, void**, unsigned) {
    return call("cuLibraryLoadData", Needs::INITIALISED, [&] { return load(library, image); });
}
EXPORT int cuLibraryUnload(void* library) {
    return call("cuLibraryUnload", Needs::INITIALISED, [&] { return unload(library); });
}
EXPORT int cuLibraryGetKernel(void** kernel, void* library, const char* name) {
    return call("cuLibraryGetKernel", Needs::INITIALISED, [&] { return find(kernel, library, name); });
}
EXPORT int cuLibraryGetModule(void** module, void* library) {
    return call("cuLibraryGetModule", Needs::CONTEXT, [&] {
        *module = library;
        return (int)SUCCESS;
    });
}
EXPORT int cuKernelGetFunction(void** function, void* kernel) {
    return call("cuKernelGetFunction", Needs::CONTEXT, [&] {
        if (!functionOf(kernel)) return refuse(INVALID_HANDLE, "%p is not a kernel", kernel);
        *function = kernel;
        return (int)SUCCESS;
    });
}

EXPORT int cuFuncGetName(const char** name, void* function) {
    return call("cuFuncGetName", Needs::INITIALISED, [&] {
        const Function* f = functionOf(function);
        if (!f) return refuse(INVALID_HANDLE, "%p is not a function", function);
        *name = f->kernel->name;
        return (int)SUCCESS;
    });
}

EXPORT int cuFuncGetParamInfo(void* function, size_t index, size_t* offset, size_t* bytes) {
    return call("cuFuncGetParamInfo", Needs::INITIALISED, [&] {
        const Function* f = functionOf(function);
        if (!f) return refuse(INVALID_HANDLE, "%p is not a function", function);
        if (index >= f->kernel->parameterCount) return (int)INVALID_VALUE;  // how callers find the number
        *offset = offsetOfParameter(*f->kernel, index);
        if (bytes) *bytes = f->kernel->parameters[index].bytes;
        return (int)SUCCESS;
    });
}
EXPORT int cuKernelGetParamInfo(void* kernel, size_t index, size_t* offset, size_t* bytes) {
    return cuFuncGetParamInfo(kernel, index, offset, bytes);
}

EXPORT int cuFuncGetAttribute(int* value, int attribute, void* function) {
    return call("cuFuncGetAttribute", Needs::CONTEXT, [&] {
        const Function* f = functionOf(function);
        if (!f) return refuse(INVALID_HANDLE, "%p is not a function", function);
        switch (attribute) {
            case 0: *value = (int)f->kernel->maxThreads; break;  // MAX_THREADS_PER_BLOCK
            case 4: *value = 32; break;                          // NUM_REGS: not known here
            case 5:
            case 6: *value = emulator::config.smVersion; break;  // PTX_VERSION, BINARY_VERSION
            case 8: *value = f->maxDynamicShared; break;         // MAX_DYNAMIC_SHARED_SIZE_BYTES
            case 9: *value = -1; break;                          // PREFERRED_SHARED_MEMORY_CARVEOUT
            default: *value = 0;
        }
        return (int)SUCCESS;
    });
}

EXPORT int cuFuncSetAttribute(void* function, int attribute, int value) {
    return call("cuFuncSetAttribute", Needs::CONTEXT, [&] {
        Function* f = functionOf(function);
        if (!f) return refuse(INVALID_HANDLE, "%p is not a function", function);
        if (attribute == 9) return (int)SUCCESS;
        if (attribute != 8) return refuse(INVALID_VALUE, "attribute %d cannot be set", attribute);
        if (value < 0 || value > sharedOptIn()) {
            return refuse(INVALID_VALUE, "%s: %d bytes of dynamic shared memory, the device has %d per block",
                          f->kernel->name, value, sharedOptIn());
        }
        f->maxDynamicShared = value;
        return (int)SUCCESS;
    });
}

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* function, int threads, size_t sharedBytes) {
    return call("cuOccupancyMaxActiveBlocksPerMultiprocessor", Needs::CONTEXT, [&] {
        const Function* f = functionOf(function);
        if (!f) return refuse(INVALID_HANDLE, "%p is not a function", function);
        if (threads < 1 || threads > 1024) return refuse(INVALID_VALUE, "%d threads", threads);
        const int byThreads = 2048 / ((threads + 31) / 32 * 32);
        const int byShared = (int)((sharedOptIn() + 1024) / (sharedBytes + 1024));
        *blocks = byThreads < byShared ? byThreads : byShared;
        if (*blocks > 32) *blocks = 32;
        return (int)SUCCESS;
    });
}

EXPORT int cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,
                          unsigned blockY, unsigned blockZ, unsigned sharedBytes, void* stream, void** parameters,
                          void** extra) {
    return call("cuLaunchKernel", Needs::CONTEXT, [&] {
        return launch(function, {gridX, gridY, gridZ}, {blockX, blockY, blockZ}, sharedBytes, stream, parameters,
                      extra);
    });
}

// As in cuda.h.
struct CUlaunchAttribute {
    int id;
    char padding[4];
    unsigned value[16];
};
struct CUlaunchConfig {
    unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
    void* stream;
    CUlaunchAttribute* attributes;
    unsigned attributeCount;
};

EXPORT int cuLaunchKernelEx(const CUlaunchConfig* config, void* function, void** parameters, void** extra) {
    return call("cuLaunchKernelEx", Needs::CONTEXT, [&] {
        for (unsigned i = 0; i < config->attributeCount; i++) {
            const CUlaunchAttribute& a = config->attributes[i];
            if (a.id == 4 && a.value[0] * a.value[1] * a.value[2] != 1) {  // CLUSTER_DIMENSION
                return refuse(NOT_SUPPORTED, "clusters of (%u, %u, %u) blocks", a.value[0], a.value[1], a.value[2]);
            }
            if (a.id == 2 && a.value[0]) return refuse(NOT_SUPPORTED, "cooperative launches");
        }
        return launch(function, {config->gridX, config->gridY, config->gridZ},
                      {config->blockX, config->blockY, config->blockZ}, config->sharedBytes, config->stream, parameters,
                      extra);
    });
}
