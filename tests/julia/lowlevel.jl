# The generated low level: layouts, functions and words are those of the C header.

const header = normpath(joinpath(@__DIR__, "..", "..", "include"))

const structs = [getfield(VoxFeed, name) for name in names(VoxFeed, all=true) if startswith(string(name), "vxf_") &&
                 getfield(VoxFeed, name) isa DataType && sizeof(getfield(VoxFeed, name)) > 0]

"What gcc says of the sizes and offsets of structs; `nothing` where there is no gcc."
function layouts_of_c()
    Sys.which("gcc") === nothing && return nothing
    return mktempdir() do folder
        source = joinpath(folder, "layout.c")
        open(source, "w") do file
            println(file, "#include \"voxfeed.h\"\n#include <stdio.h>\nint main(void) {")
            for type in structs
                println(file, "printf(\"$(nameof(type)) %zu\\n\", sizeof($(nameof(type))));")
                for name in fieldnames(type)
                    println(file, "printf(\"$(nameof(type)).$name %zu %zu\\n\", offsetof($(nameof(type)), $name), ",
                            "sizeof((($(nameof(type)) *)0)->$name));")
                end
            end
            println(file, "return 0; }")
        end
        program = joinpath(folder, "layout")
        run(`gcc -I $header $source -o $program`)
        readlines(`$program`)
    end
end

@testset "every struct has the sizes and offsets of C" begin
    found = String[]
    for type in structs
        push!(found, "$(nameof(type)) $(sizeof(type))")
        for (place, name) in enumerate(fieldnames(type))
            push!(found, "$(nameof(type)).$name $(fieldoffset(type, place)) $(sizeof(fieldtype(type, place)))")
        end
    end
    expected = layouts_of_c()
    @test length(structs) == 16
    expected === nothing ? println("no gcc: layouts are not compared") : @test found == expected
end

@testset "every function of the header is in the table" begin
    text = replace(read(joinpath(header, "voxfeed.h"), String), r"/\*.*?\*/"s => "")
    declared = [Symbol(found[1]) for found in eachmatch(r"\b(vxf_\w+)\([^;{*]*[^;{]*\);", text)]
    @test !isempty(declared)
    @test Set(declared) == Set(VoxFeed.function_names)
    @test all(name -> isdefined(VoxFeed, name), VoxFeed.function_names)
    @test !any(==(C_NULL), VoxFeed.functions)
end

@testset "every status has the word of the library" begin
    for (word, number) in VoxFeed.enums[:vxf_status]
        name = unsafe_string(VoxFeed.vxf_status_name(Int32(number)))
        @test name == "VXF_STATUS_" * uppercase(word)
    end
end

@testset "the library says what it is" begin
    @test occursin(r"^\d+\.\d+\.\d+", VoxFeed.version())
    @test VoxFeed.build_info()["version"] == VoxFeed.version()
    @test VoxFeed.build_info()["abi"] == VoxFeed.VXF_ABI_VERSION
    @test VoxFeed.library_path() == ENV["VXF_LIBRARY"]
    @test VoxFeed.cuda_device_count() >= 0
end

@testset "every exported name has a help text" begin
    for name in names(VoxFeed)
        @test haskey(Base.Docs.meta(VoxFeed), Base.Docs.Binding(VoxFeed, name))
    end
    extended = [:close, :isopen, :length, :read, :split, :get, :keys, :copy, :copyto!, :wait]
    documented = [binding.var for binding in keys(Base.Docs.meta(VoxFeed))]
    for name in setdiff(extended, [:isopen, :length])
        @test name in documented
    end
end
