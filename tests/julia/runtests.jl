# Tests of the Julia face: VXF_LIBRARY=... VXF_GOLDEN=... julia --project=bindings/julia/VoxFeed tests/julia/runtests.jl
# VXF_GOLDEN is a folder that tests/faces/golden.py has filled.

using Test
using VoxFeed

include("study.jl")

const nouns = ["lowlevel", "options", "json", "dataset", "sampler", "batch", "loader", "epochs", "assembler", "writer",
               "log", "lives", "golden", "gpu", "processes"]

passed(set) = set.n_passed + sum(Int[passed(one) for one in set.results if one isa Test.DefaultTestSet])

function run_all()
    try
        set = @testset "VoxFeed" begin
            for noun in nouns
                include("$noun.jl")
            end
        end
        return passed(set), 0
    catch failures
        failures isa Test.TestSetException || rethrow()
        return failures.pass, failures.fail + failures.error
    end
end

const counts = run_all()
println(counts[1], " passed, ", counts[2], " failed")
exit(counts[2] == 0 ? 0 : 1)
