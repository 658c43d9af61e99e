// fragments_test.cpp: where every element of a matrix instruction's operands lies. The host lays operands out by the
// formulas of the PTX ISA, written here in its own terms (element index within a fragment, canonical layouts of matrix
// descriptors), and not in those of the emulator; small integers make all products exact.
#include "harness.h"

#include "emulator_types.h"

#include <algorithm>

using emulator::bf16FromFloat;
using emulator::e4m3FromFloat;
using emulator::e5m2FromFloat;
using emulator::f16FromFloat;

static int failures;
static uint32_t state = 12345;
static int smallInteger() {  // -4 to 4: exact in every format
    state = state * 1664525 + 1013904223;
    return (int)(state >> 24) % 9 - 4;
}

static void expectSame(const char* what, const std::vector<float>& found, const std::vector<float>& wanted) {
    for (size_t i = 0; i < wanted.size(); i++) {
        if (found[i] == wanted[i]) continue;
        printf("%s: element %zu is %g, expected %g\n", what, i, found[i], wanted[i]);
        failures++;
        return;
    }
}

struct Matrix {
    int rows, columns;
    std::vector<int> values;
    Matrix(int rows, int columns) : rows(rows), columns(columns), values(rows * columns) {
        for (int& v : values) v = smallInteger();
    }
    int at(int row, int column) const {
        return values[row * columns + column];
    }
};

// An element type: its size and its code for a small integer.
struct Type {
    const char* name;
    int bytes;
    uint32_t (*code)(int);
};
static const Type BF16{"bf16", 2, [](int v) { return (uint32_t)bf16FromFloat((float)v); }};
static const Type F16{"f16", 2, [](int v) { return (uint32_t)f16FromFloat((float)v); }};
static const Type E4M3{"e4m3", 1, [](int v) { return (uint32_t)e4m3FromFloat((float)v); }};
static const Type E5M2{"e5m2", 1, [](int v) { return (uint32_t)e5m2FromFloat((float)v); }};
static const Type S8{"s8", 1, [](int v) { return (uint32_t)(uint8_t)(int8_t)v; }};

// ---- ldmatrix: thread T holds row T / 4, columns 2 (T % 4) and the next, of each matrix

static void testLdmatrix(const Driver& d) {
    std::vector<uint32_t> x(128), wanted(128);
    const auto element = [](int m, int row, int column) { return (uint32_t)(m * 64 + row * 8 + column + 1); };
    for (int i = 0; i < 128; i++)
        x[i] = element(i / 32, i % 32 / 4, i % 4 * 2) | element(i / 32, i % 32 / 4, i % 4 * 2 + 1) << 16;
    for (const bool transposed : {false, true}) {
        for (const int count : {2, 4}) {
            for (int lane = 0; lane < 32; lane++) {
                for (int m = 0; m < 4; m++) {
                    const int row = lane / 4, column = lane % 4 * 2;
                    const uint32_t lo = transposed ? element(m, column, row) : element(m, row, column);
                    const uint32_t hi = transposed ? element(m, column + 1, row) : element(m, row, column + 1);
                    wanted[lane * 4 + m] = m < count ? lo | hi << 16 : 0;
                }
            }
            Buffer<uint32_t> in(d, x), out(d, 128);
            const std::string suffix = (count == 4 ? "_x4" : "_x2") + std::string(transposed ? "_trans" : "");
            d.require("ldmatrix", d.run(("ldmatrix" + suffix).c_str(), 1, 32, 512, out.address, in.address));
            if (out.get() != wanted) {
                printf("ldmatrix%s\n", suffix.c_str());
                failures++;
            }
            if (count == 2) continue;
            Buffer<uint32_t> registers(d, wanted), memory(d, 128);  // the way back
            d.require("stmatrix", d.run(("stmatrix" + suffix).c_str(), 1, 32, 512, memory.address, registers.address));
            if (memory.get() != x) {
                printf("stmatrix%s\n", suffix.c_str());
                failures++;
            }
        }
    }
}

