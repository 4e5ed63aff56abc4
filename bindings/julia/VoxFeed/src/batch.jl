# Batches, and the arrays of their memory.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
The samples that are handed over together, and the memory that they lie in.

`batch["images"]` is an array (width, height, depth, channel, batch) that you may write to: a [`BatchArray`](@ref), or,
of a batch on a GPU, a [`DeviceTensor`](@ref). `keys(batch)` are the names of its categories, `length(batch)` the number
of its samples, [`samples`](@ref) the samples themselves.

The memory goes back to the loader when the batch and all its arrays are gone. A loop over an epoch closes each batch
when it goes on; `close(batch)` does that at once, and `close(array)` lets go of an array. What is not closed goes with
the garbage collector, which a loader asks for when its batches run out: where every moment counts, close arrays at the
end of the loop, or copy by `copy(batch, "images")`, which makes none that is kept.

On a GPU the batch may still be on its way: `wait(batch, stream)` lets a stream wait for it, not the caller, and the
memory is not used again before what that stream has been given by the release is done.
"""
struct Batch <: Object
    handle::Handle{vxf_batch}
end

"""
    BatchArray{T,N}

One category of a batch in memory of the host: an array that keeps that memory until it is closed or garbage.
`Array(array)` copies; `array.device` is "cpu" or, for pinned memory, "cuda_host".
"""
mutable struct BatchArray{T,N} <: DenseArray{T,N}
    # A view of the batch's memory, which the owner keeps; of nothing, once the array is closed.
    data::Array{T,N}
    device::String
    owner::Handle{vxf_batch}
end

"""
    DeviceTensor(pointer, size, T; device_id=-1, owner=nothing)

Memory of a GPU as a dense array of `T`: what a batch there gives, and what predictions are given as.

`pointer` is its address, `size` its axes, fastest first, `device_id` the GPU's number (-1: the one that the driver
knows), `owner` whatever keeps the memory. A tensor of a batch keeps the batch's until it is closed or garbage.

With CUDA.jl, `DeviceTensor(UInt(pointer(x)), size(x), eltype(x); owner=x)` is the tensor of a `CuArray`, and
`unsafe_wrap(CuArray, CuPtr{T}(UInt(pointer(tensor))), size(tensor))` is an array of a batch's memory, to be used no
longer than the tensor.
"""
struct DeviceTensor{T,N}
    pointer::Ptr{T}
    size::NTuple{N,Int}
    device_id::Int
    owner::Any
end

function DeviceTensor(pointer::Union{Integer,Ptr}, size::NTuple{N,Integer}, ::Type{T}; device_id=-1,
                      owner=nothing) where {T,N}
    dtype_of(T, "a DeviceTensor")
    all(>=(0), size) || throw(ArgumentError("size is $size, expected no number below 0"))
    return DeviceTensor{T,N}(Ptr{T}(UInt(pointer)), size, number(Int32, device_id, "device_id"), owner)
end

Base.size(tensor::DeviceTensor) = tensor.size
Base.size(tensor::DeviceTensor, axis) = axis <= ndims(tensor) ? tensor.size[axis] : 1
Base.length(tensor::DeviceTensor) = prod(tensor.size)
Base.ndims(::DeviceTensor{T,N}) where {T,N} = N
Base.eltype(::Type{<:DeviceTensor{T}}) where {T} = T

"The address on the GPU, where the host must not read."
function Base.pointer(tensor::DeviceTensor)
    check_open(tensor.owner)
    return tensor.pointer
end

Base.show(io::IO, tensor::DeviceTensor{T}) where {T} =
    print(io, join(tensor.size, "×"), " DeviceTensor of ", T, " on GPU ", tensor.device_id)

Base.size(array::BatchArray) = (check_open(array); size(array.data))
Base.IndexStyle(::Type{<:BatchArray}) = IndexLinear()
Base.elsize(::Type{<:BatchArray{T}}) where {T} = sizeof(T)
Base.unsafe_convert(::Type{Ptr{T}}, array::BatchArray{T}) where {T} = (check_open(array); pointer(array.data))

function check_open(array::BatchArray)
    isopen(array) || throw(VoxFeedError("err_handle", "this array of a batch is closed: copy what you keep"))
    return nothing
end

# Views, and loops that check no bounds, must not read what is no longer theirs.
Base.@propagate_inbounds function Base.getindex(array::BatchArray, place::Int)
    data = array.data
    isempty(data) && check_open(array)
    @boundscheck checkbounds(data, place)
    return @inbounds data[place]
end

Base.@propagate_inbounds function Base.setindex!(array::BatchArray, value, place::Int)
    data = array.data
    isempty(data) && check_open(array)
    @boundscheck checkbounds(data, place)
    @inbounds data[place] = value
    return array
end

function Base.copyto!(to::Array{T}, from::BatchArray{T}) where {T}
    check_open(from)
    copyto!(to, from.data)
    return to
end

"""
    close(array)

Lets go of an array of a batch: reading it is then an error. No other thread may be reading it.
"""
function Base.close(array::BatchArray{T,N}) where {T,N}
    array.data = Array{T,N}(undef, ntuple(_ -> 0, N))
    close(array.owner)
    return nothing
end

# No batch is empty.
Base.isopen(array::BatchArray) = !isempty(array.data)
Base.close(tensor::DeviceTensor) = tensor.owner isa Handle ? close(tensor.owner) : nothing
Base.isopen(tensor::DeviceTensor) = !(tensor.owner isa Handle) || isopen(tensor.owner)

"""
    tensor(batch, category=nothing)

