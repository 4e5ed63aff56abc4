# Files that are written: datasets, volumes, pictures.

@testset "a dataset that is written is read again" begin
    mktempdir() do folder
        path = joinpath(folder, "study.h5")
        affine = [1.5 0 0 -1; 0 2 0 -2; 0 0 3 -3; 0 0 0 1]
        image, label = numbers(Float32, (7, 6, 5)), numbers(UInt8, (7, 6, 5))
        Writer(path) do writer
            for id in ("a", "b")
                add_subject(writer, id)
                add_entry(writer, "images", "T1", image; affine=affine)
                add_entry(writer, "labels", "GT", view(label, 7:-1:1, :, :))
            end
            @test !isfile(path)
        end
        back = Dataset(path)
        @test ids(back) == ["a", "b"] && categories(back) == ["images" => ["T1"], "labels" => ["GT"]]
        @test read(back, "b", "images", "T1") == image
        @test read(back, "b", "labels", "GT") == reverse(label, dims=1)
        @test volume_info(back, 1, "images").affine ≈ affine
        @test refused(() -> Writer(path), "err_argument", "study.h5")
        Writer(path; existing="replace") do writer
            @test add_dataset(writer, study(subjects=3))
        end
        @test ids(Dataset(path)) == ["a", "b", "c"]
        @test read(Dataset(path), 3, "images", "T1") == numbers(Int16, (8, 7, 6), 3)
    end
end

@testset "a writer that is not finished leaves nothing, or the old file" begin
    mktempdir() do folder
        path = joinpath(folder, "study.h5")
        @test refused(() -> Writer(writer -> error("enough"), path), ErrorException, "enough")
        @test isempty(readdir(folder))
        @test refused(() -> Writer(writer -> nothing, path), "err_state")
        @test isempty(readdir(folder))
        writer = Writer(path)
        add_subject(writer, "a")
        close(writer)
        @test isempty(readdir(folder))
        @test refused(() -> finish(writer), "err_handle", "this Writer is closed")
        @test refused(() -> Writer(joinpath(folder, "study.nii")), "err_argument")
        @test refused(() -> Writer(3), ArgumentError, "path is 3")
    end
end

@testset "a writer says what is out of order" begin
    mktempdir() do folder
        writer = Writer(joinpath(folder, "study.hdf5"))
        @test refused(() -> add_entry(writer, "images", "T1", zeros(Float32, 3, 3, 3)), "err_state")
        add_subject(writer, "a")
        @test refused(() -> add_subject(writer, "a"), "err_argument", "a")
        add_entry(writer, "images", "T1", zeros(Float32, 3, 3, 3))
        @test refused(() -> add_entry(writer, "images", "T2", zeros(Float32, 3, 3, 4)), "err_argument")
        @test refused(() -> add_entry(writer, "images", "T2", zeros(Complex{Int}, 3, 3, 3)), ArgumentError, "Complex")
        finish(writer)
        @test refused(() -> finish(writer), "err_state")
        close(writer)
        @test isfile(joinpath(folder, "study.hdf5"))
    end
end

@testset "writing a dataset tells its progress, stops when told to, and throws what is thrown" begin
    mktempdir() do folder
        seen = Int[]
        Writer(joinpath(folder, "a.h5")) do writer
            @test add_dataset(writer, study(subjects=4); progress=(done, total) -> push!(seen, done))
        end
        @test !isempty(seen) && seen[end] == 4
        writer = Writer(joinpath(folder, "b.h5"))
        @test !add_dataset(writer, study(subjects=4); progress=(done, total) -> true)
        close(writer)
        other = Writer(joinpath(folder, "c.h5"))
        @test refused(() -> add_dataset(other, study(subjects=4); progress=(done, total) -> error("enough")),
                ErrorException, "enough")
    end
end

@testset "volumes of every dtype are saved and read again" begin
    mktempdir() do folder
        stored = (UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64, Float32, Float64)
        for type in stored, ending in ("npy", "nii", "nii.gz", "h5")
            array = numbers(type, (6, 5, 4))
            path = joinpath(folder, "$type.$ending")
            save_volume(path, array)
            back = read(Dataset(path), 1, "images", first(last(first(categories(Dataset(path))))))
            @test eltype(back) == type && back == array
        end
        look = view(numbers(Int16, (9, 8, 7)), 1:2:9, :, 2:3)
        save_volume(joinpath(folder, "view.npy"), look)
        @test read(Dataset(joinpath(folder, "view.npy")), 1, "images")[:, :, :, 1] == look
        channels = numbers(Float32, (5, 4, 3, 2))
        save_volume(joinpath(folder, "channels.npy"), channels)
        @test read(Dataset(joinpath(folder, "channels.npy")), 1, "images") == channels
        @test refused(() -> save_volume(joinpath(folder, "a.xyz"), channels), "err_argument", "a.xyz")
        @test refused(() -> save_volume(joinpath(folder, "none", "a.npy"), channels), "err_not_found")
        @test refused(() -> save_volume(joinpath(folder, "a.npy"), channels; affine=zeros(3, 3)), ArgumentError,
                "affine")
        @test refused(() -> save_volume(joinpath(folder, "a.npy"), "text"), ArgumentError, "expected an array")
    end
end

@testset "pictures of volumes: every option has its effect" begin
    mktempdir() do folder
        image, label = numbers(Float32, (20, 16, 12)), UInt8.(numbers(Bool, (20, 16, 12)))
        function drawn(columns; options...)
            path = joinpath(folder, "picture.png")
            montage(path, columns; options...)
            bytes = read(path)
            @test bytes[1:8] == [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
            return bytes
        end
        plain = drawn(image)
        @test drawn([image]) == plain && drawn((volume=image,)) == plain && drawn([Dict("volume" => image)]) == plain
        @test drawn(image; axis=3) == plain && drawn(image; axis=1) != plain && drawn(image; axis=2) != plain
        @test drawn(image; slices=2) != plain && drawn(image; tile_pixels=60) != plain
        @test drawn(image; affine=[1.0 0 0 0; 0 0 1 0; 0 1 0 0; 0 0 0 1]) != plain
        @test drawn((volume=image, title="T1")) != plain
        both = drawn([image, (volume=label, look="labels", title="GT")])
        @test both != plain && both != drawn([image, (volume=label, look="grey", title="GT")])
        two = cat(image, 2 .* reverse(image, dims=1), dims=4)
        @test drawn((volume=two, channel=1)) == plain && drawn((volume=two, channel=2)) != plain
        @test refused(() -> drawn((volume=two, channel=3)), "err_range", "channel is 3, expected 1 to 2")
        @test refused(() -> drawn((volume=two, channel=0)), "err_range", "channel")
        @test refused(() -> drawn(image; axis=0), "err_range", "axis is 0, expected 1 to 3")
        @test refused(() -> drawn([image, zeros(Float32, 3, 3, 3)]), "err_argument")
        @test refused(() -> drawn([]), "err_argument")
        @test refused(() -> drawn([(title="T1",)]), ArgumentError, "needs a volume")
        @test refused(() -> drawn([(volume=image, look="gray")]), ArgumentError, "look", "\"grey\"")
        @test refused(() -> drawn(3), ArgumentError, "columns")
        @test refused(() -> drawn(["text"]), ArgumentError, "a column is")
    end
end