// ---- fragments of mma, by element index i as in the PTX ISA's figures

static int rowOfA(int lane, int i, int bytes) {  // two elements of 16 bits (or four of 8) per register
    const int r = i / (4 / bytes);
    return lane / 4 + (r % 2 ? 8 : 0);
}
static int columnOfA(int lane, int i, int bytes) {
    const int per = 4 / bytes, r = i / per;
    return lane % 4 * per + i % per + (r >= 2 ? 4 * per : 0);
}
static int rowOfB(int lane, int i, int bytes) {
    const int per = 4 / bytes;
    return lane % 4 * per + i % per + (i >= per ? 4 * per : 0);
}

static void put(std::vector<uint32_t>& words, size_t register_, int index, int bytes, uint32_t code) {
    words[register_] |= code << 8 * bytes * index;
}

static void testMma(const Driver& d, const Type& type, const Type& typeB) {
    const int k = 32 / type.bytes, per = 4 / type.bytes;
    const Matrix a(16, k), b(k, 8), c(16, 8);
    std::vector<uint32_t> ra(128), rb(64), rd(128);
    std::vector<float> wanted(128), found(128);
    for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 4 * per; i++) {
            put(ra, lane * 4 + i / per, i % per, type.bytes,
                type.code(a.at(rowOfA(lane, i, type.bytes), columnOfA(lane, i, type.bytes))));
        }
        for (int i = 0; i < 2 * per; i++) {
            put(rb, lane * 2 + i / per, i % per, type.bytes, typeB.code(b.at(rowOfB(lane, i, type.bytes), lane / 4)));
        }
        for (int i = 0; i < 4; i++) {
            const int row = lane / 4 + (i >= 2 ? 8 : 0), column = lane % 4 * 2 + i % 2;
            int sum = c.at(row, column);
            rd[lane * 4 + i] = &type == &S8 ? (uint32_t)sum : emulator::bitsAs<uint32_t>((float)sum);
            for (int j = 0; j < k; j++) sum += a.at(row, j) * b.at(j, column);
            wanted[lane * 4 + i] = (float)sum;
        }
    }
    Buffer<uint32_t> da(d, ra), db(d, rb), dd(d, rd);
    const std::string name = std::string("mma_") + type.name + (&type == &typeB ? "" : std::string("_") + typeB.name);
    d.require(name.c_str(), d.run(name.c_str(), 1, 32, 0, dd.address, da.address, db.address));
    const std::vector<uint32_t> out = dd.get();
    for (int i = 0; i < 128; i++) found[i] = &type == &S8 ? (float)(int)out[i] : emulator::bitsAs<float>(out[i]);
    expectSame(name.c_str(), found, wanted);
}

// ---- canonical layouts of wgmma's operands in shared memory, in bytes, by swizzle mode

struct Layout {
    int swizzle;  // 0, 32, 64, 128
    bool mnMajor;
    int leading, stride;  // as the descriptor takes them

