# Options: each has an effect or an error, and wrong ones are named with those that there are.

@testset "an unknown option is named with those that there are" begin
    dataset = study()
    sampler = grid(dataset)
    path = joinpath(tempdir(), "never.h5")
    @test refused(() -> Dataset(oi="map"), ArgumentError, "\"oi\"", "io, geometry, cache_bytes, orient")
    @test refused(() -> add_file(dataset, 1, "c", "e", "p"; inne="x"), ArgumentError, "\"inne\"", "channel, inner")
    @test refused(() -> Sampler(dataset; patch=3), ArgumentError, "\"patch\"", "kind, border, axes, patch_shape")
    @test refused(() -> Loader(sampler; batchsize=3), ArgumentError, "\"batchsize\"", "batch_size", "device_id",
            "categories")
    @test refused(() -> Loader(sampler; categories=[(name="images", type="f32")]), ArgumentError, "\"type\"",
            "dtype", "entries")
    @test refused(() -> Assembler(Loader(sampler); blends="mean"), ArgumentError, "\"blends\"", "blend", "sigma")
    @test refused(() -> Writer(path; overwrite=true), ArgumentError, "\"overwrite\"", "existing")
    @test refused(() -> montage("a.png", [zeros(2, 2, 2)]; rows=3), ArgumentError, "\"rows\"", "slices, tile_pixels")
    @test refused(() -> montage("a.png", [(volume=zeros(2, 2, 2), name="a")]), ArgumentError, "\"name\"", "title")
end

@testset "what C keeps for itself is no option" begin
    dataset = study()
    sampler = grid(dataset)
    calls = [given -> Dataset(; given...), given -> Sampler(dataset; given...), given -> Loader(sampler; given...),
             given -> Loader(sampler; categories=(; name="images", given...)),
             given -> Assembler(Loader(sampler); given...), given -> Writer("never.h5"; given...),
             given -> montage("never.png", [zeros(2, 2, 2)]; given...),
             given -> add_file(dataset, 1, "c", "e", "p"; given...)]
    for call in calls, name in (:struct_size, :reserved, :reserved_end, :pinned, :axis_count, :category_count,
            :entry_count)
        error = thrown(() -> call(NamedTuple{(name,)}((0,))))
        @test error isa ArgumentError && occursin(repr(string(name)), error.msg)
        @test !occursin(r"; there are:.*(reserved|struct_size|_count|pinned)", said(error))
    end
end

@testset "a word that is none is refused with all that there are" begin
    dataset = study()
    sampler = grid(dataset)
    @test refused(() -> Dataset(io="maps"), ArgumentError, "io is \"maps\"", "\"auto\", \"positional\", \"map\"")
    @test refused(() -> Dataset(geometry=1), ArgumentError, "geometry is 1")
    @test refused(() -> Dataset(seek_index="no"), ArgumentError, "seek_index")
    @test refused(() -> Dataset(index_place="here"), ArgumentError, "index_place")
    @test refused(() -> Sampler(dataset; kind="grids"), ArgumentError, "kind", "\"uniform\"")
    @test refused(() -> grid(dataset; border="cut"), ArgumentError, "border", "\"shift\"")
    for name in (:order, :last_batch, :on_error, :ragged, :thin_axis, :device, :consumer, :cast)
        @test refused(() -> Loader(sampler; NamedTuple{(name,)}(("made up",))...), ArgumentError, string(name),
                "made up")
    end
    for name in (:dtype, :padding, :fit)
        category = NamedTuple{(:name, name)}(("images", "made up"))
        @test refused(() -> Loader(sampler; categories=category), ArgumentError, string(name), "made up")
    end
    for name in (:blend, :reduce, :dtype, :accumulate, :device)
        @test refused(() -> Assembler(Loader(sampler); NamedTuple{(name,)}(("made up",))...), ArgumentError,
                string(name))
    end
    @test refused(() -> Writer("never.h5"; existing="maybe"), ArgumentError, "existing", "\"replace\"")
    @test refused(() -> Loader(sampler; categories=(name="images", dtype=Complex)), ArgumentError, "Complex",
            "or a type")
end

