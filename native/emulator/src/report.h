// report.h: findings about a kernel, as text and as the error code of its launch.
#pragma once
#include "../include/emulator.h"

#include <string>

namespace emulator {

// What went wrong. The first words of a message; the launch returns the CUresult beside it.
enum class Cause {
    OUT_OF_BOUNDS,  // 700
    MISALIGNED,     // 716
    RACE,           // 719 from here on
    UNINITIALISED,
    PROXY_FENCE,
    DEADLOCK,
    DIVERGENCE,
    BARRIER,
    MBARRIER,
    SHUFFLE,
    ASYNC_COPY,
    WGMMA,
    TENSOR_MAP,
    UNDEFINED,
    TRAP,   // 718
    STUCK,  // 702
};
int resultOf(Cause cause);

// Records a finding of the running thread at code address `pc` (null: no place) and goes on. At most eight findings of
// a launch are kept.
__attribute__((format(printf, 3, 4))) void report(Cause cause, const void* pc, const char* format, ...);
// Records a finding and abandons the launch: does not return, and unwinds nothing.
[[noreturn]] __attribute__((format(printf, 3, 4))) void fail(Cause cause, const void* pc, const char* format, ...);
// The same for findings about a whole block, with no thread or place of their own.
__attribute__((format(printf, 2, 3))) void reportBlock(Cause cause, const char* format, ...);

// True from the second time on that this launch asks about a cause and a place: a loop must not fill the report.
bool alreadyReported(Cause cause, const void* pc);

// The first error code since `clearFindings`, 0 if none, and all texts, one per line.
void clearFindings();
int findingResult();
std::string findingText();

// Source places. A code address is kept as an offset into this library, which fits 32 bits.
uint32_t codeOffset(const void* pc);
// "norm.cu:33", or "types.cuh:120 from norm.cu:33" where code was inlined. Runs addr2line.
std::string placeOf(uint32_t offset);
// The static shared variable at an offset of the library's thread-local storage. Runs readelf.
std::string variableAt(size_t offset);

}  // namespace emulator
