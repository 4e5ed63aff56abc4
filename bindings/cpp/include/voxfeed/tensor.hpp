// Views of arrays: what batches show, and what predictions and volumes are passed as.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_TENSOR_HPP
#define VOXFEED_TENSOR_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "error.hpp"

#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#endif

namespace voxfeed {

#if defined(__cpp_lib_span)
using std::span;
#else
/// So many elements in a row, owned by somebody else: what std::span is from C++20 on.
template <class T> class span {
  public:
    constexpr span() noexcept = default;
    constexpr span(T *first, std::size_t count) noexcept : first_(first), count_(count) {}

    constexpr T *data() const noexcept { return first_; }
    constexpr std::size_t size() const noexcept { return count_; }
    constexpr bool empty() const noexcept { return count_ == 0; }
    constexpr T *begin() const noexcept { return first_; }
    constexpr T *end() const noexcept { return first_ + count_; }
    constexpr T &operator[](std::size_t at) const { return first_[at]; }
    constexpr T &front() const { return first_[0]; }
    constexpr T &back() const { return first_[count_ - 1]; }

  private:
    T *first_ = nullptr;
    std::size_t count_ = 0;
};
#endif

/// The type of one voxel.
enum class dtype : vxf_dtype {
    /// In options: as stored, the smallest that holds every value.
    stored = VXF_DTYPE_STORED,
    /// One byte, 0 or 1.
    boolean = VXF_DTYPE_BOOL,
    u8 = VXF_DTYPE_U8,
    i8 = VXF_DTYPE_I8,
    u16 = VXF_DTYPE_U16,
    i16 = VXF_DTYPE_I16,
    u32 = VXF_DTYPE_U32,
    i32 = VXF_DTYPE_I32,
    u64 = VXF_DTYPE_U64,
    i64 = VXF_DTYPE_I64,
    /// Half precision, for which C++17 has no type: see tensor_view::raw().
    f16 = VXF_DTYPE_F16,
    f32 = VXF_DTYPE_F32,
    f64 = VXF_DTYPE_F64,
};

/// The dtype of a C++ type: bool, an integer of 8 to 64 bits, float or double.
template <class T> constexpr dtype dtype_of() noexcept {
    using plain = std::remove_cv_t<T>;
    static_assert(std::is_arithmetic_v<plain> && sizeof(plain) <= 8, "no dtype of voxfeed has this type");
    // The numbers are DLPack's: a code for the kind times 256, plus the bits.
    const int kind = std::is_same_v<plain, bool> ? 6 : std::is_floating_point_v<plain> ? 2 : std::is_unsigned_v<plain>;
    return static_cast<dtype>(kind * 256 + static_cast<int>(sizeof(plain)) * 8);
}

static_assert(dtype_of<bool>() == dtype::boolean && dtype_of<std::uint8_t>() == dtype::u8 &&
                  dtype_of<std::int64_t>() == dtype::i64 && dtype_of<float>() == dtype::f32,
              "voxfeed.h and dtype_of() must agree");

/// The bits of one element.
constexpr int bits_of(dtype of) noexcept { return static_cast<int>(of) % 256; }

/// The name of a dtype as transforms write it: "u8", "f32", "bool".
inline std::string name_of(dtype of) {
    if (of == dtype::stored || of == dtype::boolean) {
        return of == dtype::stored ? "stored" : "bool";
    }
    const int kind = static_cast<int>(of) / 256;
    return (kind == 2 ? "f" : kind == 1 ? "u" : "i") + std::to_string(bits_of(of));
}

/// A view of an array: dtype, shape, strides and where it lies. The memory belongs to who made it.
class tensor_view {
  public:
    /// A view of nothing.
    tensor_view() noexcept { tensor_.struct_size = sizeof tensor_; }

    /// A view as the C interface has it.
    explicit tensor_view(const vxf_tensor &tensor) noexcept : tensor_(tensor) {}

    /// A dense array of yours, of this shape, slowest axis first; it must live as long as the view.
    ///
    /// Errors: ERR_ARGUMENT for more than VXF_MAX_NDIM axes.
    template <class T> tensor_view(T *data, const std::vector<std::int64_t> &shape) {
        describe(dtype_of<T>(), const_cast<std::remove_cv_t<T> *>(data), shape);
        read_only_ = std::is_const_v<T>;
    }

    /// The same, of the shape of another view.
    template <class T>
    tensor_view(T *data, span<const std::int64_t> shape)
        : tensor_view(data, std::vector<std::int64_t>(shape.begin(), shape.end())) {}

    /// A dense array of a dtype for which C++ has no type.
    tensor_view(void *data, dtype of, const std::vector<std::int64_t> &shape) { describe(of, data, shape); }

