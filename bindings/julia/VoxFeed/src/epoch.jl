# Epochs: how a loader is begun, and how its batches come.
# SPDX-License-Identifier: MIT OR Apache-2.0

# How long all batches may be held before it is said.
const held_seconds = 5.0

# How long a start waits for the tasks that it has woken on other threads.
const leave_ns = 1_000_000_000

"The batches of one epoch, in order, until the loader is begun anew."
struct Epoch
    loader::Loader
    begun::Int
end

"""
    epoch(loader, number)

Begins an epoch, 0 being the first, and iterates over its batches, until another is begun: then the iterator throws
`err_state`. A loop closes each batch when it goes on to the next: copy what you keep, or keep the batch with
[`retain`](@ref). Arrays that were made of it stay valid.

`for batch in loader` iterates over what is left of the running epoch: after [`start`](@ref), [`load_state`](@ref), or a
break. A batch that failed is thrown once, in order, and the loop over `loader` can go on behind it.
"""
epoch(loader::Loader, number) = Epoch(loader, begin_anew(loader, vxf_loader_start, epoch_number(number)))

"""
    start(loader, epoch)

Begins an epoch, 0 being the first; a running one is given up, and iterators of it throw `err_state`.
"""
start(loader::Loader, epoch) = (begin_anew(loader, vxf_loader_start, epoch_number(epoch)); nothing)

"""
    load_state(loader, state)

Goes back to a saved place: iterating over the loader continues exactly there. Iterators of before throw `err_state`.

Errors: `err_argument` where the state is damaged or belongs to another dataset, sampler, seed or share.
"""
load_state(loader::Loader, state) = (begin_anew(loader, vxf_loader_load_state, text(state, "state")); nothing)

"""
Begins at a place, and gives the number of that beginning; iterators of before get no batch of it, nor those that wait
for one on other threads.
"""
function begin_anew(loader, f, place)
    lock(loader.beginning) do
        before, saved = loader.begun[], nothing
        loader.begins += 1
        loader.begun[] = loader.begins
        try
            if loader.waiting[] > 0
                Threads.atomic_add!(loader.wakes, 1)
                cancel(loader)
                saved = save_state(loader)
                ends = time_ns() + leave_ns
                while loader.waiting[] > 0 && time_ns() < ends
                    yield()
                end
            end
            call(f, loader, place)
            return loader.begins
        catch
            loader.begun[] = before
            saved === nothing || call(vxf_loader_load_state, loader, saved)
            rethrow()
        end
    end
end

"""
    next_batch(loader; timeout=nothing)

The next batch, or `nothing` at the end of the epoch, waiting at most `timeout` seconds.

Errors: those of the batch's samples, in order, the message naming file and region; `timeout`, `cancelled`; `err_state`
before the first start.
"""
next_batch(loader::Loader; timeout=nothing) = wait_for_batch(loader, seconds(timeout), nothing)

"As next_batch; where `begun` is given, a batch of what was begun then and of nothing else."
function wait_for_batch(loader, timeout, begun)
    handle, began, is_collected, is_told = Handle{vxf_batch}(), time_ns(), false, false
    collect_young(loader)
    while true
        # Before a batch is asked for: it would be lost to who is told and throws.
        process_events()
        status, wakes = next_slice(loader, handle, slice(timeout, began), begun)
        status == "ok" && return Batch(handle)
        status == "end" && return nothing
        if status == "cancelled"
            lock(() -> check_begun(loader, begun), loader.beginning)
            # It was begun anew, or refused to be, and whoever is not of an old epoch waits on.
            loader.wakes[] == wakes || continue
            throw(VoxFeedError("cancelled", "the loader was cancelled"))
        end
        waited = (time_ns() - began) / 1e9
        waited < timeout || throw(VoxFeedError("timeout", "no batch was ready within $timeout seconds"))
        is_collected = is_collected || collect_all(loader)
        if waited > held_seconds && !is_told && listener[] === nothing
            is_told, seen = true, raw_stats(loader)
            seen.held < seen.slots ||
                @warn("voxfeed: all $(seen.slots) batches of the loader are held, so none can be filled; copy what " *
                      "you keep, close batches and arrays, or raise prefetch")
        end
        yield()
    end
end

"One call of the library: the word of its status, and how often waiting calls had been woken before."
function next_slice(loader, handle, nanoseconds, begun)
    wakes = loader.wakes[]
    Threads.atomic_add!(loader.waiting, 1)
    try
        check_begun(loader, begun)
        return word_of(:vxf_status, call(vxf_loader_next, loader, nanoseconds, Made(handle))), wakes
    finally
        Threads.atomic_sub!(loader.waiting, 1)
    end
end

check_begun(loader, begun) =
    begun === nothing || begun == loader.begun[] ||
    throw(VoxFeedError("err_state", "the loader was begun anew, by epoch, start or load_state, after this iterator " *
                                    "was made: iterate over what epoch gave last; two epochs at a time need " *
                                    "another loader"))

"""
Collects young garbage where at most one batch is left to be filled, and more are held than were the last time: batches
that nobody closed and nobody reaches any more.
"""
function collect_young(loader)
    seen = raw_stats(loader)
    if seen.held + 1 >= seen.slots && seen.held > loader.kept
        GC.gc(false)
        seen = raw_stats(loader)
    end
    loader.kept = seen.held
    return nothing
end

"Collects all garbage where every batch is held, so that there is nothing else to wait for; whether it did."
function collect_all(loader)
    seen = raw_stats(loader)
    seen.held < seen.slots && return false
    GC.gc()
    return true
end

Base.IteratorSize(::Type{<:Union{Epoch,Loader}}) = Base.SizeUnknown()
Base.IteratorEltype(::Type{<:Union{Epoch,Loader}}) = Base.HasEltype()
Base.eltype(::Type{<:Union{Epoch,Loader}}) = Batch
Base.length(epoch::Epoch) = length(epoch.loader)

Base.show(io::IO, epoch::Epoch) = print(io, "Epoch(", epoch.loader, ")")

Base.iterate(epoch::Epoch, last=nothing) = stepped(epoch.loader, epoch.begun, last)

function Base.iterate(loader::Loader, place=(loader.begun[], nothing))
    step = stepped(loader, place...)
    return step === nothing ? nothing : (step[1], (place[1], step[1]))
end

"The next batch, twice: for the loop, and to be closed when that goes on."
function stepped(loader, begun, last)
    last === nothing || close(last)
    batch = wait_for_batch(loader, Inf, begun)
    return batch === nothing ? nothing : (batch, batch)
end
