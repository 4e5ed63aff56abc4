// Volumes into files: datasets, single volumes, pictures.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_WRITER_HPP
#define VOXFEED_WRITER_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "dataset.hpp"
#include "error.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// Makes a dataset file in pymia's HDF5 layout, which pymia and voxfeed::dataset read.
///
/// The file gets its name in finish(); until then, and after a failure, an older file of that name is untouched.
class writer {
  public:
    /// Begins a file, .h5 or .hdf5. Errors: ERR_ARGUMENT where the name has another ending or the file exists.
    explicit writer(const std::string &path, const writer_options &options = {}) {
        detail::require_library();
        const vxf_writer_options given = detail::to_c(options);
        vxf_writer *made = nullptr;
        detail::check(vxf_writer_create(path.c_str(), &given, &made));
        handle_.reset(made);
    }

    /// Begins a subject; the entries that follow are its.
    void add_subject(const std::string &id) { detail::check(vxf_writer_add_subject(get(), id.c_str())); }

    /// Writes a volume of the current subject: (spatial axes), and its geometry, 16 numbers, or null.
    ///
    /// Errors: ERR_STATE before the first subject; ERR_ARGUMENT where the entry does not fit its category.
    void add_entry(const std::string &category, const std::string &entry, const tensor_view &tensor,
                   const double *affine = nullptr) {
        detail::check(vxf_writer_add_entry(get(), category.c_str(), entry.c_str(), tensor.get(), affine));
    }

    /// Writes all subjects of a dataset; false where progress asked to stop, the subjects so far then stay.
    ///
    /// Voxels, as values, and geometry are written; attributes and splits are not.
    /// What progress throws stops the writing and is thrown on.
    bool add_dataset(const dataset &data, const progress &told = {}) {
        return detail::with_progress(told, [&](vxf_progress call, void *user_data) {
            return vxf_writer_add_dataset(get(), data.get(), call, user_data);
        });
    }

    /// Completes the file and gives it its name. Errors: ERR_STATE where there is no subject.
    void finish() { detail::check(vxf_writer_finish(get())); }

    const vxf_writer *get() const noexcept { return handle_.get(); }
    vxf_writer *get() noexcept { return handle_.get(); }

  private:
    detail::owned<vxf_writer, vxf_writer_free> handle_;
};

/// Saves one volume, (spatial axes) or (channel, spatial axes): .nii, .nii.gz, .npy or .h5 by the name.
///
/// affine: 16 numbers as in volume_info, or null. Errors: ERR_ARGUMENT for another ending, ERR_UNSUPPORTED for a
/// dtype that the format lacks, ERR_IO.
inline void save_volume(const std::string &path, const tensor_view &tensor, const double *affine = nullptr) {
    detail::require_library();
    detail::check(vxf_volume_save(path.c_str(), tensor.get(), affine));
}

/// Saves a PNG that shows volumes side by side, one a column, and several slices, one a row.
///
/// Errors: ERR_ARGUMENT where columns have different shapes or an axis or channel does not exist; ERR_IO.
inline void save_montage(const std::string &path, const std::vector<montage_column> &columns,
                         const montage_options &options = {}) {
    detail::require_library();
    const vxf_montage_options given = detail::to_c(options);
    std::vector<vxf_montage_column> all;
    for (const montage_column &from : columns) {
        vxf_montage_column to{};
        to.volume = from.volume.get();
        to.title = detail::or_null(from.title);
        to.look = static_cast<vxf_look>(from.look);
        to.channel = from.channel;
        all.push_back(to);
    }
    detail::check(vxf_montage_save(path.c_str(), all.data(), all.size(), &given));
}

} // namespace voxfeed

#endif
