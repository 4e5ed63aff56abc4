// Pinned memory: host memory that GPUs copy from and to directly.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_PINNED_HPP
#define VOXFEED_PINNED_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>

#include "error.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// So many elements of pinned memory, zero at first: pinned<float> staging(1 << 20).
///
/// Making and destroying it is slow and may wait for the device, so keep it. Errors: ERR_NO_DEVICE where there is no
/// CUDA device, ERR_MEMORY.
template <class T> class pinned {
    static_assert(std::is_trivially_copyable_v<T>, "pinned memory is for plain values");

  public:
    explicit pinned(std::size_t count) : size_(count) {
        detail::require_library();
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
            detail::fail(error(VXF_STATUS_ERR_MEMORY, "more pinned memory than there are addresses"));
        }
        void *memory = nullptr;
        detail::check(vxf_pinned_alloc(count * sizeof(T), &memory));
        memory_.reset(static_cast<T *>(memory));
    }

    T *data() const noexcept { return memory_.get(); }
    std::size_t size() const noexcept { return size_; }
    T *begin() const noexcept { return data(); }
    T *end() const noexcept { return data() + size_; }
    T &operator[](std::size_t at) const { return data()[at]; }

    /// All elements in a row.
    voxfeed::span<T> span() const noexcept { return {data(), size_}; }

  private:
    struct release {
        void operator()(T *memory) const noexcept { vxf_pinned_free(memory); }
    };

    std::unique_ptr<T[], release> memory_;
    std::size_t size_;
};

} // namespace voxfeed

#endif
