# What shows only in a process of its own: how the library is found, how Julia ends, Ctrl-C, the example.

import Libdl

"A library that is not ours: Julia's own."
other_library() = first(filter(path -> occursin("libjulia", basename(path)), Libdl.dllist()))

@testset "a library that cannot be used is named, and so is the way out" begin
    for (library, part) in ("/no/such/libvoxfeed.so" => "VXF_LIBRARY is /no/such/libvoxfeed.so",
                            other_library() => "has no function")
        status, text = run_program("-e", "using VoxFeed"; VXF_LIBRARY=library)
        @test status != 0 && occursin(part, text) && occursin("VXF_LIBRARY", text)
    end
    if Sys.which("gcc") !== nothing
        mktempdir() do folder
            source, library = joinpath(folder, "other.c"), joinpath(folder, "other.so")
            write(source, join(("int $name(void) { return 77; }" for name in VoxFeed.function_names), "\n"))
            run(`gcc -shared -fPIC $source -o $library`)
            status, text = run_program("-e", "using VoxFeed"; VXF_LIBRARY=library)
            @test status != 0
            @test all(part -> occursin(part, text), ("C interface 0", "speaks 77", library))
        end
    end
end

@testset "an installed package finds the installed library, also after a move" begin
    mktempdir() do folder
        for prefix in (joinpath(folder, "one"), joinpath(folder, "two"))
            if prefix == joinpath(folder, "one")
                package = joinpath(mkpath(joinpath(prefix, "share", "voxfeed", "julia")), "VoxFeed")
                cp(dirname(dirname(pathof(VoxFeed))), package)
                mkpath(joinpath(prefix, "lib"))
                symlink(realpath(VoxFeed.library_path()), joinpath(prefix, "lib", "libvoxfeed.so.0"))
            else
                mv(joinpath(folder, "one"), prefix)
            end
            project = joinpath(prefix, "share", "voxfeed", "julia", "VoxFeed")
            program = "using VoxFeed; print(VoxFeed.library_path())"
            status, text = run_program("--project=$project", "-e", program; VXF_LIBRARY="")
            @test status == 0 && text == joinpath(prefix, "lib", "libvoxfeed.so.0")
        end
    end
end

@testset "the example reads a dataset" begin
    mktempdir() do folder
        for place in 1:2, (name, type) in ("T1" => Int16, "seg" => UInt8)
            path = joinpath(mkpath(joinpath(folder, "sub-$place")), "$name.nii.gz")
            save_volume(path, numbers(type, (40, 36, 34), place))
        end
        example = joinpath(dirname(dirname(dirname(pathof(VoxFeed)))), "examples", "first_loop.jl")
        status, text = run_program(example, folder)
        @test status == 0
        @test count(==('\n'), text) == 8 && occursin("(32, 32, 32, 1, 4)", text)
        status == 0 || println(text)
    end
end

@testset "Julia ends while a loader is at work and its batches are held" begin
    program = """
        using VoxFeed
        include("$(joinpath(@__DIR__, "study.jl"))")
        loader = small_loader(endless=true, prefetch=4)
        start(loader, 0)
        held = [next_batch(loader)["images"] for _ in 1:3]
        set_log(println)
        exit(7)
        """
    status, text = run_program("-e", program)
    @test status == 7 && isempty(text)
end

@testset "Ctrl-C ends a wait for a batch, and the loader goes on" begin
    program = """
        using VoxFeed
        include("$(joinpath(@__DIR__, "study.jl"))")
        Base.exit_on_sigint(false)
        loader = small_loader(endless=true, prefetch=1)
        start(loader, 0)
        held = [next_batch(loader) for _ in 1:2]
        run(`sh -c "sleep 2; kill -INT \$(getpid())"`, wait=false)
        try
            next_batch(loader)
        catch error
            error isa InterruptException || rethrow()
            print("interrupted, ")
        end
        foreach(close, held)
        print(samples(next_batch(loader; timeout=60))[1].index)
        """
    status, text = run_program("-e", program)
    @test status == 0 && endswith(text, "interrupted, 3")
    status == 0 || println(text)
end
