# Assemblers: volumes come back exactly.

"What an assembler makes of batches that predict what they hold, as a function of the first tensor."
function assembled(loader, predict=identity; options...)
    assembler = Assembler(loader; options...)
    for batch in epoch(loader, 0)
        add(assembler, batch, predict(tensor(batch)))
        close(batch)
    end
    return assembler
end

float_loader(dataset=study(); options...) =
    Loader(grid(dataset); categories=(name="images", dtype=Float32), batch_size=3, options...)

@testset "a grid with a border that is shifted comes back voxel by voxel" begin
    for options in ((blend="last",), (blend="mean", accumulate=Float64), (blend=:gaussian, accumulate="f64"),
            (threads=1,))
        assembler = assembled(float_loader(); options...)
        @test collect(complete(assembler)) == [1, 2]
        @test next_complete(assembler) === nothing
        for subject in 1:2
            @test coverage(assembler, subject) == 1
            whole = take(assembler, subject)
            @test whole isa Array{Float32,4} && size(whole) == (8, 7, 6, 1)
            @test isapprox(whole[:, :, :, 1], numbers(Int16, (8, 7, 6), subject); rtol=1e-6)
            get(options, :blend, "") == "last" && @test whole[:, :, :, 1] == numbers(Int16, (8, 7, 6), subject)
        end
        @test refused(() -> take(assembler, 1), VoxFeedError)
    end
end

@testset "a constant prediction is a constant volume, however it is blended" begin
    for blend in ("last", "mean", "gaussian"), accumulate in (Float32, Float64), sigma in (0, 0.5)
        options = (blend=blend, accumulate=accumulate, sigma=blend == "gaussian" ? sigma : nothing)
        assembler = assembled(float_loader(), images -> fill(0.25f0, size(images)); options...)
        @test all(value -> isapprox(value, 0.25; rtol=1e-6), take(assembler, 2))
    end
end

@testset "sigma has its effect" begin
    predict(images) = reshape(Float32.(1:length(images)), size(images))
    narrow = take(assembled(float_loader(), predict; blend="gaussian", sigma=0.05), 1)
    wide = take(assembled(float_loader(), predict; blend="gaussian", sigma=0.5), 1)
    @test narrow != wide
end

@testset "channels are kept, or become the number of the largest" begin
    function two_classes(images)
        found = zeros(Float32, 4, 4, 3, 2, size(images, 5))
        found[:, :, :, 1, :] .= 0.5
        found[:, :, :, 2, :] .= images[:, :, :, 1, :] .> 10000
        return found
    end
    expected = [numbers(Int16, (8, 7, 6), subject) .> 10000 for subject in 1:2]
    kept = take(assembled(float_loader(), two_classes), 2)
    @test size(kept) == (8, 7, 6, 2) && kept[:, :, :, 2] == expected[2]
    labels = take(assembled(float_loader(), two_classes; reduce="argmax"), 1)
    @test labels isa Array{UInt8,4} && labels[:, :, :, 1] == expected[1]
    rounded = take(assembled(float_loader(), images -> fill(2.5f0, size(images)); dtype=UInt8), 1)
    @test rounded isa Array{UInt8,4} && all(==(2), rounded)
end

@testset "predictions of every dtype, and with steps" begin
    for type in (UInt8, Int16, Int64, Float16, Float64)
        @test all(==(3), take(assembled(float_loader(), images -> fill(type(3), size(images))), 1))
    end
    wide(images) = view(cat(zero(images), Array(images), dims=4), :, :, :, 2:2, :)
    @test take(assembled(float_loader(), wide), 1)[:, :, :, 1] == numbers(Int16, (8, 7, 6), 1)
    turned(images) = PermutedDimsArray(permutedims(Array(images), (3, 2, 1, 4, 5)), (3, 2, 1, 4, 5))
    @test take(assembled(float_loader(), turned), 2)[:, :, :, 1] == numbers(Int16, (8, 7, 6), 2)
end

@testset "a smaller prediction is centred in its row" begin
    loader = Loader(Sampler(study(); kind="grid", patch_shape=(6, 7, 6), stride=(2, 7, 6)); categories="images")
    cut = Assembler(loader)
    for batch in epoch(loader, 0)
        images = batch["images"]
        add(cut, batch, Array(images)[2:5, 2:6, 2:5, :, :])
    end
    share = 6 * 5 * 4 / (8 * 7 * 6)
    @test coverage(cut, 1) ≈ share
    whole = take(cut, 1)[:, :, :, 1]
    @test whole[2:7, 2:6, 2:5] == numbers(Int16, (8, 7, 6), 1)[2:7, 2:6, 2:5]
    @test all(==(0), whole[1, :, :])
end

