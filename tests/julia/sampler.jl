# Samplers, samples and transforms.

@testset "a grid lists its patches with the fastest axis first" begin
    dataset = study()
    sampler = grid(dataset; patch_shape=(4, 7, 3))
    @test length(sampler) == 8
    @test get(sampler, 1).offset == (0, 0, 0) && get(sampler, 2).offset == (4, 0, 0)
    @test get(sampler, 3).offset == (0, 0, 3) && get(sampler, 5).subject == 2
    sample = get(sampler, 8; epoch=5, seed=3)
    @test (sample.index, sample.subject, sample.epoch, sample.position) == (8, 2, 5, 8)
    @test sample.shape == (4, 7, 3) && sample.thin_axis === nothing && !sample.repeated
    for wrong in (0, 9, -1)
        @test refused(() -> get(sampler, wrong), "err_range", "index is $wrong, expected 1 to 8")
    end
    @test refused(() -> get(sampler, 1; seed=-1), ArgumentError, "seed")
    @test refused(() -> get(sampler, 1; epoch=-1), ArgumentError, "epoch")
end

@testset "options of a grid" begin
    dataset = study(subjects=1)
    lengths(; options...) = length(Sampler(dataset; kind="grid", options...))
    @test lengths(patch_shape=(4, 4, 3), border="drop") == 2 * 1 * 2
    @test lengths(patch_shape=(4, 4, 3), border=:pad) == 2 * 2 * 2
    @test lengths(patch_shape=[0, 7, 3]) == 2
    @test lengths(patch_shape=(4, 7, 6), stride=(2, 7, 6)) == 3
    @test lengths(patch_shape=(4, 7, 6), overlap=(2, 0, 0)) == 3
    @test lengths(patch_shape=(8, 7, 4), stride=(8, 7, 2)) == 2
    clipped = get(Sampler(dataset; kind="grid", patch_shape=(5, 7, 6), border="clip"), 2)
    @test clipped.shape == (3, 7, 6) && in_volume(clipped) == (6:8, 1:7, 1:6) && in_row(clipped) == (1:3, 1:7, 1:6)
    padded = get(Sampler(dataset; kind="grid", patch_shape=(5, 7, 6), border="pad"), 2)
    @test padded.shape == (5, 7, 6) && padded.valid_shape == (3, 7, 6) && in_row(padded) == (1:3, 1:7, 1:6)
end

@testset "slices name their axes from the fastest" begin
    dataset = study(subjects=1)
    for (axis, extent) in ((1, 8), (2, 7), (3, 6))
        sampler = Sampler(dataset; kind="slices", axes=axis)
        @test length(sampler) == extent
        sample = get(sampler, 2)
        @test sample.thin_axis == axis && sample.shape[axis] == 1 && sample.offset[axis] == 1
        kept = in_row(sample; thin_axis="keep")
        @test kept == map(extent -> 1:extent, sample.shape) && in_row(sample) == Tuple(kept[setdiff(1:3, axis)])
    end
    @test length(Sampler(dataset; kind="slices")) == 6
    @test get(Sampler(dataset; kind="slices", axes=(2, 3)), 8).thin_axis == 3
    @test refused(() -> Sampler(dataset; kind="slices", axes=0), "err_range", "axes is 0, expected 1 to 3")
    @test refused(() -> Sampler(dataset; kind="slices", axes=4), "err_range", "axes is 4")
    @test refused(() -> Sampler(dataset; kind="slices", axes=()), ArgumentError, "axes")
    @test refused(() -> Sampler(dataset; kind="slices", axes="x"), ArgumentError, "axes")
end

@testset "uniform patches depend on seed and epoch" begin
    sampler = Sampler(study(); kind="uniform", patch_shape=(3, 3, 3), samples_per_subject=5)
    @test length(sampler) == 10
    @test get(sampler, 4; seed=1).offset == get(sampler, 4; seed=1).offset
    @test [get(sampler, place; seed=1).offset for place in 1:10] != [get(sampler, place; seed=2).offset
            for place in 1:10]
    @test [get(sampler, place; epoch=1).offset for place in 1:10] != [get(sampler, place).offset for place in 1:10]
end

@testset "options that a kind does not use are refused" begin
    dataset = study()
    @test refused(() -> Sampler(dataset; patch_shape=(4, 4, 4)), "err_argument", "not given",
            "patch_shape (\"grid\" and \"uniform\" do)")
    @test refused(() -> Sampler(dataset; kind="uniform", patch_shape=(4, 4, 4), border="pad"), "err_argument",
            "border (\"grid\" does)")
    @test refused(() -> Sampler(dataset; kind="slices", samples_per_subject=3), "err_argument", "samples_per_subject")
    @test refused(() -> Sampler(dataset; kind="grid", patch_shape=(4, 4, 4), axes=1), "err_argument", "axes")
    @test refused(() -> grid(dataset; stride=(2, 2, 2), overlap=(1, 1, 1)), "err_argument")
    for wrong in ((4, 4), (4, 4, 4, 4), 4)
        @test refused(() -> grid(dataset; patch_shape=wrong), "err_argument", "patch_shape", "3 numbers", "(8, 7, 6)")
    end
    @test refused(() -> grid(dataset; patch_shape=(4, 4, -1)), "err_argument", "patch_shape")
    @test refused(() -> grid(dataset; patch_shape=(4, 4, 1.5)), ArgumentError, "patch_shape")
    @test refused(() -> Sampler(Dataset(); kind="grid", patch_shape=(4, 4, 4)), "err_argument")
    @test refused(() -> Sampler(Dataset(); kind="slices", axes=2), "err_argument")
    @test refused(() -> Sampler(Dataset()), "err_argument")
    @test refused(() -> Sampler(study(); kind="grid", patch_shape=(99, 7, 6), border="drop"), "err_argument")
    @test refused(() -> Sampler(3), MethodError)
end

@testset "steps of a transform are applied, however they are written" begin
    step = (name="window", category="images", low=0, high=100, to=[-1, 1])
    cast = Dict("name" => "cast", "category" => "images", "dtype" => "f32")
    text = "[{\"name\": \"window\", \"category\": \"images\", \"low\": 0, \"high\": 100, \"to\": [-1, 1]}]"
    whole = Float32.(numbers(Int16, (8, 7, 6), 1))
    expected = clamp.(whole, 0, 100) ./ 50 .- 1
    for (steps, dtype) in ((step, Float32), ([step], Float32), (text, Float32), (Transform(step), Float32),
                           ((cast, step), nothing))
        loader = Loader(Sampler(study()); transform=steps, categories=(name="images", dtype=dtype))
        @test batch_of(loader)[:, :, :, 1, 1] ≈ expected
    end
    lookup = (name="lookup", category="labels", map=Dict(1 => 2), default="keep")
    found = batch_of(Loader(Sampler(study()); transform=lookup, categories="labels"))
    @test found[:, :, :, 1, 1] == replace(numbers(UInt8, (8, 7, 6), 11), 1 => 2)
    @test refused(() -> Transform((name="wnidow", category="images")), "err_argument", "wnidow", "window")
    @test refused(() -> Transform((name="scale", category="images", slpoe=1)), "err_argument", "slpoe", "slope")
    @test refused(() -> Transform("no json"), "err_argument")
    @test refused(() -> Transform(3), VoxFeedError)
    @test refused(() -> Transform((name="scale", category="images", slope=NaN)), ArgumentError, "NaN")
    @test refused(() -> Loader(Sampler(study()); transform=(name="scale", category="images")), "err_argument", "cast")
end
