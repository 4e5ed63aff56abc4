# Assemblers: from predictions back to volumes.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    Assembler(loader; options...)

Puts predictions for the batches of a loader back into volumes, in any order.

Options:
* `blend`: "last", "mean", "gaussian"; `sigma`: gaussian, as a share of the patch's extent (0: 0.125)
* `reduce`: "none", "argmax": a label map
* `dtype`: `Float32`, `UInt8`; `accumulate`: `Float32`, `Float64`: of sums
* `threads`: the most that add the rows of one call on the host, or write what is taken (0: one a core, at most 8)
* `device`: "cpu", "cuda": predictions on a GPU are added there, as far as the sums fit; `device_id` (0);
  `device_bytes`: the most bytes of sums there (0: half of what is free)

A subject is complete when every sample that this rank's epoch has of it was added. Label maps of "argmax" number the
channels from 0, as they do in every language: background is 0.
"""
struct Assembler <: Object
    handle::Handle{vxf_assembler}

    Assembler(handle::Handle{vxf_assembler}) = new(handle)
end

function Assembler(loader::Loader; options...)
    given = options_of(vxf_assembler_options, vxf_assembler_options_init, options, Any[])
    return Assembler(made(vxf_assembler, vxf_assembler_new, loader, Ref(given)))
end

"""
    add(assembler, batch, prediction)
    add(assembler, batch, prediction::DeviceTensor; stream=nothing)

Adds the prediction for a batch: (width, height, depth, channel, batch), of any dtype.

The spatial extents are those of the batch's rows, or smaller by an even number of voxels: then centred. One on a GPU
comes to the host when the stream is done with it, or is added on the GPU where the sums lie there, and the caller does
not wait; `stream` is as in `wait`, and the prediction's memory may be freed in the stream's order.

Errors: `err_argument` for another shape; `err_state` where a sample was added before. A call that fails changes
nothing.
"""
function add(assembler::Assembler, batch::Batch, prediction)
    given, root = tensor_of(prediction, "prediction")
    in_order_of(() -> GC.@preserve(root, call(vxf_assembler_add, assembler, batch, Ref(given))), prediction)
    return nothing
end

"Says behind what the library says of a prediction's shape how it was given here."
function in_order_of(f, prediction)
    try
        return f()
    catch error
        error isa VoxFeedError && error.status == "err_argument" || rethrow()
        shown = "shapes as in C, slowest axis first; here the prediction is $(size(prediction)), which is read as " *
                "(width, height, depth, channel, batch)"
        throw(VoxFeedError(error.status, "$(error.message) [$shown]", error.path, error.sample, error.os_error,
                           error.device_error))
    end
end

function add(assembler::Assembler, batch::Batch, prediction::DeviceTensor{T}; stream=nothing) where {T}
    given = tensor_at(pointer(prediction), dtypes[T], size(prediction); device="cuda", device_id=prediction.device_id)
    in_order_of(prediction) do
        GC.@preserve prediction call(vxf_assembler_add_async, assembler, batch, Ref(given), stream_of(stream))
    end
    return nothing
end

"""
    add_samples(assembler, samples, prediction)

As [`add`](@ref), for a list of [`Sample`](@ref) that was kept from [`samples`](@ref); the prediction lies on the host.
"""
function add_samples(assembler::Assembler, samples, prediction)
    samples isa AbstractVector && all(one -> one isa Sample, samples) ||
        throw(ArgumentError("samples is $(summary(samples)), expected a list of Sample"))
    raw = vxf_sample[vxf_sample(one) for one in samples]
    given, root = tensor_of(prediction, "prediction")
    in_order_of(prediction) do
        GC.@preserve root call(vxf_assembler_add_samples, assembler, raw, UInt64(length(raw)), Ref(given))
    end
    return nothing
end

"""
    next_complete(assembler)

The number of a subject that has become complete, each one once; `nothing` where none has.
"""
function next_complete(assembler::Assembler)
    number = Ref{UInt64}(0)
    return call(vxf_assembler_next_complete, assembler, number) == 0 ? Int(number[]) + 1 : nothing
end

"The subjects that become complete, from `complete`."
struct Complete
    assembler::Assembler
end

"""
    complete(assembler)

Iterates over the numbers of the subjects that have become complete.
"""
complete(assembler::Assembler) = Complete(assembler)

Base.IteratorSize(::Type{Complete}) = Base.SizeUnknown()
Base.eltype(::Type{Complete}) = Int

function Base.iterate(subjects::Complete, _=nothing)
    number = next_complete(subjects.assembler)
    return number === nothing ? nothing : (number, nothing)
end

"The number for C of a subject; which there are the library knows."
assembled(subject) = index(subject, typemax(Int), "subject")

"""
    coverage(assembler, subject)

The share of a subject's voxels, 0 to 1, that a prediction has reached.
"""
function coverage(assembler::Assembler, subject)
    share = Ref(0.0)
    call(vxf_assembler_coverage, assembler, assembled(subject), share)
    return share[]
end

"""
    take(assembler, subject; partial=false)

A subject's result, (width, height, depth, channel); it is then gone from the assembler.

Errors: `err_state` where it is incomplete, unless `partial`; `err_not_found` where nothing was added.
"""
function take(assembler::Assembler, subject; partial=false)
    place, shape = assembled(subject), sized(vxf_tensor)
    call(vxf_assembler_shape, assembler, place, shape)
    array, into = dense(types[shape[].dtype], fastest_first(shape[].shape, shape[].ndim))
    GC.@preserve array call(vxf_assembler_take, assembler, place, completeness(partial), into)
    return array
end

"""
    save(assembler, subject, path; partial=false)

Saves a subject's result with its geometry: .nii, .nii.gz, .npy or .h5 by the name.

The file is complete or not there. Errors: as [`take`](@ref); `err_io`, the subject then stays.
"""
function save(assembler::Assembler, subject, path; partial=false)
    call(vxf_assembler_save, assembler, assembled(subject), completeness(partial), text(path, "path"))
    return nothing
end

completeness(partial) =
    choice(:vxf_completeness, flag(partial, "partial") == 0 ? "complete" : "partial", "completeness")
