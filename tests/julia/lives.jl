# Lives: objects are closed in any order, and used afterwards.

using Serialization: serialize, deserialize

@testset "whatever is made lives on when what it was made of is closed" begin
    dataset = study()
    sampler = grid(dataset)
    chain = Transform((name="scale", category="images", slope=2))
    loader = Loader(sampler; transform=chain, categories=(name="images", dtype=Float32))
    assembler = Assembler(loader)
    part = subset(dataset, [2])
    foreach(close, (dataset, sampler, chain))
    start(loader, 0)
    batch = next_batch(loader)
    images = batch["images"]
    expected = 2 .* numbers(Int16, (8, 7, 6), 1)[in_volume(samples(batch)[1])...]
    close(loader)
    @test images[:, :, :, 1, 1] == expected
    add(assembler, batch, images)
    close(batch)
    @test images[:, :, :, 1, 1] == expected
    @test coverage(assembler, 1) > 0
    @test ids(part) == ["b"] && length(part) == 1
    close(images)
    @test refused(() -> images[1], "err_handle", "this array of a batch is closed")
end

@testset "closing twice does nothing, and use after it is an error that names the object" begin
    dataset = study()
    sampler = grid(dataset)
    chain = Transform("[]")
    loader = Loader(sampler)
    assembler = Assembler(loader)
    start(loader, 0)
    batch = next_batch(loader)
    for object in (dataset, sampler, chain, loader, assembler, batch)
        @test isopen(object)
        close(object)
        @test !isopen(object)
        close(object)
    end
    open_dataset, open_sampler = study(), grid(study())
    open_loader = Loader(open_sampler)
    calls = [
        "Dataset" => [() -> length(dataset), () -> read(dataset, 1, "images"), () -> ids(dataset), () -> Sampler(dataset),
                      () -> add_subject(dataset, "x"), () -> preload(dataset), () -> categories(dataset),
                      () -> volume_info(dataset, 1, "images")],
        "Sampler" => [() -> length(sampler), () -> get(sampler, 1), () -> Loader(sampler)],
        "Transform" => [() -> Loader(open_sampler; transform=chain)],
        "Loader" => [() -> epoch(loader, 0), () -> next_batch(loader), () -> length(loader), () -> stats(loader),
                     () -> save_state(loader), () -> cancel(loader), () -> Assembler(loader), () -> load_state(loader, "x")],
        "Batch" => [() -> batch["images"], () -> copy(batch), () -> samples(batch), () -> keys(batch), () -> wait(batch),
                    () -> retain(batch), () -> query(batch),
                    () -> add(Assembler(open_loader), batch, zeros(Float32, 4, 4, 3, 1, 1))],
        "Assembler" => [() -> take(assembler, 1), () -> next_complete(assembler), () -> collect(complete(assembler))]]
    for (noun, uses) in calls, call in uses
        @test refused(call, "err_handle", "this $noun is closed")
    end
end

@testset "a closed array of a batch is an error however it is read" begin
    loader = small_loader(categories=(name="images", dtype=Float32))
    start(loader, 0)
    batch = next_batch(loader)
    images = batch["images"]
    close(images)
    close(images)
    @test !isopen(images) && isopen(batch)
    into = zeros(Float32, 4, 4, 3, 1, 1)
    for use in (() -> images[1], () -> images[1] = 2, () -> sum(images), () -> size(images), () -> vec(images),
                () -> copyto!(into, images), () -> Array(images), () -> pointer(images), () -> images .+ 1,
                () -> view(images, 1:2), () -> add(Assembler(loader), batch, images), () -> collect(images))
        @test refused(use, "err_handle", "this array of a batch is closed")
    end
    @test batch["images"][1] isa Float32
end

@testset "views of a closed array are errors too, and nothing is written through them" begin
    loader = Loader(Sampler(study()); batch_size=1, categories=[(name="images", dtype=Float32)])
    start(loader, 0)
    images = next_batch(loader)["images"]
    part, flat = view(images, :, :, 1, 1, 1), reshape(images, :, size(images, 5))
    @test sum(part) == sum(Array(images)[:, :, 1, 1, 1]) && flat[1] == images[1]
    function unchecked(array)
        total = 0.0f0
        @inbounds for place in 1:4
            total += array[place]
        end
        return total
    end
    close(images)
    for use in (() -> sum(part), () -> flat[1], () -> sum(flat), () -> part .= 7, () -> (part[1] = 7), () -> copy(part),
                () -> unchecked(images), () -> unchecked(flat), () -> fill!(flat, 7))
        @test refused(use, "err_handle", "this array of a batch is closed")
    end
end

@testset "the memory of a batch goes back when the last of it is closed" begin
    loader = small_loader(prefetch=1, endless=true)
    start(loader, 0)
    batch = next_batch(loader)
    other, images = retain(batch), batch["images"]
    @test stats(loader).held == 1
    close(batch)
    release(other)
    @test !isopen(other) && stats(loader).held == 1
    close(images)
    @test stats(loader).held == 0
end

@testset "an array whose elements are read keeps the memory, though nothing else does" begin
    loader = small_loader(prefetch=1, endless=true, order="shuffled", batch_size=8,
                          categories=(name="images", dtype=Float32))
    start(loader, 0)
    kept = next_batch(loader)["images"]
    data = view(reshape(kept, :, 8), 3:40, 2:2:8)
    expected = copy(data)
    kept = nothing
    for _ in 1:20
        GC.gc()
        close(next_batch(loader; timeout=60))
    end
    @test data == expected
end

@testset "objects cannot be copied or sent, the arrays of batches arrive" begin
    sent(object) = (buffer = IOBuffer(); serialize(buffer, object); deserialize(seekstart(buffer)))
    dataset, loader = study(), small_loader()
    start(loader, 0)
    batch = next_batch(loader)
    for object in (dataset, grid(dataset), loader, batch)
        @test refused(() -> deepcopy(object), ArgumentError, "cannot be copied")
        @test refused(() -> length(sent(object)), "err_handle")
    end
    @test sent(batch["images"]) == batch["images"]
end

@testset "many objects that nobody closes are freed" begin
    for _ in 1:300
        dataset = study(subjects=1)
        loader = Loader(grid(dataset); batch_size=4)
        start(loader, 0)
        next_batch(loader)["images"]
    end
    GC.gc()
    files = Sys.islinux() ? length(readdir("/proc/self/fd")) : 0
    @test files < 500
    # Threads of freed loaders end by themselves.
    threads() = Sys.islinux() ? length(readdir("/proc/self/task")) : 0
    @test timedwait(() -> threads() < 60, 60.0) == :ok
end

@testset "tasks that close what others use crash nothing" begin
    dataset = study()
    tasks = [Threads.@spawn begin
                 for turn in 1:200
                     turn == 150 && place == 1 && close(dataset)
                     error = thrown(() -> read(dataset, 1, "images"))
                     error === nothing || (error isa VoxFeedError && error.status == "err_handle") || rethrow(error)
                 end
                 true
             end for place in 1:4]
    @test all(fetch, tasks)
    @test refused(() -> length(dataset), "err_handle")
end
