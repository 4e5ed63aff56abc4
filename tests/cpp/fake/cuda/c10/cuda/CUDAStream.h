// LibTorch's current stream, which a test sets.
#ifndef FAKE_C10_CUDA_STREAM_H
#define FAKE_C10_CUDA_STREAM_H

#include <cuda_runtime_api.h>

#include <cstdint>
#include <optional>

namespace c10 {

using DeviceIndex = std::int8_t;
enum DeviceType { kCUDA = 1 };

struct Device {
    Device(DeviceType, DeviceIndex number) : index(number) {}
    DeviceIndex index;
};

namespace cuda {

struct CUDAStream {
    cudaStream_t handle;
    cudaStream_t stream() const { return handle; }
};

inline cudaStream_t current_stream = nullptr;
inline int current_device = -1;

inline CUDAStream getCurrentCUDAStream(DeviceIndex) { return {current_stream}; }

} // namespace cuda
} // namespace c10

#endif
