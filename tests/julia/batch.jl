# Batches, and the arrays of their memory.

@testset "a batch's arrays are views of its memory, batch last" begin
    loader = small_loader(batch_size=4, categories=[(name="images", dtype=Float32), "labels"])
    for batch in epoch(loader, 0)
        @test keys(batch) == ["images", "labels"] && length(batch) == 4
        images, labels = batch["images"], batch[:labels]
        @test images isa BatchArray{Float32,5} && size(images) == (4, 4, 3, 1, 4)
        @test labels isa BatchArray{UInt8,5} && images.device == "cpu"
        for (row, sample) in enumerate(samples(batch))
            @test images[:, :, :, 1, row] == numbers(Int16, (8, 7, 6), sample.subject)[in_volume(sample)...]
            @test labels[in_row(sample)..., 1, row] == numbers(UInt8, (8, 7, 6),
                    10 + sample.subject)[in_volume(sample)...]
        end
        @test Array(images) == images && Array(images) isa Array{Float32,5}
        @test copy(batch, "images") == images && copy(batch) == images && tensor(batch) == images
        @test sum(images) ≈ sum(Array(images)) && maximum(labels) == maximum(Array(labels))
        images[2, 3, 1, 1, 4] = 7
        @test batch["images"][2, 3, 1, 1, 4] == 7 && images[CartesianIndex(2, 3, 1, 1, 4)] == 7
        images .= 5
        @test all(==(5), batch["images"])
        @test strides(images) == (1, 4, 16, 48, 48) && length(images) == 192
        @test refused(() -> images[5, 1, 1, 1, 1], BoundsError) && refused(() -> images[193], BoundsError)
        @test refused(() -> images[0] = 1, BoundsError)
        @test refused(() -> labels[1] = 300, InexactError)
        @test refused(() -> batch["lables"], "err_not_found", "labels")
        @test refused(() -> batch[1], MethodError)
        @test refused(() -> tensor(batch, 1), ArgumentError, "category is 1, expected text")
    end
end

@testset "arrays of a batch work in linear algebra, views, reshapes and copies" begin
    loader = small_loader(batch_size=4, categories=(name="images", dtype=Float32))
    start(loader, 0)
    images = next_batch(loader)["images"]
    flat = reshape(images, 48, 4)
    plain = Array(flat)
    @test flat' * flat ≈ plain' * plain
    @test images .+ 1 == Array(images) .+ 1 && (images .+ 1) isa Array
    @test similar(images) isa Array{Float32,5}
    @test view(images, :, :, 2, 1, :) == Array(images)[:, :, 2, 1, :]
    into = zeros(Float32, 4, 4, 3, 1, 4)
    @test copyto!(into, images) === into && into == images
    @test copyto!(images, 2 .* into) == 2 .* into
    @test refused(() -> deepcopy(images), ArgumentError, "Array(x)")
    @test unsafe_load(pointer(images), 3) == images[3]
    @test reinterpret(UInt32, vec(images))[1] == reinterpret(UInt32, images[1])
    @test refused(() -> copyto!(zeros(Float32, 3), images), BoundsError)
    @test occursin("4×4×3×1×4", summary(images))
end

@testset "a batch is copied into arrays of its type and size only" begin
    loader = small_loader(batch_size=4)
    start(loader, 0)
    batch = next_batch(loader)
    into = zeros(Int16, 4, 4, 3, 1, 4)
    @test copyto!(into, batch, "images") == batch["images"]
    @test copyto!(fill!(copy(into), 0), batch) == batch["images"]
    @test refused(() -> copyto!(zeros(Int16, 4, 4, 3, 1, 3), batch, "images"), "err_argument")
    @test refused(() -> copyto!(zeros(Float32, 4, 4, 3, 1, 4), batch, "images"), "err_argument")
    @test refused(() -> copyto!(zeros(Complex{Int}, 4), batch, "images"), ArgumentError, "Complex")
    @test refused(() -> copy(batch, "none"), "err_not_found")
end

@testset "every dtype that a category is asked for" begin
    for type in (Bool, UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64, Float16, Float32, Float64)
        dataset = Dataset()
        array = numbers(Bool, (6, 5, 4))
        add_array(dataset, add_subject(dataset, "a"), "images", "T1", array)
        found = batch_of(Loader(Sampler(dataset); categories=(name="images", dtype=type)))
        @test eltype(found) == type && found[:, :, :, 1, 1] == array
    end
end

@testset "what is there on the host needs no stream" begin
    loader = small_loader()
    start(loader, 0)
    batch = next_batch(loader)
    @test wait(batch) === nothing && wait(batch, 2) === nothing && wait(batch, -1) === nothing
    @test record_stream(batch, C_NULL) === nothing && query(batch)
    @test refused(() -> ready_event(batch), "err_unsupported")
    for wrong in (-2, 1.5, "stream", true, big(2)^64)
        @test refused(() -> wait(batch, wrong), ArgumentError, "stream")
    end
end

@testset "objects show themselves in a line" begin
    dataset = study()
    loader = small_loader(batch_size=3)
    start(loader, 0)
    batch = next_batch(loader)
    @test string(dataset) == "Dataset(2 subjects)" && string(study(subjects=1)) == "Dataset(1 subject)"
    @test string(grid(dataset)) == "Sampler(16 samples)"
    @test string(loader) == "Loader(6 batches an epoch)"
    @test string(batch) == "Batch(3 samples: images, labels)"
    @test string(epoch(loader, 1)) == "Epoch(Loader(6 batches an epoch))"
    @test string(Assembler(loader)) == "Assembler()"
    @test string(Transform("[]")) == "Transform()"
    close(dataset)
    @test string(dataset) == "Dataset(closed)"
    @test said(VoxFeedError("err_state", "text")) == "VoxFeedError (err_state): text"
    @test string(DeviceTensor(4096, (2, 3), Float32; device_id=1)) == "2×3 DeviceTensor of Float32 on GPU 1"
end
