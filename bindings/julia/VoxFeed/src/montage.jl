# Pictures of volumes.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    montage(path, columns; options...)

Saves a PNG that shows volumes of one shape side by side, and several slices below each other.

`columns`: arrays (width, height, depth) or (width, height, depth, channel), or named tuples or dicts of a `volume` with
a `title`, a `look` ("auto": labels for integers of at most 64 different values and none below 0, else grey; "grey";
"labels": in colour over the first grey column) and the `channel` that is drawn, from 1.

Options: `axis` (that is cut across, 1 being the fastest; the slowest by default), `slices` (0: 6), `tile_pixels` (of a
slice's longer side; 0: 240), `affine` (as [`VolumeInfo`](@ref)'s: with it superior, else anterior is up).
"""
function montage(path, columns; axis=nothing, affine=nothing, options...)
    drawn = columns isa Union{AbstractArray{<:Number},NamedTuple,AbstractDict} ? [columns] : columns
    drawn isa Union{AbstractVector,Tuple} ||
        throw(ArgumentError("columns is $(summary(columns)), expected arrays or named tuples"))
    roots = Any[]
    raw = vxf_montage_column[montage_column(one, roots) for one in drawn]
    given = options_of(vxf_montage_options, vxf_montage_options_init, options, roots)
    changes = Dict{Symbol,Any}()
    if axis !== nothing
        count = isempty(raw) ? VXF_MAX_AXES : spatial_axes(unsafe_load(raw[1].volume))
        changes[:axis] = count - 1 - index(axis, count, "axis")
    end
    if affine !== nothing
        push!(roots, affine_of(affine))
        changes[:affine] = pointer(roots[end])
    end
    GC.@preserve roots call(vxf_montage_save, text(path, "path"), raw, UInt64(length(raw)), Ref(with(given, changes)))
    return nothing
end

spatial_axes(volume) = volume.ndim == 4 ? 3 : Int(volume.ndim)

function montage_column(given, roots)
    given isa AbstractArray && (given = (volume=given,))
    given isa Union{NamedTuple,AbstractDict} ||
        throw(ArgumentError("a column is $(summary(given)), expected an array or a named tuple"))
    options = Dict{Symbol,Any}(Symbol(name) => value for (name, value) in pairs(given))
    check_names(vxf_montage_column, keys(options), "option of a column")
    volume, channel = pop!(options, :volume, nothing), pop!(options, :channel, nothing)
    volume === nothing && throw(ArgumentError("a column needs a volume, as in (volume=array, title=\"T1\")"))
    tensor, root = tensor_of(volume, "a column's volume")
    shown = Ref(tensor)
    append!(roots, (root, shown))
    changes = Dict{Symbol,Any}(:volume => Base.unsafe_convert(Ptr{vxf_tensor}, shown))
    if channel !== nothing
        channels = ndims(volume) == 4 ? size(volume, 4) : 1
        changes[:channel] = index(channel, channels, "channel")
    end
    return with(filled(zeroed(vxf_montage_column), options, roots), changes)
end
