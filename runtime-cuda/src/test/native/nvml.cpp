// nvml.cpp: a stand-in for NVIDIA's management library: two devices, of which the second is the emulated one. Tests set
// their values with nvml_stand_in_set; a value that was set to -1 is not supported.
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

enum Result { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

struct Device {
    const char* bus;
    const char* name;
};
static Device devices[] = {{"00000000:3B:00.0", "Another device"}, {"00000000:00:00.0", "Stand-in device"}};

struct Memory {
    unsigned long long total, free, used;
};

static std::mutex mutex;
static bool initialised;
static std::map<std::string, long long> values = {
    {"energy", 5000000}, {"total", 85899345920}, {"used", 1073741824}, {"power", 250500}, {"limit", 400000}, {"sm", 1410},
    {"sm max", 1980},    {"mem", 1593},          {"temperature", 41},  {"reasons", 0},    {"init", 0},
};

EXPORT void nvml_stand_in_set(const char* name, long long value) {
    std::lock_guard<std::mutex> guard(mutex);
    values[name] = value;
}

// The number of the second device; the first has others, so that a mix-up shows.
template <class T>
static int get(const Device* device, const char* name, T* value) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!initialised) return UNINITIALIZED;
    if (!device || !value) return INVALID_ARGUMENT;
    if (values[name] < 0) return NOT_SUPPORTED;
    *value = (T)(device == &devices[1] ? values[name] : 7);
    return SUCCESS;
}

static int text(const char* from, char* to, unsigned length) {
    if (!initialised) return UNINITIALIZED;
    if (!to) return INVALID_ARGUMENT;
    if (strlen(from) >= length) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

EXPORT int nvmlInit_v2() {
    std::lock_guard<std::mutex> guard(mutex);
    if (values["init"]) return (int)values["init"];
    initialised = true;
    return SUCCESS;
}

EXPORT const char* nvmlErrorString(int result) {
    switch (result) {
        case SUCCESS: return "The operation was successful";
        case UNINITIALIZED: return "Uninitialized";
        case INVALID_ARGUMENT: return "Invalid argument";
        case NOT_SUPPORTED: return "Not Supported";
        case NOT_FOUND: return "Not Found";
        case INSUFFICIENT_SIZE: return "Insufficient Size";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}

EXPORT int nvmlSystemGetDriverVersion(char* version, unsigned length) {
    return text("580.95.05", version, length);
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, Device** device) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!initialised) return UNINITIALIZED;
    unsigned domain, number, slot, function;
    if (!bus || !device || sscanf(bus, "%x:%x:%x.%x", &domain, &number, &slot, &function) != 4) return INVALID_ARGUMENT;
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%08X:%02X:%02X.%X", domain, number, slot, function);
    for (Device& d : devices) {
        if (!strcmp(d.bus, wanted)) {
            *device = &d;
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

EXPORT int nvmlDeviceGetName(const Device* device, char* name, unsigned length) {
    return device ? text(device->name, name, length) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetMemoryInfo(const Device* device, Memory* memory) {
    if (!memory) return INVALID_ARGUMENT;
    if (const int failed = get(device, "total", &memory->total)) return failed;
    if (const int failed = get(device, "used", &memory->used)) return failed;
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

EXPORT int nvmlDeviceGetTotalEnergyConsumption(const Device* device, unsigned long long* millijoules) {
    return get(device, "energy", millijoules);
}

EXPORT int nvmlDeviceGetPowerUsage(const Device* device, unsigned* milliwatts) {
    return get(device, "power", milliwatts);
}

EXPORT int nvmlDeviceGetEnforcedPowerLimit(const Device* device, unsigned* milliwatts) {
    return get(device, "limit", milliwatts);
}

// 1: of the multiprocessors, 2: of the memory
EXPORT int nvmlDeviceGetClockInfo(const Device* device, int clock, unsigned* megahertz) {
    return clock == 1 || clock == 2 ? get(device, clock == 1 ? "sm" : "mem", megahertz) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetMaxClockInfo(const Device* device, int clock, unsigned* megahertz) {
    return clock == 1 ? get(device, "sm max", megahertz) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetTemperature(const Device* device, int sensor, unsigned* celsius) {
    return sensor == 0 ? get(device, "temperature", celsius) : INVALID_ARGUMENT;
}

EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(const Device* device, unsigned long long* reasons) {
    return get(device, "reasons", reasons);
}