    int offset(int mn, int k, int bytes) const {
        const int T = 16 / bytes, W = swizzle ? swizzle / 16 : 1;
        int linear;
        if (!mnMajor) {  // ((8, m), (T, 2k)) : ((W T, stride), (1, T or leading))
            linear = mn % 8 * W * 16 + mn / 8 * stride + k % T * bytes + k / T * (swizzle ? 16 : leading);
        } else if (swizzle) {  // ((T, W, m), (8, k)) : ((1, T, leading), (W T, stride))
            linear = mn % T * bytes + mn / T % W * 16 + mn / T / W * leading + k % 8 * W * 16 + k / 8 * stride;
        } else {  // ((T, 1, m), (8, k)) : ((1, T, stride), (T, leading))
            linear = mn % T * bytes + mn / T * stride + k % 8 * 16 + k / 8 * leading;
        }
        const int bits = swizzle == 128 ? 7 : swizzle == 64 ? 3 : swizzle == 32 ? 1 : 0;
        return linear ^ (linear >> 7 & bits) << 4;
    }
    uint64_t descriptor() const {
        const uint64_t mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
        return (uint64_t)(leading >> 4) << 16 | (uint64_t)(stride >> 4) << 32 | mode << 62;
    }
    // One that fills memory without gaps, rounded up so that the next operand can start behind it.
    static Layout dense(int swizzle, bool mnMajor, int mn, int bytes) {
        const int atom = 8 * (swizzle ? swizzle : 16);  // 8 rows (or 8 k) of one swizzle span
        if (!mnMajor) return {swizzle, false, swizzle ? 16 : mn / 8 * atom, atom};
        if (!swizzle) return {0, true, mn * bytes * 8, atom};
        return {swizzle, true, 2 * atom, atom};
    }
};
static constexpr int AREA = 32 << 10;  // for each operand

static void testWgmma(const Driver& d, const std::string& kind, const Type& type, int n, int swizzleA, int swizzleB) {
    const bool registers = kind[0] == 'r', mnMajorA = kind[0] == 'm', mnMajorB = kind[1] == 'n';
    const int k = 32 / type.bytes, per = 4 / type.bytes;
    const Matrix a(64, k), b(k, n), c(64, n);
    const Layout la = Layout::dense(swizzleA, mnMajorA, 64, type.bytes),
                 lb = Layout::dense(swizzleB, mnMajorB, n, type.bytes);
    std::vector<unsigned char> image(2 * AREA);
    const auto store = [&](int at, int value) {
        const uint32_t code = type.code(value);
        memcpy(&image[at], &code, type.bytes);
    };
    for (int row = 0; row < 64; row++) {
        for (int i = 0; i < k; i++) store(la.offset(row, i, type.bytes), a.at(row, i));
    }
    for (int column = 0; column < n; column++) {
        for (int i = 0; i < k; i++) store(AREA + lb.offset(column, i, type.bytes), b.at(i, column));
    }
    std::vector<uint32_t> ra(512);
    std::vector<float> rd(128 * n / 2), wanted(128 * n / 2);
    for (int t = 0; t < 128; t++) {
        const int lane = t % 32, firstRow = t / 32 * 16;
        for (int i = 0; i < 4 * per; i++) {
            put(ra, t * 4 + i / per, i % per, type.bytes,
                type.code(a.at(firstRow + rowOfA(lane, i, type.bytes), columnOfA(lane, i, type.bytes))));
        }
        for (int i = 0; i < n / 2; i++) {
            const int row = firstRow + lane / 4 + (i % 4 >= 2 ? 8 : 0), column = i / 4 * 8 + lane % 4 * 2 + i % 2;
            int sum = c.at(row, column);
            rd[t * (n / 2) + i] = (float)sum;
            for (int j = 0; j < k; j++) sum += a.at(row, j) * b.at(j, column);
            wanted[t * (n / 2) + i] = (float)sum;
        }
    }
    std::vector<uint32_t> words(image.size() / 4);
    memcpy(words.data(), image.data(), image.size());
    Buffer<uint32_t> da(d, ra), di(d, words);
    Buffer<float> dd(d, rd);
    const std::string name = std::string("wgmma_") + type.name + "_" + std::to_string(n) + "_" + kind;
    void* f = d.function(name.c_str());
    d.require("attribute", d.call("cuFuncSetAttribute", f, 8, 2 * AREA));
    const std::string what = name + ", swizzles " + std::to_string(swizzleA) + " and " + std::to_string(swizzleB);
    d.require(what.c_str(), d.run(name.c_str(), 1, 128, 2 * AREA, dd.address, da.address, di.address, (int)words.size(),
                                  la.descriptor(), lb.descriptor(), (int)AREA));
    expectSame(what.c_str(), dd.get(), wanted);
    (void)registers;
}

