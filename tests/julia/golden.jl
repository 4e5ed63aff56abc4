# Batches that every face must give, byte for byte: those of VXF_GOLDEN/cases.txt.

import SHA

"A word of cases.txt: a number, a list of numbers, or a word."
function golden_value(word)
    occursin(',', word) && return Any[golden_value(one) for one in split(word, ',', keepempty=false)]
    whole = tryparse(Int, word)
    whole === nothing || return whole
    real = tryparse(Float64, word)
    return real === nothing ? String(word) : real
end

"A sampler's option as this face takes it: axes from 1 and fastest first, lists the other way round."
function turned(key, value, axes)
    key == "axes" && return [axes - axis for axis in (value isa Vector ? value : [value])]
    key in ("patch_shape", "stride", "overlap") && return reverse(value)
    return value
end

options(lines, noun) =
    [(words[2], golden_value(words[3])) for words in split.(lines, ' ', limit=3) if words[1] == noun]

named(pairs) = (; (Symbol(key) => value for (key, value) in pairs)...)

function golden_category(line)
    words = split(line, ' ')
    given = [split(word, '=') for word in words[3:end]]
    pairs = Pair{Symbol,Any}[:name => String(words[2])]
    for (key, word) in given
        value = golden_value(word)
        push!(pairs, Symbol(key) => key == "entries" ? (value isa Vector ? String.(value) : [value]) : value)
    end
    return (; pairs...)
end

line_of(lines, noun) = String(split(first(filter(line -> startswith(line, noun * " "), lines)), ' ', limit=2)[2])

function golden_loader(lines, folder)
    dataset = Dataset(joinpath(folder, line_of(lines, "data")); named(options(lines, "dataset"))...)
    category, entries = first(categories(dataset))
    axes = length(volume_info(dataset, 1, category, first(entries)).shape)
    sampler = Sampler(dataset; named((key, turned(key, value, axes)) for (key, value) in options(lines, "sampler"))...)
    categories_ = [golden_category(line) for line in lines if startswith(line, "category ")]
    transforms = [line_of([line], "transform") for line in lines if startswith(line, "transform ")]
    return Loader(sampler; named(options(lines, "loader"))...,
                  categories=isempty(categories_) ? nothing : categories_,
                  transform=isempty(transforms) ? nothing : transforms[1])
end

const golden_words = Dict(Bool => "bool", UInt8 => "u8", Int8 => "i8", UInt16 => "u16", Int16 => "i16", UInt32 => "u32",
                          Int32 => "i32", UInt64 => "u64", Int64 => "i64", Float16 => "f16", Float32 => "f32",
                          Float64 => "f64")

bytes_of(array) = copy(reinterpret(UInt8, vec(Array(array))))

"What a loader gives, in the words of cases.txt."
function golden_lines(loader, number)
    found = ["batches $(length(loader))"]
    for (place, batch) in enumerate(epoch(loader, number))
        for name in keys(batch)
            array = batch[name]
            push!(found, join(["tensor", place - 1, name, golden_words[eltype(array)], join(reverse(size(array)), ','),
                               bytes2hex(SHA.sha256(bytes_of(array)))], ' '))
        end
        for (row, sample) in enumerate(samples(batch))
            push!(found, join(["sample", place - 1, row - 1, sample.index - 1, sample.subject - 1,
                               join(reverse(sample.offset), ',')], ' '))
        end
    end
    return found
end

function golden_cases(folder)
    cases, lines = Vector{String}[], String[]
    for line in eachline(joinpath(folder, "cases.txt"))
        line == "end" ? (push!(cases, lines); lines = String[]) : push!(lines, line)
    end
    return cases
end

const golden_folder = get(ENV, "VXF_GOLDEN", "")

@testset "the golden folder is given" begin
    @test isfile(joinpath(golden_folder, "cases.txt"))
end

is_expected(line) = any(start -> startswith(line, start), ("batches ", "tensor ", "sample "))

for lines in (isfile(joinpath(golden_folder, "cases.txt")) ? golden_cases(golden_folder) : [])
    @testset "golden: $(line_of(lines, "case"))" begin
        expected = filter(is_expected, lines)
        found = golden_lines(golden_loader(lines, golden_folder), parse(Int, line_of(lines, "epoch")))
        @test length(expected) > 1
        @test length(found) == length(expected)
        for (one, other) in zip(found, expected)
            @test one == other
        end
    end
end
