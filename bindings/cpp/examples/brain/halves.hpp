// From the files of one head to a dataset of two subjects, its left and its right half.
#ifndef BRAIN_HALVES_HPP
#define BRAIN_HALVES_HPP

#include <cstdint>
#include <string>
#include <vector>

#include <voxfeed.hpp>

namespace brain {

/// The volumes of the head on one grid.
struct head {
    voxfeed::volume_info info;
    std::vector<std::uint8_t> t1;
    /// 0 outside the brain, else the number of an atlas region, or one more than the last where the atlas has none.
    std::vector<std::uint8_t> regions;
};

/// The number of regions of the aal atlas.
constexpr std::uint8_t atlas_regions = 116;

/// Reads T1, brain and atlas from the templates of MRIcron.
inline head read_head(const std::string &templates) {
    voxfeed::dataset_options options;
    // The first axis of voxels then goes from left to right, whatever the files say.
    options.orient = "RAS";
    voxfeed::dataset files(options);
    const std::uint64_t subject = files.add_subject("ch2");
    files.add_file(subject, "images", "T1", templates + "/ch2.nii.gz");
    files.add_file(subject, "labels", "brain", templates + "/ch2bet.nii.gz");
    files.add_file(subject, "labels", "regions", templates + "/aal.nii.gz");

    head read;
    read.info = files.info(subject, "images", "T1");
    const voxfeed::extents &shape = read.info.shape;
    const std::size_t voxels = std::size_t(shape[0] * shape[1] * shape[2]);
    read.t1.resize(voxels);
    read.regions.resize(voxels);
    std::vector<std::uint8_t> inside(voxels);
    files.read(subject, "images", "T1", {read.t1.data(), shape});
    files.read(subject, "labels", "regions", {read.regions.data(), shape});
    files.read(subject, "labels", "brain", {inside.data(), shape});
    for (std::size_t i = 0; i < voxels; ++i) {
        const std::uint8_t region = read.regions[i] == 0 ? std::uint8_t(atlas_regions + 1) : read.regions[i];
        read.regions[i] = inside[i] == 0 ? 0 : region;
    }
    return read;
}

/// A dense copy of so many sagittal planes, from this one on.
inline std::vector<std::uint8_t> planes(const std::vector<std::uint8_t> &volume, std::int64_t width, std::int64_t from,
                                        std::int64_t count) {
    std::vector<std::uint8_t> cut;
    for (std::size_t row = 0; row < volume.size(); row += std::size_t(width)) {
        const auto first = volume.begin() + std::ptrdiff_t(row) + from;
        cut.insert(cut.end(), first, first + count);
    }
    return cut;
}

/// Writes both halves as subjects "left" and "right"; the plane between them belongs to neither.
inline void write_halves(const head &whole, const std::string &path) {
    const voxfeed::extents &shape = whole.info.shape;
    const std::int64_t count = shape[2] / 2;
    voxfeed::writer_options options;
    options.existing = voxfeed::existing::replace;
    voxfeed::writer file(path, options);
    for (const bool right : {false, true}) {
        const std::int64_t from = right ? shape[2] - count : 0;
        // The first voxel of a half lies where the affine takes (0, 0, from).
        std::array<double, 16> affine = whole.info.affine;
        for (std::size_t row = 0; row < 3; ++row) {
            affine[row * 4 + 3] += affine[row * 4 + 2] * double(from);
        }
        const voxfeed::extents half{shape[0], shape[1], count};
        const std::vector<std::uint8_t> t1 = planes(whole.t1, shape[2], from, count);
        const std::vector<std::uint8_t> regions = planes(whole.regions, shape[2], from, count);
        file.add_subject(right ? "right" : "left");
        file.add_entry("images", "T1", {t1.data(), half}, affine.data());
        file.add_entry("labels", "regions", {regions.data(), half}, affine.data());
    }
    file.finish();
}

} // namespace brain

#endif