The array of one category, or of the first; `batch[category]` is the same. It keeps the batch's memory.

Errors: `err_not_found`, whose message lists the categories that there are.
"""
function tensor(batch::Batch, category=nothing)
    found, kept = described(batch, category), retained(batch)
    T, shape = types[found.dtype], fastest_first(found.shape, found.ndim)
    device = word_of(:vxf_device, found.device)
    device == "cuda" && return DeviceTensor{T,length(shape)}(found.data, shape, found.device_id, kept)
    # Rows of whole batches follow each other, but of an axis of one the stride says nothing.
    step = 1
    for (extent, stride) in zip(shape, fastest_first(found.strides, found.ndim))
        extent == 1 || stride == step ||
            throw(VoxFeedError("err_internal", "a batch of $shape is not dense: its strides are $(found.strides)"))
        step *= extent
    end
    return BatchArray(lent_array(Ptr{T}(found.data), shape, kept), device, kept)
end

"An array of a batch's memory that keeps it, also where only its data are at hand, as in a loop over its elements."
function lent_array(data, shape, kept)
    array = unsafe_wrap(Array, data, shape)
    # Arrays of Julia 1.11 and later have their elements in an object of its own.
    finalizer(_ -> close(kept), isdefined(Core, :GenericMemory) ? array.ref.mem : array)
    return array
end

function described(batch, category)
    out = sized(vxf_tensor)
    call(vxf_batch_tensor, batch, category_name(category), out)
    return out[]
end

retained(batch) = made(vxf_batch, vxf_batch_retain, batch)

category_name(category) = text_or_nothing(category isa Symbol ? string(category) : category, "category")

Base.getindex(batch::Batch, category::Word) = tensor(batch, category)

"""
    copy(batch, category=nothing)

A copy of one category, or of the first, as an `Array` on the host; on a GPU it waits until it is there.
"""
function Base.copy(batch::Batch, category=nothing)
    found = described(batch, category)
    array, to = dense(types[found.dtype], fastest_first(found.shape, found.ndim))
    GC.@preserve array call(vxf_batch_copy_to, batch, category_name(category), to)
    return array
end

"""
    copyto!(array, batch, category=nothing)

Copies one category, or the first, into an `Array` of its type and size.
"""
function Base.copyto!(array::Array, batch::Batch, category=nothing)
    to = Ref(tensor_at(pointer(array), dtype_of(eltype(array), "array"), size(array)))
    GC.@preserve array call(vxf_batch_copy_to, batch, category_name(category), to)
    return array
end

"""
    keys(batch)

The names of its categories, in order.
"""
Base.keys(batch::Batch) = Vector{String}(read_json(lent_text(vxf_batch_categories, batch)))

Base.length(batch::Batch) = number_of(vxf_batch_len, batch)

describe(io, batch::Batch) = print(io, plural(length(batch), "sample"), ": ", join(keys(batch), ", "))

"""
    samples(batch)

The batch's samples, one for each row, as a list of [`Sample`](@ref).
"""
samples(batch::Batch) = Sample.(raw_samples(batch))

function raw_samples(batch)
    raw = fill(zero_sample, length(batch))
    call(vxf_batch_samples, batch, raw, UInt64(length(raw)))
    return raw
end

"""
    retain(batch)

Another `Batch` of the same memory, to be closed on its own: to keep a batch longer than a loop does.
"""
retain(batch::Batch) = Batch(retained(batch))

"""
    release(batch)

The same as `close(batch)`: lets go of the batch; arrays that were made of it keep its memory.
"""
release(batch::Batch) = close(batch)

"""
    wait(batch, stream=nothing)

Lets a stream wait until the batch is on the GPU, and ties the memory to what the stream is given.

`stream` is its handle as an integer or pointer, of CUDA.jl `stream.handle`; `nothing` and 1 are the legacy default
stream, 2 is the thread's own, and with -1 the caller waits. On the host there is nothing to wait for.
"""
Base.wait(batch::Batch, stream=nothing) = (call(vxf_batch_wait, batch, stream_of(stream)); nothing)

"""
    record_stream(batch, stream=nothing)

Ties the memory to one more stream that uses it: it is not used again before that stream is done with it.
"""
record_stream(batch::Batch, stream=nothing) = (call(vxf_batch_record_stream, batch, stream_of(stream)); nothing)

"""
    query(batch)

Whether the batch has arrived where it lies.
"""
query(batch::Batch) = call(vxf_batch_query, batch) == 0

"""
    ready_event(batch)

The CUDA event behind the batch's arrival, as a pointer, for those who wait for it by themselves; it lives as long as
the batch. Errors: `err_unsupported` on the host.
"""
function ready_event(batch::Batch)
    out = Ref(C_NULL)
    call(vxf_batch_ready_event, batch, out)
    return out[]
end

function stream_of(stream)
    stream === nothing && return C_NULL
    stream isa Ptr && return Ptr{Cvoid}(stream)
    stream isa Integer && !(stream isa Bool) && -1 <= stream <= typemax(UInt) ||
        throw(ArgumentError("stream is $(repr(stream)), expected a stream's handle as an integer or a pointer"))
    return Ptr{Cvoid}(stream == -1 ? typemax(UInt) : UInt(stream))
end
