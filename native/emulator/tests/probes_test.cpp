// probes_test.cpp: runs the probes of ../probes and compares digests of their results with probes.txt.
//   probes_test LIBRARY FOLDER           on the emulator
//   probes_test LIBRARY FOLDER CUBIN     on a device: LIBRARY is libcuda.so.1, CUBIN is probes.cu compiled for it
//   probes_test LIBRARY FOLDER --write   writes probes.txt anew
// FOLDER is the one of this file.
#include "harness.h"

#include "emulator_types.h"

#include <fstream>
#include <iterator>
#include <sstream>

constexpr size_t OUT = 16384, IN = 65536;  // words

// Small integers in each format, then any bits: the order of probes.cu.
static std::vector<uint32_t> inputs() {
    std::vector<uint32_t> words(IN);
    uint32_t state = 1;
    const auto random = [&] {
        state = state * 1664525 + 1013904223;
        return state >> 8;
    };
    const auto small = [&] { return (int)(random() % 9) - 4; };
    for (size_t i = 0; i < IN; i++) {
        uint32_t& w = words[i];
        if (i < 16384) {
            for (int j = 0; j < 2; j++) w |= (uint32_t)emulator::bf16FromFloat((float)small()) << 16 * j;
        } else if (i < 32768) {
            for (int j = 0; j < 2; j++) w |= (uint32_t)emulator::f16FromFloat((float)small()) << 16 * j;
        } else if (i < 40960) {
            for (int j = 0; j < 4; j++) w |= (uint32_t)emulator::e4m3FromFloat((float)small()) << 8 * j;
        } else if (i < 49152) {
            for (int j = 0; j < 4; j++) w |= (uint32_t)(uint8_t)small() << 8 * j;
        } else {
            w = random() << 8 ^ random();
        }
    }
    return words;
}

struct Probe {
    std::string name;
    int threads, shared, arch, rank, swizzle;
    std::string digest;
};

static std::vector<Probe> readProbes(const std::string& path, std::string& heading) {
    std::vector<Probe> probes;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.empty() || line[0] == '#') {
            heading += line + "\n";
            continue;
        }
        std::istringstream fields(line);
        Probe p;
        fields >> p.name >> p.threads >> p.shared >> p.arch >> p.rank >> p.swizzle >> p.digest;
        probes.push_back(p);
    }
    return probes;
}

static std::string digestOf(const std::vector<uint32_t>& words) {  // FNV-1a over the words
    uint64_t hash = 0xcbf29ce484222325;
    for (const uint32_t w : words) {
        for (int i = 0; i < 4; i++) hash = (hash ^ (w >> 8 * i & 0xff)) * 0x100000001b3;
    }
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return text;
}

struct alignas(64) Map {
    uint64_t opaque[16];
};

// A tensor of 16-bit elements with 64 in its innermost dimension; the box is 8 rows of as much as the swizzle spans.
static Map encode(const Driver& d, uint64_t address, const Probe& p) {
    static const int inner[] = {24, 16, 32, 64};
    const uint64_t shapes[6][5] = {{}, {}, {64, 16}, {64, 16, 4}, {64, 16, 2, 4}, {64, 16, 2, 2, 2}};
    const uint32_t boxes[6][5] = {{}, {}, {0, 8}, {0, 8, 2}, {0, 8, 1, 2}, {0, 8, 1, 2, 2}};
    const int rank = p.rank ? p.rank : 2;
    uint64_t strides[5] = {2};
    uint32_t box[5], ones[5] = {1, 1, 1, 1, 1};
    for (int i = 0; i < rank; i++) {
        strides[i + 1 < 5 ? i + 1 : 4] = strides[i] * shapes[rank][i];
        box[i] = i ? boxes[rank][i] : (uint32_t)inner[p.swizzle];
    }
    Map map;
    constexpr int BFLOAT16 = 9;
    d.require("cuTensorMapEncodeTiled",
              d.call("cuTensorMapEncodeTiled", (void*)&map, BFLOAT16, (uint32_t)rank, address, shapes[rank],
                     (const uint64_t*)(strides + 1), (const uint32_t*)box, (const uint32_t*)ones, 0, p.swizzle, 0, 0));
    return map;
}

int main(int count, char** arguments) {
    const bool write = count > 3 && !strcmp(arguments[3], "--write");
    std::string image = "image";
    if (count > 3 && !write) {
        std::ifstream file(arguments[3], std::ios::binary);
        image.assign(std::istreambuf_iterator<char>(file), {});
    }
    const Driver d(arguments[1], image);
    const std::string path = std::string(arguments[2]) + "/../probes/probes.txt";
    std::string heading;
    std::vector<Probe> probes = readProbes(path, heading);
    int major, minor, failures = 0, skipped = 0;
    d.require("attribute", d.call("cuDeviceGetAttribute", &major, 75, 0));
    d.require("attribute", d.call("cuDeviceGetAttribute", &minor, 76, 0));
    Buffer<uint32_t> in(d, inputs());
    std::ostringstream table;
    for (const Probe& p : probes) {
        const int arch = major * 10 + minor;
        // sm_90 stands for the features of sm_90a, which later architectures do not have.
        if (p.arch > arch || (p.arch == 90 && arch != 90)) {
            skipped++;
            continue;
        }
        Buffer<uint32_t> out(d, std::vector<uint32_t>(OUT, 0));
        const Map load = encode(d, in.address, p), store = encode(d, out.address + OUT * 2, p);
        const std::string name = "probe_" + p.name;
        d.require(name.c_str(), d.call("cuFuncSetAttribute", d.function(name.c_str()), 8, p.shared));
        d.require(name.c_str(), d.run(name.c_str(), 1, p.threads, p.shared, out.address, in.address, load, store));
        const std::string digest = digestOf(out.get());
        char line[200];
        snprintf(line, sizeof line, "%-20s %4d %6d %3d %2d %2d  %s\n", p.name.c_str(), p.threads, p.shared, p.arch,
                 p.rank, p.swizzle, digest.c_str());
        table << line;
        if (write || digest == p.digest) continue;
        failures++;
        printf("probe %s: %s, expected %s\n", p.name.c_str(), digest.c_str(), p.digest.c_str());
    }
    if (write) std::ofstream(path) << heading << table.str();
    printf("probes: %zu run, %d skipped, %d failures\n", probes.size() - skipped, skipped, failures);
    return failures != 0 || (int)probes.size() == skipped;
}
