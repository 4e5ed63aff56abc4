// The options of all classes: plain structs, whose first state is the default.
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef VOXFEED_OPTIONS_HPP
#define VOXFEED_OPTIONS_HPP

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "error.hpp"
#include "tensor.hpp"

namespace voxfeed {

class transform;

/// One number for each axis, slowest first.
using extents = std::vector<std::int64_t>;

/// How stored bytes are brought up.
enum class io : vxf_io { automatic = VXF_IO_AUTO, positional = VXF_IO_POSITIONAL, map = VXF_IO_MAP };

/// Who reads the batches: a program, or a device that copies them away, in front of which caches are of no use.
enum class consumer : vxf_consumer { cpu = VXF_CONSUMER_CPU, device = VXF_CONSUMER_DEVICE };

/// Where the voxels of batches on a GPU get their dtype: where that makes fewer bytes to copy, or in one place.
enum class cast : vxf_cast { automatic = VXF_CAST_AUTO, host = VXF_CAST_HOST, device = VXF_CAST_DEVICE };

/// How strictly the volumes of a subject must lie on one grid: shapes and affines, or shapes only.
enum class geometry : vxf_geometry { strict = VXF_GEOMETRY_STRICT, shape = VXF_GEOMETRY_SHAPE };

/// Which deflated volumes are inflated slab by slab, through an index.
enum class seek_index : vxf_seek_index {
    automatic = VXF_SEEK_INDEX_AUTO,
    never = VXF_SEEK_INDEX_NEVER,
    always = VXF_SEEK_INDEX_ALWAYS
};

/// Where the index of such a volume is kept.
enum class index_place : vxf_index_place { automatic = VXF_INDEX_PLACE_AUTO, beside = VXF_INDEX_PLACE_BESIDE };

/// Where an array of a file keeps its channels.
enum class channel : vxf_channel {
    automatic = VXF_CHANNEL_AUTO,
    none = VXF_CHANNEL_NONE,
    first = VXF_CHANNEL_FIRST,
    last = VXF_CHANNEL_LAST,
};

/// Which rule cuts volumes into regions.
enum class sampler_kind : vxf_sampler_kind {
    whole = VXF_SAMPLER_KIND_WHOLE,
    slices = VXF_SAMPLER_KIND_SLICES,
    grid = VXF_SAMPLER_KIND_GRID,
    uniform = VXF_SAMPLER_KIND_UNIFORM,
};

/// What happens where the last patch of a grid would reach outside.
enum class border : vxf_border {
    drop = VXF_BORDER_DROP,
    clip = VXF_BORDER_CLIP,
    pad = VXF_BORDER_PAD,
    shift = VXF_BORDER_SHIFT,
};

/// The order of an epoch.
enum class order : vxf_order { sequential = VXF_ORDER_SEQUENTIAL, shuffled = VXF_ORDER_SHUFFLED };

/// What happens to samples that do not fill a batch.
enum class last_batch : vxf_last_batch {
    keep = VXF_LAST_BATCH_KEEP,
    drop = VXF_LAST_BATCH_DROP,
    pad = VXF_LAST_BATCH_PAD,
};

/// What follows a batch that failed: the next batch, or the end of the epoch.
enum class on_error : vxf_on_error { proceed = VXF_ON_ERROR_CONTINUE, stop = VXF_ON_ERROR_STOP };

/// What happens where the samples of a batch would have different shapes.
enum class ragged : vxf_ragged { error = VXF_RAGGED_ERROR, pad = VXF_RAGGED_PAD };

/// Whether slices keep their axis of one voxel.
enum class thin_axis : vxf_thin_axis { drop = VXF_THIN_AXIS_DROP, keep = VXF_THIN_AXIS_KEEP };

/// How voxels outside a volume are made up.
enum class padding : vxf_padding {
    zero = VXF_PADDING_ZERO,
    constant = VXF_PADDING_CONSTANT,
    edge = VXF_PADDING_EDGE,
    reflect = VXF_PADDING_REFLECT,
    symmetric = VXF_PADDING_SYMMETRIC,
    wrap = VXF_PADDING_WRAP,
};

/// What happens to a value that does not fit the dtype: an error, or the nearest value that fits.
enum class fit : vxf_fit { exact = VXF_FIT_EXACT, saturate = VXF_FIT_SATURATE };

/// How overlapping predictions are joined.
enum class blend : vxf_blend { last = VXF_BLEND_LAST, mean = VXF_BLEND_MEAN, gaussian = VXF_BLEND_GAUSSIAN };

/// What is made of a prediction's channels: they stay, or the number of the largest.
enum class reduce : vxf_reduce { none = VXF_REDUCE_NONE, argmax = VXF_REDUCE_ARGMAX };

/// Whether a subject may be taken before it is complete.
enum class completeness : vxf_completeness {
    complete = VXF_COMPLETENESS_COMPLETE,
    partial = VXF_COMPLETENESS_PARTIAL,
};

/// What happens to a file that has the name already.
enum class existing : vxf_existing { error = VXF_EXISTING_ERROR, replace = VXF_EXISTING_REPLACE };

/// How a column of a montage is drawn: by its dtype, as grey values, as labels in colour over the first grey column.
enum class look : vxf_look { automatic = VXF_LOOK_AUTO, grey = VXF_LOOK_GREY, labels = VXF_LOOK_LABELS };

/// How a dataset is opened.
struct dataset_options {
    voxfeed::io io = voxfeed::io::automatic;
    voxfeed::geometry geometry = voxfeed::geometry::strict;
    /// The bytes of decoded chunks (HDF5, .b2nd, Zarr) and volumes (.nii.gz, deflated .npz) that are kept; 0 is 2 GiB.
    /// Of what comes in order, epoch after epoch, a part stays where not all fits: as much as is not needed for the
    /// batches under way and ahead.
    std::uint64_t cache_bytes = 0;
    /// The orientation to see all volumes in, "RAS", "LPS", fastest axis first; empty as stored.
    std::string orient{};
    /// Which deflated volumes are inflated slab by slab; as it stands, those larger than cache_bytes.
    voxfeed::seek_index seek_index = voxfeed::seek_index::automatic;
    /// Where their index is kept; as it stands, in index_folder where that is given, else in memory.
    voxfeed::index_place index_place = voxfeed::index_place::automatic;
    /// The folder, which must exist, for files of indexes; empty for none.
    std::string index_folder{};
};

/// Which array of a file is meant.
struct file_options {
    voxfeed::channel channel = voxfeed::channel::automatic;
    /// The dataset of an HDF5 file ("/data/vol"), the array of a Zarr group ("images/T1"), the member of an
    /// .npz ("data") or the level of a slide ("2"); empty for the only one, of a slide or a multiscale image the
    /// largest.
    std::string inner{};
};

/// A box of voxels, which may reach outside its volume; as it stands, the whole volume.
struct region {
    /// The first voxel; empty is the volume's first.
    extents offset{};
    /// The extents; empty, or 0 for an axis, is the rest of it.
    extents shape{};
};

/// Which regions of which subjects are samples: see whole(), slices(), grid() and uniform().
struct sampler_options {
    sampler_kind kind = sampler_kind::whole;
    /// Grid: what happens at the far border.
    voxfeed::border border = voxfeed::border::drop;
    /// Slices: the axes in order, 0 being the slowest; empty is axis 0.
    std::vector<std::int32_t> axes{};
    /// Grid and uniform: the patch's extents in voxels; empty, or 0 for an axis, is all of it.
    extents patch_shape{};
    /// Grid: voxels from one patch to the next; empty or 0 is the patch's extent less the overlap.
    extents stride{};
    /// Grid: how many voxels neighbouring patches share; only where stride is 0.
    extents overlap{};
    /// Uniform: the patches of a subject in an epoch; 0 is 1.
    std::uint64_t samples_per_subject = 0;
};

/// Whole volumes, one sample a subject.
inline sampler_options whole() { return {}; }

/// All slices along one axis after the other.
inline sampler_options slices(std::vector<std::int32_t> axes = {0}) {
    sampler_options rule;
    rule.kind = sampler_kind::slices;
    rule.axes = std::move(axes);
    return rule;
}

/// Patches on a grid, each sharing so many voxels with its neighbours.
inline sampler_options grid(extents patch_shape, extents overlap = {}, border at_the_border = border::drop) {
    sampler_options rule;
    rule.kind = sampler_kind::grid;
    rule.border = at_the_border;
    rule.patch_shape = std::move(patch_shape);
    rule.overlap = std::move(overlap);
    return rule;
}

/// Patches at uniformly random places, so many of each subject in an epoch.
inline sampler_options uniform(extents patch_shape, std::uint64_t samples_per_subject) {
    sampler_options rule;
    rule.kind = sampler_kind::uniform;
    rule.patch_shape = std::move(patch_shape);
    rule.samples_per_subject = samples_per_subject;
    return rule;
}

/// How one category is fed; a name alone, "images", is all defaults.
struct category {
    // Implicit, so that a list of names is a list of categories.
    category(const char *category_name) : name(category_name) {}
    category(std::string category_name) : name(std::move(category_name)) {}
    /// The category in this dtype.
    category(std::string category_name, voxfeed::dtype wanted) : name(std::move(category_name)), dtype(wanted) {}

