// From predictions back to volumes.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_ASSEMBLER_HPP
#define VOXFEED_ASSEMBLER_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "error.hpp"
#include "loader.hpp"
#include "options.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// Puts predictions back into volumes, subject by subject, in any order and several subjects at once.
///
/// A subject is complete when every sample that this rank's epoch has of it was added. Any thread may call.
class assembler {
  public:
    /// Makes an assembler for the batches of a loader.
    explicit assembler(const loader &from, const assembler_options &options = {}) {
        const vxf_assembler_options given = detail::to_c(options);
        vxf_assembler *made = nullptr;
        detail::check(vxf_assembler_new(from.get(), &given, &made));
        handle_.reset(made);
    }

    /// Adds the prediction for a batch: (batch, channel, spatial axes), any dtype and strides, host memory.
    ///
    /// The spatial extents are those of the batch's rows, or smaller by an even number of voxels, then centred.
    /// Errors: ERR_ARGUMENT where the shape is another; ERR_STATE where a sample was added before.
    void add(const batch &samples, const tensor_view &prediction) {
        detail::check(vxf_assembler_add(get(), samples.get(), prediction.get()));
    }

    /// The same for a prediction on a GPU that work on this stream makes; it comes down when the stream is done with
    /// it, or is added where it lies (assembler_options::device), and the caller does not wait.
    void add(const batch &samples, const tensor_view &prediction, vxf_stream stream) {
        detail::check(vxf_assembler_add_async(get(), samples.get(), prediction.get(), stream));
    }

    /// The same for samples that were kept from batch::samples().
    void add(const std::vector<vxf_sample> &samples, const tensor_view &prediction) {
        detail::check(vxf_assembler_add_samples(get(), samples.data(), samples.size(), prediction.get()));
    }

    /// Gives the number of a subject that has become complete, each once: VXF_STATUS_OK, NOT_READY or END.
    vxf_status next_complete(std::uint64_t &subject) {
        return detail::check(vxf_assembler_next_complete(get(), &subject));
    }

    /// The shape and dtype of a subject's result, (channel, spatial axes); it has no data.
    tensor_view shape(std::uint64_t subject) const {
        vxf_tensor view{};
        view.struct_size = sizeof view;
        detail::check(vxf_assembler_shape(get(), subject, &view));
        return tensor_view(view);
    }

    /// The share of a subject's voxels, 0 to 1, that a prediction has reached.
    double coverage(std::uint64_t subject) const {
        double share = 0.0;
        detail::check(vxf_assembler_coverage(get(), subject, &share));
        return share;
    }

    /// Writes a subject's result into your dense tensor; the subject is then gone.
    ///
    /// Errors: ERR_STATE where it is incomplete; ERR_ARGUMENT where the tensor is another than shape() says.
    void take(std::uint64_t subject, const tensor_view &into, completeness need = completeness::complete) {
        detail::check(vxf_assembler_take(get(), subject, static_cast<vxf_completeness>(need), into.get()));
    }

    /// Saves a subject's result with its geometry: .nii, .nii.gz, .npy or .h5 by the name; it is then gone.
    ///
    /// Errors: as take(), and ERR_IO; the subject then stays.
    void save(std::uint64_t subject, const std::string &path, completeness need = completeness::complete) {
        detail::check(vxf_assembler_save(get(), subject, static_cast<vxf_completeness>(need), path.c_str()));
    }

    const vxf_assembler *get() const noexcept { return handle_.get(); }
    vxf_assembler *get() noexcept { return handle_.get(); }

  private:
    detail::owned<vxf_assembler, vxf_assembler_free> handle_;
};

} // namespace voxfeed

#endif