@testset "a number that is none, or does not fit, is refused by name" begin
    dataset = study()
    sampler = grid(dataset)
    for name in (:batch_size, :prefetch, :threads, :rank, :world_size, :group_window, :seed)
        for wrong in (-1, "3", 2.5, true)
            @test refused(() -> Loader(sampler; NamedTuple{(name,)}((wrong,))...), ArgumentError, string(name))
        end
    end
    @test refused(() -> Loader(sampler; batch_size=2^32), ArgumentError, "batch_size is 4294967296", "4294967295")
    @test refused(() -> Loader(sampler; device_id=2^31), ArgumentError, "device_id")
    @test refused(() -> Loader(sampler; endless="yes"), ArgumentError, "endless", "true or false")
    @test refused(() -> Loader(sampler; endless=2), ArgumentError, "endless")
    @test refused(() -> Loader(sampler; categories=(name="images", squeeze_channel=3)), ArgumentError,
            "squeeze_channel")
    @test refused(() -> Loader(sampler; categories=(name="images", pad_value="3")), ArgumentError, "pad_value")
    @test refused(() -> Assembler(Loader(sampler); sigma="3"), ArgumentError, "sigma")
    @test refused(() -> Assembler(Loader(sampler); threads=-1), ArgumentError, "threads")
    @test refused(() -> Dataset(cache_bytes=-1), ArgumentError, "cache_bytes")
    @test refused(() -> Dataset(orient=3), ArgumentError, "orient is 3, expected text")
    @test refused(() -> Dataset(orient="R\0S"), ArgumentError, "NUL")
    @test refused(() -> Dataset(orient="XYZ"), "err_argument", "orient")
    @test refused(() -> preload(dataset; threads=-1), ArgumentError, "threads")
    @test refused(() -> Sampler(dataset; kind="uniform", patch_shape=(4, 4, 3), samples_per_subject=-1),
            ArgumentError, "samples_per_subject")
end

@testset "nothing is the default of every option" begin
    options = Dict(name => nothing for name in VoxFeed.option_names(VoxFeed.vxf_loader_options))
    @test length(Loader(grid(study(), border=nothing, stride=nothing); options...)) == 8
    @test length(Dataset(; io=nothing, orient=nothing, index_folder=nothing)) == 0
end

@testset "options of a dataset have their effect" begin
    mktempdir() do folder
        image = numbers(Int16, (5, 6, 7))
        # Width runs to the left, height to the back, depth upwards.
        affine = [-2.0 0 0 1; 0 -3 0 2; 0 0 4 3; 0 0 0 1]
        path = joinpath(folder, "one.nii.gz")
        save_volume(path, image; affine=affine)
        stored = Dataset(path; io="positional", cache_bytes=1 << 20, seek_index="always", index_place="beside")
        @test volume_info(stored, 1, "images").affine == affine
        @test volume_info(stored, 1, "images").spacing_mm == (2.0, 3.0, 4.0)
        @test read(stored, 1, "images", dtype=Int16)[:, :, :, 1] == image
        @test any(name -> endswith(name, ".vxfindex"), readdir(folder))
        turned = Dataset(path; orient="RAS")
        @test read(turned, 1, "images", dtype=Int16)[:, :, :, 1] == reverse(reverse(image, dims=1), dims=2)
        @test volume_info(turned, 1, "images").affine[1, 1] == 2
        indexes = mkdir(joinpath(folder, "indexes"))
        kept = Dataset(path; seek_index="always", index_folder=indexes)
        read(kept, 1, "images")
        @test length(readdir(indexes)) == 1
        @test refused(() -> preload(Dataset(path; cache_bytes=1)), "err_limit")
        other = [1.0 0 0 9; 0 1 0 9; 0 0 1 9; 0 0 0 1]
        shape = Dataset(geometry="shape")
        add_array(shape, add_subject(shape, "a"), "images", "T1", image; affine=affine)
        add_array(shape, 1, "images", "T2", image; affine=other)
        @test categories(shape) == ["images" => ["T1", "T2"]]
        strict = Dataset(geometry=:strict)
        add_array(strict, add_subject(strict, "a"), "images", "T1", image; affine=affine)
        @test refused(() -> add_array(strict, 1, "images", "T2", image; affine=other), "err_argument")
    end
end
