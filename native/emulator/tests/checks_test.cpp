// checks_test.cpp: what the checking build says about each kernel of kernels/broken*.cu, word by word, and that it says
// nothing about the correct ones. Run in several schedules: a finding must not depend on luck.
#include "harness.h"

#include <fstream>
#include <map>
#include <regex>

// Line numbers of the // @names of a source file.
static std::map<std::string, int> marksOf(const std::string& path) {
    std::map<std::string, int> marks;
    std::ifstream file(path);
    std::string line;
    std::smatch match;
    for (int number = 1; std::getline(file, line); number++) {
        if (std::regex_search(line, match, std::regex("// @([a-z_]+)$"))) marks[match[1]] = number;
    }
    return marks;
}

class Checks {
public:
    Checks(const char* library, const std::string& folder) : driver(library), folder(folder) {
        driver.config("timeout", "2");
    }
    const Driver driver;

    // "" for nothing; otherwise the first finding. @name stands for a line, ADDRESS for any address, * for any text.
    template <class... A>
    void expect(const std::string& wanted, const char* kernel, unsigned grid, unsigned threads, unsigned shared,
                A... arguments) {
        const int result = driver.run(kernel, grid, threads, shared, arguments...);
        std::string found = result ? driver.error() : "";
        found = found.substr(0, found.find('\n'));
        const std::string code = wanted.empty() ? "0" : wanted.substr(0, 3),
                          text = wanted.empty() ? "" : wanted.substr(4);
        driver.reset();
        if (std::to_string(result) == code && std::regex_match(found, pattern(text))) return;
        failures++;
        printf("%s, %s\n  expected %s %s\n  found    %d %s\n", kernel, schedule.c_str(), code.c_str(), text.c_str(),
               result, found.c_str());
    }

    void setSchedule(const char* order, const char* async) {
        driver.config("order", order);
        driver.config("async", async);
        schedule = std::string(order) + " " + async;
    }
    // Which thread comes first depends on the schedule.
    bool forward() const {
        return schedule == "forward late";
    }
    int failures = 0;

private:
    const std::string folder;
    std::string schedule;
    std::map<std::string, std::map<std::string, int>> marks;

    std::regex pattern(const std::string& text) {
        std::string r;
        for (size_t i = 0; i < text.size(); i++) {
            const size_t at = text.find(":@", i);
            if (at == i) {
                const size_t begin = text.find_last_of(" (", i) + 1;
                size_t end = i + 2;
                while (end < text.size() && (islower(text[end]) || text[end] == '_')) end++;
                const std::string file = text.substr(begin, i - begin), name = text.substr(i + 2, end - i - 2);
                if (!marks.count(file)) marks[file] = marksOf(folder + "/" + file);
                // Behind the line come the places it was inlined from, which end at the KERNEL line.
                r += ":" + std::to_string(marks[file][name]) + "( from [^;)]*)?";
                i = end - 1;
            } else if (text.compare(i, 7, "ADDRESS") == 0) {
                r += "0x[0-9a-f]+";
                i += 6;
            } else if (text[i] == '*') {
                r += ".*";
            } else if (strchr("().+[]{}^$\\|?", text[i])) {
                r += std::string("\\") + text[i];
            } else {
                r += text[i];
            }
        }
        return std::regex(r);
    }
};

