# Datasets: subjects, attributes, splits, volumes.

@testset "subjects are counted from 1, and found by number or id" begin
    dataset = Dataset()
    @test length(dataset) == 0
    @test add_subject(dataset, "one") == 1
    @test add_subject(dataset, "two") == 2
    @test ids(dataset) == ["one", "two"]
    @test find(dataset, "two") == 2
    @test subject_id(dataset, 1) == "one"
    @test subject_id(dataset, "two") == "two"
    for wrong in (0, 3, -1, big(2)^70)
        @test refused(() -> subject_id(dataset, wrong), "err_range", "subject is $wrong, expected 1 to 2")
    end
    for wrong in (1.0, true, nothing, [1])
        @test refused(() -> subject_id(dataset, wrong), ArgumentError, "subject", "an integer")
    end
    @test refused(() -> subject_id(dataset, "three"), "err_not_found", "three")
    @test refused(() -> add_subject(dataset, "one"), "err_argument")
    @test refused(() -> add_subject(dataset, ""), "err_argument")
    @test refused(() -> add_subject(dataset, 3), ArgumentError, "id is 3, expected text")
    @test refused(() -> add_subject(dataset, "a\0b"), ArgumentError, "NUL")
    @test refused(() -> subject_id(Dataset(), 1), "err_range", "none")
end

@testset "arrays of every dtype come back as they were" begin
    for type in (Bool, UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64, Float16, Float32, Float64)
        dataset = Dataset()
        array = numbers(type, (5, 4, 3))
        add_array(dataset, add_subject(dataset, "a"), "images", "T1", array)
        back = read(dataset, 1, "images", "T1")
        @test eltype(back) == type && back == array
        @test volume_info(dataset, 1, "images").dtype == type
    end
    @test refused(() -> add_array(study(), 1, "images", "T2", zeros(Complex{Float64}, 8, 7, 6)), ArgumentError,
            "Complex", "Float32")
    @test refused(() -> add_array(study(), 1, "images", "T2", Any[1, 2]), ArgumentError, "Any")
    @test refused(() -> add_array(study(), 1, "images", "T2", "text"), ArgumentError, "String, expected an array")
    @test refused(() -> add_array(study(), 1, "images", "T2", fill(1.0)), ArgumentError, "0 axes")
    @test refused(() -> add_array(study(), 1, "images", "T2", zeros(Float32, 0, 3, 3)), VoxFeedError)
end

@testset "shapes of one to four axes, the channel last" begin
    for shape in ((9,), (5, 4), (5, 4, 3), (5, 4, 3, 2))
        dataset = Dataset()
        array = numbers(Float32, shape)
        add_array(dataset, add_subject(dataset, "a"), "images", "T1", array)
        info = volume_info(dataset, 1, "images", "T1")
        @test info.shape == shape[1:min(3, end)]
        @test info.channels == (length(shape) == 4 ? 2 : 1)
        @test read(dataset, 1, "images", "T1") == array
    end
    @test refused(() -> add_array(study(), 1, "images", "T2", zeros(2, 2, 2, 2, 2)), "err_argument")
end

@testset "views with steps, backwards and lazy arrays are added as they look" begin
    whole = numbers(Int16, (12, 9, 8))
    looks = [view(whole, 2:9, 1:7, 2:7), view(whole, 1:2:11, :, :), view(whole, 12:-1:1, :, :),
             permutedims(whole, (2, 1, 3)), PermutedDimsArray(whole, (3, 1, 2)), reshape(whole, 9, 12, 8),
             reinterpret(UInt16, whole), BitArray(isodd.(whole)), view(whole, [1, 5, 2], :, :)]
    for look in looks
        dataset = Dataset()
        add_array(dataset, add_subject(dataset, "a"), "images", "T1", look)
        @test read(dataset, 1, "images", "T1") == look
    end
end

