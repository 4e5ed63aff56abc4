# JSON: what the library answers is read, what it is given is written.
# SPDX-License-Identifier: MIT OR Apache-2.0

"Where the reader stands in a text."
mutable struct JsonText
    text::String
    at::Int
end

"A value of JSON: `Dict{String,Any}`, `Vector{Any}`, `String`, `Int`, `Float64`, `Bool` or `nothing`."
function read_json(text)
    json = JsonText(text, 1)
    value = read_value(json)
    next_sign(json) === nothing || broken(json)
    return value
end

"The members of an object in their order."
function read_members(text)
    json = JsonText(text, 1)
    return read_object(json)
end

broken(json) = throw(VoxFeedError("err_internal", "this is no JSON at byte $(json.at): $(json.text)"))

"The next character that is no space, which stays where it is; `nothing` at the end."
function next_sign(json)
    while json.at <= ncodeunits(json.text) && isspace(json.text[json.at])
        json.at = nextind(json.text, json.at)
    end
    return json.at <= ncodeunits(json.text) ? json.text[json.at] : nothing
end

function expect(json, sign)
    next_sign(json) == sign || broken(json)
    json.at += 1
    return nothing
end

function read_value(json)
    sign = next_sign(json)
    sign == '{' && return Dict{String,Any}(read_object(json))
    sign == '[' && return read_list(json)
    sign == '"' && return read_text(json)
    for (word, value) in ("true" => true, "false" => false, "null" => nothing)
        if startswith(SubString(json.text, json.at), word)
            json.at += ncodeunits(word)
            return value
        end
    end
    return read_number(json)
end

function read_object(json)
    members = Pair{String,Any}[]
    read_items(json, '{', '}') do
        next_sign(json) == '"' || broken(json)
        name = read_text(json)
        expect(json, ':')
        push!(members, name => read_value(json))
    end
    return members
end

function read_list(json)
    values = Any[]
    read_items(() -> push!(values, read_value(json)), json, '[', ']')
    return values
end

function read_items(read_one, json, first, last)
    expect(json, first)
    if next_sign(json) == last
        json.at += 1
        return nothing
    end
    while true
        read_one()
        sign = next_sign(json)
        sign in (',', last) || broken(json)
        json.at += 1
        sign == last && return nothing
    end
end

function read_number(json)
    found = match(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", json.text, json.at)
    found !== nothing && found.offset == json.at || broken(json)
    json.at += ncodeunits(found.match)
    whole = found[1] === nothing && found[2] === nothing ? tryparse(Int, found.match) : nothing
    return whole === nothing ? parse(Float64, found.match) : whole
end

const escapes = Dict('"' => '"', '\\' => '\\', '/' => '/', 'b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r',
                     't' => '\t')

function read_text(json)
    out = IOBuffer()
    json.at += 1
    while true
        json.at <= ncodeunits(json.text) || broken(json)
        sign = json.text[json.at]
        json.at = nextind(json.text, json.at)
        if sign == '"'
            return String(take!(out))
        elseif sign != '\\'
            print(out, sign)
        else
            print(out, read_escape(json))
        end
    end
end

function read_escape(json)
    json.at <= ncodeunits(json.text) || broken(json)
    sign = json.text[json.at]
    json.at = nextind(json.text, json.at)
    sign == 'u' || return haskey(escapes, sign) ? escapes[sign] : broken(json)
    unit = read_unit(json)
    # Characters beyond 16 bits come as two units.
    if 0xd800 <= unit < 0xdc00 && startswith(SubString(json.text, json.at), "\\u")
        json.at += 2
        return Char(0x10000 + ((unit - 0xd800) << 10) + (read_unit(json) - 0xdc00))
    end
    return Char(unit)
end

function read_unit(json)
    found = match(r"[0-9a-fA-F]{4}", json.text, json.at)
    found !== nothing && found.offset == json.at || broken(json)
    json.at += 4
    return parse(UInt32, found.match, base=16)
end

"The JSON text of numbers, texts, lists and whatever has names: dicts and named tuples."
json_text(value, what) = sprint(write_json, value, what)

write_json(io, value::Bool, what) = print(io, value)
write_json(io, value::Integer, what) = print(io, big(value))
write_json(io, ::Union{Nothing,Missing}, what) = print(io, "null")
write_json(io, value::Symbol, what) = write_json(io, string(value), what)
# Steps name dtypes as options do.
write_json(io, value::Type, what) = write_json(io, word_of(:vxf_dtype, dtype_of(value, what)), what)

function write_json(io, value::AbstractFloat, what)
    isfinite(value) || throw(ArgumentError("$what has $value in it, which JSON cannot say"))
    # A number of 32 or 16 bits in as few digits as tell it, and in C's way of writing exponents.
    print(io, replace(string(value), "f" => "e"))
end

function write_json(io, value::AbstractString, what)
    print(io, '"')
    for sign in value
        if sign in ('"', '\\')
            print(io, '\\', sign)
        elseif sign < ' '
            print(io, "\\u", string(UInt32(sign), base=16, pad=4))
        else
            print(io, sign)
        end
    end
    print(io, '"')
end

function write_json(io, value::Union{AbstractVector,Tuple}, what)
    print(io, '[')
    for (place, one) in enumerate(value)
        place > 1 && print(io, ',')
        write_json(io, one, what)
    end
    print(io, ']')
end

function write_json(io, value::Union{AbstractDict,NamedTuple}, what)
    print(io, '{')
    for (place, (name, one)) in enumerate(pairs(value))
        place > 1 && print(io, ',')
        write_json(io, string(name), what)
        print(io, ':')
        write_json(io, one, what)
    end
    print(io, '}')
end

write_json(io, value, what) = throw(ArgumentError("$what has a $(typeof(value)) in it, which JSON cannot say"))