static void testAllWgmma(const Driver& d) {
    for (const int n : {8, 16, 32, 64, 96, 128, 160, 192, 256}) {
        testWgmma(d, "kk", BF16, n, 128, 128);
        for (const int swizzle : {0, 32, 64, 128}) {
            if (n * 2 % (swizzle ? swizzle : 16)) continue;  // whole blocks along n
            testWgmma(d, "kn", BF16, n, 128, swizzle);
            testWgmma(d, "rn", BF16, n, 0, swizzle);
        }
    }
    for (const int a : {0, 32, 64, 128}) {
        for (const int b : {0, 32, 64, 128}) {
            for (const char* kind : {"kk", "kn", "mk", "mn"}) testWgmma(d, kind, BF16, 64, a, b);
            testWgmma(d, "kk", F16, 64, a, b);
            testWgmma(d, "mn", F16, 64, a, b);
            testWgmma(d, "kk", E4M3, 64, a, b);
            testWgmma(d, "kk", E4M3, 128, a, b);
        }
        testWgmma(d, "rk", BF16, 64, 0, a);
        testWgmma(d, "rn", F16, 64, 0, a);
        testWgmma(d, "rk", E4M3, 64, 0, a);
    }
}

// ---- tensor copies

struct alignas(64) Map {
    uint64_t opaque[16];
};

struct TensorCase {
    int rank, swizzle;  // swizzle as cuTensorMapEncodeTiled takes it: 0 to 3
    int sizes[5], box[5], at[5];
};

// 16-bit elements; each dimension is padded by one row, to notice strides that are confused with sizes.
static void testBox(const Driver& d, const TensorCase& c) {
    uint64_t sizes[5], strides[5] = {2};
    uint32_t box[5], ones[5] = {1, 1, 1, 1, 1};
    int boxElements = 1;
    uint64_t bytes = ((uint64_t)c.sizes[0] * 2 + 15) / 16 * 16;
    for (int i = 0; i < c.rank; i++) {
        sizes[i] = c.sizes[i];
        box[i] = c.box[i];
        boxElements *= c.box[i];
        if (i) {
            strides[i] = bytes;
            bytes *= c.sizes[i] + 1;
        }
    }
    std::vector<uint16_t> tensor(bytes / 2), stored(bytes / 2, 7);
    for (size_t i = 0; i < tensor.size(); i++) tensor[i] = (uint16_t)(i * 31 + 1);
    Buffer<uint16_t> dt(d, tensor), ds(d, stored);
    Map in, out;
    const auto encode = [&](Map& map, uint64_t address) {
        d.require("encode", d.call("cuTensorMapEncodeTiled", (void*)&map, 1, (uint32_t)c.rank, address, sizes,
                                   strides + 1, box, ones, 0, c.swizzle, 0, 0));
    };
    encode(in, dt.address);
    encode(out, ds.address);
    const int row = c.box[0] * 2, spanBits = c.swizzle == 3 ? 7 : c.swizzle == 2 ? 3 : c.swizzle == 1 ? 1 : 0;
    std::vector<uint16_t> wanted(boxElements), wantedStored = stored;
    for (int i = 0; i < boxElements; i++) {
        int rest = i, inside = 1;
        uint64_t offset = 0;
        for (int j = 0; j < c.rank; j++) {
            const int x = c.at[j] + rest % c.box[j];
            rest /= c.box[j];
            inside &= x >= 0 && x < c.sizes[j];
            offset += (int64_t)x * (int64_t)strides[j];
        }
        const int linear = i / c.box[0] * row + i % c.box[0] * 2, place = (linear ^ (linear >> 7 & spanBits) << 4) / 2;
        wanted[place] = inside ? tensor[offset / 2] : 0;
        if (inside) wantedStored[offset / 2] = tensor[offset / 2];
    }
    Buffer<uint32_t> shared(d, boxElements / 2);
    const unsigned memory = boxElements * 2 + 64;
    const std::string rank = std::to_string(c.rank);
    d.require("box_in", d.run(("box_in_" + rank).c_str(), 1, 32, memory, shared.address, in, boxElements * 2, c.at[0],
                              c.at[1], c.at[2], c.at[3], c.at[4]));
    const std::vector<uint32_t> words = shared.get();
    if (memcmp(words.data(), wanted.data(), boxElements * 2)) {
        printf("tma_load_%sd, swizzle %d\n", rank.c_str(), c.swizzle);
        failures++;
    }
    d.require("box_out", d.run(("box_out_" + rank).c_str(), 1, 32, memory, shared.address, out, boxElements * 2,
                               c.at[0], c.at[1], c.at[2], c.at[3], c.at[4]));
    if (ds.get() != wantedStored) {
        printf("tma_store_%sd, swizzle %d\n", rank.c_str(), c.swizzle);
        failures++;
    }
}

