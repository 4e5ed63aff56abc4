// Batches as tensors of LibTorch, and predictions of LibTorch for an assembler, without copies.
// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Batches on a GPU need LibTorch's CUDA headers, which are included where they and the toolkit's are found; define
// VXF_TORCH_NO_CUDA to leave them out.
#ifndef VOXFEED_TORCH_HPP
#define VOXFEED_TORCH_HPP

#include <ATen/ATen.h>
#include <ATen/DLConvertor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "batch.hpp"
#include "tensor.hpp"

#if !defined(VXF_TORCH_NO_CUDA) && __has_include(<c10/cuda/CUDAStream.h>) && __has_include(<cuda_runtime_api.h>)
#define VXF_TORCH_CUDA 1
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace voxfeed {

/// A category of a batch as a tensor, which keeps the batch's memory: (batch, channel, spatial axes).
///
/// On a GPU, LibTorch's current stream there waits for the batch, and the memory is not used again before what that
/// stream was given until the tensor's end is done; tell batch.record_stream() of others. Pinned memory is a CPU tensor.
/// Errors: ERR_NOT_FOUND for the category, ERR_UNSUPPORTED on a GPU without LibTorch's CUDA headers; c10::Error for a
/// dtype that this LibTorch lacks, such as u16 before 2.3.
inline at::Tensor to_torch(const batch &from, const std::string &category = "") {
    const tensor_view view = from.tensor(category);
    vxf_stream stream = nullptr;
    std::uint32_t flags = VXF_DLPACK_PINNED_AS_CPU | VXF_DLPACK_NO_WAIT;
    if (view.device() == VXF_DEVICE_CUDA) {
#ifdef VXF_TORCH_CUDA
        flags = VXF_DLPACK_PINNED_AS_CPU;
        stream = c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(view.device_id())).stream();
#else
        detail::fail(error(VXF_STATUS_ERR_UNSUPPORTED, "the batch lies on a GPU, for which voxfeed/torch.hpp was compiled "
                                                       "without LibTorch's CUDA headers"));
#endif
    }
#ifdef VXF_TORCH_CUDA
    c10::cuda::OptionalCUDAGuard guard;
    if (view.device() == VXF_DEVICE_CUDA) {
        guard.set_index(static_cast<c10::DeviceIndex>(view.device_id()));
    }
#endif
    DLManagedTensor *exported = nullptr;
    detail::check(vxf_batch_dlpack_legacy(from.get(), detail::or_null(category), flags, stream, &exported));
#ifdef VXF_NO_EXCEPTIONS
    return at::fromDLPack(exported);
#else
    try {
        return at::fromDLPack(exported);
    } catch (...) {
        exported->deleter(exported);
        throw;
    }
#endif
}

/// A view of a tensor for assembler::add(), on the host or on a GPU; the tensor must live as long.
///
/// Errors: ERR_UNSUPPORTED for a dtype or device that voxfeed does not know, ERR_ARGUMENT for too many axes.
inline tensor_view from_torch(const at::Tensor &tensor) {
    voxfeed::dtype of = dtype::stored;
    switch (tensor.scalar_type()) {
    case at::kBool: of = dtype::boolean; break;
    case at::kByte: of = dtype::u8; break;
    case at::kChar: of = dtype::i8; break;
    case at::kShort: of = dtype::i16; break;
    case at::kInt: of = dtype::i32; break;
    case at::kLong: of = dtype::i64; break;
    case at::kHalf: of = dtype::f16; break;
    case at::kFloat: of = dtype::f32; break;
    case at::kDouble: of = dtype::f64; break;
    default: detail::fail(error(VXF_STATUS_ERR_UNSUPPORTED, "the tensor's dtype is none of voxfeed's"));
    }
    if (!tensor.is_cpu() && !tensor.is_cuda()) {
        detail::fail(error(VXF_STATUS_ERR_UNSUPPORTED, "the tensor lies neither on the host nor on a CUDA device"));
    }
    const std::vector<std::int64_t> shape(tensor.sizes().begin(), tensor.sizes().end());
    const tensor_view dense(tensor.data_ptr(), of, shape);
    vxf_tensor view = *dense.get();
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
        view.strides[axis] = tensor.stride(static_cast<std::int64_t>(axis));
    }
    if (tensor.is_cuda()) {
        view.device = VXF_DEVICE_CUDA;
        view.device_id = static_cast<std::int32_t>(tensor.get_device());
    }
    return tensor_view(view);
}

} // namespace voxfeed

#endif
