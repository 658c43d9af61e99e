// profile.h: counting requests to memory (checking build).
#pragma once
#include "check.h"

namespace emulator {

void profileAccess(Thread* thread, const Access& access);
void profileBlockEnd();

}  // namespace emulator
