// emulator_registry.h: how a kernel becomes known to the emulated driver, by its name and with its parameters' sizes.
#pragma once

namespace emulator {

struct Parameter {
    unsigned bytes, alignment;
};

struct KernelEntry {
    const char* name;
    void (*call)(void** parameters);  // one pointer per parameter, as cuLaunchKernel takes them
    const Parameter* parameters;
    unsigned parameterCount;
    unsigned maxThreads;
};

void registerKernel(const KernelEntry& kernel);

constexpr unsigned firstOf(unsigned first, unsigned = 0) {
    return first;
}

template <auto F>
struct Registration;

template <class... A, void (*F)(A...)>
struct Registration<F> {
    static constexpr Parameter parameters[sizeof...(A) + 1] = {{sizeof(A), alignof(A)}..., {0, 0}};

    // Not instrumented: parameters are not memory that a kernel could race on.
    template <size_t... I>
    __attribute__((noinline, no_sanitize("thread"))) static void spread(void** p, std::index_sequence<I...>) {
        F(*(std::remove_cv_t<std::remove_reference_t<A>>*)p[I]...);
    }
    __attribute__((noinline, no_sanitize("thread"))) static void call(void** p) {
        spread(p, std::index_sequence_for<A...>{});
    }
    Registration(const char* name, unsigned maxThreads) {
        registerKernel({name, call, parameters, sizeof...(A), maxThreads});
    }
};

}  // namespace emulator

#define EMULATOR_KERNEL(name, ...)                                                                                     \
    static const emulator::Registration<&name> emulatorRegistration_##name(#name, emulator::firstOf(__VA_ARGS__));
