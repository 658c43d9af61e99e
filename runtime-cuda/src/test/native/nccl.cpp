// nccl.cpp: a stand-in for the functions of NCCL that this project calls. A TEST TOOL, never a product: ranks are threads
// of one process, each with an emulated device, and data moves on the host.
//
// As with the real library, work happens in the order of the stream that it was given, and a collective runs when all
// ranks' streams have come to it: operands are copied to the host, an operation stands there until all have come, the last
// one computes, results are copied back. So it takes part in captures, the driver checks every range, and ranks that
// come to different operations wait for ever. Sums go round the ring: part p begins at rank p + 1, and every step rounds
// to the type of the operands.
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Result { SUCCESS = 0, CUDA_ERROR = 1, INTERNAL_ERROR = 3, INVALID_ARGUMENT = 4, INVALID_USAGE = 5 };
enum Type { UINT8 = 1, INT32 = 2, FLOAT16 = 6, FLOAT32 = 7, BFLOAT16 = 9 };
enum class Kind { ALL_REDUCE, REDUCE_SCATTER, ALL_GATHER, BROADCAST, MESSAGES };
constexpr int NOT_READY = 600;  // of the driver: the stream stands

std::mutex mutex;  // of everything here; the driver's is outside of it
std::condition_variable changed;
std::map<std::string, long> settings = {{"version", 23007}};  // of nccl_stand_in
thread_local std::string lastError;

int refuse(int code, const std::string& text) {
    lastError = text;
    return code;
}

// ---- the driver

struct Driver {
    int (*toHost)(void*, uint64_t, size_t, void*);
    int (*toDevice)(uint64_t, const void*, size_t, void*);
    int (*launch)(void*, int (*)(void*), void*);
    int (*allocateHost)(void**, size_t);
    int (*freeHost)(void*);
    int (*isCapturing)(void*, int*);
    int (*currentDevice)(int*);
    bool found = false;

    template <class F>
    bool find(void* library, const char* name, F& function) {
        return (function = (F)dlsym(library, name)) != nullptr;
    }
};
Driver driver;

// The emulator was opened by its path and for its opener alone: it is found among the loaded objects.
int lookAt(dl_phdr_info* info, size_t, void*) {
    void* library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    if (!library) return 0;
    Driver d;
    if (d.find(library, "jacquard_emulator_launch", d.launch) && d.find(library, "cuMemcpyDtoHAsync_v2", d.toHost) &&
        d.find(library, "cuMemcpyHtoDAsync_v2", d.toDevice) && d.find(library, "cuMemAllocHost_v2", d.allocateHost) &&
        d.find(library, "cuMemFreeHost", d.freeHost) && d.find(library, "cuStreamIsCapturing", d.isCapturing) &&
        d.find(library, "cuCtxGetDevice", d.currentDevice)) {
        driver = d;
        driver.found = true;
    }
    dlclose(library);
    return driver.found;
}

// ---- values

size_t bytesOf(int type) {
    switch (type) {
        case UINT8: return 1;
        case FLOAT16:
        case BFLOAT16: return 2;
        case INT32:
        case FLOAT32: return 4;
        default: return 0;
    }
}

