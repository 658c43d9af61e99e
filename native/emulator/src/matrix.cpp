// matrix.cpp: ldmatrix, stmatrix and mma.sync. The fragments of 32 lanes are gathered into small matrices by the
// layouts of the PTX ISA, multiplied, and scattered.
#include "matrix.h"

#include "check.h"
#include "collectives.h"

namespace emulator {

// ---- ldmatrix and stmatrix: lane l gives the address of row l % 8 of matrix l / 8

struct MatrixMove {
    uint32_t address;
    uint32_t* registers;
    int count;
    bool transposed;
};

template <bool STORE>
static void moveMatrices(const Gathered& all) {
    const char* what = STORE ? "stmatrix" : "ldmatrix";
    Thread* me = current();
    const MatrixMove* lanes[WARP];
    for (unsigned i = 0; i < WARP; i++) lanes[i] = (const MatrixMove*)all.arguments[i];
    for (int m = 0; m < lanes[0]->count; m++) {
        uint16_t rows[8][8];
        unsigned char* memory[8];
        for (int r = 0; r < 8; r++) {
            const uint32_t address = lanes[m * 8 + r]->address;
            Thread* owner = me->block->thread(me->warp * WARP + m * 8 + r);
            if (address % 16) fail(Cause::MISALIGNED, all.pc, "%s address %u", what, address);
            memory[r] = sharedMemory(me, address, 16, what, all.pc);
            checkAccess(owner, {memory[r], 16, STORE, what, all.pc});
            if (!STORE) memcpy(rows[r], memory[r], 16);
        }
        for (unsigned lane = 0; lane < WARP; lane++) {
            const int r = lane / 4, c = lane % 4 * 2;
            uint16_t& lo = lanes[0]->transposed ? rows[c][r] : rows[r][c];
            uint16_t& hi = lanes[0]->transposed ? rows[c + 1][r] : rows[r][c + 1];
            uint32_t& word = lanes[lane]->registers[m];
            if (STORE) {
                lo = (uint16_t)word;
                hi = (uint16_t)(word >> 16);
            } else {
                word = lo | (uint32_t)hi << 16;
            }
        }
        for (int r = 0; STORE && r < 8; r++) memcpy(memory[r], rows[r], 16);
    }
}

void ldmatrix(uint32_t* registers, int count, bool transposed, uint32_t shared, Site at) {
    MatrixMove move{shared, registers, count, transposed};
    warpOperation(WarpOperation::LDMATRIX, ~0u, &move, moveMatrices<false>, at, __builtin_return_address(0));
}

void stmatrix(const uint32_t* registers, int count, bool transposed, uint32_t shared, Site at) {
    MatrixMove move{shared, (uint32_t*)registers, count, transposed};
    warpOperation(WarpOperation::STMATRIX, ~0u, &move, moveMatrices<true>, at, __builtin_return_address(0));
}

// ---- elements

static float table[2][256];  // of E4M3, of E5M2
[[maybe_unused]] static const bool tableFilled = [] {
    for (int i = 0; i < 256; i++) {
        table[0][i] = floatFromE4m3((uint8_t)i);
        table[1][i] = floatFromE5m2((uint8_t)i);
    }
    return true;
}();

float elementOf(Operand type, uint32_t word, int index) {
    switch (type) {
        case Operand::BF16: return floatFromBf16((uint16_t)(word >> 16 * index));
        case Operand::F16: return floatFromF16((uint16_t)(word >> 16 * index));
        default: return table[type == Operand::E5M2][(word >> 8 * index) & 0xff];
    }
}

// ---- mma.sync m16n8

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define WITH_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define WITH_AVX2
#endif

// d[16][8] = a[16][k] b[8][k]^T
template <int K>
static inline __attribute__((always_inline)) void product(const float (&a)[16][K], const float (&b)[8][K],
                                                          float (&d)[16][8]) {
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
            float sum = 0;
            for (int k = 0; k < K; k++) sum += a[i][k] * b[j][k];
            d[i][j] = sum;
        }
    }
}
WITH_AVX2 static void product16(const float (&a)[16][16], const float (&b)[8][16], float (&d)[16][8]) {
    product(a, b, d);
}
WITH_AVX2 static void product32(const float (&a)[16][32], const float (&b)[8][32], float (&d)[16][8]) {
    product(a, b, d);
}

