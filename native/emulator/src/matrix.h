// matrix.h: elements of matrix operands.
#pragma once
#include "../include/emulator_ptx.h"

namespace emulator {

// Element `index` of a register of 16- or 8-bit elements.
float elementOf(Operand type, uint32_t word, int index);

}  // namespace emulator
