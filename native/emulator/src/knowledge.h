// knowledge.h: the vector clocks of the running block: what each thread knows of what the others did (checking build).
//
// A column stands for something that acts: each thread; each mbarrier's copies; where a block uses them, each thread's
// cp.async groups and its bulk stores. A thread's clock says, column by column, up to which time it knows what was
// done. Most blocks meet at full barriers only, after which all know the same: so there is one clock in common, a
// thread has one of its own only after it has met with less than the whole block, and its own columns are kept aside.
#pragma once
#include "internal.h"

#include <algorithm>

namespace emulator {

class Knowledge {
public:
    void begin(unsigned threadCount) {
        threads = columns = threadCount;
        common.assign(threads, 0);
        if (rows.size() < threads) rows.resize(threads);
        for (unsigned t = 0; t < threads; t++) rows[t].clear();
        for (Own& o : own) o.clocks.clear();
        own[THREAD] = {0, std::vector<uint32_t>(threads, 1)};
    }

    // The time of a thread itself, which each of its releases advances.
    uint32_t now(unsigned thread) const {
        return own[THREAD].clocks[thread];
    }
    uint32_t of(unsigned thread, unsigned column) const {
        for (const Own& o : own) {
            if (!o.clocks.empty() && column == o.first + thread) return o.clocks[thread];
        }
        const Clock& row = rows[thread].empty() ? common : rows[thread];
        return column < row.size() ? row[column] : 0;
    }

    unsigned newColumn() {
        return columns++;
    }
    unsigned asyncColumn(unsigned thread) {
        return columnOf(ASYNC, thread);
    }
    unsigned storeColumn(unsigned thread) {
        return columnOf(STORE, thread);
    }
    // The thread has waited for its copies up to a group.
    void asyncDone(unsigned thread, uint32_t group) {
        asyncColumn(thread);
        own[ASYNC].clocks[thread] = group;
    }
    void storesDone(unsigned thread, uint32_t group) {
        storeColumn(thread);
        own[STORE].clocks[thread] = group;
    }
    // Whose columns `column` is one of: the thread, or none.
    bool isAsync(unsigned column) const {
        return isOf(ASYNC, column);
    }
    bool isStore(unsigned column) const {
        return isOf(STORE, column);
    }
    unsigned ownerOf(unsigned column) const {
        return column - own[isAsync(column) ? ASYNC : STORE].first;
    }

    // What `thread` knows is known to whoever acquires the clock later; what it does from now on is not.
    void release(unsigned thread, Clock& clock) {
        const Clock& row = rows[thread].empty() ? common : rows[thread];
        if (clock.size() < columns) clock.resize(columns);
        for (size_t i = 0; i < row.size(); i++) clock[i] = std::max(clock[i], row[i]);
        for (const Own& o : own) {
            if (o.clocks.empty()) continue;
            uint32_t& known = clock[o.first + thread];
            known = std::max(known, o.clocks[thread]);
        }
        own[THREAD].clocks[thread]++;
    }
    void acquire(unsigned thread, const Clock& clock) {
        Clock& row = rows[thread];
        if (row.empty()) row = common;
        if (row.size() < clock.size()) row.resize(clock.size());
        for (size_t i = 0; i < clock.size(); i++) row[i] = std::max(row[i], clock[i]);
    }
    // All threads at once. Nobody knows more of a thread's columns than the thread itself.
    void joinAll() {
        common.resize(columns);
        for (unsigned t = 0; t < threads; t++) {
            for (size_t i = 0; i < rows[t].size(); i++) common[i] = std::max(common[i], rows[t][i]);
            rows[t].clear();
        }
        for (const Own& o : own) std::copy(o.clocks.begin(), o.clocks.end(), common.begin() + o.first);
        for (uint32_t& time : own[THREAD].clocks) time++;
    }
    // The thread's time before this call, and a new time from it on.
    uint32_t tick(unsigned thread) {
        return own[THREAD].clocks[thread]++;
    }

private:
    enum Kind { THREAD, ASYNC, STORE, KINDS };
    struct Own {
        unsigned first = 0;  // column of thread 0
        std::vector<uint32_t> clocks;
    };
    unsigned threads = 0, columns = 0;
    Own own[KINDS];
    Clock common;
    std::vector<Clock> rows;  // empty where the common clock holds

    unsigned columnOf(Kind kind, unsigned thread) {
        if (own[kind].clocks.empty()) {
            own[kind] = {columns, std::vector<uint32_t>(threads, 0)};
            columns += threads;
        }
        return own[kind].first + thread;
    }
    bool isOf(Kind kind, unsigned column) const {
        const Own& o = own[kind];
        return !o.clocks.empty() && column >= o.first && column < o.first + threads;
    }
};

}  // namespace emulator
