// types_test.cpp: conversions of the small floats. Every code to float and back; and from float by searching the
// nearest code, ties to even, instead of computing it.
#include "kernel.cuh"

#include <cstdio>
#include <vector>

using namespace emulator;

static int failures;
static void fail(const char* format, uint32_t input, uint32_t found, uint32_t wanted) {
    if (failures++ < 10) printf("%s of %#x is %#x, expected %#x\n", format, input, found, wanted);
}

struct Format {
    const char* name;
    int bits;
    float (*decode)(uint32_t);
    uint32_t (*encode)(float);
    uint32_t nan, largest;  // codes; largest finite
    bool saturates;         // otherwise values round to infinity, the code after the largest
    uint32_t infinite;      // what infinity becomes
};
static const Format formats[] = {
    {"bf16", 16, [](uint32_t c) { return floatFromBf16((uint16_t)c); },
     [](float x) { return (uint32_t)bf16FromFloat(x); }, 0x7fff, 0x7f7f, false, 0x7f80},
    {"f16", 16, [](uint32_t c) { return floatFromF16((uint16_t)c); }, [](float x) { return (uint32_t)f16FromFloat(x); },
     0x7fff, 0x7bff, false, 0x7c00},
    {"e4m3", 8, [](uint32_t c) { return floatFromE4m3((uint8_t)c); },
     [](float x) { return (uint32_t)e4m3FromFloat(x); }, 0x7f, 0x7e, true, 0x7e},
    {"e5m2", 8, [](uint32_t c) { return floatFromE5m2((uint8_t)c); },
     [](float x) { return (uint32_t)e5m2FromFloat(x); }, 0x7f, 0x7b, true, 0x7b},
    // what kernels make of both, with the instructions and without
    {"kernels' e4m3", 8, [](uint32_t c) { return to_float(e4m3{(uint8_t)c}); },
     [](float x) { return (uint32_t)from_float<e4m3>(x).bits; }, 0x7f, 0x7e, true, 0x7f},
    {"kernels' e5m2", 8, [](uint32_t c) { return to_float(e5m2{(uint8_t)c}); },
     [](float x) { return (uint32_t)from_float<e5m2>(x).bits; }, 0x7f, 0x7b, true, 0x7c},
    {"e4m3 by integers", 8, [](uint32_t c) { return float_of_e4m3((uint8_t)c); },
     code_of_e4m3, 0x7f, 0x7e, true, 0x7f},
    {"e5m2 by integers", 8, [](uint32_t c) { return to_float(e5m2{(uint8_t)c}); },
     code_of_e5m2, 0x7f, 0x7b, true, 0x7c},
};

static void testCodes(const Format& f) {
    for (uint32_t code = 0; code < 1u << f.bits; code++) {
        const float value = f.decode(code);
        const uint32_t magnitude = code & ((1u << (f.bits - 1)) - 1);
        const bool infinite = !f.saturates && magnitude == f.largest + 1;
        if (magnitude > f.largest && !infinite) {
            if (f.bits == 8 && std::isinf(value)) continue;  // e5m2's infinity, which saturation never makes
            if (value == value) fail(f.name, code, bitsAs<uint32_t>(value), 0x7fc00000);
            if (f.encode(value) != f.nan) fail(f.name, code, f.encode(value), f.nan);
        } else if (f.encode(value) != code) {
            fail(f.name, code, f.encode(value), code);
        }
    }
}

// The magnitude's code by bisection over the codes, which are in order of their values.
static uint32_t nearest(const Format& f, double magnitude) {
    uint32_t below = 0, above = f.largest + 1;
    while (above - below > 1) {
        const uint32_t middle = (below + above) / 2;
        (f.decode(middle) <= magnitude ? below : above) = middle;
    }
    if (below == f.largest && f.saturates) return below;
    // Beyond the largest the spacing goes on as if the format did.
    const double next = below == f.largest ? 2. * f.decode(below) - f.decode(below - 1) : (double)f.decode(above);
    const double up = next - magnitude, down = magnitude - f.decode(below);
    return up < down || (up == down && below % 2) ? above : below;
}

static void testRounding(const Format& f) {
    for (uint64_t i = 0; i < (uint64_t)1 << 32; i += 6151) {
        const float x = bitsAs<float>((uint32_t)i);
        const uint32_t sign = (uint32_t)i >> 31 << (f.bits - 1);
        uint32_t wanted;
        if (x != x) {
            wanted = f.nan;
        } else if (std::isinf(x)) {
            wanted = f.infinite == f.nan ? f.nan : sign | f.infinite;
        } else {
            wanted = sign | nearest(f, std::fabs((double)x));
        }
        if (f.encode(x) != wanted) fail(f.name, (uint32_t)i, f.encode(x), wanted);
    }
    // Halfway between any two neighbours, and just beside.
    for (uint32_t code = 0; code < f.largest; code += f.bits == 16 ? 7 : 1) {
        const double middle = ((double)f.decode(code) + f.decode(code + 1)) / 2;
        for (const float x :
             {(float)middle, std::nextafter((float)middle, 0.f), std::nextafter((float)middle, INFINITY)}) {
            const uint32_t wanted = nearest(f, x);
            if (f.encode(x) != wanted) fail(f.name, bitsAs<uint32_t>(x), f.encode(x), wanted);
        }
    }
}

int main() {
    for (const Format& f : formats) {
        testCodes(f);
        testRounding(f);
    }
    printf("types: %d failures\n", failures);
    return failures != 0;
}
