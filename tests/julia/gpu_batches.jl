# A program of its own: gpu_batches.jl DRIVER tests batches on the stand-in for a GPU's driver.

import Libdl
using Test
using VoxFeed

include("study.jl")

delete!(ENV, "CUDA_VISIBLE_DEVICES")
# Loaded first, so the library finds it under the name of the driver.
const driver = Libdl.dlopen(ARGS[1])

calls(name) = ccall(Libdl.dlsym(driver, :standin_calls), UInt64, (Cstring, Clong), name, 0)
settle() = ccall(Libdl.dlsym(driver, :standin_settle), Cint, ())

function own_stream()
    context = Ref(C_NULL)
    ccall(Libdl.dlsym(driver, :cuInit), Cint, (Cuint,), 0)
    ccall(Libdl.dlsym(driver, :cuDevicePrimaryCtxRetain), Cint, (Ptr{Ptr{Cvoid}}, Cint), context, 0)
    return ccall(Libdl.dlsym(driver, :standin_stream), Ptr{Cvoid}, (Ptr{Cvoid}, Cuint), context[], 1)
end

"The calls of the driver's function while something is done."
function counted(f, name)
    before = calls(name)
    f()
    return Int(calls(name) - before)
end

const gpu_options = (batch_size=2, device="cuda", categories=[(name="images", dtype=Float32), "labels"])

@testset "batches on a GPU are those of the host" begin
    loader, plain = small_loader(; gpu_options...), small_loader(batch_size=2, categories=gpu_options.categories)
    expected = all_batches(plain)
    for (batch, (tensors, rows)) in zip(epoch(loader, 0), expected)
        @test copy(batch, "images") == tensors["images"] && copy(batch, "labels") == tensors["labels"]
        @test samples(batch) == rows
        into = zeros(Float32, 4, 4, 3, 1, 2)
        @test copyto!(into, batch) == tensors["images"]
    end
    counted_ = stats(loader)
    @test counted_.uploads == 8 && counted_.device_bytes > 0 && counted_.pinned_bytes > 0
    @test close(loader)
end

@testset "a tensor says where it lies, and keeps the memory" begin
    loader = small_loader(; prefetch=1, gpu_options...)
    start(loader, 0)
    batch = next_batch(loader)
    images = batch["images"]
    @test images isa DeviceTensor{Float32,5} && size(images) == (4, 4, 3, 1, 2) && size(images, 1) == 4
    @test images.device_id == 0 && length(images) == 96 && eltype(images) == Float32 && ndims(images) == 5
    labels = batch["labels"]
    @test pointer(images) != C_NULL && labels isa DeviceTensor{UInt8,5}
    close(labels)
    close(batch)
    GC.gc()
    @test stats(loader).held == 1 && isopen(images)
    close(images)
    @test stats(loader).held == 0
    @test refused(() -> pointer(images), "err_handle")
    close(loader)
end

@testset "streams wait for a batch, and are remembered" begin
    loader = small_loader(; prefetch=1, gpu_options...)
    start(loader, 0)
    batch = next_batch(loader)
    wait(batch, -1)
    @test query(batch) && ready_event(batch) != C_NULL
    timedwait(() -> stats(loader).uploads == 2, 60.0)
    settle()
    stream = own_stream()
    for one in (stream, UInt(stream), 1, 2, nothing)
        @test counted(() -> wait(batch, one), "cuStreamWaitEvent") == 1
    end
    @test counted(() -> wait(batch, -1), "cuStreamWaitEvent") == 0
    @test counted(() -> record_stream(batch, stream), "cuStreamWaitEvent") == 0
    @test counted(() -> close(batch), "cuEventRecord") > 0
    close(loader)
end

@testset "predictions on a GPU are added, on the host and where they lie" begin
    for options in ((device="cpu",), (device="cuda", device_bytes=1 << 20))
        loader = small_loader(; gpu_options...)
        assembler = Assembler(loader; options...)
        stream = own_stream()
        for batch in epoch(loader, 0)
            images = batch["images"]
            wait(batch, stream)
            given = DeviceTensor(UInt(pointer(images)), size(images), Float32; owner=images)
            add(assembler, batch, given; stream=stream)
            @test refused(() -> add(assembler, batch, given; stream="0"), ArgumentError, "stream")
        end
        for subject in 1:2
            @test take(assembler, subject)[:, :, :, 1] == numbers(Int16, (8, 7, 6), subject)
        end
        close(loader)
    end
    loader = small_loader(; gpu_options...)
    start(loader, 0)
    batch = next_batch(loader)
    lie = DeviceTensor(4096, (4, 4, 3, 1, 2), Float32)
    @test refused(() -> add(Assembler(loader), batch, lie), "err_argument")
    @test refused(() -> DeviceTensor(4096, (4, -1), Float32), ArgumentError, "size")
    @test refused(() -> DeviceTensor(4096, (4,), Complex{Int}), ArgumentError, "Complex")
    @test refused(() -> add_array(study(), 1, "images", "T2", lie), ArgumentError, "DeviceTensor")
    close(loader)
end

@testset "batches in pinned memory are arrays of the host" begin
    loader = small_loader(batch_size=2, device="cuda_host", categories=(name="images", dtype=Float32))
    for batch in epoch(loader, 0)
        images = batch["images"]
        @test images isa BatchArray{Float32,5} && images.device == "cuda_host"
        @test images[:, :, :, 1, 1] == numbers(Int16, (8, 7, 6),
                samples(batch)[1].subject)[in_volume(samples(batch)[1])...]
    end
    @test stats(loader).pinned_bytes > 0
end

@testset "where voxels are cast is an option" begin
    for cast in ("auto", "host", "device")
        loader = small_loader(; gpu_options..., cast=cast)
        @test copy(first(epoch(loader, 0)), "images")[1] == numbers(Int16, (8, 7, 6), 1)[1]
        close(loader)
    end
end

# Left open: it is closed when Julia ends, with batches that are held and some on their way.
const left = small_loader(; gpu_options..., endless=true)
start(left, 0)
const held = next_batch(left)
println("stand-in: all is well")
