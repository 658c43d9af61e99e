// report.cpp: texts of findings, and the source places in them.
#include "internal.h"

#include <dlfcn.h>
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <set>

namespace emulator {

static std::mutex mutex;
static std::string texts;
static int result, count;
static std::set<std::pair<Cause, uint32_t>>& reported() {
    static auto* set = new std::set<std::pair<Cause, uint32_t>>;
    return *set;
}
constexpr int KEPT = 8;

static const char* nameOf(Cause cause) {
    switch (cause) {
        case Cause::OUT_OF_BOUNDS: return "out of bounds";
        case Cause::MISALIGNED: return "misaligned";
        case Cause::RACE: return "race";
        case Cause::UNINITIALISED: return "uninitialised";
        case Cause::PROXY_FENCE: return "missing proxy fence";
        case Cause::DEADLOCK: return "deadlock";
        case Cause::DIVERGENCE: return "divergence";
        case Cause::BARRIER: return "barrier";
        case Cause::MBARRIER: return "mbarrier";
        case Cause::SHUFFLE: return "shuffle";
        case Cause::ASYNC_COPY: return "asynchronous copy";
        case Cause::WGMMA: return "wgmma";
        case Cause::TENSOR_MAP: return "tensor map";
        case Cause::UNDEFINED: return "undefined behaviour";
        case Cause::TRAP: return "trap";
        case Cause::STUCK: return "stuck";
    }
    return "?";
}

int resultOf(Cause cause) {
    switch (cause) {
        case Cause::OUT_OF_BOUNDS: return 700;  // CUDA_ERROR_ILLEGAL_ADDRESS
        case Cause::STUCK: return 702;          // CUDA_ERROR_LAUNCH_TIMEOUT
        case Cause::MISALIGNED: return 716;     // CUDA_ERROR_MISALIGNED_ADDRESS
        case Cause::TRAP: return 718;           // CUDA_ERROR_INVALID_PC; a device reports 719 or 718
        default: return 719;                    // CUDA_ERROR_LAUNCH_FAILED
    }
}

static std::string formatted(const char* format, va_list arguments) {
    char buffer[2048];
    vsnprintf(buffer, sizeof buffer, format, arguments);
    return buffer;
}

static void add(Cause cause, const std::string& text) {
    std::lock_guard<std::mutex> guard(mutex);
    if (!result) result = resultOf(cause);
    if (count++ < KEPT) {
        if (!texts.empty()) texts += '\n';
        texts += std::string(nameOf(cause)) + ": " + text;
    }
}

static std::string withThread(Cause cause, const std::string& text, const void* pc) {
    const Thread* me = current();
    char who[40] = "", where[300];
    // A deadlock is nobody's in particular.
    if (cause != Cause::DEADLOCK) snprintf(who, sizeof who, "thread %u of ", me->number);
    snprintf(where, sizeof where, "; %sblock (%u, %u, %u), %s", who, me->blockIndex.x, me->blockIndex.y,
             me->blockIndex.z, me->block->launch->kernel->name);
    return text + where + (pc ? " at " + placeOf(codeOffset(pc)) : "");
}

void report(Cause cause, const void* pc, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const std::string text = formatted(format, arguments);
    va_end(arguments);
    add(cause, withThread(cause, text, pc));
}

void fail(Cause cause, const void* pc, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const std::string text = formatted(format, arguments);
    va_end(arguments);
    add(cause, withThread(cause, text, pc));
    abandon();
}

bool alreadyReported(Cause cause, const void* pc) {
    std::lock_guard<std::mutex> guard(mutex);
    return !reported().insert({cause, codeOffset(pc)}).second;
}

void reportBlock(Cause cause, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(cause, formatted(format, arguments));
    va_end(arguments);
}

void clearFindings() {
    std::lock_guard<std::mutex> guard(mutex);
    texts.clear();
    reported().clear();
    result = count = 0;
}

int findingResult() {
    std::lock_guard<std::mutex> guard(mutex);
    return result;
}

std::string findingText() {
    std::lock_guard<std::mutex> guard(mutex);
    return texts;
}

// ---- source places

static const Dl_info& library() {
    static const Dl_info info = [] {
        Dl_info found{};
        dladdr((void*)&clearFindings, &found);
        return found;
    }();
    return info;
}

uint32_t codeOffset(const void* pc) {
    return pc ? uint32_t((uintptr_t)pc - (uintptr_t)library().dli_fbase) : 0;
}

// Frames of the emulator's own inline functions say nothing about the kernel.
static bool isWrapper(const std::string& frame) {
    return frame.rfind("emulator", 0) == 0 || frame.rfind("ptx", 0) == 0;
}

std::string placeOf(uint32_t offset) {
    static std::map<uint32_t, std::string> known;
    if (!offset || !library().dli_fname) return "?";
    if (auto it = known.find(offset); it != known.end()) return it->second;
    char command[1200], line[1000];
    // A return address is behind its call; one byte back is inside it.
    snprintf(command, sizeof command, "addr2line -s -i -e '%s' 0x%x 2>/dev/null", library().dli_fname, offset - 1);
    std::vector<std::string> frames;
    if (FILE* pipe = popen(command, "r")) {
        while (fgets(line, sizeof line, pipe)) {
            line[strcspn(line, " \n")] = 0;  // drops "(discriminator 3)"
            if (frames.empty() || frames.back() != line) frames.push_back(line);
        }
        pclose(pipe);
    }
    while (frames.size() > 1 && isWrapper(frames.front())) frames.erase(frames.begin());
    // Several frames: the innermost, and where it was inlined from. The entry point's own line adds nothing.
    std::string text = frames.empty() || frames[0][0] == '?' ? "?" : frames[0];
    for (size_t i = 1; i < std::min<size_t>(frames.size(), 4); i++) text += " from " + frames[i];
    if (text == "?") {
        snprintf(line, sizeof line, "code offset 0x%x (no addr2line?)", offset);
        text = line;
    }
    return known[offset] = text;
}

std::string variableAt(size_t offset) {
    struct Variable {
        size_t begin, bytes;
        std::string name;
    };
    static const auto* variables = [] {
        auto* found = new std::vector<Variable>;
        char command[1200], line[4000];
        snprintf(command, sizeof command, "readelf -sWC '%s' 2>/dev/null", library().dli_fname);
        FILE* pipe = popen(command, "r");
        while (pipe && fgets(line, sizeof line, pipe)) {  // number: value size type bind visibility index name
            size_t begin, bytes;
            int name = 0;
            if (sscanf(line, " %*d: %zx %zu TLS %*s %*s %*s %n", &begin, &bytes, &name) == 2 && name) {
                line[strcspn(line, "\n")] = 0;
                found->push_back({begin, bytes, line + name});
            }
        }
        if (pipe) pclose(pipe);
        return found;
    }();
    for (const Variable& v : *variables) {
        if (offset >= v.begin && offset < v.begin + v.bytes) {
            return v.name + (offset > v.begin ? " + " + std::to_string(offset - v.begin) : "");
        }
    }
    return "offset " + std::to_string(offset);
}

}  // namespace emulator
