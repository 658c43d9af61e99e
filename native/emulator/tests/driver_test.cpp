// driver_test.cpp: streams, events, graphs, memory and refusals of the emulated driver.
#include "harness.h"

#include <atomic>
#include <thread>

static int failures;
static void check(bool good, const char* what, int line) {
    if (good) return;
    failures++;
    printf("driver_test.cpp:%d: %s\n", line, what);
}
#define CHECK(condition) check(condition, #condition, __LINE__)

static void refused(const Driver& d, int result, int wanted, const std::string& text, int line) {
    if (result == wanted && d.error() == text) return;
    failures++;
    printf("driver_test.cpp:%d: %d %s\n  expected %d %s\n", line, result, d.error().c_str(), wanted, text.c_str());
}
#define REFUSED(result, wanted, text) refused(d, result, wanted, text, __LINE__)

// Launches add_one(counter, times) without waiting.
static int addOne(const Driver& d, void* stream, uint64_t counter, int times) {
    void* parameters[] = {&counter, &times};
    return d.call("cuLaunchKernel", d.function("add_one"), 1u, 1u, 1u, 32u, 1u, 1u, 0u, stream, parameters,
                  (void**)nullptr);
}

static void testStreams(const Driver& d) {
    Buffer<int> counter(d, std::vector<int>(32, 0));
    void *other, *event, *late;
    d.require("stream", d.call("cuStreamCreate", &other, 1u));
    d.require("event", d.call("cuEventCreate", &event, 0u));
    d.require("event", d.call("cuEventCreate", &late, 0u));
    int* pinned;
    d.require("pinned", d.call("cuMemAllocHost_v2", (void**)&pinned, (size_t)128));
    for (int i = 0; i < 32; i++) pinned[i] = -1;

    // Nothing runs before somebody waits; a copy to pinned memory has not happened at its return.
    CHECK(addOne(d, d.stream, counter.address, 5) == 0);
    CHECK(d.call("cuMemcpyDtoHAsync_v2", (void*)pinned, counter.address, (size_t)128, d.stream) == 0);
    CHECK(pinned[0] == -1);
    CHECK(d.call("cuEventRecord", event, d.stream) == 0);
    CHECK(d.call("cuEventQuery", event) == 600);
    // Another stream that waits for the event runs what it stands behind.
    CHECK(d.call("cuStreamWaitEvent", other, event, 0u) == 0);
    CHECK(addOne(d, other, counter.address, 2) == 0);
    CHECK(d.call("cuEventRecord", late, other) == 0);
    CHECK(d.call("cuStreamSynchronize", other) == 0);
    CHECK(pinned[0] == 5 && pinned[31] == 5);
    CHECK(counter.get()[7] == 7);
    float milliseconds = -1;
    CHECK(d.call("cuEventElapsedTime", &milliseconds, event, late) == 0 && milliseconds >= 0);
    CHECK(d.call("cuStreamQuery", d.stream) == 0);

    // A loop of queries makes progress.
    CHECK(addOne(d, d.stream, counter.address, 1) == 0);
    int queries = 0;
    while (d.call("cuStreamQuery", d.stream) == 600 && queries < 10) queries++;
    CHECK(queries < 10);

    // From pinned memory a copy reads when it runs, from other memory at the call.
    std::vector<int> ordinary(32, 3);
    for (int i = 0; i < 32; i++) pinned[i] = 3;
    CHECK(d.call("cuMemcpyHtoDAsync_v2", counter.address, (const void*)ordinary.data(), (size_t)64, d.stream) == 0);
    CHECK(d.call("cuMemcpyHtoDAsync_v2", counter.address + 64, (const void*)pinned, (size_t)64, d.stream) == 0);
    for (int i = 0; i < 32; i++) ordinary[i] = pinned[i] = 4;
    CHECK(d.call("cuStreamSynchronize", d.stream) == 0);
    CHECK(counter.get()[0] == 3 && counter.get()[16] == 4);

    CHECK(d.call("cuMemFreeHost", (void*)pinned) == 0);
    CHECK(d.call("cuEventDestroy_v2", event) == 0);
    CHECK(d.call("cuEventDestroy_v2", late) == 0);
    CHECK(d.call("cuStreamDestroy_v2", other) == 0);
    REFUSED(
        d.call("cuStreamSynchronize", other), 400, "cuStreamSynchronize: " + [&] {
            char text[40];
            snprintf(text, sizeof text, "%p is not a stream", other);
            return std::string(text);
        }());
}