float load(const unsigned char* p, size_t i, int type) {
    if (type == FLOAT32) return ((const float*)p)[i];
    if (type == FLOAT16) return (float)((const _Float16*)p)[i];
    const uint32_t bits = (uint32_t)((const uint16_t*)p)[i] << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void store(unsigned char* p, size_t i, int type, float value) {
    if (type == FLOAT32) {
        ((float*)p)[i] = value;
    } else if (type == FLOAT16) {
        ((_Float16*)p)[i] = (_Float16)value;
    } else {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        const bool nan = (bits & 0x7fffffff) > 0x7f800000;
        ((uint16_t*)p)[i] = (uint16_t)((nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

// ---- communicators

struct Job;

// Ranks that come to the same collective.
struct Meeting {
    std::vector<Job*> jobs;
    size_t came = 0;
    bool done = false;
};

struct Parcel {
    const unsigned char* from;
    size_t bytes;
    bool taken = false;
};

// What the ranks of a communicator share.
struct Clique {
    std::vector<int> devices;                               // by rank; -1 until it has come
    std::map<uint64_t, std::shared_ptr<Meeting>> meetings;  // by number
    std::map<std::pair<int, int>, std::deque<std::shared_ptr<Parcel>>> mail;  // from, to
    std::map<uint64_t, std::vector<std::pair<int, int>>> splits;  // by number: color and key of each rank
    std::map<std::pair<uint64_t, int>, std::shared_ptr<Clique>> parts;
    int came = 0;

    explicit Clique(int size) : devices((size_t)size, -1) {}
};
std::map<std::string, std::shared_ptr<Clique>> cliques;  // by id

struct Comm;

struct Transfer {
    int peer;
    unsigned char* host;
    size_t bytes;
    bool out;
    std::shared_ptr<Parcel> parcel;
};

struct Job {
    Comm* comm;
    Kind kind;
    int type = 0, root = 0;
    size_t count = 0;
    std::vector<Transfer> transfers;
    unsigned char *memory = nullptr, *in = nullptr, *out = nullptr;
    size_t inBytes = 0, outBytes = 0;
    bool captured = false, finished = false, entered = false;
    std::shared_ptr<Meeting> meeting;
};

struct Comm {
    std::shared_ptr<Clique> clique;
    int rank, device;
    bool aborted = false;
    int asyncError = 0;
    uint64_t meetings = 0, splits = 0;
    std::list<std::unique_ptr<Job>> jobs;
    std::list<std::pair<size_t, unsigned char*>> spare;  // freeing pinned memory would wait for the device

    int size() const {
        return (int)clique->devices.size();
    }
    unsigned char* memory(size_t bytes) {
        const auto fits = std::find_if(spare.begin(), spare.end(), [=](auto& s) { return s.first == bytes; });
        if (fits != spare.end()) {
            unsigned char* found = fits->second;
            spare.erase(fits);
            return found;
        }
        void* fresh = nullptr;
        return driver.allocateHost(&fresh, bytes) ? nullptr : (unsigned char*)fresh;
    }
    void forgetFinished() {
        jobs.remove_if([&](auto& job) {
            if (job->captured || !job->finished) return false;
            spare.emplace_back(job->inBytes + job->outBytes, job->memory);
            return true;
        });
    }
};
std::vector<Comm*> comms;

bool exists(Comm* comm) {
    return std::find(comms.begin(), comms.end(), comm) != comms.end();
}

// ---- what happens when all have come

void addUp(std::vector<Job*>& jobs) {
    const Job& first = *jobs[0];
    const size_t ranks = jobs.size();
    const size_t whole = first.kind == Kind::REDUCE_SCATTER ? first.count * ranks : first.count;
    for (size_t part = 0; part < ranks; part++) {
        for (size_t i = whole * part / ranks; i < whole * (part + 1) / ranks; i++) {
            unsigned char rounded[4];
            for (size_t step = 1; step <= ranks; step++) {
                const float x = load(jobs[(part + step) % ranks]->in, i, first.type);
                store(rounded, 0, first.type, step == 1 ? x : load(rounded, 0, first.type) + x);
            }
            const float sum = load(rounded, 0, first.type);
            if (first.kind == Kind::REDUCE_SCATTER) {
                store(jobs[part]->out, i - part * first.count, first.type, sum);
            } else {
                for (Job* job : jobs) store(job->out, i, first.type, sum);
            }
        }
    }
}

void exchange(std::vector<Job*>& jobs) {
    const Job& first = *jobs[0];
    switch (first.kind) {
        case Kind::ALL_REDUCE:
        case Kind::REDUCE_SCATTER: addUp(jobs); break;
        case Kind::ALL_GATHER:
            for (Job* job : jobs) {
                for (size_t r = 0; r < jobs.size(); r++) memcpy(job->out + r * job->inBytes, jobs[r]->in, job->inBytes);
            }
            break;
        default:
            for (Job* job : jobs) memcpy(job->out, jobs[(size_t)first.root]->in, job->outBytes);
    }
}

bool sameOperation(const std::vector<Job*>& jobs) {
    return std::all_of(jobs.begin(), jobs.end(), [&](const Job* job) {
        return job->kind == jobs[0]->kind && job->count == jobs[0]->count && job->type == jobs[0]->type &&
               job->root == jobs[0]->root;
    });
}

bool meet(Job& job) {
    Clique& clique = *job.comm->clique;
    if (!job.entered) {
        const uint64_t number = job.comm->meetings++;
        auto& meeting = clique.meetings[number];
        if (!meeting) meeting = std::make_shared<Meeting>();
        meeting->jobs.resize(clique.devices.size());
        meeting->jobs[(size_t)job.comm->rank] = &job;
        job.meeting = meeting;
        if (++meeting->came == clique.devices.size()) {
            clique.meetings.erase(number);
            if (sameOperation(meeting->jobs)) {
                exchange(meeting->jobs);
                meeting->done = true;
            }
        }
    }
    return job.meeting->done;
}

bool deliver(Job& job) {
    Clique& clique = *job.comm->clique;
    const int rank = job.comm->rank;
    bool done = true;
    for (Transfer& t : job.transfers) {
        if (!job.entered && t.out) {
            t.parcel = std::make_shared<Parcel>(Parcel{t.host, t.bytes});
            clique.mail[{rank, t.peer}].push_back(t.parcel);
        } else if (!job.entered) {
            t.parcel.reset();
        }
    }
    for (Transfer& t : job.transfers) {
        auto& mail = clique.mail[{t.peer, rank}];
        if (!t.out && !t.parcel && !mail.empty() && mail.front()->bytes == t.bytes) {
            t.parcel = mail.front();
            mail.pop_front();
            memcpy(t.host, t.parcel->from, t.bytes);
            t.parcel->taken = true;
        }
        done &= t.parcel && t.parcel->taken;
    }
    return done;
}

// In the order of the stream, again and again until it is done.
int run(void* p) {
    std::lock_guard<std::mutex> guard(mutex);
    Job& job = *(Job*)p;
    const bool done = job.comm->aborted || (job.kind == Kind::MESSAGES ? deliver(job) : meet(job));
    job.entered = !done;  // a graph comes by again
    return done ? SUCCESS : NOT_READY;
}

int finish(void* p) {
    std::lock_guard<std::mutex> guard(mutex);
    ((Job*)p)->finished = true;
    return SUCCESS;
}

// ---- groups

struct Move {
    uint64_t address;
    unsigned char* host;
    size_t bytes;
};

int launch(std::unique_ptr<Job> made, std::vector<Move> in, std::vector<Move> out, void* stream) {
    Job& job = *made;
    Comm& comm = *job.comm;
    int capturing = 0;
    if (driver.isCapturing(stream, &capturing)) return refuse(CUDA_ERROR, "the stream is none");
    job.captured = capturing != 0;
    {
        std::lock_guard<std::mutex> guard(mutex);
        comm.forgetFinished();
        comm.jobs.push_back(std::move(made));
    }
    int failed = 0;
    for (const Move& m : in) failed |= m.bytes ? driver.toHost(m.host, m.address, m.bytes, stream) : 0;
    failed |= driver.launch(stream, run, &job);
    for (const Move& m : out) failed |= m.bytes ? driver.toDevice(m.address, m.host, m.bytes, stream) : 0;
    failed |= driver.launch(stream, finish, &job);
    return failed ? refuse(CUDA_ERROR, "the driver refuses a range or the stream") : (int)SUCCESS;
}

struct Message {
    Comm* comm;
    uint64_t address;
    size_t bytes;
    int peer;
    bool out;
    void* stream;
};
thread_local int depth;
thread_local std::vector<Message> waiting;

int leave() {
    std::vector<Message> messages;
    messages.swap(waiting);
    if (messages.empty()) return SUCCESS;
    auto job = std::make_unique<Job>();
    job->comm = messages[0].comm;
    job->kind = Kind::MESSAGES;
    size_t total = 0;
    for (const Message& m : messages) {
        if (m.comm != job->comm) return refuse(INVALID_USAGE, "the stand-in takes messages of one communicator");
        total += (m.bytes + 63) / 64 * 64;
    }
    job->inBytes = std::max<size_t>(total, 64);
    job->memory = job->comm->memory(job->inBytes);
    std::vector<Move> in, out;
    unsigned char* at = job->memory;
    for (const Message& m : messages) {
        job->transfers.push_back({m.peer, at, m.bytes, m.out, nullptr});
        (m.out ? in : out).push_back({m.address, at, m.bytes});
        at += (m.bytes + 63) / 64 * 64;
    }
    return launch(std::move(job), in, out, messages[0].stream);
}

int message(uint64_t address, size_t count, int type, int peer, Comm* comm, void* stream, bool out) {
    if (!bytesOf(type) || peer < 0 || peer >= comm->size()) return refuse(INVALID_ARGUMENT, "type or peer");
    waiting.push_back({comm, address, count * bytesOf(type), peer, out, stream});
    return depth ? (int)SUCCESS : leave();
}

int collective(Kind kind, uint64_t from, uint64_t to, size_t count, int type, int root, Comm* comm, void* stream) {
    const size_t bytes = count * bytesOf(type), ranks = (size_t)comm->size();
    const bool sums = kind == Kind::ALL_REDUCE || kind == Kind::REDUCE_SCATTER;
    if (!bytesOf(type) || (sums && type != FLOAT32 && type != FLOAT16 && type != BFLOAT16)) {
        return refuse(INVALID_ARGUMENT, "type " + std::to_string(type));
    }
    if (depth) return refuse(INVALID_USAGE, "the stand-in groups messages only");
    auto job = std::make_unique<Job>();
    job->comm = comm;
    job->kind = kind;
    job->type = type;
    job->root = root;
    job->count = count;
    job->inBytes = std::max<size_t>(bytes * (kind == Kind::REDUCE_SCATTER ? ranks : 1), 64);
    job->outBytes = std::max<size_t>(bytes * (kind == Kind::ALL_GATHER ? ranks : 1), 64);
    job->memory = comm->memory(job->inBytes + job->outBytes);
    job->in = job->memory;
    job->out = job->in + job->inBytes;
    const size_t inBytes = bytes * (kind == Kind::REDUCE_SCATTER ? ranks : 1);
    const size_t outBytes = bytes * (kind == Kind::ALL_GATHER ? ranks : 1);
    if (kind == Kind::ALL_GATHER) job->inBytes = bytes;
    const Move in = {from, job->in, inBytes}, out = {to, job->out, outBytes};
    return launch(std::move(job), {in}, {out}, stream);
}

// The next call of a function fails with a code, when a test has asked for that.
int wanted(const char* function) {
    std::lock_guard<std::mutex> guard(mutex);
    const auto found = settings.find(function);
    if (found == settings.end()) return SUCCESS;
    const int code = (int)found->second;
    settings.erase(found);
    return refuse(code, std::string("as the test wants it for ") + function);
}

Comm* enter(std::shared_ptr<Clique> clique, int rank, int device) {
    auto* comm = new Comm;
    comm->clique = std::move(clique);
    comm->rank = rank;
    comm->device = device;
    comms.push_back(comm);
    return comm;
}

// For other ranks to come; 20 s, not for ever, so that a test ends.
template <class F>
bool await(std::unique_lock<std::mutex>& lock, F condition) {
    changed.notify_all();
    return changed.wait_for(lock, std::chrono::seconds(20), condition);
}

}  // namespace

// nccl_stand_in(function, code) lets its next call fail; ("version", n) sets what it says; ("async", code) is an error that
// all communicators find by themselves from now on; ("communicators", 0) asks how many there are.
EXPORT long nccl_stand_in(const char* key, long value) {
    std::lock_guard<std::mutex> guard(mutex);
    const std::string name = key;
    if (name == "communicators") return (long)comms.size();
    if (name == "async") {
        for (Comm* comm : comms) comm->asyncError = (int)value;
    } else {
        settings[name] = value;
    }
    return value;
}

EXPORT int ncclGetVersion(int* version) {
    std::lock_guard<std::mutex> guard(mutex);
    *version = (int)settings["version"];
    return SUCCESS;
}

EXPORT const char* ncclGetErrorString(int code) {
    switch (code) {
        case SUCCESS: return "no error";
        case CUDA_ERROR: return "unhandled cuda error";
        case 2: return "unhandled system error";
        case INTERNAL_ERROR: return "internal error";
        case INVALID_ARGUMENT: return "invalid argument";
        case INVALID_USAGE: return "invalid usage";
        case 6: return "remote process exited or there was a network error";
        default: return "unknown result code";
    }
}

EXPORT const char* ncclGetLastError(Comm*) {
    return lastError.c_str();
}

struct Id {
    char bytes[128];
};

EXPORT int ncclGetUniqueId(Id* id) {
    if (const int failed = wanted("ncclGetUniqueId")) return failed;
    static int made;
    std::lock_guard<std::mutex> guard(mutex);
    memset(id, 0, sizeof *id);
    snprintf(id->bytes, sizeof id->bytes, "stand-in %d", ++made);
    return SUCCESS;
}

// As that of 2.18.
struct Config {
    size_t size;
    unsigned magic, version;
    int blocking, cgaClusterSize, minCTAs, maxCTAs;
    const char* netName;
    int splitShare;
};
static int checkConfig(const Config* config) {
    constexpr int UNDEFINED = INT32_MIN;
    if (config->size != sizeof(Config) || config->magic != 0xcafebeef || config->version < 21800 || config->netName ||
        config->blocking != 1 || config->cgaClusterSize != UNDEFINED || config->minCTAs != UNDEFINED ||
        config->maxCTAs != UNDEFINED || config->splitShare != UNDEFINED) {
        return refuse(INVALID_ARGUMENT, "the configuration is not as this project makes it");
    }
    return SUCCESS;
}

EXPORT int ncclCommInitRankConfig(Comm** comm, int size, Id id, int rank, const Config* config) {
    if (const int failed = wanted("ncclCommInitRankConfig")) return failed;
    if (const int refused = checkConfig(config)) return refused;
    if (!driver.found) dl_iterate_phdr(lookAt, nullptr);
    int device = -1;
    if (!driver.found || driver.currentDevice(&device)) return refuse(CUDA_ERROR, "no emulated device is current");
    std::unique_lock<std::mutex> lock(mutex);
    auto& clique = cliques[id.bytes];
    if (!clique) clique = std::make_shared<Clique>(size);
    auto mine = clique;
    const auto twin = std::find(mine->devices.begin(), mine->devices.end(), device);
    mine->devices[(size_t)rank] = device;
    if (twin != mine->devices.end()) {
        mine->came = -size;  // nobody's any more
        changed.notify_all();
        return refuse(INVALID_USAGE, "Duplicate GPU detected : rank " + std::to_string(rank) + " and rank " +
                                         std::to_string(twin - mine->devices.begin()) + " both on CUDA device " +
                                         std::to_string(device));
    }
    mine->came++;
    if (!await(lock, [&] { return mine->came == size || mine->came < 0; })) return refuse(INTERNAL_ERROR, "not all came");
    if (mine->came < 0) return refuse(6, "another rank has left");
    cliques.erase(id.bytes);
    *comm = enter(mine, rank, device);
    return SUCCESS;
}

EXPORT int ncclCommSplit(Comm* comm, int color, int key, Comm** part, const Config* config) {
    if (const int failed = wanted("ncclCommSplit")) return failed;
    if (const int refused = checkConfig(config)) return refused;
    if (color < 0) return refuse(INVALID_ARGUMENT, "color " + std::to_string(color));
    std::unique_lock<std::mutex> lock(mutex);
    const uint64_t number = comm->splits++;
    auto clique = comm->clique;
    auto& split = clique->splits[number];
    split.emplace_back(color, key);
    if (!await(lock, [&] { return clique->splits[number].size() == clique->devices.size(); })) {
        return refuse(INTERNAL_ERROR, "not all came");
    }
    int size = 0, place = 0;
    for (const auto& [c, k] : clique->splits[number]) {
        size += c == color;
        place += c == color && k < key;
    }
    auto& theirs = clique->parts[{number, color}];
    if (!theirs) theirs = std::make_shared<Clique>(size);
    *part = enter(theirs, place, comm->device);
    return SUCCESS;
}

EXPORT int ncclCommGetAsyncError(Comm* comm, int* code) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!exists(comm)) return refuse(INVALID_ARGUMENT, "no communicator");
    *code = comm->asyncError;
    return SUCCESS;
}

static int remove(Comm* comm, bool abort) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!exists(comm)) return refuse(INVALID_ARGUMENT, "no communicator");
    comms.erase(std::find(comms.begin(), comms.end(), comm));
    comm->aborted = abort;  // what stands on its stream goes on; its memory stays, a graph may hold it
    return SUCCESS;
}

