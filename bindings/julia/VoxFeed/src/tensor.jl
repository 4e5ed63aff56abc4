# Arrays of Julia as tensors of C: dtypes, the order of axes, affines.
# SPDX-License-Identifier: MIT OR Apache-2.0

const types = Dict{Int32,DataType}(choice(:vxf_dtype, word, "dtype") => type for (word, type) in [
    "bool" => Bool, "u8" => UInt8, "i8" => Int8, "u16" => UInt16, "i16" => Int16, "u32" => UInt32, "i32" => Int32,
    "u64" => UInt64, "i64" => Int64, "f16" => Float16, "f32" => Float32, "f64" => Float64])
const dtypes = Dict{Any,Int32}(type => number for (number, type) in types)

# From the smallest to those that hold most.
const by_size = [Bool, UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64, Float16, Float32, Float64]

"The number of a dtype: of Float32, \"f32\" or :f32."
dtype_number(value, what) = haskey(dtypes, value) ? dtypes[value] : choice(:vxf_dtype, value, what)

dtype_of(::Type{T}, what) where {T} =
    haskey(dtypes, T) ? dtypes[T] :
    throw(ArgumentError("$what has elements of $T, expected $(join(by_size, ", "))"))

"The smallest type that holds all values of several."
function joint_type(wanted)
    place = findfirst(type -> all(one -> holds(type, one), wanted), by_size)
    return place === nothing ? Float64 : by_size[place]
end

holds(type, one) = type == one
holds(type::Type{<:Integer}, one::Type{<:Integer}) = typemin(type) <= typemin(one) && typemax(one) <= typemax(type)
holds(type::Type{<:AbstractFloat}, one::Type{<:AbstractFloat}) = sizeof(one) <= sizeof(type)
holds(type::Type{<:AbstractFloat}, one::Type{<:Integer}) = typemax(one) <= maxintfloat(type)

"A list of axes for C: the other way round, with zeros behind."
slowest_first(::Val{N}, values) where {N} =
    ntuple(place -> place <= length(values) ? Int64(values[end + 1 - place]) : Int64(0), Val(N))

"The first `count` numbers of a list of C's, the other way round."
fastest_first(values, count) = ntuple(place -> Int(values[Int(count) + 1 - place]), Int(count))

"""
A tensor that shows an array of the caller's, and what keeps its memory. Views with steps are shown as they are; what
has no memory of its own, or runs backwards, is copied.
"""
function tensor_of(array, what)
    array isa AbstractArray || throw(ArgumentError("$what is a $(typeof(array)), expected an array"))
    number = dtype_of(eltype(array), what)
    1 <= ndims(array) <= VXF_MAX_NDIM ||
        throw(ArgumentError("$what has $(ndims(array)) axes, expected 1 to $VXF_MAX_NDIM"))
    array isa StridedArray && all(>=(0), strides(array)) || (array = Array(array))
    data = pointer(array)
    data isa Ptr || throw(ArgumentError("$what is a $(typeof(array)), which lies on a GPU: bring it to the host with " *
                                        "Array, or, as a prediction, name its memory with DeviceTensor"))
    return tensor_at(data, number, size(array), strides(array)), array
end

"As tensor_of, for functions that take dense tensors only."
dense_tensor_of(array) =
    tensor_of(array isa AbstractArray && !(array isa Union{Array,BatchArray}) ? Array(array) : array, "array")

tensor_at(data, number, shape, steps=(); device="cpu", device_id=0) =
    vxf_tensor(sizeof(vxf_tensor), number, choice(:vxf_device, device, "device"), device_id, data, length(shape),
               slowest_first(Val(VXF_MAX_NDIM), shape), slowest_first(Val(VXF_MAX_NDIM), steps))

"A new array, and the tensor that shows it."
function dense(::Type{T}, shape) where {T}
    array = Array{T}(undef, shape...)
    return array, Ref(tensor_at(pointer(array), dtypes[T], shape))
end

"Sixteen numbers for C, row by row and with columns slowest axis first, or nothing."
function affine_of(affine)
    affine === nothing && return nothing
    affine isa AbstractMatrix{<:Real} && size(affine) == (4, 4) ||
        throw(ArgumentError("affine is $(summary(affine)), expected a 4×4 matrix of numbers"))
    return vec(Float64[affine[row, column] for column in (3, 2, 1, 4), row in 1:4])
end

"The matrix of sixteen numbers of C."
affine_matrix(numbers) = Float64[numbers[4 * (row - 1) + column] for row in 1:4, column in (3, 2, 1, 4)]