    voxfeed::dtype dtype() const noexcept { return static_cast<voxfeed::dtype>(tensor_.dtype); }
    /// VXF_DEVICE_CPU and the like.
    vxf_device device() const noexcept { return tensor_.device; }
    std::int32_t device_id() const noexcept { return tensor_.device_id; }
    /// The number of axes.
    std::size_t ndim() const noexcept { return static_cast<std::size_t>(tensor_.ndim); }
    /// The extent of each axis, slowest first.
    span<const std::int64_t> shape() const noexcept { return {tensor_.shape, ndim()}; }
    /// The extent of one axis; 0 is the slowest.
    std::int64_t shape(std::size_t axis) const { return tensor_.shape[known(axis)]; }
    /// The elements from one position of each axis to the next.
    span<const std::int64_t> strides() const noexcept { return {tensor_.strides, ndim()}; }
    /// The elements from one position of an axis to the next.
    std::int64_t stride(std::size_t axis) const { return tensor_.strides[known(axis)]; }

    /// The number of elements.
    std::size_t size() const noexcept {
        std::size_t count = 1;
        for (std::int64_t extent : shape()) {
            count *= static_cast<std::size_t>(extent);
        }
        return count;
    }

    /// Whether the elements lie without gaps, the last axis fastest.
    bool is_dense() const noexcept {
        std::int64_t step = 1;
        bool unset = true;
        bool dense = true;
        for (std::size_t axis = ndim(); axis-- > 0; step *= tensor_.shape[axis]) {
            unset = unset && tensor_.strides[axis] == 0;
            dense = dense && (tensor_.shape[axis] == 1 || tensor_.strides[axis] == step);
        }
        return dense || unset;
    }

    /// The first element, as a T.
    ///
    /// Errors: ERR_ARGUMENT where T is not the dtype (u8 stands for bool too), the view is one of constants and T is
    /// not const, or the memory is a GPU's.
    template <class T> T *data() const {
        require<T>();
        if (device() == VXF_DEVICE_CUDA) {
            refuse("the tensor lies on a GPU, use device_data()");
        }
        return static_cast<T *>(tensor_.data);
    }

    /// All elements in a row.
    ///
    /// Errors: ERR_ARGUMENT as data(), and where the tensor is not dense.
    template <class T> span<T> values() const {
        if (!is_dense()) {
            refuse("the tensor is not dense, use data() and strides()");
        }
        return {data<T>(), size()};
    }

    /// The first element's address on a GPU, as a T.
    ///
    /// Errors: ERR_ARGUMENT where T is not the dtype, or the memory is the host's.
    template <class T> T *device_data() const {
        if (device() != VXF_DEVICE_CUDA) {
            refuse("the tensor lies in host memory, use data()");
        }
        require<T>();
        return static_cast<T *>(tensor_.data);
    }

    /// The first element's address, whatever the dtype and the device.
    void *raw() const noexcept { return tensor_.data; }

    /// The view as the C interface has it.
    const vxf_tensor *get() const noexcept { return &tensor_; }

    /// A view of memory that lies on a GPU, for what is passed to the library.
    tensor_view on_device(std::int32_t id) const noexcept {
        tensor_view moved = *this;
        moved.tensor_.device = VXF_DEVICE_CUDA;
        moved.tensor_.device_id = id;
        return moved;
    }

  private:
    template <class T> void require() const {
        const voxfeed::dtype asked = dtype_of<T>();
        if (asked != dtype() && !(asked == voxfeed::dtype::u8 && dtype() == voxfeed::dtype::boolean)) {
            refuse("the tensor is " + name_of(dtype()) + ", asked for as " + name_of(asked));
        }
        if (read_only_ && !std::is_const_v<T>) {
            refuse("the tensor is a view of constants, ask for data<const T>()");
        }
    }

    void describe(voxfeed::dtype of, void *data, const std::vector<std::int64_t> &shape) {
        if (shape.size() > VXF_MAX_NDIM) {
            refuse(std::to_string(shape.size()) + " axes, at most " + std::to_string(VXF_MAX_NDIM));
        }
        tensor_.struct_size = sizeof tensor_;
        tensor_.dtype = static_cast<vxf_dtype>(of);
        tensor_.device = VXF_DEVICE_CPU;
        tensor_.data = data;
        tensor_.ndim = static_cast<std::int64_t>(shape.size());
        std::int64_t step = 1;
        for (std::size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) {
            tensor_.shape[axis] = shape[axis];
            tensor_.strides[axis] = step;
        }
    }

    std::size_t known(std::size_t axis) const {
        if (axis >= ndim()) {
            detail::fail(error(VXF_STATUS_ERR_RANGE,
                               "axis " + std::to_string(axis) + " of a tensor of " + std::to_string(ndim()) + " axes"));
        }
        return axis;
    }

    [[noreturn]] static void refuse(const std::string &why) { detail::fail(error(VXF_STATUS_ERR_ARGUMENT, why)); }

    vxf_tensor tensor_{};
    bool read_only_ = false;
};

} // namespace voxfeed

#endif
