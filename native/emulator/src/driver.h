// driver.h: the emulated CUDA driver. Functions have their real names, so that a program loads this library instead of
// libcuda.so.1. Work on a stream runs as late as allowed, when somebody waits for it: a missing wait shows.
#pragma once
#include "internal.h"

#include <deque>
#include <functional>
#include <set>

namespace emulator::driver {

enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    LAUNCH_OUT_OF_RESOURCES = 701,
    NOT_SUPPORTED = 801,
    STREAM_CAPTURE_UNSUPPORTED = 900,
    STREAM_CAPTURE_INVALIDATED = 901,
    STREAM_CAPTURE_UNMATCHED = 903,
    STREAM_CAPTURE_UNJOINED = 904,
    CAPTURED_EVENT = 907,
};

// ---- calls

// RELEASE is as CONTEXT, but for calls that give something back: after a fault they do so and answer with the fault.
enum class Needs { NOTHING, INITIALISED, CONTEXT, RELEASE };
// Runs one driver function under the driver's lock, when it may run at all.
int call(const char* name, Needs needs, const std::function<int()>& body);
// Remembers why a call is refused, and returns the code.
__attribute__((format(printf, 2, 3))) int refuse(int code, const char* format, ...);
// Gives other threads the driver for a moment.
void rest();
int currentDevice();  // of the calling thread
// From now on every call on the device answers with this code, as after a fault there.
void setSticky(int device, int code, const std::string& text);
int sticky(int device);
int sharedOptIn();  // bytes that a block can have at most
void resetDevice(int device);

// ---- functions of modules

struct Function {
    const KernelEntry* kernel;
    int maxDynamicShared = 48 << 10;
};

// ---- what streams and graphs run

struct KernelWork {
    KernelWork() = default;
    KernelWork(const KernelWork& other);
    Function* function = nullptr;
    dim3 grid, block;
    unsigned sharedBytes = 0;
    std::vector<unsigned char> bytes;  // the parameters' values, copied at the call
    std::vector<void*> parameters;     // into bytes, aligned
    void copyParameters(void** from);
};

enum class Kind { KERNEL = 0, MEMCPY = 1, MEMSET = 2, HOST = 3, EMPTY = 5, WAIT = 6, RECORD = 7 };  // CUgraphNodeType
struct Operation {
    Kind kind;
    std::function<int()> run;  // NOT_READY: it stands and waits, to be run again
    std::shared_ptr<KernelWork> kernel;
};

Operation kernelOperation(const KernelWork& kernel);

// What a capture has seen, in its order: nodes and events of its branches, one for each stream that took part.
struct Step {
    enum class What { NODE, RECORD, WAIT } what;
    size_t branch;  // 0 is that in which the capture began
    size_t index;   // of the node or the event
};
struct Graph {
    std::vector<std::shared_ptr<Operation>> nodes;  // in an order that is allowed
    std::vector<Step> steps;
    size_t branches = 1, events = 0;
};

void* keepGraph(std::unique_ptr<Graph> graph);  // the handle of a graph that the caller destroys

struct Stream;
struct Capture {
    std::unique_ptr<Graph> graph = std::make_unique<Graph>();
    Stream* origin;
    std::map<Stream*, size_t> branches;  // beside the origin's
    int mode;
    unsigned long thread;  // that began it
    bool invalidated = false;
    std::set<Stream*> unjoined;  // other streams with work that the origin has not waited for
};

struct Stream {
    int device = 0;
    std::deque<std::pair<uint64_t, std::shared_ptr<Operation>>> queue;
    uint64_t enqueued = 0, completed = 0;
    bool blocking = true;                   // ordered with the default stream
    std::map<Stream*, uint64_t> waitedFor;  // of other streams, by an operation of this one
    std::shared_ptr<Capture> capture;
};

struct Event {
    int device = 0;
    Stream* stream = nullptr;
    uint64_t position = 0;  // in the stream's work
    std::shared_ptr<Capture> captured;
    Stream* capturedIn = nullptr;
    size_t mark = 0;  // in the captured graph
    int64_t nanoseconds = 0;
    bool timed = true;
};

Stream* streamOf(void* handle);  // null when there is none
// Behind everything that the stream has to do; into the graph while it is captured.
int enqueue(void* stream, Operation operation);
// The same for a graph's: its branches run beside each other, on the stream and on `lanes`, which are made when needed.
int enqueueGraph(void* stream, const std::vector<std::shared_ptr<Operation>>& operations,
                 const std::vector<Step>& steps, std::vector<Stream*>& lanes);
void removeLanes(const std::vector<Stream*>& lanes);
// Runs the stream's work up to a position; the sticky error if there is one. Work that stands and waits for what another
// thread does makes this one wait, too.
int runUntil(Stream& stream, uint64_t position);
int runEverything();  // of the current device
int captureResult(const Stream& stream);  // 901 when an error has ended its capture
// Refuses calls that a capture under way forbids, and invalidates it.
int forbidCapture(const char* why);
bool isPinned(const void* p, size_t bytes);
void forgetStreams(int device);

}  // namespace emulator::driver

#define EXPORT extern "C" __attribute__((visibility("default")))
