// rows.cuh: rows shared out to groups of threads, for the norms and softmax.
//
// A block is cut into groups of `width` threads (a multiple of 32); a group works on one row at a time and strides over
// the rows of the tensor, so that the grid can be as small as the device. Thread `lane` of a group has the 16-byte
// chunks lane, lane + width, ... of every row: it keeps what belongs to its columns in registers from row to row.
#pragma once
#include "chunk.cuh"
#include "reduce.cuh"

struct RowGroup {
    int width;   // threads of a row
    int lane;    // this thread among them
    int index;   // of the group in the block
    int groups;  // in the block
    int64_t firstRow;
    int64_t stride;  // rows from one turn to the next
    int buffer;      // of group_reduce

    DEVICE explicit RowGroup(int width)
        : width(width),
          lane((int)threadIdx.x % width),
          index((int)threadIdx.x / width),
          groups((int)blockDim.x / width),
          firstRow((int64_t)blockIdx.x * groups + index),
          stride((int64_t)gridDim.x * groups),
          buffer(0) {}
};

// V elements at p to and from f32: one, or a 16-byte chunk.
template <int V, class T>
DEVICE void load_chunk(float (&v)[V], const T* p) {
    if constexpr (V == 1) {
        v[0] = to_float(*p);
    } else {
        load_vec(v, p);
    }
}

template <int V, class T>
DEVICE void store_chunk(T* p, const float (&v)[V]) {
    if constexpr (V == 1) {
        *p = from_float<T>(v[0]);
    } else {
        store_vec(p, v);
    }
}

// Over N values per thread at once, each over the group, for every thread of it. One barrier, and none when the group
// is a warp: the two buffers alternate, so that a buffer is written again only after a barrier which every thread
// reaches behind its reading.
template <class Op, int N>
DEVICE void group_reduce(float (&x)[N], RowGroup& group) {
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = warp_reduce<Op>(x[i]);
    if (group.width == 32) return;
    __shared__ float parts[2][N][16];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warps = group.width / 32, firstWarp = group.index * warps;
    if (lane == 0) {
#pragma unroll
        for (int i = 0; i < N; i++) parts[group.buffer][i][warp] = x[i];
    }
    ptx::bar_sync(1 + group.index, group.width);
#pragma unroll
    for (int i = 0; i < N; i++) {
        x[i] = warp_reduce<Op, 16>(lane % 16 < warps ? parts[group.buffer][i][firstWarp + lane % 16] : Op::identity());
    }
    group.buffer ^= 1;
}

DEVICE float group_sum(float x, RowGroup& group) {
    float v[1] = {x};
    group_reduce<Add>(v, group);
    return v[0];
}

DEVICE float group_max(float x, RowGroup& group) {
    float v[1] = {x};
    group_reduce<Max>(v, group);
    return v[0];
}

// Rows on their way from global memory: each thread's own chunks, in shared memory, by cp.async. A thread reads only
// what it has fetched itself, so waiting for its own copies is enough and no barrier is needed. Shared memory is
// `stages * arrays * chunks * blockDim.x * 16` bytes.
template <class T, int CHUNKS>
struct RowRing {
    unsigned char* memory;
    int arrays;
    int chunks;   // in use, at most CHUNKS
    int vectors;  // 16-byte chunks of a row

    DEVICE void* slot(int stage, int array, int chunk) const {
        return memory + 16 * (((stage * arrays + array) * chunks + chunk) * (int)blockDim.x + (int)threadIdx.x);
    }

    DEVICE void fetch(int stage, int array, const T* row, const RowGroup& group) const {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const int chunk = group.lane + k * group.width;
            if (chunk < vectors) ptx::cp_async16(ptx::shared_address(slot(stage, array, k)), row + chunk * VEC<T>);
        }
    }

    DEVICE void read(float (&v)[VEC<T>], int stage, int array, int chunk) const {
        Chunk<T, VEC<T>>::load(static_cast<const T*>(slot(stage, array, chunk))).widen(v);
    }
};
