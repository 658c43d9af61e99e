// harness.h: a small client of the emulated driver for the emulator's own tests, in C++ and without any framework. The
// library is loaded by path, as a program would load libcuda.so.1.
#pragma once
#include <dlfcn.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

struct Driver {
    void* library;
    void* stream = nullptr;
    void* module = nullptr;

    // The emulator reads no image; a device needs a cubin.
    explicit Driver(const char* path, const std::string& image = "image") {
        library = dlopen(path, RTLD_NOW);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            exit(2);
        }
        int device;
        void* context;
        require("cuInit", call("cuInit", 0u));
        require("cuDeviceGet", call("cuDeviceGet", &device, 0));
        require("cuDevicePrimaryCtxRetain", call("cuDevicePrimaryCtxRetain", &context, device));
        require("cuCtxSetCurrent", call("cuCtxSetCurrent", context));
        require("cuModuleLoadData", call("cuModuleLoadData", &module, image.data()));
        require("cuStreamCreate", call("cuStreamCreate", &stream, 1u));
    }

    template <class... A>
    int call(const char* name, A... arguments) const {
        void* symbol = dlsym(library, name);
        if (!symbol) {
            fprintf(stderr, "no %s\n", name);
            exit(2);
        }
        return ((int (*)(A...))symbol)(arguments...);
    }
    std::string error() const {
        void* symbol = dlsym(library, "jacquard_emulator_error");  // not of a device
        return symbol ? ((const char* (*)())symbol)() : "";
    }
    void require(const char* what, int result) const {
        if (!result) return;
        fprintf(stderr, "%s: %d %s\n", what, result, error().c_str());
        exit(2);
    }
    void config(const char* key, const char* value) const {
        require("config", call("jacquard_emulator_config", key, value));
    }
    void reset() const {
        ((void (*)())dlsym(library, "jacquard_emulator_reset"))();
    }
    void* function(const char* name) const {
        void* f;
        require(name, call("cuModuleGetFunction", &f, module, name));
        return f;
    }

    // Runs a kernel and waits for it; the result of the wait, or of the launch when that is refused.
    template <class... A>
    int run(const char* name, unsigned grid, unsigned block, unsigned shared, A... arguments) const {
        void* parameters[] = {(void*)&arguments..., nullptr};
        const int refused = call("cuLaunchKernel", function(name), grid, 1u, 1u, block, 1u, 1u, shared, stream,
                                 parameters, (void**)nullptr);
        return refused ? refused : call("cuStreamSynchronize", stream);
    }
};

// Device memory with a host's view of its contents.
template <class T>
struct Buffer {
    const Driver& driver;
    uint64_t address = 0;
    size_t count;

    Buffer(const Driver& driver, size_t count) : driver(driver), count(count) {
        driver.require("cuMemAlloc_v2", driver.call("cuMemAlloc_v2", &address, count * sizeof(T)));
    }
    Buffer(const Driver& driver, const std::vector<T>& values) : Buffer(driver, values.size()) {
        driver.require("copy", driver.call("cuMemcpyHtoD_v2", address, (const void*)values.data(), count * sizeof(T)));
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() {
        driver.call("cuMemFree_v2", address);
    }
    std::vector<T> get() const {
        std::vector<T> values(count);
        driver.require("copy", driver.call("cuMemcpyDtoH_v2", (void*)values.data(), address, count * sizeof(T)));
        return values;
    }
};