static void checkMemory(Checks& c) {
    const Driver& d = c.driver;
    const std::vector<float> ones(64, 1.f);
    Buffer<float> out(d, ones), x(d, ones), unwritten(d, 64);
    Buffer<uint32_t> words(d, std::vector<uint32_t>(1024));
    c.expect(
        "700 out of bounds: write of 4 bytes at ADDRESS, 256 bytes into an allocation of 256; thread 64 of block (0, "
        "0, 0), "
        "write_past_end at broken.cu:@past_end",
        "write_past_end", 1, 65, 0, out.address, 64);
    c.expect(
        "700 out of bounds: read of 4 bytes at ADDRESS; thread 0 of block (0, 0, 0), read_before_begin at "
        "broken.cu:@before_begin",
        "read_before_begin", 1, 64, 0, out.address, x.address);
    c.expect(
        "700 out of bounds: write of 4 bytes at (nil), a null pointer; thread 3 of block (0, 0, 0), null_pointer at "
        "broken.cu:@null",
        "null_pointer", 1, 64, 0, (uint64_t)0);
    c.expect(
        "700 out of bounds: write of 4 bytes at ADDRESS, offset 256 of 256 bytes of dynamic shared memory; thread 63 "
        "of "
        "block (0, 0, 0), shared_past_end at broken.cu:@shared_past_end",
        "shared_past_end", 1, 64, 256);
    c.expect(
        "719 undefined behaviour: array index out of bounds (4); thread * of block (0, 0, 0), array_index at "
        "broken.cu:@array_index",
        "array_index", 1, 64, 0, out.address, 4);
    c.expect(
        "700 out of bounds: read of 4 bytes in the local memory of thread 0; thread * of block (0, 0, 0), "
        "foreign_local_memory at broken.cu:@foreign",
        "foreign_local_memory", 1, 64, 0, out.address);
    c.expect(
        "700 out of bounds: cp.async reads 16 bytes at ADDRESS, which is in no allocation; thread * of block (0, 0, "
        "0), "
        "cp_async_past_end at broken.cu:@cp_async_past_end",
        "cp_async_past_end", 1, 64, 1024, x.address);
    c.expect(
        "700 out of bounds: ldmatrix of 16 bytes at offset 512 of 512 bytes of dynamic shared memory; thread * of "
        "block "
        "(0, 0, 0), ldmatrix_past_end at broken.cu:@ldmatrix_past_end",
        "ldmatrix_past_end", 1, 32, 512, words.address);
    c.expect(
        "716 misaligned: 16-byte read at ADDRESS; thread * of block (0, 0, 0), misaligned_vector at "
        "broken.cu:@misaligned_vector",
        "misaligned_vector", 1, 64, 0, words.address, words.address);
    c.expect(
        "716 misaligned: access through the pointer ADDRESS; thread * of block (0, 0, 0), misaligned_pointer at "
        "broken.cu:@misaligned_pointer",
        "misaligned_pointer", 1, 64, 0, words.address, x.address);
    c.expect(
        "719 uninitialised: read of shared memory, offset 160, that nobody wrote; thread 23 of block (0, 0, 0), "
        "uninitialised_shared at broken.cu:@uninitialised_shared",
        "uninitialised_shared", 1, 64, 256, out.address);
    c.expect(
        "719 uninitialised: read of device memory, offset *, that nobody wrote; thread * of block (0, 0, 0), "
        "uninitialised_device at broken.cu:@uninitialised_device",
        "uninitialised_device", 1, 64, 0, out.address, unwritten.address);
    c.expect(
        "719 uninitialised: atomic access of shared variable run_uninitialised_counter(int*)::counter, that nobody "
        "wrote; "
        "thread * of block (0, 0, 0), uninitialised_counter at broken.cu:@uninitialised_counter",
        "uninitialised_counter", 1, 64, 0, words.address);
}

