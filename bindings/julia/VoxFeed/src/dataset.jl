# Datasets: subjects, their categories, entries and attributes.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    Dataset(path; options...)
    Dataset(; options...)

The ordered subjects of a study, each with categories ("images") of entries ("T1"), which are volumes.

With a path it opens a file or a folder, its format told by its content; without, it is empty, to be filled with
[`add_subject`](@ref), [`add_file`](@ref) and [`add_array`](@ref). Only headers are read until voxels are asked for.

Options:
* `io`: "auto", "positional", "map"
* `geometry`: "strict", "shape"
* `cache_bytes`: of decoded volumes and chunks; 0, the default, is 2 GiB
* `orient`: "RAS", "LPS", ..., fastest axis first; `nothing` as stored
* `seek_index`: "auto", "never", "always": which deflated volumes are inflated slab by slab
* `index_place`: "auto", "beside", and `index_folder`: where their indexes are kept

Subjects are given by number, from 1, or by id. `length(dataset)` is how many there are.

An array of four axes has a channel axis, unless its file says something else: the fastest, `size[1]`, in HDF5, the
slowest, `size[4]`, in .npy, .npz, .b2nd and Zarr. [`volume_info`](@ref) tells what was found; the option `channel` of
[`add_file`](@ref) says it otherwise.

Errors: `err_not_found`, `err_io`, `err_format`, `err_unsupported`, and `err_argument` where the volumes of a subject do
not lie on one grid; the message names the file.
"""
struct Dataset <: Object
    handle::Handle{vxf_dataset}

    Dataset(handle::Handle{vxf_dataset}) = new(handle)
end

function Dataset(path=nothing; options...)
    roots = Any[]
    given = Ref(options_of(vxf_dataset_options, vxf_dataset_options_init, options, roots))
    GC.@preserve roots begin
        path === nothing && return Dataset(made(vxf_dataset, vxf_dataset_new, given))
        return Dataset(made(vxf_dataset, vxf_dataset_open, text(path, "path"), given))
    end
end

Base.length(dataset::Dataset) = number_of(vxf_dataset_len, dataset)

describe(io, dataset::Dataset) = print(io, plural(length(dataset), "subject"))

"The number for C of a subject that is given by number or id."
subject_index(dataset, subject::AbstractString) = UInt64(find(dataset, subject) - 1)
subject_index(dataset, subject) = index(subject, length(dataset), "subject")

function subject_indices(dataset, subjects)
    subjects isa Union{AbstractVector,Tuple,AbstractSet} ||
        throw(ArgumentError("subjects is $(repr(subjects)), expected a list of numbers or ids"))
    return UInt64[subject_index(dataset, subject) for subject in subjects]
end

"""
    add_subject(dataset, id)
    add_subject(writer, id)

Adds a subject without volumes, and returns its number. With a [`Writer`](@ref), begins a subject: the entries that
follow are its.

Errors: `err_argument` where the id is empty or taken.
"""
add_subject(dataset::Dataset, id) = number_of(vxf_dataset_add_subject, dataset, text(id, "id")) + 1

"""
    add_file(dataset, subject, category, entry, path; channel="auto", inner=nothing)

Adds a file's volume to a subject as an entry of a category; no voxel is read.

* `channel`: where the file's array keeps its channels: "auto" as [`Dataset`](@ref) says, "none", "first" (the slowest
  axis, the last of a Julia array's size) or "last" (the fastest)
* `inner`: the dataset of an HDF5 file, the array of a Zarr group, the member of an .npz, or the level of a slide such
  as "2"; `nothing` for the only one or the largest

Errors: as [`Dataset`](@ref); `err_argument` where the entry's name is taken. The dataset is then as it was.
"""
function add_file(dataset::Dataset, subject, category, entry, path; options...)
    roots = Any[]
    given = Ref(options_of(vxf_file_options, vxf_file_options_init, options, roots))
    GC.@preserve roots call(vxf_dataset_add_file, dataset, subject_index(dataset, subject),
                            text(category, "category"), text(entry, "entry"), text(path, "path"), given)
    return nothing
end

"""
    add_array(dataset, subject, category, entry, array; affine=nothing)

Adds a copy of an array to a subject: (width), (width, height), (width, height, depth) or (width, height, depth,
channel).