EXPORT int ncclCommAbort(Comm* comm) {
    return remove(comm, true);
}

EXPORT int ncclCommDestroy(Comm* comm) {
    if (const int failed = wanted("ncclCommDestroy")) return failed;
    return remove(comm, false);
}

EXPORT int ncclGroupStart() {
    depth++;
    return SUCCESS;
}

EXPORT int ncclGroupEnd() {
    if (!depth) return refuse(INVALID_USAGE, "no group");
    return --depth ? (int)SUCCESS : leave();
}

EXPORT int ncclAllReduce(uint64_t from, uint64_t to, size_t count, int type, int op, Comm* comm, void* stream) {
    if (const int failed = wanted("ncclAllReduce")) return failed;
    if (op) return refuse(INVALID_ARGUMENT, "no sum");
    return collective(Kind::ALL_REDUCE, from, to, count, type, 0, comm, stream);
}

EXPORT int ncclReduceScatter(uint64_t from, uint64_t to, size_t count, int type, int op, Comm* comm, void* stream) {
    if (op) return refuse(INVALID_ARGUMENT, "no sum");
    return collective(Kind::REDUCE_SCATTER, from, to, count, type, 0, comm, stream);
}

EXPORT int ncclAllGather(uint64_t from, uint64_t to, size_t count, int type, Comm* comm, void* stream) {
    return collective(Kind::ALL_GATHER, from, to, count, type, 0, comm, stream);
}

EXPORT int ncclBroadcast(uint64_t from, uint64_t to, size_t count, int type, int root, Comm* comm, void* stream) {
    return collective(Kind::BROADCAST, from, to, count, type, root, comm, stream);
}

EXPORT int ncclSend(uint64_t from, size_t count, int type, int peer, Comm* comm, void* stream) {
    return message(from, count, type, peer, comm, stream, true);
}

EXPORT int ncclRecv(uint64_t to, size_t count, int type, int peer, Comm* comm, void* stream) {
    return message(to, count, type, peer, comm, stream, false);
}