static void testGraphs(const Driver& d) {
    Buffer<int> counter(d, std::vector<int>(32, 0));
    void *graph, *instance, *other, *fork, *join;
    d.require("stream", d.call("cuStreamCreate", &other, 1u));
    d.require("event", d.call("cuEventCreate", &fork, 2u));
    d.require("event", d.call("cuEventCreate", &join, 2u));
    CHECK(d.call("cuStreamBeginCapture_v2", d.stream, 0) == 0);
    int status = 0;
    CHECK(d.call("cuStreamIsCapturing", d.stream, &status) == 0 && status == 1);
    CHECK(addOne(d, d.stream, counter.address, 1) == 0);
    CHECK(d.call("cuEventRecord", fork, d.stream) == 0);
    CHECK(d.call("cuStreamWaitEvent", other, fork, 0u) == 0);
    CHECK(addOne(d, other, counter.address, 10) == 0);
    CHECK(d.call("cuEventRecord", join, other) == 0);
    CHECK(d.call("cuStreamWaitEvent", d.stream, join, 0u) == 0);
    CHECK(d.call("cuMemsetD32Async", counter.address + 64, 9u, (size_t)4, d.stream) == 0);
    CHECK(d.call("cuStreamEndCapture", d.stream, &graph) == 0);
    size_t nodes = 0;
    CHECK(d.call("cuGraphGetNodes", graph, (void**)nullptr, &nodes) == 0 && nodes == 3);
    CHECK(d.call("cuGraphInstantiateWithFlags", &instance, graph, 0ull) == 0);
    CHECK(counter.get()[0] == 0);  // capture records and does not run
    for (int i = 0; i < 3; i++) CHECK(d.call("cuGraphLaunch", instance, d.stream) == 0);
    CHECK(d.call("cuStreamSynchronize", d.stream) == 0);
    CHECK(counter.get()[0] == 33 && counter.get()[16] == 9);
    CHECK(d.call("cuGraphExecDestroy", instance) == 0 && d.call("cuGraphDestroy", graph) == 0);

    // What a capture does not allow fails, and ends it.
    CHECK(d.call("cuStreamBeginCapture_v2", d.stream, 0) == 0);
    uint64_t address;
    REFUSED(d.call("cuMemAlloc_v2", &address, (size_t)16), 900, "cuMemAlloc_v2: allocating while a stream is captured");
    REFUSED(addOne(d, d.stream, counter.address, 1), 901, "cuLaunchKernel: the capture has failed before");
    REFUSED(d.call("cuStreamEndCapture", d.stream, &graph), 901,
            "cuStreamEndCapture: a call during the capture was not allowed");
    CHECK(d.call("cuStreamBeginCapture_v2", d.stream, 0) == 0);
    CHECK(d.call("cuEventRecord", fork, d.stream) == 0 && d.call("cuStreamWaitEvent", other, fork, 0u) == 0);
    REFUSED(d.call("cuStreamEndCapture", d.stream, &graph), 904,
            "cuStreamEndCapture: the stream did not wait for all streams that joined the capture");
    CHECK(d.call("cuStreamBeginCapture_v2", d.stream, 0) == 0);
    REFUSED(d.call("cuStreamSynchronize", d.stream), 900, "cuStreamSynchronize: waiting for a stream that is captured");
    CHECK(d.call("cuStreamEndCapture", d.stream, &graph) == 901 && !graph);
    CHECK(d.call("cuStreamDestroy_v2", other) == 0);
    CHECK(d.call("cuEventDestroy_v2", fork) == 0 && d.call("cuEventDestroy_v2", join) == 0);
}

