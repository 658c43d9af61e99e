// Rotary position embedding.
#include "rows.cuh"

struct Turn {
    float cos, sin;
};

// Of an angle in turns. Reduced to an eighth of a turn in double: 1e5 radians in float would be off by 0.004.
DEVICE Turn turn_of(double turns) {
    const double quarters = rint(turns * 4);
    const int quadrant = (int)((int64_t)quarters & 3);
    const float y = (float)((turns - quarters * 0.25) * 6.283185307179586);  // within pi / 4
    const float z = y * y;
    // Minimax polynomials of the Cephes library: error below an ulp here, without the local memory of sincosf.
    const float sin = y + y * z * ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f);
    const float cos =
        1.f - 0.5f * z + z * z * ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f);
    switch (quadrant) {
        case 0: return {cos, sin};
        case 1: return {-sin, cos};
        case 2: return {-cos, -sin};
        default: return {sin, -cos};
    }
}

struct RopeShape {
    int batch, time, width, heads, headDim;
};

// Turns the pairs (i, i + headDim / 2) of every head, V pairs per thread, and copies what lies behind the heads.
// `turns` holds the position's angles.
template <int V, class T>
DEVICE void rope_position(T* out, const T* x, const RopeShape& s, int t, const Turn* turns) {
    const int half = s.headDim / 2, perHead = half / V, perRow = s.heads * perHead;
    for (int item = (int)threadIdx.x; item < s.batch * perRow; item += (int)blockDim.x) {
        const int b = item / perRow, pair = item % perRow, first = pair % perHead * V;
        const int64_t at = ((int64_t)b * s.time + t) * s.width + pair / perHead * s.headDim + first;
        float lower[V], upper[V];
        load_chunk(lower, x + at);
        load_chunk(upper, x + at + half);
#pragma unroll
        for (int i = 0; i < V; i++) {
            const Turn turn = turns[first + i];
            const float a = lower[i], c = upper[i];
            lower[i] = a * turn.cos - c * turn.sin;
            upper[i] = c * turn.cos + a * turn.sin;
        }
        store_chunk(out + at, lower);
        store_chunk(out + at + half, upper);
    }
    const int turned = s.heads * s.headDim, rest = (s.width - turned) / V;
    if (out == x) return;
    for (int item = (int)threadIdx.x; item < s.batch * rest; item += (int)blockDim.x) {
        const int64_t at = ((int64_t)(item / rest) * s.time + t) * s.width + turned + item % rest * V;
        float v[V];
        load_chunk(v, x + at);
        store_chunk(out + at, v);
    }
}

// `exponent` is -2 log2(base) / headDim.
template <class T>
DEVICE void rope(T* out, const T* x, const RopeShape& s, double exponent, int firstPosition, bool inverse) {
    DYN_SMEM(memory, 8);
    Turn* const turns = reinterpret_cast<Turn*>(memory);
    // Half heads, rows and rest are then whole chunks.
    const bool vectors = aligned16(out, x) && s.width % VEC<T> == 0 && s.headDim / 2 % VEC<T> == 0;
    for (int t = (int)blockIdx.x; t < s.time; t += (int)gridDim.x) {
        for (int i = (int)threadIdx.x; i < s.headDim / 2; i += (int)blockDim.x) {
            const double position = (double)firstPosition + t;
            Turn turn = turn_of(position * exp2(i * exponent) * 0.15915494309189535);
            if (inverse) turn.sin = -turn.sin;
            turns[i] = turn;
        }
        __syncthreads();
        if (vectors) {
            rope_position<VEC<T>>(out, x, s, t, turns);
        } else {
            rope_position<1>(out, x, s, t, turns);
        }
        __syncthreads();  // before the next position's angles
    }
}

// rope: pairs (i, i + d/2) of each head turned by (first + t) base^(-2i/d); the rest of the row copied
// Bytes: 2 n w s      (n rows of w elements; in place without the rest)
// Operations: ~4 n w, and ~60 per position and frequency
// Roofline: memory; 2 operations per byte in bf16
// Tile: a block of 256 threads per position, 16 bytes of either half per thread and turn; a position's angles are
// computed once, for all heads and sequences, into shared memory
KERNEL_FLOATS(rope, 256,
              (T * out, const T* x, double exponent, int batch, int time, int width, int heads, int headDim,
               int firstPosition, int inverse),
              (rope(out, x, RopeShape{batch, time, width, heads, headDim}, exponent, firstPosition, inverse != 0)))
