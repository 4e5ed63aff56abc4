# Volumes of a dataset: what their files say, and their voxels.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
What a volume's file says of it, from [`volume_info`](@ref).

* `dtype`: the type of the stored numbers; `value_dtype`: of the values, which differs where stored numbers are scaled
* `shape`: the spatial extents, fastest first: (width, height, depth); `channels`: how many there are
* `scale_slope`, `scale_intercept`: `value = stored * scale_slope + scale_intercept`
* `spacing_mm`: the step of (width, height, depth)
* `affine`: 4×4, from a voxel's (width, height, depth, 1), each counted from 0, to RAS+ millimetres: what nibabel shows
* `has_affine`: whether the file has a geometry at all
* `path`: "" for a volume in memory; `format`: the format's name
"""
struct VolumeInfo
    dtype::DataType
    value_dtype::DataType
    shape::Tuple{Vararg{Int}}
    channels::Int
    scale_slope::Float64
    scale_intercept::Float64
    spacing_mm::NTuple{3,Float64}
    affine::Matrix{Float64}
    has_affine::Bool
    path::String
    format::String
end

"""
    volume_info(dataset, subject, category, entry=nothing)

What the file of an entry says, as [`VolumeInfo`](@ref); `nothing` is the category's first entry.

Errors: `err_range` for the subject, `err_not_found` for category and entry; the message lists what there is.
"""
function volume_info(dataset::Dataset, subject, category, entry=nothing)
    out = sized(vxf_volume_info)
    return holding(dataset) do
        call(vxf_dataset_volume_info, dataset, subject_index(dataset, subject), text(category, "category"),
             text_or_nothing(entry, "entry"), out)
        info = out[]
        VolumeInfo(types[info.dtype], types[info.value_dtype], fastest_first(info.shape, info.ndim), info.channels,
                   info.scale_slope, info.scale_intercept, reverse(info.spacing_mm), affine_matrix(info.affine),
                   info.has_affine != 0, unsafe_string(info.path), unsafe_string(info.format))
    end
end

"What the first volume of the first subject says; `nothing` where there is none."
function first_volume(dataset)
    length(dataset) == 0 && return nothing
    for (category, entries) in categories(dataset, 1), entry in entries
        return volume_info(dataset, 1, category, entry)
    end
    return nothing
end

"""
    read(dataset, subject, category, entry=nothing; offset=nothing, shape=nothing, dtype=nothing)

Reads a region of an entry, or of all entries of a category, into a new array.

`offset` and `shape` have one number a spatial axis, fastest first; without them it is the whole volume, and a shape of
0 or `nothing` is the rest of the axis. An offset of 0 is where the volume begins. The region may reach outside; 0
stands there. `dtype`: the values' own, where it is not given.

Shape: (width, height, depth) for an entry with one channel, (width, height, depth, channel) otherwise.
Errors: `err_range` where a value does not fit the dtype; `err_not_found`.
"""
function Base.read(dataset::Dataset, subject, category, entry=nothing; offset=nothing, shape=nothing, dtype=nothing)
    number = subject_index(dataset, subject)
    infos = [volume_info(dataset, subject, category, name) for name in entries_of(dataset, subject, category, entry)]
    volume = infos[1].shape
    wanted = dtype === nothing ? 0 : dtype_number(dtype, "dtype")
    T = wanted == 0 ? joint_type([info.value_dtype for info in infos]) : types[wanted]
    extents, region = collect(volume), nothing
    if offset !== nothing || shape !== nothing
        begins, extents = voxels(offset, volume, "offset"), voxels(shape, volume, "shape")
        all(>=(0), extents) || throw(ArgumentError("shape is $shape, expected no number below 0"))
        # Where the rest of an axis is asked for and there is none, the library says so.
        extents = [extent == 0 ? max(0, whole - begin_) : extent for (extent, whole, begin_) in
                   zip(extents, volume, begins)]
        region = Ref(vxf_region(slowest_first(Val(VXF_MAX_AXES), begins), slowest_first(Val(VXF_MAX_AXES), extents)))
    end
    channels = sum(info.channels for info in infos)
    channels != 1 || entry === nothing ? push!(extents, channels) : nothing
    array, tensor = dense(T, extents)
    GC.@preserve array call(vxf_dataset_read, dataset, number, text(category, "category"),
                            text_or_nothing(entry, "entry"), region, tensor)
    return array
end

function entries_of(dataset, subject, category, entry)
    entry === nothing || return [entry]
    known = categories(dataset, subject)
    place = findfirst(pair -> first(pair) == category, known)
    return place === nothing ? [nothing] : last(known[place])
end

"One number a spatial axis, 0 where none is given."
function voxels(given, volume, what)
    given === nothing && return zeros(Int, length(volume))
    given isa Union{Tuple,AbstractVector} && length(given) == length(volume) ||
        throw(ArgumentError("$what is $(repr(given)), expected $(length(volume)) numbers: one for each spatial axis"))
    return Int[one === nothing ? 0 : number(Int, one, what) for one in given]
end