@testset "regions are read, fastest axis first" begin
    dataset = study()
    whole = read(dataset, "a", "images", "T1")
    @test whole == numbers(Int16, (8, 7, 6), 1)
    @test read(dataset, 1, "images") == reshape(whole, 8, 7, 6, 1)
    @test read(dataset, 1, "images", "T1"; offset=(2, 1, 3), shape=(4, 5, 2)) == whole[3:6, 2:6, 4:5]
    @test read(dataset, 1, "images", "T1"; offset=[2, 1, 3]) == whole[3:end, 2:end, 4:end]
    @test read(dataset, 1, "images", "T1"; shape=(0, nothing, 2)) == whole[:, :, 1:2]
    outside = read(dataset, 1, "images", "T1"; offset=(-1, 0, 0), shape=(3, 7, 8))
    @test outside[2:3, :, 1:6] == whole[1:2, :, :] && all(==(0), outside[1, :, :]) && all(==(0), outside[:, :, 7:8])
    @test eltype(read(dataset, 1, "images", "T1"; dtype=Float64)) == Float64
    @test eltype(read(dataset, 1, "images", "T1"; dtype="f16")) == Float16
    @test refused(() -> read(dataset, 1, "images", "T1"; dtype=UInt8), "err_range")
    @test refused(() -> read(dataset, 1, "images", "T1"; offset=(1, 2)), ArgumentError, "offset", "3 numbers")
    @test refused(() -> read(dataset, 1, "images", "T1"; offset=3), ArgumentError, "offset")
    @test refused(() -> read(dataset, 1, "images", "T1"; shape=(1, 2, -3)), ArgumentError, "shape")
    @test refused(() -> read(dataset, 1, "images", "T1"; shape=(1, 2, 0.5)), ArgumentError, "shape")
    @test refused(() -> read(dataset, 1, "images", "T9"), "err_not_found", "T1")
    @test refused(() -> read(dataset, 1, "pictures"), "err_not_found", "images")
    @test refused(() -> read(dataset, 3, "images"), "err_range")
    @test refused(() -> read(dataset, 1, "images", "T1"; dtype="f31"), ArgumentError, "dtype")
end

@testset "entries of a category are its channels, in the dtype that holds them all" begin
    pairs = [(UInt8, Int16, Int16), (UInt16, Int16, Int32), (UInt8, Float16, Float16), (Int16, Float16, Float32),
             (Int32, Float32, Float64), (UInt64, Int64, Float64), (Bool, UInt8, UInt8), (UInt32, UInt64, UInt64)]
    for (first_type, second_type, joint) in pairs
        dataset = Dataset()
        subject = add_subject(dataset, "a")
        one, other = numbers(first_type, (5, 4, 3), 1), numbers(second_type, (5, 4, 3), 2)
        add_array(dataset, subject, "images", "T1", one)
        add_array(dataset, subject, "images", "T2", other)
        found = read(dataset, subject, "images")
        @test eltype(found) == joint
        @test found[:, :, :, 1] == one && found[:, :, :, 2] == other
    end
end

@testset "attributes and splits" begin
    dataset = study(subjects=3)
    set_attribute(dataset, 1, "age", 63)
    set_attribute(dataset, "a", "scan", (site="left \"é\"", list=[1, 2.5, nothing]))
    @test attribute(dataset, 1, "age") === 63
    @test attributes(dataset, "a")["scan"] == Dict("site" => "left \"é\"", "list" => Any[1, 2.5, nothing])
    @test isempty(attributes(dataset, 2))
    @test refused(() -> attribute(dataset, 2, "age"), "err_not_found", "age")
    @test refused(() -> set_attribute(dataset, 1, "bad", Inf), ArgumentError, "Inf")
    @test refused(() -> set_attribute(dataset, 9, "age", 1), "err_range")
    @test isempty(splits(dataset))
    set_split(dataset, "train", ["c", 1])
    set_split(dataset, "test", (2,))
    @test splits(dataset) == ["train" => ["c", "a"], "test" => ["b"]]
    @test ids(split(dataset, "train")) == ["c", "a"]
    @test ids(subset(dataset, [3, 2])) == ["c", "b"]
    @test refused(() -> split(dataset, "trian"), "err_not_found", "train")
    @test refused(() -> set_split(dataset, "bad", [1, 4]), "err_range", "subject is 4")
    @test refused(() -> set_split(dataset, "bad", [1, 1]), "err_argument")
    @test refused(() -> set_split(dataset, "bad", 1), ArgumentError, "a list")
    @test refused(() -> subset(dataset, ["a", "x"]), "err_not_found")
end

