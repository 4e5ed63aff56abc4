# Loaders: what they are made of, their place, what they have done.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    Loader(sampler; options...)

Fills batches ahead of time with threads of its own, and lends them in epoch order.

    for batch in epoch(loader, 0)
        train(batch["images"], batch["labels"])
    end

Options, of which every number is its default where it is 0:
* `batch_size` (0: 1), `prefetch` (batches that are kept ready; 0: 2), `threads` (0: one a core, 8 at most; 1024 is the
  most)
* `order`: "sequential", "shuffled"; `seed` (0)
* `last_batch`: "keep", "drop", "pad"; `on_error`: "continue", "stop"; `endless` (false)
* `ragged`: "error", "pad"; `thin_axis`: "drop", "keep"
* `rank` (0), `world_size` (0: 1): this process among those that share the epoch
* `transform`: a [`Transform`](@ref) or its steps
* `categories`: one or several of names and named tuples or dicts of a `name` with options; all of the first subject by
  default. A category's options: `entries` (their names in channel order), `dtype` (before any transform), `padding`
  ("zero", "constant", "edge", "reflect", "symmetric", "wrap") and `pad_value` for voxels outside, `fit` ("exact",
  "saturate"), `squeeze_channel` (whether a single channel has no axis)
* `group_window`: within windows of so many samples, those of one subject that lie near each other follow each other
* `consumer`: "cpu", or "device" where batches are only copied away
* `device`: `"cpu"`, `"cuda"`, `"cuda_host"` (pinned host memory); `device_id` (0); `cast`: `"auto"`, `"host"`,
  `"device"`

`length(loader)` is the number of batches of an epoch on this rank. The batches are the same for any number of threads.
At most `prefetch` + 1 batches exist at a time, those that you hold or have arrays of counted: copy what you keep.
Loaders with batches on a GPU or in pinned memory are closed when Julia ends.

A loader has threads and memory that the garbage collector does not see: `close` it where you are done with it, above
all where loaders are made one after the other.

Tasks on several threads may ask for batches at once, and each gets others. Where they do so by [`next_batch`](@ref),
let them close each batch and its arrays, or raise `prefetch` by their number: else each waits for the garbage of the
others.

Errors: `err_argument` where options contradict each other or the data, `err_not_found`, `err_memory`, `err_no_device`.
"""
mutable struct Loader <: Object
    handle::Handle{vxf_loader}
    # How often it was begun, by a start or a state: what iterators are of.
    begun::Threads.Atomic{Int}
    # The calls that wait in the library now, and how often they were woken because it is begun anew.
    waiting::Threads.Atomic{Int}
    wakes::Threads.Atomic{Int}
    # Held while it is begun anew, which makes `begins` the last number given to `begun`.
    beginning::ReentrantLock
    begins::Int
    # Batches that were held still when garbage was last collected for their sake.
    kept::Int

    Loader(handle::Handle{vxf_loader}) = new(handle, Threads.Atomic{Int}(0), Threads.Atomic{Int}(0),
                                             Threads.Atomic{Int}(0), ReentrantLock(), 0, 0)
end

# Loaders whose threads use a GPU's driver, which does not outlive the process's end as they would.
const on_gpus = WeakRef[]
const on_gpus_lock = ReentrantLock()

function Loader(sampler::Sampler; categories=nothing, transform=nothing, options...)
    roots = Any[]
    given = options_of(vxf_loader_options, vxf_loader_options_init, options, roots)
    changes = Dict{Symbol,Any}()
    chain = transform === nothing ? nothing : transform_of(transform)
    if categories !== nothing
        fed = categories isa Union{Word,NamedTuple,AbstractDict} ? [categories] : categories
        fed isa Union{AbstractVector,Tuple} ||
            throw(ArgumentError("categories is $(repr(categories)), expected names or named tuples"))
        isempty(fed) && throw(VoxFeedError("err_argument", "categories is empty: leave it out for all that the first " *
                                                           "subject has"))
        raw = vxf_category[category(one, roots) for one in fed]
        push!(roots, raw)
        changes[:categories], changes[:category_count] = pointer(raw), length(raw)
    end
    handle = GC.@preserve roots begin
        chain === nothing ? made(vxf_loader, vxf_loader_new, sampler, Ref(with(given, changes))) :
        holding(chain) do
            changes[:transform] = address(chain)
            made(vxf_loader, vxf_loader_new, sampler, Ref(with(given, changes)))
        end
    end
    loader = Loader(handle)
    if word_of(:vxf_device, given.device) in ("cuda", "cuda_host")
        lock(on_gpus_lock) do
            push!(filter!(one -> one.value !== nothing, on_gpus), WeakRef(loader))
        end
    end
    return loader
end

"The struct of C for how one category is fed."
function category(given, roots)
    given isa Word && (given = (name=string(given),))
    given isa Union{NamedTuple,AbstractDict} ||
        throw(ArgumentError("a category is $(repr(given)), expected a name or a named tuple"))
    options = Dict{Symbol,Any}(Symbol(name) => value for (name, value) in pairs(given))
    check_names(vxf_category, keys(options), "option of a category")
    get(options, :name, nothing) === nothing &&
        throw(VoxFeedError("err_argument", "a category needs a name, as in (name=\"images\",); this one has " *
                                           (isempty(options) ? "nothing" : join(sort!(collect(keys(options))), ", "))))
    entries = pop!(options, :entries, nothing)
    raw = filled(zeroed(vxf_category), options, roots)
    entries === nothing && return raw
    names = String[text(entry, "an entry") for entry in (entries isa AbstractString ? [entries] : entries)]
    pointers = Cstring[Cstring(pointer(name)) for name in names]
    append!(roots, (names, pointers))
    return with(raw, Dict(:entries => pointer(pointers), :entry_count => length(names)))
end

Base.length(loader::Loader) = number_of(vxf_loader_len, loader)

describe(io, loader::Loader) = print(io, plural(length(loader), "batch"), " an epoch")

"""
    cancel(loader)

