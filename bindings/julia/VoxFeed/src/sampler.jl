# Samplers, and the samples that they give.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
One region of one subject at one position of an epoch: what a row of a batch holds.

* `index`: its number within the sampler; `subject`: the number of its subject in the sampler's dataset
* `epoch`: its epoch; `position`: its place in the epoch's order over all ranks, from 1
* `repeated`: whether it only fills up the last batch
* `thin_axis`: the axis that a slice is one voxel thick on, 1 being the fastest, or `nothing`
* `offset`, `shape`: the region in voxels, (width, height, depth); the offset is 0 where volume and region begin
  together, negative where the region begins outside
* `valid_offset`, `valid_shape`: the part of the region that lies inside the volume

[`in_volume`](@ref) and [`in_row`](@ref) give the ranges of arrays.
"""
struct Sample{N}
    index::Int
    subject::Int
    epoch::Int
    position::Int
    repeated::Bool
    thin_axis::Union{Int,Nothing}
    offset::NTuple{N,Int}
    shape::NTuple{N,Int}
    valid_offset::NTuple{N,Int}
    valid_shape::NTuple{N,Int}
end

function Sample(raw::vxf_sample)
    count = Int(raw.ndim)
    thin_axis = raw.thin_axis < 0 ? nothing : count - Int(raw.thin_axis)
    return Sample{count}(raw.index + 1, raw.subject + 1, raw.epoch, raw.position + 1,
                         raw.flags & VXF_SAMPLE_REPEATED != 0, thin_axis, fastest_first(raw.offset, count),
                         fastest_first(raw.shape, count), fastest_first(raw.valid_offset, count),
                         fastest_first(raw.valid_shape, count))
end

function vxf_sample(sample::Sample{N}) where {N}
    1 <= N <= VXF_MAX_AXES || throw(ArgumentError("a sample has $N axes, expected 1 to $VXF_MAX_AXES"))
    for (name, value) in ("index" => sample.index, "subject" => sample.subject, "position" => sample.position)
        value >= 1 || throw(VoxFeedError("err_range", "a sample's $name is $value, expected 1 or more"))
    end
    sample.epoch >= 0 || throw(VoxFeedError("err_range", "a sample's epoch is $(sample.epoch), expected 0 or more"))
    thin_axis = sample.thin_axis === nothing ? -1 : N - sample.thin_axis
    return vxf_sample(sample.index - 1, sample.subject - 1, sample.epoch, sample.position - 1,
                      sample.repeated ? VXF_SAMPLE_REPEATED : 0, N, thin_axis,
                      slowest_first(Val(VXF_MAX_AXES), sample.offset), slowest_first(Val(VXF_MAX_AXES), sample.shape),
                      slowest_first(Val(VXF_MAX_AXES), sample.valid_offset),
                      slowest_first(Val(VXF_MAX_AXES), sample.valid_shape), (0, 0, 0, 0))
end

"""
    in_volume(sample)

The ranges of the volume that the row's valid voxels come from: `volume[in_volume(sample)...]`.
"""
in_volume(sample::Sample) = map(ranged, sample.offset .+ sample.valid_offset, sample.valid_shape)

"""
    in_row(sample; thin_axis="drop")

The ranges of the row that hold valid voxels: `images[in_row(sample)..., channel, row]`.

`thin_axis` is the loader's option: with "drop", its default, slices have no axis of one voxel, and so no range for it.
"""
function in_row(sample::Sample; thin_axis="drop")
    ranges = map(ranged, sample.valid_offset, sample.valid_shape)
    keeps = word_of(:vxf_thin_axis, choice(:vxf_thin_axis, thin_axis, "thin_axis")) == "keep"
    return keeps || sample.thin_axis === nothing ? ranges :
           (ranges[1:sample.thin_axis-1]..., ranges[sample.thin_axis+1:end]...)
end

ranged(begins, extent) = (begins + 1):(begins + extent)

"""
    Sampler(dataset; kind="whole", options...)

The samples of an epoch before they are ordered: regions of subjects, numbered subject by subject.

`kind` is the rule, and each has options of its own:
* "whole", volumes: none
* "slices": `axes`, which are cut across, in order, a number or several, 1 being the fastest axis; by default
  the slowest
