# SPDX-License-Identifier: MIT OR Apache-2.0
"""
Volumetric medical data for deep learning: a thin face of the shared library `libvoxfeed`.

    using VoxFeed
    dataset = Dataset("brains.h5")
    patches = Sampler(dataset; kind="uniform", patch_shape=(64, 64, 64), samples_per_subject=8)
    loader = Loader(patches; batch_size=4, order="shuffled", seed=1)
    for batch in epoch(loader, 0)
        x, y = batch["images"], batch["labels"]     # arrays (width, height, depth, channel, batch)
    end

Axes are listed fastest first, as Julia's arrays are laid out: (width, height, depth, channel, batch). The bytes are
those of the other languages' (batch, channel, depth, height, width), nothing is transposed. All lists of axes are in
this order: `patch_shape`, `stride`, `overlap`, `offset`, `shape`, spacings and the columns of affines.

Subjects, samples, axes, channels and the rows of a batch are counted from 1; epochs, seeds, ranks and devices are
numbers of their own and begin at 0. An `offset` is a distance in voxels, 0 where a region begins with its volume.
Lengths are in millimetres, times in seconds.

Options are keywords, named as in voxfeed.h, and `nothing` is an option's default. Choices are words ("shuffled") or
symbols (`:shuffled`), dtypes are types (`Float32`) or words ("f32").

Failures of the library are [`VoxFeedError`](@ref), arguments that cannot be meant are `ArgumentError`. Numbers and
shapes within the library's own messages are those of voxfeed.h: from 0, slowest axis first.

* Data: [`Dataset`](@ref), `add_subject`, `add_file`, `add_array`, `set_attribute`, `attribute`, `attributes`,
  `set_split`, `splits`, `split`, `subset`, `ids`, `subject_id`, `find`, `categories`, `volume_info`, `read`, `preload`,
  `evict`
* Samples: [`Sampler`](@ref), [`Sample`](@ref), `get`, `in_volume`, `in_row`, [`Transform`](@ref)
* Batches: [`Loader`](@ref), `epoch`, `start`, `next_batch`, `cancel`, `save_state`, `load_state`, `stats`; of a
  [`Batch`](@ref) `batch["images"]`, `tensor`, `copy`, `keys`, `samples`, `retain`, `close`, `wait`, `record_stream`,
  `query`, `ready_event`
* Volumes again: [`Assembler`](@ref), `add`, `add_samples`, `complete`, `next_complete`, `coverage`, `take`, `save`
* Files: [`Writer`](@ref), `add_entry`, `add_dataset`, `finish`, `save_volume`, `montage`
* The log: `set_log`, `process_events`; of the library: `VoxFeed.version`, `VoxFeed.build_info`,
  `VoxFeed.cuda_device_count`, `VoxFeed.library_path`

What this face leaves out: pinned memory of the caller's own (`pinned` of voxfeed.h), DLPack exports, and the log's
direct mode. `VoxFeed.vxf_...` are the C functions themselves.
"""
module VoxFeed

import Libdl

export VoxFeedError
export Dataset, add_subject, add_file, add_array, set_attribute, set_split, splits, subset, subject_id, ids, find,
    categories, attribute, attributes, preload, evict, VolumeInfo, volume_info
export Sampler, Sample, in_volume, in_row, Transform
export Loader, epoch, start, next_batch, cancel, save_state, load_state, stats
export Batch, BatchArray, DeviceTensor, tensor, samples, retain, release, record_stream, query, ready_event
export Assembler, add, add_samples, next_complete, complete, coverage, take, save
export Writer, add_entry, add_dataset, finish, save_volume, montage
export set_log, process_events

include("lib.jl")
include("error.jl")
include("library.jl")
include("handle.jl")
include("options.jl")
include("json.jl")
include("tensor.jl")
include("progress.jl")
include("log.jl")
include("dataset.jl")
include("volume.jl")
include("sampler.jl")
include("transform.jl")
include("batch.jl")
include("loader.jl")
include("epoch.jl")
include("assembler.jl")
include("writer.jl")
include("montage.jl")

function __init__()
    open_library()
    atexit(close_on_gpus)
end

end
