// attention.cuh: what the attention families share.
#pragma once
#include "kernel.cuh"

constexpr float LOG2_E = 1.4426950408889634f;

// The packed layout of causal attention: qkv [B, T, (H + 2 Hkv) D] holds queries, then keys, then values; out is
// [B, T, H D]; statistics (lse, delta) are [B, H, T]. Offsets are in elements, of the head's row for position 0.
struct Heads {
    int time;
    int heads;
    int kvHeads;
    int dim;
    float scale;  // of the scores: 1 / sqrt(dim)
    int section;  // see longest_first

    DEVICE int64_t width() const {
        return (int64_t)(heads + 2 * kvHeads) * dim;
    }
    // The key/value head that query head h reads.
    DEVICE int shared(int h) const {
        return h / (heads / kvHeads);
    }
    DEVICE int64_t query(int b, int h) const {
        return b * (time * width()) + (int64_t)h * dim;
    }
    DEVICE int64_t key(int b, int h) const {
        return query(b, heads + shared(h));
    }
    DEVICE int64_t value(int b, int h) const {
        return query(b, heads + kvHeads + shared(h));
    }
    DEVICE int64_t result(int b, int t, int h) const {
        return (((int64_t)b * time + t) * heads + h) * dim;
    }
    DEVICE int64_t statistic(int b, int h) const {
        return ((int64_t)b * heads + h) * time;
    }
};

// The parameters of every attention kernel after its tensors, and the structure they make.
#define HEADS int time, int heads, int kvHeads, int dim, float scale, int section
#define HEADS_GIVEN Heads{time, heads, kvHeads, dim, scale, section}

struct Work {
    int tile;
    int h;
    int b;
};

// Which tile of queries, head and sequence block `index` computes. Blocks start in order of their index, so within a
// section all the longest tiles (the last rows: they see the most keys) come first and the shortest fill the tail. A
// section is as many (sequence, head) pairs as have their keys and values in the L2 cache together.
DEVICE Work longest_first(int index, int tiles, const Heads& s, int pairs) {
    const int perSection = tiles * s.section;
    const int firstPair = index / perSection * s.section;
    const int within = index % perSection;
    const int width = min(s.section, pairs - firstPair);
    const int pair = firstPair + within % width;
    return Work{tiles - 1 - within / width, pair % s.heads, pair / s.heads};
}