@testset "what is not complete is taken only as a part" begin
    loader = float_loader()
    assembler = Assembler(loader)
    start(loader, 0)
    batch = next_batch(loader)
    add(assembler, batch, batch["images"])
    @test next_complete(assembler) === nothing && isempty(collect(complete(assembler)))
    @test 0 < coverage(assembler, 1) < 1
    @test refused(() -> take(assembler, 1), "err_state")
    @test refused(() -> save(assembler, 1, "never.nii"), "err_state")
    @test refused(() -> take(assembler, 1; partial="yes"), ArgumentError, "partial")
    @test take(assembler, 1; partial=true)[1] == numbers(Int16, (8, 7, 6), 1)[1]
    @test refused(() -> take(assembler, 2), "err_not_found")
    @test refused(() -> take(assembler, 0), "err_range", "subject is 0")
    @test refused(() -> coverage(assembler, 99), VoxFeedError)
    @test refused(() -> take(assembler, 1.5), ArgumentError, "subject")
end

@testset "predictions that do not fit are refused, and change nothing" begin
    loader = float_loader()
    assembler = Assembler(loader)
    start(loader, 0)
    batch = next_batch(loader)
    images = batch["images"]
    @test refused(() -> add(assembler, batch, zeros(Float32, 4, 4, 3, 1, 2)), "err_argument")
    @test refused(() -> add(assembler, batch, zeros(Float32, 5, 4, 3, 1, 3)), "err_argument")
    @test refused(() -> add(assembler, batch, zeros(Float32, 3, 4, 5, 1, 3)), "err_argument", "here the prediction is " *
                  "(3, 4, 5, 1, 3), which is read as (width, height, depth, channel, batch)")
    @test refused(() -> add(assembler, batch, zeros(Complex{Float32}, 4, 4, 3, 1, 3)), ArgumentError, "Complex")
    @test refused(() -> add(assembler, batch, "text"), ArgumentError, "prediction is a String")
    @test refused(() -> add(assembler, loader, images), MethodError)
    @test refused(() -> coverage(assembler, 1), "err_not_found")
    add(assembler, batch, images)
    @test refused(() -> add(assembler, batch, images), "err_state")
end

@testset "samples that were kept are added later" begin
    loader = float_loader()
    assembler = Assembler(loader)
    kept = [(samples(batch), copy(batch)) for batch in epoch(loader, 0)]
    for (rows, images) in reverse(kept)
        add_samples(assembler, rows, images)
    end
    @test sort(collect(complete(assembler))) == [1, 2]
    @test take(assembler, 1)[:, :, :, 1] == numbers(Int16, (8, 7, 6), 1)
    @test refused(() -> add_samples(assembler, [1, 2], kept[1][2]), ArgumentError, "a list of Sample")
    broken = Sample{3}(0, 1, 0, 1, false, nothing, (0, 0, 0), (4, 4, 3), (0, 0, 0), (4, 4, 3))
    @test refused(() -> add_samples(Assembler(loader), [broken], zeros(Float32, 4, 4, 3, 1, 1)), "err_range",
            "index is 0")
    made_up = Sample{3}(1, 99, 0, 1, false, nothing, (0, 0, 0), (4, 4, 3), (0, 0, 0), (4, 4, 3))
    @test refused(() -> add_samples(Assembler(loader), [made_up], zeros(Float32, 4, 4, 3, 1, 1)), VoxFeedError)
end

@testset "samples of slices are added back across their axis" begin
    dataset = study()
    loader = Loader(Sampler(dataset; kind="slices", axes=2); batch_size=3, categories=(name="images", dtype=Float32))
    assembler = assembled(loader)
    @test take(assembler, 2)[:, :, :, 1] == numbers(Int16, (8, 7, 6), 2)
    again = Assembler(loader)
    for batch in epoch(loader, 0)
        @test all(sample -> sample.thin_axis == 2, samples(batch))
        add_samples(again, samples(batch), batch["images"])
    end
    @test take(again, 1)[:, :, :, 1] == numbers(Int16, (8, 7, 6), 1)
end

@testset "an identity goes through a file and comes back with its geometry" begin
    mktempdir() do folder
        affine = [0.0 0 -3 1; 1.5 0 0 2; 0 2 0 3; 0 0 0 1]
        image = numbers(Int16, (9, 7, 6))
        dataset = Dataset()
        add_array(dataset, add_subject(dataset, "a"), "images", "T1", image; affine=affine)
        for name in ("a.nii.gz", "a.nii", "a.npy", "a.h5")
            assembler = assembled(float_loader(dataset))
            path = joinpath(folder, name)
            save(assembler, 1, path)
            back = Dataset(path)
            @test read(back, 1, "images"; dtype=Int16)[:, :, :, 1] == image
            occursin("nii", name) && @test volume_info(back, 1, "images").affine ≈ affine
            @test refused(() -> save(assembler, 1, path), VoxFeedError)
        end
        assembler = assembled(float_loader(dataset))
        @test refused(() -> save(assembler, 1, joinpath(folder, "a.png")), "err_argument", "a.png")
        @test refused(() -> save(assembler, 1, joinpath(folder, "none", "a.nii")), VoxFeedError)
        @test refused(() -> save(assembler, 1, 3), ArgumentError, "path")
        @test take(assembler, 1)[:, :, :, 1] == image
    end
end