    std::string name;
    /// The entries in channel order; empty for all.
    std::vector<std::string> entries{};
    /// The dtype before any transform.
    voxfeed::dtype dtype = voxfeed::dtype::stored;
    voxfeed::padding padding = voxfeed::padding::zero;
    /// padding::constant: the value, in stored units, before any transform.
    double pad_value = 0.0;
    voxfeed::fit fit = voxfeed::fit::exact;
    /// Whether a single channel has no axis: (batch, depth, height, width).
    bool squeeze_channel = false;
};

/// How a loader works.
struct loader_options {
    /// The samples of a batch.
    std::uint32_t batch_size = 1;
    /// How many batches are kept ready.
    std::uint32_t prefetch = 2;
    /// The threads that fill batches; 0 is one for each core, 8 at most.
    std::uint32_t threads = 0;
    voxfeed::order order = voxfeed::order::sequential;
    voxfeed::last_batch last_batch = voxfeed::last_batch::keep;
    voxfeed::on_error on_error = voxfeed::on_error::proceed;
    voxfeed::ragged ragged = voxfeed::ragged::error;
    voxfeed::thin_axis thin_axis = voxfeed::thin_axis::drop;
    /// Whether epoch follows epoch without end, prefetched across the border.
    bool endless = false;
    /// This process among those that share the epoch.
    std::uint32_t rank = 0;
    /// The number of processes that share the epoch.
    std::uint32_t world_size = 1;
    /// The seed of order and regions.
    std::uint64_t seed = 0;
    /// What happens to the voxels; needed while the loader is made, not longer.
    const voxfeed::transform *transform = nullptr;
    /// The categories of a batch, in order; empty for all categories of the first subject.
    std::vector<category> categories{};
    /// Where batches lie: VXF_DEVICE_CPU, VXF_DEVICE_CUDA, or VXF_DEVICE_CUDA_HOST, which is pinned.
    vxf_device device = VXF_DEVICE_DEFAULT;
    std::int32_t device_id = 0;
    /// Within windows of so many samples, those of one subject that lie near each other follow each other.
    std::uint32_t group_window = 0;
    /// Who reads the batches.
    voxfeed::consumer consumer = voxfeed::consumer::cpu;
    /// On a GPU: where the voxels get their dtype.
    voxfeed::cast cast = voxfeed::cast::automatic;
    /// Where pinned memory is had from, which must outlive the loader and its batches; null is the driver.
    const vxf_pinned_allocator *pinned = nullptr;
};

/// How predictions are joined.
struct assembler_options {
    voxfeed::blend blend = voxfeed::blend::last;
    voxfeed::reduce reduce = voxfeed::reduce::none;
    /// The result's dtype: f32, or u8, rounded half to even; argmax is always u8.
    voxfeed::dtype dtype = voxfeed::dtype::f32;
    /// The dtype of sums; with f64, equal overlapping values come back exactly.
    voxfeed::dtype accumulate = voxfeed::dtype::f32;
    /// Gaussian: the standard deviation as a share of the patch's extent.
    double sigma = 0.125;
    /// Where sums lie: with VXF_DEVICE_CUDA on this device, as far as they fit device_bytes; see the C header.
    vxf_device device = VXF_DEVICE_DEFAULT;
    std::int32_t device_id = 0;
    /// 0: half of what the device has free when the assembler is made.
    std::uint64_t device_bytes = 0;
    /// The most threads that add the rows of one call on the host, or write what is taken; 0: as many as there are cores,
    /// at most 8.
    std::uint32_t threads = 0;
};

/// How a dataset file is written.
struct writer_options {
    voxfeed::existing existing = voxfeed::existing::error;
};

/// One column of a montage.
struct montage_column {
    /// The volume, (spatial axes) or with four axes (channel, spatial axes); all columns have one shape.
    tensor_view volume{};
    /// What stands above it.
    std::string title{};
    voxfeed::look look = voxfeed::look::automatic;
    /// The channel that is drawn.
    std::uint32_t channel = 0;
};

/// How a montage is drawn.
struct montage_options {
    /// The axis that is cut across, 0 being the slowest.
    std::uint32_t axis = 0;
    /// The number of slices, one a row, evenly spread over what is not background.
    std::uint32_t slices = 6;
    /// The pixels of a slice's longer side.
    std::uint32_t tile_pixels = 240;
    /// The geometry of all columns, 16 numbers as in volume_info, or null. With it superior, else anterior is up.
    const double *affine = nullptr;
};

namespace detail {

/// Fills an array of the C interface, whose unused axes are 0.
template <class T, std::size_t count> void fill(T (&into)[count], const std::vector<T> &from, const char *what) {
    if (from.size() > count) {
        fail(error(VXF_STATUS_ERR_ARGUMENT, std::string(what) + " has " + std::to_string(from.size()) +
                                                " axes, at most " + std::to_string(count)));
    }
    std::copy(from.begin(), from.end(), into);
}

inline vxf_dataset_options to_c(const dataset_options &from) {
    vxf_dataset_options to;
    check(vxf_dataset_options_init(&to, sizeof to));
    to.io = static_cast<vxf_io>(from.io);
    to.geometry = static_cast<vxf_geometry>(from.geometry);
    to.cache_bytes = from.cache_bytes;
    to.orient = or_null(from.orient);
    to.seek_index = static_cast<vxf_seek_index>(from.seek_index);
    to.index_place = static_cast<vxf_index_place>(from.index_place);
    to.index_folder = or_null(from.index_folder);
    return to;
}

inline vxf_file_options to_c(const file_options &from) {
    vxf_file_options to;
    check(vxf_file_options_init(&to, sizeof to));
    to.channel = static_cast<vxf_channel>(from.channel);
    to.inner = or_null(from.inner);
    return to;
}

inline vxf_region to_c(const region &from) {
    vxf_region to{};
    fill(to.offset, from.offset, "the region's offset");
    fill(to.shape, from.shape, "the region's shape");
    return to;
}

inline vxf_sampler_options to_c(const sampler_options &from) {
    vxf_sampler_options to;
    check(vxf_sampler_options_init(&to, sizeof to));
    to.kind = static_cast<vxf_sampler_kind>(from.kind);
    to.border = static_cast<vxf_border>(from.border);
    to.axis_count = static_cast<std::uint32_t>(from.axes.size());
    fill(to.axes, from.axes, "the sampler's axes");
    fill(to.patch_shape, from.patch_shape, "the patch");
    fill(to.stride, from.stride, "the stride");
    fill(to.overlap, from.overlap, "the overlap");
    to.samples_per_subject = from.samples_per_subject;
    return to;
}

inline vxf_assembler_options to_c(const assembler_options &from) {
    vxf_assembler_options to;
    check(vxf_assembler_options_init(&to, sizeof to));
    to.blend = static_cast<vxf_blend>(from.blend);
    to.reduce = static_cast<vxf_reduce>(from.reduce);
    to.dtype = static_cast<vxf_dtype>(from.dtype);
    to.accumulate = static_cast<vxf_dtype>(from.accumulate);
    to.sigma = from.sigma;
    to.device = from.device;
    to.device_id = from.device_id;
    to.device_bytes = from.device_bytes;
    to.threads = from.threads;
    return to;
}

inline vxf_writer_options to_c(const writer_options &from) {
    vxf_writer_options to;
    check(vxf_writer_options_init(&to, sizeof to));
    to.existing = static_cast<vxf_existing>(from.existing);
    return to;
}

inline vxf_montage_options to_c(const montage_options &from) {
    vxf_montage_options to;
    check(vxf_montage_options_init(&to, sizeof to));
    to.axis = from.axis;
    to.slices = from.slices;
    to.tile_pixels = from.tile_pixels;
    to.affine = from.affine;
    return to;
}

} // namespace detail
} // namespace voxfeed

#endif
