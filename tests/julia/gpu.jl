# Batches on a GPU, in a process of their own whose driver is the stand-in of tests/standin.

const standin = normpath(joinpath(@__DIR__, "..", "standin"))

"This Julia with the face, and what a program of it says."
julia_command(arguments...) =
    `$(Base.julia_cmd()) --startup-file=no --project=$(dirname(dirname(pathof(VoxFeed)))) $arguments`

function run_program(arguments...; environment...)
    out = IOBuffer()
    changes = Dict(string(name) => value for (name, value) in environment)
    command = setenv(julia_command(arguments...), merge(Dict(ENV), changes))
    process = run(pipeline(ignorestatus(command), stdin=devnull, stdout=out, stderr=out))
    return process.exitcode, String(take!(out))
end

@testset "batches, streams and predictions on a GPU" begin
    if Sys.which("gcc") === nothing
        println("no gcc: nothing is tested on the stand-in for a GPU")
    else
        mktempdir() do folder
            is_part(name) = endswith(name, ".c") && name != "selftest.c"
            sources = [joinpath(standin, name) for name in sort(readdir(standin)) if is_part(name)]
            driver = joinpath(folder, "libcuda.so.1")
            flags = split("-std=gnu11 -O1 -shared -fPIC -pthread -fvisibility=hidden -ffp-contract=off")
            run(`gcc $flags -Wl,-soname,libcuda.so.1 -o $driver $sources`)
            status, text = run_program(joinpath(@__DIR__, "gpu_batches.jl"), driver)
            @test status == 0
            @test occursin("stand-in: all is well", text)
            status == 0 || println(text)
        end
    end
end
