// config.cpp: settings, from the environment when the library is loaded and at run time by name.
#include "internal.h"

#include <cstdio>

namespace emulator {

Config config;

static bool number(const std::string& text, uint64_t least, uint64_t most, uint64_t& value) {
    char* end;
    value = strtoull(text.c_str(), &end, 10);
    return !text.empty() && !*end && value >= least && value <= most;
}

bool configure(const char* key, const char* value) {
    const std::string name = key, text = value;
    uint64_t n;
    if (name == "order" && (text == "forward" || text == "reverse" || text == "random")) {
        config.order = text == "reverse" ? Order::REVERSE : text == "random" ? Order::RANDOM : Order::FORWARD;
    } else if (name == "async" && (text == "late" || text == "early")) {
        config.asyncLate = text == "late";
    } else if (name == "seed" && number(text, 0, UINT64_MAX, n)) {
        config.seed = n;
    } else if (name == "workers" && number(text, 1, 256, n)) {
        config.workers = (int)n;
    } else if (name == "timeout" && number(text, 1, 1000000, n)) {
        config.timeoutSeconds = (unsigned)n;
    } else if ((name == "arch" || name == "sm") && number(text, 80, 129, n)) {
        config.smVersion = (int)n;
    } else if (name == "memory" && number(text, 0, (uint64_t)200 << 30, n)) {
        config.memoryBytes = n;
    } else if (name == "multiprocessors" && number(text, 1, 1024, n)) {
        config.multiprocessors = (int)n;
    } else if (name == "devices" && number(text, 1, MAX_DEVICES, n)) {
        config.devices = (int)n;
    } else if (name == "driver" && number(text, 10000, 99990, n)) {
        config.driverVersion = (int)n;
    } else {
        return false;
    }
    return true;
}

// JACQUARD_EMULATOR_ORDER=random and so on.
[[maybe_unused]] static const bool fromEnvironment = [] {
    for (const char* key : {"order", "seed", "async", "workers", "timeout", "arch", "sm", "memory", "multiprocessors",
                            "driver", "devices"}) {
        std::string variable = std::string("JACQUARD_EMULATOR_") + key;
        for (char& c : variable) c = (char)toupper(c);
        const char* value = getenv(variable.c_str());
        if (value && !configure(key, value)) {
            fprintf(stderr, "%s=%s: no such setting of the emulator\n", variable.c_str(), value);
            abort();
        }
    }
    return true;
}();

}  // namespace emulator
