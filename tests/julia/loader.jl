# Loaders: each option has its effect.

firsts(loader, number=0) = [sample.index for (_, rows) in all_batches(loader, number) for sample in rows]

@testset "order, seed and epoch" begin
    @test firsts(small_loader()) == 1:16
    shuffled = small_loader(order="shuffled", seed=3)
    @test firsts(shuffled) != 1:16 && sort(firsts(shuffled)) == 1:16
    @test firsts(shuffled) == firsts(small_loader(order=:shuffled, seed=3, threads=1, prefetch=5))
    @test firsts(shuffled, 1) != firsts(shuffled, 0)
    @test firsts(shuffled) != firsts(small_loader(order="shuffled", seed=4))
end

@testset "batch size and the last batch" begin
    sizes(; options...) = [length(rows) for (_, rows) in all_batches(small_loader(; options...))]
    @test sizes(batch_size=5) == [5, 5, 5, 1]
    @test sizes(batch_size=5, last_batch="drop") == [5, 5, 5]
    @test sizes(batch_size=5, last_batch="pad") == [5, 5, 5, 5]
    @test [sample.repeated for sample in last(all_batches(small_loader(batch_size=5,
            last_batch="pad")))[2]] == [false, true, true, true, true]
    @test sizes() == ones(16)
    @test length(small_loader(batch_size=5)) == 4 && length(epoch(small_loader(batch_size=5), 0)) == 4
    @test sizes(batch_size=99) == [16]
end

@testset "shares of an epoch, and neighbours within a window" begin
    shares = [firsts(small_loader(rank=rank, world_size=3, order="shuffled", seed=2)) for rank in 0:2]
    @test sort(reduce(vcat, shares)) == 1:16
    @test refused(() -> small_loader(rank=3, world_size=3), "err_argument", "rank")
    grouped = firsts(small_loader(order="shuffled", seed=2, group_window=16))
    @test sort(grouped) == 1:16 && grouped != firsts(small_loader(order="shuffled", seed=2))
    @test refused(() -> small_loader(group_window=2^21), "err_argument", "1048576")
end

@testset "an endless loader goes on into the next epochs" begin
    loader = small_loader(endless=true, batch_size=8)
    start(loader, 0)
    epochs = [samples(next_batch(loader))[1].epoch for _ in 1:5]
    @test epochs == [0, 0, 1, 1, 2]
    @test length(loader) == 2
end

@testset "unlike shapes, and slices with their axis" begin
    dataset = Dataset()
    for (place, shape) in enumerate([(8, 7, 6), (5, 7, 4)])
        add_array(dataset, add_subject(dataset, "s$place"), "images", "T1", numbers(Int16, shape, place))
    end
    whole = Sampler(dataset)
    @test refused(() -> Loader(whole; batch_size=2), "err_argument", "ragged")
    @test [size(tensors["images"]) for (tensors, _) in all_batches(Loader(whole))] == [(8, 7, 6, 1, 1), (5, 7, 4, 1, 1)]
    @test size(batch_of(Loader(whole; batch_size=2, ragged="pad"))) == (8, 7, 6, 1, 2)
    slices = Sampler(study(); kind="slices", axes=1)
    @test size(batch_of(Loader(slices; batch_size=2))) == (7, 6, 1, 2)
    kept = batch_of(Loader(slices; batch_size=2, thin_axis="keep"))
    @test size(kept) == (1, 7, 6, 1, 2) && kept[1, :, :, 1, 2] == numbers(Int16, (8, 7, 6), 1)[2, :, :]
end

function keys_of(categories)
    dataset = Dataset()
    add_array(dataset, add_subject(dataset, "a"), "images", "T1", zeros(Int16, 3, 3, 3))
    loader = Loader(Sampler(dataset); categories=categories)
    start(loader, 0)
    return keys(next_batch(loader))
end

