// collectives.h: the meeting of a warp's lanes.
#pragma once
#include "internal.h"

namespace emulator {

// The arguments of all lanes of `mask`, in the hands of the lane that came last.
struct Gathered {
    uint32_t mask;
    void* arguments[WARP];
    const void* pc;
};

// Waits until every lane of `mask` is here; the last one calls `perform` (if not null) for all.
void warpOperation(WarpOperation operation, uint32_t mask, void* arguments, void (*perform)(const Gathered&), Site at,
                   const void* pc);

}  // namespace emulator