static void testAdd(const Driver& d) {
    std::vector<float> tensor(8 * 8), box(4 * 8, 2.f), wanted(8 * 8);
    for (int i = 0; i < 64; i++) {
        tensor[i] = (float)i;
        wanted[i] = tensor[i] + (i / 8 >= 6 ? 2.f : 0.f);  // rows 6 and 7, the rest of the box is outside
    }
    Buffer<float> dt(d, tensor), db(d, box);
    const uint64_t sizes[] = {8, 8}, strides[] = {32};
    const uint32_t shape[] = {8, 4}, ones[] = {1, 1};
    Map map;
    d.require("encode", d.call("cuTensorMapEncodeTiled", (void*)&map, 7, 2u, dt.address, sizes, strides, shape, ones, 0,
                               0, 0, 0));
    d.require("box_add_2", d.run("box_add_2", 1, 32, 256, db.address, map, 128, 0, 6, 0, 0, 0));
    expectSame("tma_add_2d", dt.get(), wanted);
}

static void testCopies(const Driver& d) {
    for (int swizzle = 0; swizzle < 4; swizzle++) {
        const int inner = swizzle == 0 ? 24 : 8 << swizzle;  // up to the swizzle's span
        for (const int x : {0, 5, -3, 50}) {
            testBox(d, {2, swizzle, {60, 20}, {inner, 16}, {x, 8, 0, 0, 0}});
            testBox(d, {3, swizzle, {60, 9, 5}, {inner, 8, 2}, {x, -2, 4, 0, 0}});
            testBox(d, {4, swizzle, {60, 5, 3, 4}, {inner, 4, 2, 2}, {x, 3, 0, -1, 0}});
            testBox(d, {5, swizzle, {60, 5, 3, 2, 3}, {inner, 4, 2, 1, 2}, {x, 0, 1, 1, 2}});
        }
    }
    testAdd(d);
    std::vector<uint32_t> x(100);
    for (size_t i = 0; i < x.size(); i++) x[i] = (uint32_t)i * 77;
    Buffer<uint32_t> in(d, x), out(d, x.size());
    d.require("bulk_through", d.run("bulk_through", 1, 32, 416, out.address, in.address, 400));
    if (out.get() != x) {
        printf("bulk_load, bulk_store\n");
        failures++;
    }
}

int main(int, char** arguments) {
    const Driver driver(arguments[1]);
    for (const char* order : {"forward", "reverse", "random"}) {
        for (const char* async : {"late", "early"}) {
            driver.config("order", order);
            driver.config("async", async);
            testLdmatrix(driver);
            for (const Type* type : {&BF16, &F16, &E4M3, &E5M2, &S8}) testMma(driver, *type, *type);
            testMma(driver, E4M3, E5M2);
            testMma(driver, E5M2, E4M3);
            testCopies(driver);
        }
    }
    for (const char* async : {"late", "early"}) {
        driver.config("async", async);
        testAllWgmma(driver);
    }
    printf("fragments: %d failures\n", failures);
    return failures != 0;
}