@testset "what a file says of its volume, fastest axis first" begin
    mktempdir() do folder
        affine = [1.5 0 0 -10; 0 2.5 0 -20; 0 0 3.5 -30; 0 0 0 1]
        path = joinpath(folder, "t1.nii")
        save_volume(path, numbers(Int16, (7, 6, 5)); affine=affine)
        info = volume_info(Dataset(path), 1, "images")
        @test info.shape == (7, 6, 5) && info.channels == 1 && info.dtype == Int16 && info.value_dtype == Int16
        @test info.spacing_mm == (1.5, 2.5, 3.5) && info.affine == affine && info.has_affine
        @test info.path == path && occursin("nifti", lowercase(info.format))
        @test (info.scale_slope, info.scale_intercept) == (1.0, 0.0)
        @test refused(() -> volume_info(Dataset(path), 1, "labels"), "err_not_found", "images")
    end
end

@testset "an affine comes back as it was given, for arrays too" begin
    dataset = Dataset()
    affine = [0.0 0 3 1; 1 0 0 2; 0 2 0 3; 0 0 0 1]
    add_array(dataset, add_subject(dataset, "a"), "images", "T1", zeros(Int16, 4, 3, 2); affine=affine)
    @test volume_info(dataset, 1, "images").affine == affine
    @test volume_info(dataset, 1, "images").spacing_mm == (1.0, 2.0, 3.0)
    for wrong in (zeros(3, 4), zeros(16), "affine", 3)
        @test refused(() -> add_array(dataset, 1, "images", "T2", zeros(Int16, 4, 3, 2); affine=wrong),
                ArgumentError, "affine", "4×4")
    end
end

@testset "files are added with their channel axis and inner array" begin
    mktempdir() do folder
        array = numbers(Float32, (6, 5, 4, 3))
        path = joinpath(folder, "four.npy")
        save_volume(path, array)
        dataset = Dataset()
        for (id, channel, shape, channels) in [("auto", "auto", (6, 5, 4), 3), ("first", "first", (6, 5, 4), 3),
                                               ("last", "last", (5, 4, 3), 6), ("none", "none", (6, 5, 4, 3), 1)]
            add_file(dataset, add_subject(dataset, id), "images", "one", path; channel=channel)
            info = volume_info(dataset, id, "images")
            @test info.shape == shape && info.channels == channels
        end
        @test read(dataset, "auto", "images", "one") == array
        @test refused(() -> add_file(dataset, "auto", "images", "two", joinpath(folder, "no.npy")), "err_not_found",
                "no.npy")
        @test refused(() -> add_file(dataset, "auto", "images", "one", path), "err_argument", "one")
        volume = joinpath(folder, "one.h5")
        save_volume(volume, array[:, :, :, 1])
        @test refused(() -> add_file(dataset, "auto", "images", "two", volume; inner="/made/up"), "err_not_found",
                "made/up")
        write(joinpath(folder, "bad.nii"), "this is no volume")
        @test refused(() -> Dataset(joinpath(folder, "bad.nii")), VoxFeedError, "bad.nii")
        @test refused(() -> Dataset(joinpath(folder, "nothing")), "err_not_found", "nothing")
        @test refused(() -> Dataset(3), ArgumentError, "path is 3")
        error = thrown(() -> Dataset(joinpath(folder, "bad.nii")))
        @test error.path == joinpath(folder, "bad.nii") && error.sample === nothing
    end
end

@testset "preload tells its progress, stops when it is told to, and throws what is thrown" begin
    mktempdir() do folder
        for place in 1:3
            save_volume(joinpath(folder, "s$place.nii.gz"), numbers(Int16, (20, 20, 20), place))
        end
        dataset = Dataset(folder)
        seen = Tuple{Int,Int}[]
        @test preload(dataset; progress=(done, total) -> push!(seen, (done, total)))
        @test !isempty(seen) && seen[end][1] == seen[end][2]
        evict(dataset)
        @test preload(dataset; threads=1)
        evict(dataset)
        @test !preload(dataset; progress=(done, total) -> true)
        evict(dataset)
        @test refused(() -> preload(dataset; progress=(done, total) -> error("enough")), ErrorException, "enough")
        evict(dataset)
        @test refused(() -> preload(dataset; progress=3), MethodError)
        @test preload(dataset; progress=(done, total) -> nothing)
        @test current_task().sticky
    end
end
