# From a caller's keywords to the structs of C.
# SPDX-License-Identifier: MIT OR Apache-2.0

const Word = Union{AbstractString,Symbol}

# Fields that are yes or no.
const flags = (:endless, :squeeze_channel)

word_of(enum, number) = enums[enum][findfirst(pair -> last(pair) == number, enums[enum])].first

"The number of a word of an enumeration."
function choice(enum, value, what)
    if value isa Word
        place = findfirst(pair -> first(pair) == string(value), enums[enum])
        place === nothing || return Int32(enums[enum][place].second)
    end
    words = join((repr(word) for (word, _) in enums[enum]), ", ")
    throw(ArgumentError("$what is $(repr(value)), expected $words" * (enum == :vxf_dtype ? ", or a type" : "")))
end

function number(::Type{T}, value, what) where {T<:Integer}
    value isa Integer && !(value isa Bool) ||
        throw(ArgumentError("$what is $(repr(value)), expected an integer"))
    typemin(T) <= value <= typemax(T) ||
        throw(ArgumentError("$what is $value, expected $(typemin(T)) to $(typemax(T))"))
    return T(value)
end

"The number for C, from 0, of the caller's, from 1."
function index(value, count, what)
    value isa Integer && !(value isa Bool) || throw(ArgumentError("$what is $(repr(value)), expected an integer"))
    1 <= value <= count || throw(VoxFeedError("err_range", "$what is $value, expected 1 to $count" *
                                                            (count == 0 ? ", of which there are none" : "")))
    return UInt64(value - 1)
end

"Text of the caller's, in which C finds no end but the last."
function text(value, what)
    value isa AbstractString || throw(ArgumentError("$what is $(repr(value)), expected text"))
    '\0' in value && throw(ArgumentError("$what has a NUL inside: $(repr(value))"))
    return String(value)
end

text_or_nothing(value, what) = value === nothing ? nothing : text(value, what)

"The time to wait, in seconds; `nothing` is for ever."
function seconds(timeout)
    timeout === nothing && return Inf
    timeout isa Real && timeout >= 0 ||
        throw(ArgumentError("timeout is $(repr(timeout)), expected seconds from 0, or nothing to wait for ever"))
    return Float64(timeout)
end

"The names of the options that a struct has for callers."
option_names(T) = filter(fieldnames(T)) do name
    given = string(name)
    !(name in (:struct_size, :pinned) || startswith(given, "reserved") || endswith(given, "_count"))
end

function check_names(T, names, what, others=())
    allowed = (option_names(T)..., others...)
    for name in names
        name in allowed || throw(ArgumentError("there is no $what $(repr(string(name))); there are: " *
                                               join(allowed, ", ")))
    end
end

"""
The options of C with their defaults, and the caller's written over them. What C borrows goes to `roots`.
"""
function options_of(::Type{T}, init, given, roots) where {T}
    check_names(T, keys(given), "option")
    defaults = Ref{T}()
    call(init, defaults, Csize_t(sizeof(T)))
    return filled(defaults[], given, roots)
end

"A struct with some fields as the caller gives them."
function filled(original::T, given, roots) where {T}
    changes = Dict{Symbol,Any}()
    for (name, value) in pairs(given)
        value === nothing && continue
        enum = get(get(enum_fields, T, Dict{Symbol,Symbol}()), name, nothing)
        changes[name] = enum == :vxf_dtype ? dtype_number(value, name) :
                        enum !== nothing ? choice(enum, value, name) :
                        name in flags ? flag(value, name) : field(fieldtype(T, name), value, name, roots)
    end
    return with(original, changes)
end

"A struct with some fields replaced."
with(original::T, changes) where {T} =
    T((get(changes, name, getfield(original, name)) for name in fieldnames(T))...)

function flag(value, what)
    value in (true, false) || throw(ArgumentError("$what is $(repr(value)), expected true or false"))
    return UInt32(value)
end

field(::Type{T}, value, what, roots) where {T<:Integer} = number(T, value, what)

function field(::Type{Float64}, value, what, roots)
    value isa Real && !(value isa Bool) || throw(ArgumentError("$what is $(repr(value)), expected a number"))
    return Float64(value)
end

function field(::Type{Cstring}, value, what, roots)
    kept = text(value, what)
    push!(roots, kept)
    return Cstring(pointer(kept))
end

# Lists of axes come in C's order already, which only those know who know how many axes there are.
field(::Type{T}, value, what, roots) where {T<:Tuple} = T(value)
