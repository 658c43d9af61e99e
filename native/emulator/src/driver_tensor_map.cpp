// driver_tensor_map.cpp: cuTensorMapEncodeTiled, with the driver's own checks of its arguments.
#include "../../include/ptx_hopper.cuh"
#include "driver.h"
#include "hopper.h"

namespace emulator::driver {

// By CUtensorMapDataType.
static const uint8_t elementBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};

static int encode(EncodedMap& map, const uint64_t* sizes, const uint64_t* strides, const uint32_t* box,
                  const uint32_t* elementStrides) {
    for (unsigned i = 0; i < map.rank; i++) {
        if (!sizes[i] || sizes[i] > (uint64_t)1 << 32) {
            return refuse(INVALID_VALUE, "size %llu of dimension %u", (unsigned long long)sizes[i], i);
        }
        if (!box[i] || box[i] > 256) return refuse(INVALID_VALUE, "box of %u in dimension %u: 1 to 256", box[i], i);
        if (elementStrides[i] != 1)
            return refuse(NOT_SUPPORTED, "element stride %u in dimension %u", elementStrides[i], i);
        map.sizes[i] = (uint32_t)sizes[i];
        map.box[i] = box[i];
        if (i == 0) continue;
        if (strides[i - 1] % 16 || strides[i - 1] >= (uint64_t)1 << 40) {
            return refuse(INVALID_VALUE, "stride of %llu bytes in dimension %u: no multiple of 16",
                          (unsigned long long)strides[i - 1], i);
        }
        map.strides[i - 1] = strides[i - 1];
    }
    const uint32_t inner = box[0] * map.elementBytes;
    if (inner % 16) return refuse(INVALID_VALUE, "a box row of %u bytes: no multiple of 16", inner);
    if (map.swizzle && inner > 16u << map.swizzle) {
        return refuse(INVALID_VALUE, "a box row of %u bytes, the swizzle spans %u", inner, 16u << map.swizzle);
    }
    return SUCCESS;
}

}  // namespace emulator::driver

using namespace emulator::driver;

EXPORT int cuTensorMapEncodeTiled(TensorMap* to, int type, uint32_t rank, void* address, const uint64_t* sizes,
                                  const uint64_t* strides, const uint32_t* box, const uint32_t* elementStrides,
                                  int interleave, int swizzle, int, int fill) {
    return call("cuTensorMapEncodeTiled", Needs::INITIALISED, [&] {
        if ((uintptr_t)to % 64) return refuse(INVALID_VALUE, "the map at %p is not 64-byte aligned", (void*)to);
        if (type < 0 || type > 12) return refuse(INVALID_VALUE, "type %d", type);
        if (rank < 1 || rank > 5) return refuse(INVALID_VALUE, "%u dimensions", rank);
        if ((uintptr_t)address % 16) return refuse(INVALID_VALUE, "the tensor at %p is not 16-byte aligned", address);
        if (swizzle < 0 || swizzle > 3) return refuse(NOT_SUPPORTED, "swizzle %d", swizzle);
        if (interleave || fill) return refuse(NOT_SUPPORTED, "interleave %d, fill %d", interleave, fill);
        emulator::EncodedMap map{};
        map.magic = emulator::MAP_MAGIC;
        map.rank = (uint8_t)rank;
        map.type = (uint8_t)type;
        map.elementBytes = elementBytes[type];
        map.swizzle = (uint8_t)swizzle;
        map.address = (uint64_t)address;
        if (const int refused = encode(map, sizes, strides, box, elementStrides)) return refused;
        memset((void*)to, 0, sizeof *to);
        memcpy((void*)to, &map, sizeof map);
        return (int)SUCCESS;
    });
}
