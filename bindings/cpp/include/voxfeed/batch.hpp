// A batch: the samples that are handed over together, and the memory that they lie in.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_BATCH_HPP
#define VOXFEED_BATCH_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "error.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// The samples that are handed over together; each category is a tensor (batch, channel, spatial axes).
///
/// Destroying the last one of a batch gives its memory back to the loader, which it may outlive. On a GPU a batch may
/// still be on its way: wait() lets a stream wait for it, and the memory is not used again before what that stream has
/// been given by the release is done.
class batch {
  public:
    /// No batch yet: something for loader::next() to fill.
    batch() noexcept = default;
    /// Takes over a handle of the C interface.
    explicit batch(vxf_batch *handle) noexcept : handle_(handle) {}

    /// The tensor of a category; an empty name is the first. Valid until the batch is gone; you may write to it.
    ///
    /// Errors: ERR_NOT_FOUND, with the names that there are.
    tensor_view tensor(const std::string &category = "") const {
        vxf_tensor view{};
        view.struct_size = sizeof view;
        detail::check(vxf_batch_tensor(get(), detail::or_null(category), &view));
        return tensor_view(view);
    }

    /// The names of its categories, in order, as JSON: ["images", "labels"].
    std::string categories() const {
        const char *json = nullptr;
        detail::check(vxf_batch_categories(get(), &json));
        return json;
    }

    /// The number of samples: the batch size, or less for a last batch.
    std::uint64_t size() const {
        std::uint64_t count = 0;
        detail::check(vxf_batch_len(get(), &count));
        return count;
    }

    /// What each row holds.
    std::vector<vxf_sample> samples() const {
        std::vector<vxf_sample> all(size());
        detail::check(vxf_batch_samples(get(), all.data(), all.size()));
        return all;
    }

    /// Lets a stream wait until the batch is there, and ties the memory to the stream's work; the caller does not wait.
    ///
    /// A cudaStream_t is one; voxfeed/cuda.hpp has a class that minds which default stream a program is compiled for.
    /// Null is the legacy default stream. In host memory there is nothing to wait for.
    void wait(vxf_stream stream = nullptr) const { detail::check(vxf_batch_wait(get(), stream)); }

    /// Waits on this thread until the batch is there.
    void wait_here() const { wait(reinterpret_cast<vxf_stream>(std::intptr_t{-1})); }

    /// Ties the memory to the work of one more stream.
    void record_stream(vxf_stream stream) const { detail::check(vxf_batch_record_stream(get(), stream)); }

    /// Whether the batch is there; it does not wait.
    bool query() const { return detail::check(vxf_batch_query(get())) == VXF_STATUS_OK; }

    /// The cudaEvent_t behind the batch's arrival, for those who wait on their own; valid until the batch is gone.
    ///
    /// Errors: ERR_UNSUPPORTED in host memory.
    void *ready_event() const {
        void *event = nullptr;
        detail::check(vxf_batch_ready_event(get(), &event));
        return event;
    }

    /// Copies a category into your dense host tensor of the same dtype and shape, and waits for that.
    void copy_to(const tensor_view &to, const std::string &category = "") const {
        detail::check(vxf_batch_copy_to(get(), detail::or_null(category), to.get()));
    }

    /// Another handle of the same batch.
    batch retain() const {
        vxf_batch *other = nullptr;
        detail::check(vxf_batch_retain(get(), &other));
        return batch(other);
    }

    /// Gives the memory back now.
    void release() noexcept { handle_.reset(); }

    /// Whether there is a batch.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    const vxf_batch *get() const noexcept { return handle_.get(); }

  private:
    detail::owned<vxf_batch, vxf_batch_release> handle_;
};

} // namespace voxfeed

#endif