Wakes every task that waits for a batch with the error "cancelled", and ends the epoch.
"""
cancel(loader::Loader) = (call(vxf_loader_cancel, loader); nothing)

"""
    save_state(loader)

The loader's place as text: behind the last batch that was given out.
"""
function save_state(loader::Loader)
    size = Ref{Csize_t}(0)
    call(vxf_loader_save_state, loader, nothing, size)
    # The place has numbers in it that may grow between the two calls.
    bytes = zeros(UInt8, size[] + 64)
    size[] = length(bytes)
    call(vxf_loader_save_state, loader, bytes, size)
    return GC.@preserve bytes unsafe_string(pointer(bytes))
end

function raw_stats(loader)
    out = sized(vxf_loader_stats)
    call(vxf_loader_get_stats, loader, out)
    return out[]
end

"""
    stats(loader)

What the loader has done since it was made, as a named tuple:

`threads`; `batches`, `samples`, `bytes` given out; `errors`: batches that failed; `waits`, `wait_ns`: how often and
how long the next batch was waited for; `work_ns`, `idle_ns`: how long all threads together read and transformed, or had
nothing to do; `held`: batches that somebody holds; `slots`, `slot_bytes`: those that exist; `cache_hits`,
`cache_misses`, `cache_bytes`: of the dataset's cache; `scratch_bytes`: what the threads decode and convert in;
`pinned_bytes`, `device_bytes`, `uploads`, `upload_bytes`, `event_waits`: of the GPU. voxfeed.h says more on each; a
wait of this face counts once for each 0.1 seconds that it lasts.
"""
function stats(loader::Loader)
    raw = raw_stats(loader)
    names = fieldnames(vxf_loader_stats)[2:end]
    return NamedTuple{names}(map(name -> Int(getfield(raw, name)), names))
end

# A call into the library lasts no longer, so that Ctrl-C is noticed and other tasks have their turn.
const slice_ns = 100_000_000

"How long the next slice of a wait is, which has lasted since `began` and may last `timeout` seconds."
slice(timeout, began) = Int64(clamp(1e9 * timeout - Float64(time_ns() - began), 0, slice_ns))

"""
    close(loader; timeout=nothing)

Ends the threads, waiting at most `timeout` seconds, and lets go of the loader.

Returns whether all threads have ended; others end by themselves. Batches and arrays stay valid.
"""
function Base.close(loader::Loader; timeout=nothing)
    limit, handle = seconds(timeout), loader.handle
    isopen(handle) || return true
    hold(handle)
    try
        close(handle)
        began = time_ns()
        while true
            # By its address, since for all others it is closed already.
            call(vxf_loader_close, handle.pointer, slice(limit, began)) == 0 && return true
            (time_ns() - began) / 1e9 >= limit && return false
            yield()
        end
    finally
        let_go(handle)
    end
end

"Closes the loaders that use a GPU, when Julia ends."
function close_on_gpus()
    ends = time_ns() + 1_000_000_000
    for one in on_gpus
        loader = one.value
        loader === nothing && continue
        left = ends > time_ns() ? (ends - time_ns()) / 1e9 : 0.0
        try
            close(loader; timeout=left)
        catch
            # What cannot be closed now ends with the process.
        end
    end
end
