// Subjects with their volumes.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_DATASET_HPP
#define VOXFEED_DATASET_HPP

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "error.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "tensor.hpp"

namespace voxfeed {

/// What a volume's file says of it.
struct volume_info {
    /// The dtype of the stored numbers.
    voxfeed::dtype dtype = voxfeed::dtype::stored;
    /// The dtype of the values, which differs where stored numbers are scaled.
    voxfeed::dtype value_dtype = voxfeed::dtype::stored;
    /// The spatial extents as seen in the dataset's orientation, slowest axis first.
    extents shape{};
    std::int64_t channels = 1;
    /// value = stored * scale_slope + scale_intercept.
    double scale_slope = 1.0;
    double scale_intercept = 0.0;
    /// The step of the last three axes in millimetres, slowest axis first; of fewer axes, the last numbers are theirs.
    std::array<double, 3> spacing_mm{};
    /// Four rows of four: a voxel index (depth, height, width, 1) to millimetres (right, anterior, superior, 1).
    std::array<double, 16> affine{};
    /// Whether the file has a geometry; the affine is a plain one where it has none.
    bool has_affine = false;
    /// The file, empty for a volume in memory.
    std::string path{};
    std::string format{};
};

/// The ordered subjects of a study: ids, categories of entries on one grid, attributes.
///
/// Only headers are read until voxels are asked for. Changes are seen by samplers that are made later.
class dataset {
  public:
    /// A dataset without subjects, to be filled.
    explicit dataset(const dataset_options &options = {}) {
        detail::require_library();
        const vxf_dataset_options given = detail::to_c(options);
        vxf_dataset *made = nullptr;
        detail::check(vxf_dataset_new(&given, &made));
        handle_.reset(made);
    }

    /// Opens a file or a folder, its format told by its content; no voxel is read.
    ///
    /// Errors: ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_UNSUPPORTED; ERR_ARGUMENT where volumes do not fit each other.
    explicit dataset(const std::string &path, const dataset_options &options = {}) {
        detail::require_library();
        const vxf_dataset_options given = detail::to_c(options);
        vxf_dataset *made = nullptr;
        detail::check(vxf_dataset_open(path.c_str(), &given, &made));
        handle_.reset(made);
    }

    /// Adds a subject and gives its number.
    std::uint64_t add_subject(const std::string &id) {
        std::uint64_t number = 0;
        detail::check(vxf_dataset_add_subject(get(), id.c_str(), &number));
        return number;
    }

    /// Adds a file's volume to a subject as an entry of a category; no voxel is read.
    ///
    /// Errors: as for opening; ERR_ARGUMENT where the volume does not lie on the subject's grid.
    void add_file(std::uint64_t subject, const std::string &category, const std::string &entry,
                  const std::string &path, const file_options &options = {}) {
        const vxf_file_options given = detail::to_c(options);
        detail::check(
            vxf_dataset_add_file(get(), subject, category.c_str(), entry.c_str(), path.c_str(), &given));
    }

    /// Adds a copy of a volume in memory, (spatial axes) or (channel, spatial axes); affine: 16 numbers or null.
    void add_tensor(std::uint64_t subject, const std::string &category, const std::string &entry,
                    const tensor_view &tensor, const double *affine = nullptr) {
        detail::check(
            vxf_dataset_add_tensor(get(), subject, category.c_str(), entry.c_str(), tensor.get(), affine));
    }

    /// Sets an attribute of a subject to a JSON value: 3, "left", [1, 2].
    void set_attribute(std::uint64_t subject, const std::string &name, const std::string &json) {
        detail::check(vxf_dataset_set_attribute(get(), subject, name.c_str(), json.c_str()));
    }

    /// Names a subset of the subjects; an old one of this name is replaced.
    void set_split(const std::string &name, const std::vector<std::uint64_t> &subjects) {
        detail::check(vxf_dataset_set_split(get(), name.c_str(), subjects.data(), subjects.size()));
    }

    /// The splits and the ids of their subjects as JSON: {"train": ["s0", "s1"], "test": ["s2"]}.
    std::string splits() const {
        const char *json = nullptr;
        detail::check(vxf_dataset_splits(get(), &json));
        return json;
    }

    /// The dataset of the subjects of one split. Errors: ERR_NOT_FOUND, with the names that there are.
    dataset split(const std::string &name) const {
        vxf_dataset *made = nullptr;
        detail::check(vxf_dataset_split(get(), name.c_str(), &made));
        return dataset(made);
    }

