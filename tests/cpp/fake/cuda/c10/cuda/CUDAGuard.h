// The guard that makes a device current; this one tells a test which it was.
#ifndef FAKE_C10_CUDA_GUARD_H
#define FAKE_C10_CUDA_GUARD_H

#include "CUDAStream.h"

namespace c10 {
namespace cuda {

struct OptionalCUDAGuard {
    explicit OptionalCUDAGuard(std::optional<Device> device) {
        if (device) {
            current_device = device->index;
        }
    }
};

} // namespace cuda
} // namespace c10

#endif
