# Epochs: how a loader is begun, waited for, cancelled, and put back to a place.

"The numbers of the first samples of all batches that are left."
function left_over(batches)
    found = Int[]
    for batch in batches
        push!(found, samples(batch)[1].index)
        close(batch)
    end
    return found
end

@testset "epochs follow each other, and each is whole" begin
    loader = small_loader(batch_size=4)
    for number in 0:2
        @test left_over(epoch(loader, number)) == [1, 5, 9, 13]
    end
    @test isempty(left_over(loader))
    @test eltype(epoch(loader, 0)) == Batch && eltype(loader) == Batch
    @test Base.IteratorSize(epoch(loader, 0)) isa Base.SizeUnknown
    @test refused(() -> epoch(loader, -1), ArgumentError, "epoch is -1")
    @test refused(() -> epoch(loader, "0"), ArgumentError, "epoch")
    @test refused(() -> next_batch(small_loader()), "err_state")
end

@testset "a loop closes what it has gone past, and retain keeps it" begin
    loader = small_loader(batch_size=4)
    kept, plain, arrays = Batch[], Batch[], []
    for batch in epoch(loader, 0)
        push!(plain, batch)
        length(kept) < 1 && push!(kept, retain(batch))
        length(arrays) < 1 && push!(arrays, batch["images"])
    end
    @test length(plain) == 4 && !any(isopen, plain)
    @test refused(() -> samples(plain[1]), "err_handle", "this Batch is closed")
    @test samples(kept[1])[1].index == 1 && arrays[1] == copy(kept[1])
    @test stats(loader).held == 1
    @test [length(batch) for batch in epoch(loader, 1)] == [4, 4, 4, 4]
    @test length([copy(batch) for batch in epoch(loader, 1)]) == 4
end

@testset "a loop that was left goes on over the loader" begin
    loader = small_loader(batch_size=4)
    for batch in epoch(loader, 0)
        break
    end
    @test left_over(loader) == [5, 9, 13]
    start(loader, 1)
    @test length(left_over(loader)) == 4
end

@testset "an iterator of an epoch that was given up throws" begin
    loader = small_loader(batch_size=4)
    old = epoch(loader, 0)
    _, state = iterate(old)
    new = epoch(loader, 1)
    @test refused(() -> iterate(old, state), "err_state", "begun anew")
    @test left_over(new) == [1, 5, 9, 13]
    running = iterate(loader)
    @test running === nothing
    start(loader, 0)
    _, begun = iterate(loader)
    start(loader, 0)
    @test refused(() -> iterate(loader, begun), "err_state", "begun anew")
end

@testset "a state that is refused leaves the running epoch as it was" begin
    loader = small_loader(batch_size=4)
    running = epoch(loader, 0)
    _, state = iterate(running)
    @test refused(() -> load_state(loader, "damaged"), "err_argument")
    @test refused(() -> load_state(loader, 3), ArgumentError, "state")
    batch, _ = iterate(running, state)
    @test samples(batch)[1].index == 5
end

@testset "a saved place continues exactly there, with other threads and batches" begin
    options = (order="shuffled", seed=9)
    loader = small_loader(; batch_size=2, options...)
    whole = [copy(batch) for batch in epoch(loader, 3)]
    start(loader, 3)
    for _ in 1:3
        close(next_batch(loader))
    end
    place = save_state(loader)
    @test place isa String && isvalid(place)
    for other in (small_loader(; batch_size=2, options...),
                  small_loader(; batch_size=2, threads=1, prefetch=4, options...), loader)
        load_state(other, place)
        @test [copy(batch) for batch in other] == whole[4:end]
    end
    single = small_loader(; options...)
    load_state(single, place)
    @test length(left_over(single)) == 10
    @test refused(() -> load_state(small_loader(order="shuffled", seed=8), place), "err_argument", "seed")
end

"A loader of which every batch is held, so that the next one does not come."
function full_loader(; options...)
    loader = small_loader(; prefetch=1, endless=true, options...)
    start(loader, 0)
    return loader, [next_batch(loader) for _ in 1:2]
end

@testset "a time to wait is kept, and nothing is lost by it" begin
    loader, held = full_loader()
    for timeout in (0, 0.25)
        began = time()
        @test refused(() -> next_batch(loader; timeout=timeout), "timeout", "$timeout")
        @test timeout <= time() - began < timeout + 5
    end
    for wrong in (-1, NaN, "1")
        @test refused(() -> next_batch(loader; timeout=wrong), ArgumentError, "timeout")
    end
    close(held[1])
    @test samples(next_batch(loader; timeout=60))[1].index == 3
    close(held[2])
end

@testset "a batch that nobody reaches any more is collected, not waited for" begin
    loader = small_loader(prefetch=1, endless=true, batch_size=2, categories=(name="images", dtype=Float32))
    function run_through(count)
        total = 0.0
        for _ in 1:count
            images = next_batch(loader; timeout=60)["images"]
            total += images[1]
        end
        return total
    end
    start(loader, 0)
    @test run_through(50) isa Float64
    @test stats(loader).held <= 2
end

@testset "cancel ends the wait of another task" begin
    loader, held = full_loader()
    waiting = @async thrown(() -> next_batch(loader))
    sleep(0.3)
    @test !istaskdone(waiting)
    cancel(loader)
    error = fetch(waiting)
    @test error isa VoxFeedError && error.status == "cancelled"
    @test refused(() -> next_batch(loader), "cancelled")
    foreach(close, held)
    start(loader, 0)
    @test samples(next_batch(loader))[1].index == 1
end

@testset "an epoch that is begun ends the wait of an iterator of the old one" begin
    loader, held = full_loader()
    old = epoch(loader, 0)
    waiting = @async thrown(() -> iterate(old))
    sleep(0.3)
    @test !istaskdone(waiting)
    start(loader, 1)
    error = fetch(waiting)
    @test error isa VoxFeedError && error.status == "err_state"
    foreach(close, held)
    @test samples(next_batch(loader))[1].epoch == 1
end

@testset "close ends the wait of another task, and says that the threads have ended" begin
    loader, held = full_loader()
    waiting = @async thrown(() -> next_batch(loader))
    sleep(0.3)
    @test close(loader; timeout=60)
    error = fetch(waiting)
    @test error isa VoxFeedError && error.status in ("cancelled", "err_handle")
    @test close(loader) && !isopen(loader)
    @test refused(() -> close(loader; timeout=-1), ArgumentError, "timeout")
    @test copy(held[1]) isa Array
end

@testset "several threads get the batches of an epoch, each one once" begin
    loader = small_loader(prefetch=6)
    start(loader, 0)
    found = [Int[] for _ in 1:4]
    tasks = map(1:4) do place
        Threads.@spawn while true
            batch = next_batch(loader)
            batch === nothing && break
            push!(found[place], samples(batch)[1].index)
            # Garbage of all threads, while others wait in the library.
            sum(rand(1000))
            close(batch)
        end
    end
    foreach(wait, tasks)
    @test sort(reduce(vcat, found)) == 1:16
end
