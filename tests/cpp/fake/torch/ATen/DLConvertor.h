// From DLPack's older struct to a tensor, as strict as the real one about what it takes.
#ifndef FAKE_ATEN_DL_CONVERTOR_H
#define FAKE_ATEN_DL_CONVERTOR_H

#include "../../../../c/dlpack.h"
#include "ATen.h"

#include <stdexcept>

namespace at {

inline Tensor fromDLPack(DLManagedTensor *source) {
    const DLTensor &from = source->dl_tensor;
    const bool unsigned_word = from.dtype.code == kDLUInt && from.dtype.bits > 8;
    if ((from.device.device_type != kDLCPU && from.device.device_type != kDLCUDA) || unsigned_word) {
        throw std::runtime_error("unsupported device or dtype");
    }
    Tensor made;
    const bool real = from.dtype.code == kDLFloat;
    made.type = from.dtype.code == kDLBool   ? kBool
                : from.dtype.code == kDLUInt ? kByte
                : from.dtype.bits == 8       ? kChar
                : from.dtype.bits == 16      ? (real ? kHalf : kShort)
                : from.dtype.bits == 32      ? (real ? kFloat : kInt)
                                             : (real ? kDouble : kLong);
    made.device = from.device.device_type;
    made.number = from.device.device_id;
    made.data = from.data;
    made.shape.assign(from.shape, from.shape + from.ndim);
    made.steps.assign(from.strides, from.strides + from.ndim);
    made.owner = std::shared_ptr<void>(from.data, [source](void *) { source->deleter(source); });
    return made;
}

} // namespace at

#endif
