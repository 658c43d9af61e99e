// config.cpp: settings, from the environment when the library is loaded and at run time by name.
#include "internal.h"

namespace emulator {

Config config;

void configure(const char* key, const char* value) {
    const std::string name = key, text = value;
    if (name == "order") {
        config.order = text == "reverse" ? Order::REVERSE : text == "random" ? Order::RANDOM : Order::FORWARD;
    } else if (name == "seed") {
        config.seed = strtoull(value, nullptr, 10);
    } else if (name == "async") {
        config.asyncLate = text != "early";
    } else if (name == "workers") {
        config.workers = atoi(value);
    } else if (name == "timeout") {
        config.timeoutSeconds = (unsigned)atoi(value);
    } else if (name == "sm") {
        config.smVersion = atoi(value);
    } else if (name == "memory") {
        config.memoryBytes = strtoull(value, nullptr, 10);
    }
}

// JACQUARD_EMULATOR_ORDER=random and so on.
[[maybe_unused]] static const bool fromEnvironment = [] {
    for (const char* key : {"order", "seed", "async", "workers", "timeout", "sm", "memory"}) {
        std::string variable = std::string("JACQUARD_EMULATOR_") + key;
        for (char& c : variable) c = (char)toupper(c);
        if (const char* value = getenv(variable.c_str())) configure(key, value);
    }
    return true;
}();

}  // namespace emulator