* "grid", patches from one corner to the other: `patch_shape` (0: the whole axis), `stride` (0: the patch's extent less
  `border` (of patches that would reach beyond
  the far border: "drop", the default, leaves them out, "clip" cuts them, "pad" lets them reach outside, "shift" moves
  them inside)
* "uniform", patches at random places: `patch_shape` (0 or none: the whole axis), `samples_per_subject` (in an epoch; 0,
  the default, is 1)

`patch_shape`, `stride` and `overlap` have one number for each spatial axis, in voxels: (width, height, depth).

`length(sampler)` is the number of samples of an epoch; `get(sampler, index; seed=0, epoch=0)` is one of them.

Errors: `err_argument` for an option that the kind does not use, for more or fewer numbers than the first volume has
spatial axes, and where a subject has no sample.
"""
struct Sampler <: Object
    handle::Handle{vxf_sampler}

    Sampler(handle::Handle{vxf_sampler}) = new(handle)
end

const used_by = [:border => ("grid",), :axes => ("slices",), :patch_shape => ("grid", "uniform"), :stride => ("grid",),
                 :overlap => ("grid",), :samples_per_subject => ("uniform",)]

function Sampler(dataset::Dataset; options...)
    given = Dict{Symbol,Any}(name => value for (name, value) in options if value !== nothing)
    check_use(given)
    volume = first_volume(dataset)
    count = volume === nothing ? nothing : length(volume.shape)
    for name in (:patch_shape, :stride, :overlap)
        haskey(given, name) && (given[name] = spatial(given[name], volume, name))
    end
    changes = Dict{Symbol,Any}()
    if haskey(given, :axes)
        axes = pop!(given, :axes)
        axes = axes isa Union{Tuple,AbstractVector} ? axes : (axes,)
        count = something(count, VXF_MAX_AXES)
        1 <= length(axes) <= VXF_MAX_AXES ||
            throw(ArgumentError("axes has $(length(axes)) numbers, expected 1 to $VXF_MAX_AXES"))
        from_slowest = [count - 1 - Int32(index(axis, count, "axes")) for axis in axes]
        changes[:axes] = ntuple(place -> place <= length(axes) ? from_slowest[place] : Int32(0), VXF_MAX_AXES)
        changes[:axis_count] = length(axes)
    end
    rule = with(options_of(vxf_sampler_options, vxf_sampler_options_init, given, Any[]), changes)
    return Sampler(made(vxf_sampler, vxf_sampler_new, dataset, Ref(rule)))
end

"Refuses options that would change nothing."
function check_use(given)
    kind = string(get(given, :kind, "whole"))
    choice(:vxf_sampler_kind, kind, "kind")
    unused = ["$name (" * join(repr.(users), " and ") * (length(users) > 1 ? " do)" : " does)")
              for (name, users) in used_by if haskey(given, name) && !(kind in users)]
    isempty(unused) && return nothing
    start = haskey(given, :kind) ? "kind is" : "kind is not given and so"
    throw(VoxFeedError("err_argument", "$start $(repr(kind)), which does not use $(join(unused, ", "))"))
end

"The numbers of C for a list of spatial axes, of which the first volume has as many."
function spatial(given, volume, what)
    numbers = given isa Union{Tuple,AbstractVector} ? given : nothing
    count = volume === nothing ? nothing : length(volume.shape)
    if numbers === nothing || length(numbers) != something(count, length(numbers))
        throw(VoxFeedError("err_argument", "$what is $(repr(given)), expected " *
            (count === nothing ? "one number for each spatial axis" :
             "$count numbers: one for each spatial axis of the first volume, whose shape is $(volume.shape)")))
    end
    length(numbers) <= VXF_MAX_AXES ||
        throw(ArgumentError("$what has $(length(numbers)) numbers, at most $VXF_MAX_AXES axes are possible"))
    return slowest_first(Val(VXF_MAX_AXES), [number(Int, one, what) for one in numbers])
end

Base.length(sampler::Sampler) = number_of(vxf_sampler_len, sampler)

describe(io, sampler::Sampler) = print(io, plural(length(sampler), "sample"))

"""
    get(sampler, index; seed=0, epoch=0)

The [`Sample`](@ref) of this number, from 1, as it is in this epoch under this seed.
"""
function Base.get(sampler::Sampler, number_::Integer; seed=0, epoch=0)
    place = index(number_, length(sampler), "index")
    out = Ref(zero_sample)
    call(vxf_sampler_get, sampler, number(UInt64, seed, "seed"), epoch_number(epoch), place, out)
    return Sample(out[])
end

const zero_sample = zeroed(vxf_sample)

"An epoch's number: as large as Julia's own numbers are, so that samples can tell it."
function epoch_number(epoch)
    number(Int, epoch, "epoch") >= 0 || throw(ArgumentError("epoch is $epoch, expected 0 or more"))
    return UInt64(epoch)
end