`affine` is a 4×4 matrix as [`VolumeInfo`](@ref)'s: from (width, height, depth, 1), each counted from 0, to RAS+
millimetres.
"""
function add_array(dataset::Dataset, subject, category, entry, array; affine=nothing)
    tensor, root = tensor_of(array, "array")
    GC.@preserve root call(vxf_dataset_add_tensor, dataset, subject_index(dataset, subject), text(category, "category"),
                           text(entry, "entry"), Ref(tensor), affine_of(affine))
    return nothing
end

"""
    set_attribute(dataset, subject, name, value)

Sets an attribute of a subject to what JSON can say: a number, text, `nothing`, a list, or a dict or named tuple.
"""
function set_attribute(dataset::Dataset, subject, name, value)
    call(vxf_dataset_set_attribute, dataset, subject_index(dataset, subject), text(name, "name"),
         text(json_text(value, "the attribute"), "value"))
    return nothing
end

"""
    attribute(dataset, subject, name)

An attribute of a subject. Errors: `err_not_found` where it has none of this name.
"""
attribute(dataset::Dataset, subject, name) =
    read_json(lent_text(vxf_dataset_attribute, dataset, subject_index(dataset, subject), text(name, "name")))

"""
    attributes(dataset, subject)

All attributes of a subject, as a `Dict`.
"""
attributes(dataset::Dataset, subject) =
    read_json(lent_text(vxf_dataset_attribute, dataset, subject_index(dataset, subject), nothing))

"""
    set_split(dataset, name, subjects)

Names a subset of the subjects, "train", "validation", "test"; an old one of this name is replaced.
"""
function set_split(dataset::Dataset, name, subjects)
    numbers = subject_indices(dataset, subjects)
    call(vxf_dataset_set_split, dataset, text(name, "name"), numbers, UInt64(length(numbers)))
    return nothing
end

"""
    splits(dataset)

The splits and the ids of their subjects, in order: `["train" => ["s0", "s1"], "test" => ["s2"]]`.
"""
splits(dataset::Dataset) = names_of(lent_text(vxf_dataset_splits, dataset))

names_of(text) = Pair{String,Vector{String}}[name => Vector{String}(names) for (name, names) in read_members(text)]

"""
    split(dataset, name)

A dataset of the subjects of one split. Errors: `err_not_found`, whose message lists the splits that there are.
"""
Base.split(dataset::Dataset, name::AbstractString) =
    Dataset(made(vxf_dataset, vxf_dataset_split, dataset, text(name, "name")))

"""
    subset(dataset, subjects)

A dataset of these subjects, in this order.
"""
function subset(dataset::Dataset, subjects)
    numbers = subject_indices(dataset, subjects)
    return Dataset(made(vxf_dataset, vxf_dataset_subset, dataset, numbers, UInt64(length(numbers))))
end

"""
    subject_id(dataset, subject)

The id of a subject.
"""
subject_id(dataset::Dataset, subject) =
    lent_text(vxf_dataset_subject_id, dataset, subject_index(dataset, subject))

"""
    ids(dataset)

The ids of all subjects, in order.
"""
ids(dataset::Dataset) = String[subject_id(dataset, subject) for subject in 1:length(dataset)]

"""
    find(dataset, id)

The number of the subject of this id. Errors: `err_not_found` where there is none.
"""
find(dataset::Dataset, id) = number_of(vxf_dataset_find, dataset, text(id, "id")) + 1

"""
    categories(dataset, subject=1)

A subject's categories and their entries, in order: `["images" => ["T1", "T2"], "labels" => ["GT"]]`.
"""
categories(dataset::Dataset, subject=1) =
    names_of(lent_text(vxf_dataset_categories, dataset, subject_index(dataset, subject)))

"""
    preload(dataset; threads=0, progress=nothing)

Decodes all chunks and compressed volumes into the cache ahead of time; returns whether all of them were.

`threads`: 0 is one for each core. `progress(done, total)` is called now and then; where it returns `true`, decoding
stops, and what it throws stops it too and is thrown here.

Errors: `err_limit`, before anything is decoded, where `cache_bytes` is too small.
"""
preload(dataset::Dataset; threads=0, progress=nothing) =
    with_progress(vxf_dataset_preload, progress, dataset, number(UInt32, threads, "threads"))

"""
    evict(dataset)

Lets the decoded bytes go that nobody reads at the moment.
"""
evict(dataset::Dataset) = (call(vxf_dataset_evict, dataset); nothing)