struct Mma {
    void* d;
    const uint32_t* a;
    uint32_t b[2];
};

// PER_WORD elements in a register (2 or 4); a row of a has 8 registers' worth.
template <int PER_WORD, class ElementA, class ElementB>
static void gather(const Gathered& all, float (&a)[16][8 * PER_WORD], float (&b)[8][8 * PER_WORD], ElementA elementA,
                   ElementB elementB) {
    for (unsigned lane = 0; lane < WARP; lane++) {
        const Mma& m = *(const Mma*)all.arguments[lane];
        const int group = lane / 4, t = lane % 4;
        for (int i = 0; i < PER_WORD; i++) {
            const int k = t * PER_WORD + i;
            for (int r = 0; r < 4; r++) a[group + (r & 1) * 8][k + (r >> 1) * 4 * PER_WORD] = elementA(m.a[r], i);
            for (int r = 0; r < 2; r++) b[group][k + r * 4 * PER_WORD] = elementB(m.b[r], i);
        }
    }
}

template <class D>
static void scatter(const Gathered& all, const float (&d)[16][8]) {
    for (unsigned lane = 0; lane < WARP; lane++) {
        auto* out = (D*)((const Mma*)all.arguments[lane])->d;
        for (int i = 0; i < 4; i++) out[i] += (D)d[lane / 4 + (i >> 1) * 8][lane % 4 * 2 + (i & 1)];
    }
}

template <Operand A, Operand B = A>
static void performMma(const Gathered& all) {
    float d[16][8];
    const auto elementA = [](uint32_t word, int i) { return elementOf(A, word, i); };
    const auto elementB = [](uint32_t word, int i) { return elementOf(B, word, i); };
    if constexpr (hasEightBits(A)) {
        float a[16][32], b[8][32];
        gather<4>(all, a, b, elementA, elementB);
        product32(a, b, d);
    } else {
        float a[16][16], b[8][16];
        gather<2>(all, a, b, elementA, elementB);
        product16(a, b, d);
    }
    scatter<float>(all, d);
}

static void performMmaS8(const Gathered& all) {
    float a[16][32], b[8][32], d[16][8];  // 32 products of at most 2^14 are exact in f32
    const auto element = [](uint32_t word, int i) { return (float)(int8_t)(word >> 8 * i); };
    gather<4>(all, a, b, element, element);
    product32(a, b, d);
    scatter<int>(all, d);
}

void mmaBf16(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    warpOperation(WarpOperation::MMA, ~0u, &m, performMma<Operand::BF16>, at, __builtin_return_address(0));
}
void mmaF16(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    warpOperation(WarpOperation::MMA, ~0u, &m, performMma<Operand::F16>, at, __builtin_return_address(0));
}
void mmaE4m3(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    warpOperation(WarpOperation::MMA, ~0u, &m, performMma<Operand::E4M3>, at, __builtin_return_address(0));
}
void mmaE5m2(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    warpOperation(WarpOperation::MMA, ~0u, &m, performMma<Operand::E5M2>, at, __builtin_return_address(0));
}
void mmaE4m3E5m2(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    const auto perform = performMma<Operand::E4M3, Operand::E5M2>;
    warpOperation(WarpOperation::MMA, ~0u, &m, perform, at, __builtin_return_address(0));
}
void mmaE5m2E4m3(float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    const auto perform = performMma<Operand::E5M2, Operand::E4M3>;
    warpOperation(WarpOperation::MMA, ~0u, &m, perform, at, __builtin_return_address(0));
}
void mmaS8(int* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site at) {
    Mma m{d, a, {b0, b1}};
    warpOperation(WarpOperation::MMA, ~0u, &m, performMmaS8, at, __builtin_return_address(0));
}

}  // namespace emulator