static void testLimits(const Driver& d) {
    void* f = d.function("add_one");
    Buffer<int> counter(d, std::vector<int>(32, 0));
    REFUSED(d.run("add_one", 1, 64, 0, counter.address, 1), 1,
            "cuLaunchKernel: add_one with 64 threads, its bound is 32");
    REFUSED(d.run("add_one", 1, 32, 49153, counter.address, 1), 1,
            "cuLaunchKernel: add_one with 49153 bytes of dynamic shared memory, its limit is 49152: set the attribute "
            "first");
    CHECK(d.call("cuFuncSetAttribute", f, 8, 232448) == 0);
    CHECK(d.run("add_one", 1, 32, 232448, counter.address, 1) == 0);
    REFUSED(d.call("cuFuncSetAttribute", f, 8, 232449), 1,
            "cuFuncSetAttribute: add_one: 232449 bytes of dynamic shared memory, the device has 232448 per block");
    CHECK(d.call("cuFuncSetAttribute", f, 8, 49152) == 0);
    REFUSED(d.run("add_one", 0, 32, 0, counter.address, 1), 1, "cuLaunchKernel: add_one with a grid of (0, 1, 1)");
    void* none;
    REFUSED(d.call("cuModuleGetFunction", &none, d.module, "nothing"), 500,
            "cuModuleGetFunction: there is no kernel nothing in the emulator");
    REFUSED(d.call("cuModuleLoadData", &none, ""), 200, "cuModuleLoadData: the image is empty");
    size_t offset, bytes;
    CHECK(d.call("cuFuncGetParamInfo", f, (size_t)1, &offset, &bytes) == 0 && offset == 8 && bytes == 4);
    CHECK(d.call("cuFuncGetParamInfo", f, (size_t)2, &offset, &bytes) == 1);

    int value;
    d.config("arch", "80");
    CHECK(d.call("cuDeviceGetAttribute", &value, 75, 0) == 0 && value == 8);
    REFUSED(d.call("cuFuncSetAttribute", f, 8, 166913), 1,
            "cuFuncSetAttribute: add_one: 166913 bytes of dynamic shared memory, the device has 166912 per block");
    REFUSED(d.run("only_sm90", 1, 32, 0), 209, "cuLaunchKernel: only_sm90 on sm_80");
    d.config("arch", "90");
    CHECK(d.run("only_sm90", 1, 32, 0) == 0);
    CHECK(d.call("cuDeviceGetAttribute", &value, 75, 0) == 0 && value == 9);
}

// Ints 31 to 280: whole pages of the emulator's notes and a piece of one at either end.
static void testUndefine(const Driver& d) {
    Buffer<int> x(d, std::vector<int>(400, 1)), out(d, std::vector<int>(32, 0));
    CHECK(d.call("jacquard_emulator_undefine", x.address + 124, (size_t)1000, d.stream) == 0);
    CHECK(d.run("copy_ints", 1, 31, 0, out.address, x.address) == 0);
    CHECK(d.run("copy_ints", 1, 32, 0, out.address, x.address + 1124) == 0);
    for (const int first : {31, 100, 280}) {
        CHECK(d.run("copy_ints", 1, 1, 0, out.address, x.address + 4 * first) == 719);
        const std::string offset = std::to_string(4 * first);
        CHECK(d.error().find("uninitialised: read of device memory, offset " + offset + ", that nobody wrote") == 0);
        d.reset();
    }
    CHECK(d.call("cuMemsetD32Async", x.address + 124, 2u, (size_t)250, d.stream) == 0);
    CHECK(d.run("copy_ints", 1, 32, 0, out.address, x.address + 400) == 0);
    CHECK(out.get()[0] == 2);
}

// Two operations that each wait until both have been reached.
struct Meeting {
    std::atomic<int> came{0};
    std::atomic<bool> here[2] = {{false}, {false}};
};
struct Seat {
    Meeting* meeting;
    int number;
};
static int meet(void* p) {
    auto* seat = (Seat*)p;
    if (!seat->meeting->here[seat->number].exchange(true)) seat->meeting->came++;
    return seat->meeting->came == 2 ? 0 : 600;
}