@testset "options of a category" begin
    dataset = Dataset()
    subject = add_subject(dataset, "a")
    one, other = numbers(Int16, (6, 5, 4), 1), numbers(Int16, (6, 5, 4), 2)
    add_array(dataset, subject, "images", "T1", one)
    add_array(dataset, subject, "images", "T2", other)
    fed(; options...) = batch_of(Loader(Sampler(dataset); categories=(; name="images", options...)))
    @test fed()[:, :, :, :, 1] == cat(one, other, dims=4)
    @test fed(entries=["T2", "T1"])[:, :, :, :, 1] == cat(other, one, dims=4)
    @test fed(entries="T2")[:, :, :, 1, 1] == other
    @test size(fed(entries=("T2",), squeeze_channel=true)) == (6, 5, 4, 1)
    @test eltype(fed(dtype="f64")) == Float64
    @test refused(() -> fed(dtype=UInt8), "err_range")
    @test fed(dtype=UInt8, fit="saturate")[:, :, :, 1, 1] == UInt8.(min.(one, 255))
    padded = Sampler(dataset; kind="grid", patch_shape=(7, 5, 4), border="pad")
    function outside(; options...)
        loader = Loader(padded; categories=(; name="images", entries="T1", options...))
        return batch_of(loader)[7, :, :, 1, 1]
    end
    @test all(==(0), outside()) && all(==(9), outside(padding="constant", pad_value=9))
    @test outside(padding="edge") == one[6, :, :] && outside(padding=:reflect) == one[5, :, :]
    @test outside(padding="symmetric") == one[6, :, :] && outside(padding="wrap") == one[1, :, :]
    names = [keys_of(categories) for categories in ("images", :images, ["images"], (name="images",),
            Dict("name" => "images"), nothing)]
    @test all(==(["images"]), names)
    @test refused(() -> fed(entries=["T9"]), "err_not_found", "T1")
    @test refused(() -> fed(entries=[3]), ArgumentError, "an entry is 3")
    @test refused(() -> Loader(Sampler(dataset); categories="pictures"), "err_not_found", "images")
    @test refused(() -> Loader(Sampler(dataset); categories=[]), "err_argument", "empty")
    @test refused(() -> Loader(Sampler(dataset); categories=(dtype="f32",)), "err_argument", "needs a name", "dtype")
    @test refused(() -> Loader(Sampler(dataset); categories=3), ArgumentError, "categories is 3")
    @test refused(() -> Loader(Sampler(dataset); categories=[3]), ArgumentError, "a category is 3")
end

@testset "numbers of a loader: threads, prefetch, consumer" begin
    loader = small_loader(threads=3, prefetch=4, consumer="device")
    counted = stats(loader)
    @test counted.threads == 3 && counted.slots == 5 && counted.batches == 0
    all_batches(loader)
    counted = stats(loader)
    @test counted.batches == 16 && counted.samples == 16 && counted.held == 0 && counted.errors == 0
    @test counted.bytes == 16 * 48 * 3 && counted.slot_bytes >= 5 * 48 * 3
    @test keys(counted) == fieldnames(VoxFeed.vxf_loader_stats)[2:end]
    @test refused(() -> small_loader(threads=2000), "err_argument", "threads")
end

"A loader of a volume whose second subject does not fit the dtype."
function failing_loader(; options...)
    dataset = Dataset()
    for (place, value) in enumerate((1, 300, 2))
        add_array(dataset, add_subject(dataset, "s$place"), "images", "T1", fill(Int16(value), 3, 3, 3))
    end
    return Loader(Sampler(dataset); categories=(name="images", dtype=UInt8), options...)
end

@testset "a batch that failed is thrown once, in order, and names its sample" begin
    loader = failing_loader()
    start(loader, 0)
    @test copy(next_batch(loader))[1] == 1
    error = thrown(() -> next_batch(loader))
    @test error isa VoxFeedError && error.status == "err_range" && error.sample == 2
    @test copy(next_batch(loader))[1] == 2
    @test next_batch(loader) === nothing && next_batch(loader) === nothing
    @test stats(loader).errors == 1
    stopped = failing_loader(on_error="stop")
    start(stopped, 0)
    next_batch(stopped)
    @test refused(() -> next_batch(stopped), "err_range")
    @test next_batch(stopped) === nothing
end

@testset "a GPU that is not there is an error that says why" begin
    VoxFeed.cuda_device_count() == 0 || return
    for device in ("cuda", "cuda_host")
        @test refused(() -> small_loader(device=device), "err_no_device")
    end
    @test refused(() -> Assembler(small_loader(); device="cuda"), "err_no_device")
    @test refused(() -> small_loader(device_id=1), "err_argument", "device_id")
    @test refused(() -> small_loader(cast="device"), VoxFeedError, "cast")
end