static void checkRaces(Checks& c) {
    const Driver& d = c.driver;
    const std::vector<float> ones(64, 1.f);
    Buffer<float> out(d, ones), x(d, ones);
    c.expect(
        "719 race: * of shared variable exchange<false>(float*)::values*, unordered with a * by thread * at "
        "broken.cu:*; thread * of block (0, 0, 0), race_no_barrier at broken.cu:*",
        "race_no_barrier", 1, 64, 0, out.address);
    c.expect(
        "719 race: * of shared variable reuse<false>(float*)::value, unordered with a * by thread * at "
        "broken.cu:*; "
        "thread * of block (0, 0, 0), race_on_reuse at broken.cu:*",
        "race_on_reuse", 1, 64, 0, out.address);
    c.expect(
        "719 race: write of device memory, offset *, unordered with a write by block * at broken.cu:@between_blocks; "
        "thread "
        "* of block (*, 0, 0), race_between_blocks at broken.cu:@between_blocks",
        "race_between_blocks", 2, 64, 0, out.address);
    c.expect(
        "719 race: * of device memory, offset 0, unordered with a* by thread * at broken.cu:*; thread * of block (0, "
        "0, 0), "
        "race_atomic_and_read at broken.cu:*",
        "race_atomic_and_read", 1, 64, 0, out.address);
    c.expect(
        "719 race: read of shared variable warp_exchange<false>(float*)::values*, unordered with a write by "
        "thread * "
        "at broken.cu:@warp_write; thread * of block (0, 0, 0), race_in_warp at broken.cu:@warp_read",
        "race_in_warp", 1, 64, 0, out.address);
    c.expect(
        "719 race: read of shared memory, offset *, unordered with a write by a cp.async of thread * at "
        "broken.cu:@copy; "
        "thread * of block (0, 0, 0), race_cp_async_not_waited at broken.cu:@copied_read",
        "race_cp_async_not_waited", 1, 64, 256, out.address, x.address);
    c.expect(
        "719 race: read of shared memory, offset *, unordered with a write by a cp.async of thread * at "
        "broken.cu:@copy; "
        "thread * of block (0, 0, 0), race_cp_async_own_data at broken.cu:@copied_read",
        "race_cp_async_own_data", 1, 64, 256, out.address, x.address);
    for (const char* fine : {"fine_with_barrier", "fine_reuse", "fine_with_syncwarp", "fine_bytes_of_one_word",
                             "fine_halves_of_one_word"}) {
        c.expect("", fine, 1, 64, 0, out.address);
    }
    c.expect("", "fine_cp_async", 1, 64, 256, out.address, x.address);
    Buffer<float> counters(d, ones);
    c.expect("", "fine_atomics_between_blocks", 3, 64, 0, counters.address);
}

static void checkCollectives(Checks& c) {
    const Driver& d = c.driver;
    const std::vector<float> ones(96, 1.f);
    Buffer<float> out(d, ones);
    Buffer<int> zeros(d, std::vector<int>(64, 0)), large(d, std::vector<int>(64, 0x7fffffff));
    if (c.forward()) {
        c.expect(
            "719 divergence: __syncthreads in divergent code: other threads are at broken.cu:@barrier_one; thread 32 "
            "of block "
            "(0, 0, 0), divergent_syncthreads at broken.cu:@barrier_two",
            "divergent_syncthreads", 1, 64, 0, out.address);
        c.expect(
            "719 deadlock: threads 0 to 39 at a barrier (broken.cu:@missing_threads), threads 40 to 63 exited, "
            "barrier 0 "
            "has 40 of 64 threads; block (0, 0, 0), missing_threads_at_barrier",
            "missing_threads_at_barrier", 1, 64, 0, out.address);
        c.expect(
            "719 barrier: barrier 1 for 96 threads here, for 64 at broken.cu:@counts_differ; thread 32 of block (0, 0, "
            "0), "
            "barrier_counts_differ at broken.cu:@counts_differ",
            "barrier_counts_differ", 1, 96, 0, out.address);
        c.expect(
            "719 divergence: the mask ffffffff of a shuffle names lanes that have exited or do not exist (alive: "
            "fffffffe); "
            "thread 1 of block (0, 0, 0), shuffle_after_exit at broken.cu:@after_exit",
            "shuffle_after_exit", 1, 64, 0, out.address);
        c.expect(
            "719 divergence: lane 1 is at a shuffle with mask ffffffff, others of warp 0 are at a shuffle with mask "
            "ffffffff "
            "at broken.cu:@shuffle_one; thread 1 of block (0, 0, 0), divergent_shuffles at broken.cu:@shuffle_two",
            "divergent_shuffles", 1, 64, 0, out.address);
        c.expect(
            "702 stuck: no thread of the block made a step for 2 seconds; thread 0 of block (0, 0, 0), spin_for_ever "
            "at "
            "broken.cu:@spin",
            "spin_for_ever", 1, 64, 0, zeros.address);
    } else {
        c.expect("719 *", "divergent_syncthreads", 1, 64, 0, out.address);
        c.expect("719 *", "missing_threads_at_barrier", 1, 64, 0, out.address);
        c.expect("719 *", "barrier_counts_differ", 1, 96, 0, out.address);
        c.expect("719 *", "shuffle_after_exit", 1, 64, 0, out.address);
        c.expect("719 *", "divergent_shuffles", 1, 64, 0, out.address);
    }
    c.expect(
        "719 divergence: shuffle by lane *, which its mask 0000ffff leaves out; thread * of block (0, 0, 0), "
        "shuffle_mask_without_caller at broken.cu:@without_caller",
        "shuffle_mask_without_caller", 1, 64, 0, out.address);
    c.expect(
        "719 shuffle: lane 0 reads lane 20, which is not in the mask 0000ffff; thread * of block (0, 0, 0), "
        "shuffle_from_outside at broken.cu:@from_outside",
        "shuffle_from_outside", 1, 64, 0, out.address);
    c.expect(
        "719 asynchronous copy: the thread exits with cp.async copies that it never waited for; thread * of block (0, "
        "0, 0), "
        "cp_async_never_waited",
        "cp_async_never_waited", 1, 64, 256, out.address);
    Buffer<float> trigger(d, ones);
    c.expect("718 trap: __trap(); thread * of block (0, 0, 0), traps at broken.cu:@trap", "traps", 1, 64, 0,
             trigger.address);
    c.expect(
        "719 undefined behaviour: shift by more than the width (1); thread 0 of block (0, 0, 0), shift_too_far at "
        "broken.cu:@shift",
        "shift_too_far", 1, 1, 0, large.address);
    c.expect(
        "719 undefined behaviour: signed overflow in + (2147483647); thread 0 of block (0, 0, 0), overflows at "
        "broken.cu:@overflow",
        "overflows", 1, 1, 0, large.address);
}