static void testMeetings(const Driver& d) {
    Buffer<int> counter(d, std::vector<int>(32, 0));
    void *other, *event;
    d.require("stream", d.call("cuStreamCreate", &other, 1u));
    d.require("event", d.call("cuEventCreate", &event, 2u));

    // On one thread: whoever waits for one stream lets the other come.
    Meeting here;
    Seat seats[2] = {{&here, 0}, {&here, 1}};
    CHECK(d.call("jacquard_emulator_launch", d.stream, meet, (void*)&seats[0]) == 0);
    CHECK(addOne(d, d.stream, counter.address, 1) == 0);
    CHECK(d.call("cuEventRecord", event, d.stream) == 0);
    for (int i = 0; i < 3; i++) CHECK(d.call("cuEventQuery", event) == 600);
    CHECK(here.came == 1);
    CHECK(d.call("jacquard_emulator_launch", other, meet, (void*)&seats[1]) == 0);
    CHECK(d.call("cuStreamSynchronize", d.stream) == 0);
    CHECK(counter.get()[0] == 1);

    // Branches of a graph run beside each other, at each launch.
    for (const bool again : {false, true}) {
        Meeting inside;
        Seat places[2] = {{&inside, 0}, {&inside, 1}};
        void *graph, *instance, *join;
        d.require("event", d.call("cuEventCreate", &join, 2u));
        CHECK(d.call("cuStreamBeginCapture_v2", d.stream, 2) == 0);
        CHECK(d.call("cuEventRecord", event, d.stream) == 0 && d.call("cuStreamWaitEvent", other, event, 0u) == 0);
        CHECK(d.call("jacquard_emulator_launch", other, meet, (void*)&places[0]) == 0);
        CHECK(addOne(d, other, counter.address, 1) == 0);
        CHECK(d.call("cuEventRecord", join, other) == 0);
        CHECK(d.call("jacquard_emulator_launch", d.stream, meet, (void*)&places[1]) == 0);
        CHECK(d.call("cuStreamWaitEvent", d.stream, join, 0u) == 0);
        CHECK(addOne(d, d.stream, counter.address, 1) == 0);
        CHECK(d.call("cuStreamEndCapture", d.stream, &graph) == 0);
        CHECK(d.call("cuGraphInstantiateWithFlags", &instance, graph, 0ull) == 0);
        CHECK(d.call("cuGraphLaunch", instance, d.stream) == 0);
        if (again) CHECK(d.call("cuGraphLaunch", instance, d.stream) == 0);
        CHECK(d.call("cuStreamSynchronize", d.stream) == 0);
        CHECK(counter.get()[0] == (again ? 7 : 3));
        CHECK(d.call("cuGraphExecDestroy", instance) == 0 && d.call("cuGraphDestroy", graph) == 0);
        CHECK(d.call("cuEventDestroy_v2", join) == 0);
    }

    // From another device, whose thread comes later; freeing memory here does not wait for it.
    d.config("devices", "2");
    Meeting far;
    Seat farSeats[2] = {{&far, 0}, {&far, 1}};
    void* context;
    d.require("retain", d.call("cuDevicePrimaryCtxRetain", &context, 1));
    std::atomic<bool> comes{false};
    std::thread second([&] {
        void *stream, *late;
        uint64_t address;
        size_t free, total;
        d.require("current", d.call("cuCtxSetCurrent", context));
        d.require("stream", d.call("cuStreamCreate", &stream, 1u));
        d.require("event", d.call("cuEventCreate", &late, 2u));
        REFUSED(d.call("cuEventRecord", late, d.stream), 400, "cuEventRecord: an event of device 1, a stream of device 0");
        CHECK(d.call("cuMemAlloc_v2", &address, (size_t)1000) == 0);
        CHECK(d.call("cuMemGetInfo_v2", &free, &total) == 0 && total - free == 1000);
        while (!comes) std::this_thread::yield();
        CHECK(d.call("cuMemFree_v2", address) == 0);
        CHECK(d.call("jacquard_emulator_launch", stream, meet, (void*)&farSeats[1]) == 0);
        CHECK(d.call("cuStreamSynchronize", stream) == 0);
        CHECK(d.call("cuEventDestroy_v2", late) == 0 && d.call("cuStreamDestroy_v2", stream) == 0);
    });
    CHECK(d.call("jacquard_emulator_launch", d.stream, meet, (void*)&farSeats[0]) == 0);
    CHECK(d.call("cuStreamQuery", d.stream) == 600);
    comes = true;
    CHECK(d.call("cuStreamSynchronize", d.stream) == 0);
    second.join();

    // Nobody comes: an error of that device alone.
    Meeting alone;
    Seat single = {&alone, 0};
    d.config("timeout", "1");
    CHECK(d.call("jacquard_emulator_launch", d.stream, meet, (void*)&single) == 0);
    REFUSED(d.call("cuStreamSynchronize", d.stream), 702,
            "a stream waits for work on another one that has not come for 1 s");
    d.config("timeout", "30");
    void* first;
    int device;
    CHECK(d.call("cuCtxGetCurrent", &first) == 0 && d.call("cuCtxSetCurrent", context) == 0);
    CHECK(d.call("cuCtxGetDevice", &device) == 0 && device == 1);
    CHECK(d.call("cuDevicePrimaryCtxRelease_v2", 1) == 0 && d.call("cuCtxSetCurrent", first) == 0);
    CHECK(d.call("cuCtxSynchronize") == 702);
    CHECK(d.call("cuDevicePrimaryCtxReset_v2", 0) == 0);
    CHECK(d.call("cuStreamDestroy_v2", other) == 0 && d.call("cuEventDestroy_v2", event) == 0);
    d.config("devices", "1");
    REFUSED(d.call("cuDeviceGet", &device, 1), 101, "cuDeviceGet: there is no device 1; the setting devices is 1");
}

