// The guard that makes a device current; this one tells a test which it was.
#ifndef FAKE_C10_CUDA_GUARD_H
#define FAKE_C10_CUDA_GUARD_H

#include "CUDAStream.h"

namespace c10 {
namespace cuda {

// As LibTorch's own was before it became the standard's.
template <class Value> struct optional {
    bool is_there = false;
    Value value{};
};

struct OptionalCUDAGuard {
    OptionalCUDAGuard() = default;
    explicit OptionalCUDAGuard(optional<DeviceIndex> index) {
        if (index.is_there) {
            set_index(index.value);
        }
    }
    void set_index(DeviceIndex index) { current_device = index; }
};

} // namespace cuda
} // namespace c10

#endif
