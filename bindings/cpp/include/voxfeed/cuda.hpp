// Batches in programs of the CUDA runtime; the only header here that includes one of the toolkit's.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_CUDA_HPP
#define VOXFEED_CUDA_HPP

#include <cuda_runtime_api.h>

#include <string>

#include "batch.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// A stream of the CUDA runtime where voxfeed asks for one: batch.wait(voxfeed::stream(mine)).
///
/// Stream 0 is the legacy default stream, or the thread's own in a program that is compiled for it
/// (CUDA_API_PER_THREAD_DEFAULT_STREAM, nvcc's --default-stream per-thread): the library cannot see which.
class stream {
  public:
    /// The default stream.
    stream() noexcept : stream(nullptr) {}
    /// A stream of yours, which must live until the batches that it is used with are released.
    stream(cudaStream_t handle) noexcept : handle_(handle == nullptr ? default_stream() : handle) {}

    operator vxf_stream() const noexcept { return handle_; }
    cudaStream_t get() const noexcept { return handle_; }

  private:
    static cudaStream_t default_stream() noexcept {
#ifdef CUDA_API_PER_THREAD_DEFAULT_STREAM
        return cudaStreamPerThread;
#else
        return cudaStreamLegacy;
#endif
    }

    cudaStream_t handle_;
};

/// A batch while a stream works on it: the stream waits for it first, and the batch is released at the end of the scope.
///
///   for (auto &batch : loader.epoch(0)) {
///       voxfeed::batch_scope scope(batch, stream);
///       train<<<blocks, threads, 0, stream>>>(scope.data<float>("images"));
///   }
///
/// Releasing waits for nothing: the memory is used again when the stream has done what it was given in the scope.
class batch_scope {
  public:
    batch_scope(batch &held, stream on) : held_(&held) { held.wait(on); }
    batch_scope(const batch_scope &) = delete;
    batch_scope &operator=(const batch_scope &) = delete;
    ~batch_scope() { held_->release(); }

    /// A category's first element on the GPU. Errors: ERR_ARGUMENT where T is not the dtype, or it is not on a GPU.
    template <class T> T *data(const std::string &category = "") const {
        return held_->tensor(category).device_data<T>();
    }

  private:
    batch *held_;
};

} // namespace voxfeed

#endif