static void testMemory(const Driver& d) {
    d.config("memory", "1000000");
    uint64_t a, b;
    size_t free, total;
    CHECK(d.call("cuMemAlloc_v2", &a, (size_t)600000) == 0 && a % 256 == 0);
    CHECK(d.call("cuMemGetInfo_v2", &free, &total) == 0 && free == 400000 && total == 1000000);
    REFUSED(d.call("cuMemAlloc_v2", &b, (size_t)600000), 2,
            "cuMemAlloc_v2: wanted 600000 bytes, 400000 of 1000000 are free");
    CHECK(d.call("cuMemFree_v2", a) == 0);
    CHECK(d.call("cuMemFree_v2", a) == 1);
    d.config("memory", "8589934592");

    uint64_t given;
    CHECK(d.call("cuMemAlloc_v2", &given, (size_t)1 << 20) == 0);

    // Memory that was handed out anew is unwritten again, if its user says so.
    Buffer<int> x(d, std::vector<int>(32, 1)), out(d, std::vector<int>(32, 0));
    CHECK(d.run("copy_ints", 1, 32, 0, out.address, x.address) == 0);
    CHECK(d.call("jacquard_emulator_undefine", x.address + 8, (size_t)4, d.stream) == 0);
    CHECK(d.run("copy_ints", 1, 32, 0, out.address, x.address) == 719);
    CHECK(d.error().find("uninitialised: read of device memory, offset 8, that nobody wrote; thread 2") == 0);

    // An error stays until the context is reset.
    CHECK(d.call("cuMemAlloc_v2", &a, (size_t)16) == 719);
    CHECK(d.call("cuStreamSynchronize", d.stream) == 719);
    CHECK(d.call("cuMemFree_v2", given) == 719);  // given back all the same
    CHECK(d.call("cuDevicePrimaryCtxReset_v2", 0) == 0);
    CHECK(d.run("copy_ints", 1, 30, 0, out.address, out.address) == 0);
    CHECK(d.call("cuMemGetInfo_v2", &free, &total) == 0 && free >= ((size_t)8 << 30) - 4096);
    const char *name, *text;
    CHECK(d.call("cuGetErrorName", 719, &name) == 0 && !strcmp(name, "CUDA_ERROR_LAUNCH_FAILED"));
    CHECK(d.call("cuGetErrorString", 700, &text) == 0 && !strcmp(text, "an illegal memory access was encountered"));
}

int main(int, char** arguments) {
    const Driver driver(arguments[1]);
    testStreams(driver);
    testGraphs(driver);
    testLimits(driver);
    testUndefine(driver);
    testMeetings(driver);
    testMemory(driver);
    printf("driver: %d failures\n", failures);
    return failures != 0;
}
