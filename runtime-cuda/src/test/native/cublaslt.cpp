// cublaslt.cpp: a stand-in for the functions of cuBLASLt that this project calls. A TEST TOOL, never a product: it
// multiplies on the host, in double, through the driver that is loaded, the emulator, so that the real JNI code of the
// JavaCPP presets, the search of algorithms and its cache run where there is no GPU.
//
// Everything goes through the stream in its order: operands are copied to the host, a host function multiplies, the
// result is copied back. So it takes part in captures, and the driver checks every range.
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_16F = 2, R_16BF = 14, R_8F_E4M3 = 28, R_8F_E5M2 = 29 };
enum ScaleMode { SCALAR = 0, OUTER_VECTOR = 3 };
constexpr int EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4;

// ---- settings, by jacquard_standin

uint64_t version = 130100;
int failure = 0;         // the status of every product
int refusal = 0;         // the status of every request for candidates
uint64_t only = ~0ull;   // the one algorithm to propose
uint64_t searches = 0;   // requests for candidates
uint64_t products = 0;
uint64_t lastAlgorithm = ~0ull;

// ---- the driver

struct Driver {
    int (*toHost)(void*, uint64_t, size_t, void*);
    int (*toDevice)(uint64_t, const void*, size_t, void*);
    int (*hostFunction)(void*, void (*)(void*), void*);
    int (*allocateHost)(void**, size_t);
    int (*freeHost)(void*);
    int (*isCapturing)(void*, int*);
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
    if (dlsym(library, "jacquard_emulator_config") && d.find(library, "cuMemcpyDtoHAsync_v2", d.toHost) &&
        d.find(library, "cuMemcpyHtoDAsync_v2", d.toDevice) && d.find(library, "cuLaunchHostFunc", d.hostFunction) &&
        d.find(library, "cuMemAllocHost_v2", d.allocateHost) && d.find(library, "cuMemFreeHost", d.freeHost) &&
        d.find(library, "cuStreamIsCapturing", d.isCapturing)) {
        driver = d;
        driver.found = true;
    }
    dlclose(library);
    return driver.found;
}

// ---- values

bool isEight(int type) {
    return type == R_8F_E4M3 || type == R_8F_E5M2;
}

size_t bytesOf(int type) {
    return type == R_32F ? 4 : isEight(type) ? 1 : 2;
}

double load8(uint8_t code, int type) {
    const int bits = type == R_8F_E4M3 ? 3 : 2, bias = type == R_8F_E4M3 ? 7 : 15;
    const int exponent = (code & 127) >> bits, fraction = code & ((1 << bits) - 1);
    const double sign = code & 128 ? -1 : 1;
    if (type == R_8F_E4M3 && (code & 127) == 127) return NAN;
    if (type == R_8F_E5M2 && exponent == 31) return fraction ? NAN : sign * INFINITY;
    const double one = 1 << bits;
    return sign * (exponent ? ldexp(1 + fraction / one, exponent - bias) : ldexp(fraction / one, 1 - bias));
}