    /// The dataset of these subjects, in this order.
    dataset subset(const std::vector<std::uint64_t> &subjects) const {
        vxf_dataset *made = nullptr;
        detail::check(vxf_dataset_subset(get(), subjects.data(), subjects.size(), &made));
        return dataset(made);
    }

    /// Decodes all chunks and compressed volumes into the cache ahead of time; false where progress asked to stop.
    ///
    /// threads: 0 is one for each core. What progress throws stops it and is thrown on.
    /// Errors: ERR_LIMIT, before anything is decoded, where cache_bytes is too small.
    bool preload(std::uint32_t threads = 0, const progress &told = {}) const {
        return detail::with_progress(told, [&](vxf_progress call, void *user_data) {
            return vxf_dataset_preload(get(), threads, call, user_data);
        });
    }

    /// Lets the decoded bytes go that nobody reads at the moment.
    void evict() const { detail::check(vxf_dataset_evict(get())); }

    /// The number of subjects.
    std::uint64_t size() const {
        std::uint64_t count = 0;
        detail::check(vxf_dataset_len(get(), &count));
        return count;
    }

    /// A subject's id.
    std::string subject_id(std::uint64_t subject) const {
        const char *id = nullptr;
        detail::check(vxf_dataset_subject_id(get(), subject, &id));
        return id;
    }

    /// The number of the subject of this id. Errors: ERR_NOT_FOUND.
    std::uint64_t find(const std::string &id) const {
        std::uint64_t number = 0;
        detail::check(vxf_dataset_find(get(), id.c_str(), &number));
        return number;
    }

    /// A subject's categories and their entries as JSON: {"images": ["T1", "T2"], "labels": ["GT"]}.
    std::string categories(std::uint64_t subject) const {
        const char *json = nullptr;
        detail::check(vxf_dataset_categories(get(), subject, &json));
        return json;
    }

    /// An attribute of a subject as JSON. Errors: ERR_NOT_FOUND.
    std::string attribute(std::uint64_t subject, const std::string &name) const {
        const char *json = nullptr;
        detail::check(vxf_dataset_attribute(get(), subject, name.c_str(), &json));
        return json;
    }

    /// All attributes of a subject as one JSON object.
    std::string attributes(std::uint64_t subject) const {
        const char *json = nullptr;
        detail::check(vxf_dataset_attribute(get(), subject, nullptr, &json));
        return json;
    }

    /// What the file of an entry says; an empty entry is the category's first.
    volume_info info(std::uint64_t subject, const std::string &category, const std::string &entry = "") const {
        vxf_volume_info found{};
        found.struct_size = sizeof found;
        detail::check(
            vxf_dataset_volume_info(get(), subject, category.c_str(), detail::or_null(entry), &found));
        volume_info told;
        told.dtype = static_cast<dtype>(found.dtype);
        told.value_dtype = static_cast<dtype>(found.value_dtype);
        told.shape.assign(found.shape, found.shape + found.ndim);
        told.channels = found.channels;
        told.scale_slope = found.scale_slope;
        told.scale_intercept = found.scale_intercept;
        std::copy(found.spacing_mm, found.spacing_mm + 3, told.spacing_mm.begin());
        std::copy(found.affine, found.affine + 16, told.affine.begin());
        told.has_affine = found.has_affine != 0;
        told.path = found.path;
        told.format = found.format;
        return told;
    }

    /// Reads a region of one entry, or of all of a category for an empty entry, into your dense tensor.
    ///
    /// The tensor says the wanted dtype. What lies outside the volume is 0.
    /// Errors: ERR_RANGE where a value does not fit the dtype; ERR_ARGUMENT where the tensor has another shape.
    void read(std::uint64_t subject, const std::string &category, const std::string &entry, const tensor_view &into,
              const region &from = {}) const {
        const vxf_region box = detail::to_c(from);
        detail::check(vxf_dataset_read(get(), subject, category.c_str(), detail::or_null(entry), &box, into.get()));
    }

    const vxf_dataset *get() const noexcept { return handle_.get(); }
    vxf_dataset *get() noexcept { return handle_.get(); }

  private:
    explicit dataset(vxf_dataset *made) noexcept : handle_(made) {}

    detail::owned<vxf_dataset, vxf_dataset_free> handle_;
};

} // namespace voxfeed

#endif
