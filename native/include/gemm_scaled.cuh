// Products of matrices in low precision: what gemm_scaled.cu and gemm_scaled_sm90.cu share.
#pragma once
#include "gemm.cuh"
#include "scaled.cuh"

namespace gemm {

constexpr int BLOCK = 128; // steps of the inner dimension that may have a scale of their own

// An operand [lines, k] and its scales, of blocks of `rows` lines by all of k or by BLOCK steps.
struct Scaled {
    const uint8_t* values;
    const float* scales;
    int rows;
    int across; // blocks side by side
    int type;
    int lines;

    DEVICE float scale(int line, int block) const {
        const int at = min(line, lines - 1);
        const int down = rows == 1 ? at : at / rows;
        return scales[int64_t(down) * across + (across > 1 ? block : 0)];
    }
};

// The scales of the sums that a thread has in fragments of mma.sync or wgmma, at one block of the inner dimension: ROWS
// of 8 rows apart and pairs of columns, 8 apart.
template <int ROWS, int PAIRS> struct Factors {
    float row[ROWS];
    float column[PAIRS][2];

    DEVICE Factors(const Scaled& a, const Scaled& b, int row0, int column0, int block) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            row[i] = a.scale(row0 + lane / 4 + i * 8, block);
        }
#pragma unroll
        for (int i = 0; i < PAIRS; i++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                column[i][j] = b.scale(column0 + lane % 4 * 2 + i * 8 + j, block);
            }
        }
    }

    // Not by the product of the two scales, which may be too small for a float.
    DEVICE float apply(float sum, int i, int pair, int j) const { return sum * row[i] * column[pair][j]; }
};

} // namespace gemm