struct alignas(64) Map {
    uint64_t opaque[16];
};

static Map encode(const Driver& d, uint64_t address) {
    Map map;
    const uint64_t sizes[] = {64, 64}, strides[] = {128};
    const uint32_t box[] = {64, 64}, steps[] = {1, 1};
    constexpr int BFLOAT16 = 9, SWIZZLE_128 = 3;
    d.require("cuTensorMapEncodeTiled", d.call("cuTensorMapEncodeTiled", (void*)&map, BFLOAT16, 2u, address, sizes,
                                               strides, box, steps, 0, SWIZZLE_128, 0, 0));
    return map;
}

static void checkHopper(Checks& c) {
    const Driver& d = c.driver;
    Buffer<uint16_t> tile(d, std::vector<uint16_t>(4096, 0x3f80)), stored(d, 4096);
    Buffer<float> out(d, 4096);
    const Map load = encode(d, tile.address), store = encode(d, stored.address);
    const auto expect = [&](const char* kernel, const std::string& text) {
        c.expect(text, kernel, 1, 128, 8192 + 64, out.address, load, store);
    };
    const std::string at = "; thread * of block (0, 0, 0), ", file = " at broken_hopper.cu:";
    expect("tile_fine", "");
    expect("tile_ordinary_write_fenced", "");
    expect("tile_no_init_fence",
           "719 missing proxy fence: a copy completes on an mbarrier that no fence_mbar_init followed" + at +
               "tile_no_init_fence" + file + "@load");
    expect("tile_no_barrier_after_init",
           c.forward() ? "719 race: mbarrier access of shared memory, offset 8192, unordered with a "
                         "write by thread 0 at broken_hopper.cu:@init" +
                             at + "tile_no_barrier_after_init" + file + "@wait_tile"
                       : "719 *");
    expect("tile_no_wait",
           "719 race: wgmma read of shared memory, offset *, unordered with a write by a bulk load at "
           "broken_hopper.cu:@load" +
               at + "tile_no_wait" + file + "@product");
    // With early copies the tile has arrived when the threads come to wait, and they wait for ever.
    expect("tile_wrong_parity", "719 *");
    expect("tile_too_few_bytes",
           "719 deadlock: threads 0 to 127 at an mbarrier (broken_hopper.cu:@wait_tile), the mbarrier at shared offset "
           "8192 has 1 of 1 arrivals and waits for -4096 bytes; block (0, 0, 0), tile_too_few_bytes");
    expect("tile_too_many_bytes",
           "719 deadlock: threads 0 to 127 at an mbarrier (broken_hopper.cu:@wait_tile), the mbarrier at shared offset "
           "8192 has 1 of 1 arrivals and waits for 8192 bytes; block (0, 0, 0), tile_too_many_bytes");
    expect("tile_two_arrivals", "719 mbarrier: more arrivals than the 1 that the one at shared offset 8192 expects" +
                                    at + "tile_two_arrivals" + file + "@second_arrival");
    expect("tile_no_wgmma_fence", "719 wgmma: no wgmma_fence since the accumulators were last touched" + at +
                                      "tile_no_wgmma_fence" + file + "@product");
    expect(
        "tile_no_wgmma_wait",
        "719 wgmma: block 0 of tile_no_wgmma_wait ends with operations never waited for, issued" + file + "@product");
    expect("tile_ordinary_write",
           "719 missing proxy fence: wgmma reads shared offset 0, written by thread * at "
           "broken_hopper.cu:@ordinary_write with no fence_proxy_async since" +
               at + "tile_ordinary_write" + file + "@product");
    expect("tile_descriptors_differ", "719 wgmma: operands differ between threads of the warpgroup" + at +
                                          "tile_descriptors_differ" + file + "@descriptors");
    expect("tile_registers_change", "719 wgmma: the registers of a have changed between the instruction and the wait" +
                                        at + "tile_registers_change" + file + "@registers");
    expect("tile_store_without_fence",
           "719 missing proxy fence: bulk store reads shared offset 0, written by thread * at "
           "broken_hopper.cu:@stage with no fence_proxy_async since" +
               at + "tile_store_without_fence" + file + "@store");
    expect("tile_store_not_waited",
           "719 asynchronous copy: the thread exits with bulk stores that it never waited for" + at +
               "tile_store_not_waited");
    expect("tile_store_source_overwritten",
           "719 race: write of shared memory, offset *, unordered with a read by a bulk store of "
           "thread 0 at broken_hopper.cu:@store" +
               at + "tile_store_source_overwritten" + file + "@overwrite");
    expect("tile_wrong_rank", "719 tensor map: tensor load of a tensor of 2 dimensions with 3 coordinates" + at +
                                  "tile_wrong_rank" + file + "@rank");
    expect("tile_misaligned",
           "716 misaligned: tensor load with shared address 1152, which its swizzle needs to be a multiple of "
           "1024" +
               at + "tile_misaligned" + file + "@load");
    expect("tile_overwritten_mbarrier",
           "719 race: * of shared memory, offset 8192, unordered with * by thread * at "
           "broken_hopper.cu:*" +
               at + "tile_overwritten_mbarrier" + file + "*");
    expect("tile_never_initialised",
           "719 mbarrier: none was initialised at shared offset 8192" + at + "tile_never_initialised" + file + "*");
}

int main(int count, char** arguments) {
    if (count != 3) {
        fprintf(stderr, "checks_test LIBRARY FOLDER\n");
        return 2;
    }
    Checks checks(arguments[1], std::string(arguments[2]) + "/kernels");
    for (const char* order : {"forward", "reverse", "random"}) {
        for (const char* async : {"late", "early"}) {
            checks.setSchedule(order, async);
            checkMemory(checks);
            checkRaces(checks);
            checkCollectives(checks);
            checkHopper(checks);
        }
    }
    printf("checks: %d failures\n", checks.failures);
    return checks.failures != 0;
}
