// watchdog.h: ends kernels that spin on memory for ever.
#pragma once
#include "internal.h"

namespace emulator {

// Called once on a worker's own thread: from now on a launch in which no thread blocks, exits or starts for
// config.timeoutSeconds fails there.
void watchWorker(Block* block);

}  // namespace emulator
