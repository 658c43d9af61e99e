// context_switch.h: saves the running fiber's registers on its stack, its stack pointer in *save, and continues the
// fiber whose stack pointer is `to`.
#pragma once

extern "C" void emulator_switch(void** save, void* to);

namespace emulator {
// Prepares a stack so that switching to the returned stack pointer calls `entry`, which must not return.
void* newFiber(void* stackTop, void (*entry)());
}  // namespace emulator