double load(const void* p, size_t i, int type) {
    if (isEight(type)) return load8(((const uint8_t*)p)[i], type);
    if (type == R_32F) return ((const float*)p)[i];
    if (type == R_16F) return (double)((const _Float16*)p)[i];
    const uint32_t bits = (uint32_t)((const uint16_t*)p)[i] << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void store(void* p, size_t i, int type, double value) {
    if (type == R_32F) {
        ((float*)p)[i] = (float)value;
    } else if (type == R_16F) {
        ((_Float16*)p)[i] = (_Float16)value;
    } else {
        const float rounded = (float)value;
        uint32_t bits;
        memcpy(&bits, &rounded, 4);
        const bool nan = (bits & 0x7fffffff) > 0x7f800000;
        ((uint16_t*)p)[i] = (uint16_t)((nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

// ---- what the caller describes

struct Layout {
    int type;
    uint64_t rows, columns;  // column by column
    int64_t leading;
    size_t bytes() const {
        return rows && columns ? ((columns - 1) * (size_t)leading + rows) * bytesOf(type) : 0;
    }
};

struct Description {
    int transA = 0, transB = 0, epilogue = EPILOGUE_DEFAULT;
    int scaleModeA = SCALAR, scaleModeB = SCALAR;
    uint64_t bias = 0, scaleA = 0, scaleB = 0;
};

struct Preference {
    uint64_t workspace = 0;
};

struct Algorithm {
    uint64_t data[8];
};
constexpr uint64_t MAGIC = 0x6a61637175617264;

struct Candidate {  // as cublasLtMatmulHeuristicResult_t
    Algorithm algorithm;
    size_t workspace;
    int status;
    float waves;
    int reserved[4];
};

// Number 0, the heuristic's first choice, is slow; number 1 fails; number 3 wants a workspace.
constexpr int ALGORITHMS = 4;
constexpr size_t WORKSPACE = 1 << 20;

// ---- a product under way

struct Job {
    Layout a, b, d;
    Description description;
    uint64_t algorithm;
    double alpha, beta;
    size_t bytes = 0;
    void* memory = nullptr;  // pinned: a copy to the device reads it when it runs
    unsigned char *hostA, *hostB, *hostScaleA, *hostScaleB, *hostBias, *hostD;
    bool captured = false, done = false;

    void multiply() const {
        if (algorithm == 0) usleep(1000);
        const uint64_t inner = description.transA ? a.rows : a.columns;
        const std::vector<double> left = values(hostA, a, description.transA != 0);
        const std::vector<double> right = values(hostB, b, description.transB == 0);
        for (uint64_t column = 0; column < d.columns; column++) {
            for (uint64_t row = 0; row < d.rows; row++) {
                const double *x = &left[row * inner], *y = &right[column * inner];
                double sum = 0;
                for (uint64_t k = 0; k < inner; k++) {
                    const uint64_t step = algorithm % 2 ? inner - 1 - k : k;
                    sum += x[step] * y[step];
                }
                const size_t at = row + column * d.leading;
                double value = alpha * sum;
                if (isEight(a.type)) {
                    const bool vectors = description.scaleModeA == OUTER_VECTOR;
                    value *= load(hostScaleA, vectors ? row : 0, R_32F);
                    value *= load(hostScaleB, vectors ? column : 0, R_32F);
                }
                if (beta != 0) value += beta * load(hostD, at, d.type);
                if (description.epilogue == EPILOGUE_BIAS) value += load(hostBias, row, d.type);
                store(hostD, at, d.type, value);
            }
        }
    }

    // Column by column as it lies, or row by row.
    static std::vector<double> values(const void* p, const Layout& layout, bool byColumns) {
        std::vector<double> to(layout.rows * layout.columns);
        for (uint64_t c = 0; c < layout.columns; c++) {
            for (uint64_t r = 0; r < layout.rows; r++) {
                to[byColumns ? c * layout.rows + r : r * layout.columns + c] =
                    load(p, r + c * layout.leading, layout.type);
            }
        }
        return to;
    }
};

struct Handle {
    std::list<Job> jobs;
    std::list<std::pair<size_t, void*>> spare;  // freeing pinned memory would wait for the device

    void forgetDone() {
        jobs.remove_if([&](const Job& job) {
            if (job.captured || !job.done) return false;
            spare.emplace_back(job.bytes, job.memory);
            return true;
        });
    }

    void* memory(size_t bytes) {
        const auto fits = std::find_if(spare.begin(), spare.end(), [=](auto& s) { return s.first == bytes; });
        void* memory = nullptr;
        if (fits == spare.end()) return driver.allocateHost(&memory, bytes) ? nullptr : memory;
        memory = fits->second;
        spare.erase(fits);
        return memory;
    }

    ~Handle() {
        for (const Job& job : jobs) driver.freeHost(job.memory);
        for (const auto& s : spare) driver.freeHost(s.second);
    }
};

template <class T, class P>
Status assign(T& to, const P* from, size_t bytes) {
    if (bytes != sizeof(T)) return INVALID_VALUE;
    memcpy(&to, from, bytes);
    return SUCCESS;
}

}  // namespace

// jacquard_standin("version" | "failure" | "refusal" | "only", n) sets; ("searches" | "products" | "algorithm", 0) asks.
EXPORT uint64_t jacquard_standin(const char* key, uint64_t value) {
    const std::string name = key;
    if (name == "version") return version = value;
    if (name == "only") return only = value;
    if (name == "failure") return failure = (int)value;
    if (name == "refusal") return refusal = (int)value;
    if (name == "searches") return searches;
    if (name == "products") return products;
    if (name == "algorithm") return lastAlgorithm;
    return ~0ull;
}

EXPORT size_t cublasLtGetVersion() {
    return version;
}
EXPORT size_t cublasLtGetCudartVersion() {
    return 13000;
}

EXPORT const char* cublasLtGetStatusName(int status) {
    switch (status) {
    case SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_UNKNOWN";
    }
}
EXPORT const char* cublasLtGetStatusString(int status) {
    return cublasLtGetStatusName(status);
}

EXPORT int cublasLtCreate(Handle** handle) {
    if (!driver.found) dl_iterate_phdr(lookAt, nullptr);
    if (!driver.found) return NOT_INITIALIZED;
    *handle = new Handle;
    return SUCCESS;
}
EXPORT int cublasLtDestroy(Handle* handle) {
    delete handle;
    return SUCCESS;
}

EXPORT int cublasLtMatmulDescCreate(Description** description, int computeType, int scaleType) {
    if (computeType != 68 || scaleType != R_32F) return INVALID_VALUE;  // CUBLAS_COMPUTE_32F
    *description = new Description;
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescDestroy(Description* description) {
    delete description;
    return SUCCESS;
}
EXPORT int cublasLtMatmulDescSetAttribute(Description* description, int attribute, const void* value, size_t bytes) {
    switch (attribute) {
    case 3: return assign(description->transA, value, bytes);
    case 4: return assign(description->transB, value, bytes);
    case 7: return assign(description->epilogue, value, bytes);
    case 8: return assign(description->bias, value, bytes);
    case 17: return assign(description->scaleA, value, bytes);
    case 18: return assign(description->scaleB, value, bytes);
    case 31: return assign(description->scaleModeA, value, bytes);
    case 32: return assign(description->scaleModeB, value, bytes);
    default: return INVALID_VALUE;
    }
}

EXPORT int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    const bool known = type == R_32F || type == R_16F || type == R_16BF || isEight(type);
    if (!known || leading < (int64_t)rows) return INVALID_VALUE;
    *layout = new Layout{type, rows, columns, leading};
    return SUCCESS;
}
EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) {
    delete layout;
    return SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceCreate(Preference** preference) {
    *preference = new Preference;
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceDestroy(Preference* preference) {
    delete preference;
    return SUCCESS;
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value,
                                                size_t bytes) {
    if (attribute == 1) return assign(preference->workspace, value, bytes);
    uint32_t mask;
    return attribute == 3 || (attribute >= 5 && attribute <= 8) ? assign(mask, value, bytes) : INVALID_VALUE;
}

// Of 8-bit floats: not twice E5M2; A transposed and B not; both with a scale for each matrix or for each row; rows of
// whole 16 bytes; a bias of the result's type only where that has 16 bits.
static int eightFits(const Description* description, const Layout* a, const Layout* b, const Layout* d) {
    if (!isEight(b->type) || (a->type == R_8F_E5M2 && b->type == R_8F_E5M2) || isEight(d->type)) return NOT_SUPPORTED;
    if (!description->transA || description->transB) return NOT_SUPPORTED;
    const int mode = description->scaleModeA;
    if (mode != description->scaleModeB || (mode != SCALAR && mode != OUTER_VECTOR)) return NOT_SUPPORTED;
    if (!description->scaleA || !description->scaleB) return INVALID_VALUE;
    if (a->leading % 16 || b->leading % 16 || d->leading * bytesOf(d->type) % 16) return NOT_SUPPORTED;
    return description->epilogue == EPILOGUE_BIAS && d->type == R_32F ? NOT_SUPPORTED : SUCCESS;
}

static int shapeFits(const Description* description, const Layout* a, const Layout* b, const Layout* c,
                     const Layout* d) {
    const uint64_t m = description->transA ? a->columns : a->rows, k = description->transA ? a->rows : a->columns;
    const uint64_t n = description->transB ? b->rows : b->columns, l = description->transB ? b->columns : b->rows;
    if (c->type != d->type) return NOT_SUPPORTED;
    if (isEight(a->type)) {
        if (const int refused = eightFits(description, a, b, d)) return refused;
    } else if (a->type != b->type || (d->type != a->type && d->type != R_32F)) {
        return NOT_SUPPORTED;
    }
    if (description->epilogue != EPILOGUE_DEFAULT && description->epilogue != EPILOGUE_BIAS) return NOT_SUPPORTED;
    const bool fits = k == l && m == d->rows && n == d->columns && m == c->rows && n == c->columns;
    return fits && d->leading == (int64_t)d->rows ? SUCCESS : INVALID_VALUE;
}

static Candidate candidate(int number) {
    Candidate c = {};
    c.algorithm.data[0] = MAGIC;
    c.algorithm.data[1] = (uint64_t)number;
    c.workspace = number == 3 ? WORKSPACE : 0;
    c.waves = 1;
    return c;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(Handle*, const Description* description, const Layout* a, const Layout* b,
                                          const Layout* c, const Layout* d, const Preference* preference, int wanted,
                                          Candidate* results, int* count) {
    searches++;
    *count = 0;
    if (refusal) return refusal;
    if (const int refused = shapeFits(description, a, b, c, d)) return refused;
    for (int i = 0; i < ALGORITHMS && *count < wanted; i++) {
        const Candidate next = candidate(i);
        if (only != ~0ull && only != (uint64_t)i) continue;
        if (next.workspace <= preference->workspace) results[(*count)++] = next;
    }
    return SUCCESS;
}

EXPORT int cublasLtMatmulAlgoCheck(Handle*, const Description* description, const Layout* a, const Layout* b,
                                   const Layout* c, const Layout* d, const Algorithm* algorithm, Candidate* result) {
    if (const int refused = shapeFits(description, a, b, c, d)) return refused;
    if (algorithm->data[0] != MAGIC || algorithm->data[1] >= ALGORITHMS) return INVALID_VALUE;
    *result = candidate((int)algorithm->data[1]);
    return SUCCESS;
}

EXPORT int cublasLtMatmul(Handle* handle, const Description* description, const float* alpha, uint64_t a,
                          const Layout* layoutA, uint64_t b, const Layout* layoutB, const float* beta, uint64_t c,
                          const Layout* layoutC, uint64_t d, const Layout* layoutD, const Algorithm* algorithm,
                          uint64_t workspace, size_t workspaceBytes, void* stream) {
    products++;
    if (failure) return failure;
    if (const int refused = shapeFits(description, layoutA, layoutB, layoutC, layoutD)) return refused;
    if (!algorithm || algorithm->data[0] != MAGIC || c != d) return INVALID_VALUE;
    if (isEight(layoutA->type) && (a | b | d) % 16) return INVALID_VALUE;
    lastAlgorithm = algorithm->data[1];
    if (lastAlgorithm == 1) return NOT_SUPPORTED;
    if (lastAlgorithm == 3 && (!workspace || workspaceBytes < WORKSPACE)) return INVALID_VALUE;
    int capturing = 0;
    if (driver.isCapturing(stream, &capturing)) return EXECUTION_FAILED;
    handle->forgetDone();
    handle->jobs.emplace_back();
    Job& job = handle->jobs.back();
    job.a = *layoutA;
    job.b = *layoutB;
    job.d = *layoutD;
    job.description = *description;
    job.algorithm = lastAlgorithm;
    job.alpha = *alpha;
    job.beta = *beta;
    job.captured = capturing != 0;
    const bool biased = description->epilogue == EPILOGUE_BIAS;
    const size_t biasBytes = biased ? job.d.rows * bytesOf(job.d.type) : 0;
    const bool eight = isEight(job.a.type), vectors = description->scaleModeA == OUTER_VECTOR;
    const size_t scaleBytesA = eight ? (vectors ? job.d.rows : 1) * sizeof(float) : 0;
    const size_t scaleBytesB = eight ? (vectors ? job.d.columns : 1) * sizeof(float) : 0;
    const auto rounded = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
    job.bytes = rounded(job.a.bytes()) + rounded(job.b.bytes()) + rounded(biasBytes) + rounded(job.d.bytes()) +
                rounded(scaleBytesA) + rounded(scaleBytesB);
    job.memory = handle->memory(job.bytes);
    if (!job.memory) return EXECUTION_FAILED;
    job.hostA = (unsigned char*)job.memory;
    job.hostB = job.hostA + rounded(job.a.bytes());
    job.hostBias = job.hostB + rounded(job.b.bytes());
    job.hostD = job.hostBias + rounded(biasBytes);
    job.hostScaleA = job.hostD + rounded(job.d.bytes());
    job.hostScaleB = job.hostScaleA + rounded(scaleBytesA);
    int failed = driver.toHost(job.hostA, a, job.a.bytes(), stream);
    failed |= driver.toHost(job.hostB, b, job.b.bytes(), stream);
    if (eight) {
        failed |= driver.toHost(job.hostScaleA, description->scaleA, scaleBytesA, stream);
        failed |= driver.toHost(job.hostScaleB, description->scaleB, scaleBytesB, stream);
    }
    if (biased) failed |= driver.toHost(job.hostBias, description->bias, biasBytes, stream);
    if (job.beta != 0) failed |= driver.toHost(job.hostD, c, job.d.bytes(), stream);
    failed |= driver.hostFunction(stream, [](void* p) { ((Job*)p)->multiply(); }, &job);
    failed |= driver.toDevice(d, job.hostD, job.d.bytes(), stream);
    failed |= driver.hostFunction(stream, [](void* p) { ((Job*)p)->done = true; }, &job);
    return failed ? EXECUTION_FAILED : SUCCESS;
}
