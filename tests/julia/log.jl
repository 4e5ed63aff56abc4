# The log, queued, and told on the thread that asks.

"Makes the library say something: an index that cannot be kept in a folder that is gone."
function make_a_line(folder)
    path = joinpath(folder, "one.nii.gz")
    save_volume(path, numbers(Int16, (20, 20, 20)))
    gone = mktempdir()
    dataset = Dataset(path; seek_index="always", index_folder=gone)
    rm(gone)
    read(dataset, 1, "images")
    return nothing
end

@testset "lines are told when they are asked for, on this thread" begin
    mktempdir() do folder
        told = Tuple{String,String}[]
        set_log((level, line) -> push!(told, (level, line)))
        make_a_line(folder)
        @test isempty(told)
        process_events()
        @test !isempty(told) && all(said -> said[1] in ("error", "warning", "info"), told)
        @test all(said -> !isempty(said[2]) && !occursin('\n', said[2]), told)
        count = length(told)
        process_events()
        @test length(told) == count
        make_a_line(folder)
        loader = small_loader()
        start(loader, 0)
        next_batch(loader)
        @test length(told) > count
        set_log(nothing)
        count = length(told)
        make_a_line(folder)
        process_events()
        @test length(told) == count
    end
end

@testset "only lines that matter enough are told" begin
    mktempdir() do folder
        told = []
        set_log((level, line) -> push!(told, line); level="error")
        make_a_line(folder)
        process_events()
        @test isempty(told)
        set_log((level, line) -> push!(told, line); level="warn")
        set_log((level, line) -> push!(told, line); level=:warning)
        set_log(nothing)
    end
    @test refused(() -> set_log(println; level="loud"), ArgumentError, "level", "\"info\"")
    @test refused(() -> set_log(3), ArgumentError, "told is 3")
    @test refused(() -> set_log(() -> nothing), ArgumentError, "a level and a line")
end

@testset "what is thrown while lines are told comes out, and loses no batch" begin
    mktempdir() do folder
        loader = small_loader()
        start(loader, 0)
        set_log((level, line) -> error("not now"))
        make_a_line(folder)
        @test refused(() -> next_batch(loader), ErrorException, "not now")
        set_log(nothing)
        @test samples(next_batch(loader))[1].index == 1
    end
end

@testset "batches that are all held are told" begin
    told = String[]
    loader = small_loader(prefetch=1, endless=true)
    start(loader, 0)
    held = [next_batch(loader) for _ in 1:2]
    set_log((level, line) -> push!(told, line))
    @test refused(() -> next_batch(loader; timeout=6), "timeout")
    process_events()
    set_log(nothing)
    @test any(line -> occursin("held", line), told)
    @test_logs (:warn, r"all 2 batches of the loader are held") refused(() -> next_batch(loader; timeout=6), "timeout")
    foreach(close, held)
end
