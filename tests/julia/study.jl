# What the tests share: small datasets in memory, folders, and errors with the words that they must have.

"Numbers that differ from voxel to voxel as far as the type lets them, always the same for a seed."
function numbers(::Type{T}, shape, seed=0) where {T}
    place(index) = (index * 7919 + seed * 104729) % 30011
    T <: AbstractFloat && return T[place(index) / 7 - 900 for index in LinearIndices(shape)]
    T == Bool && return Bool[place(index) % 3 == 0 for index in LinearIndices(shape)]
    return T[place(index) % (Int(min(typemax(T), 20000)) + 1) for index in LinearIndices(shape)]
end

"Subjects \"a\", \"b\", ... with an image and labels of this shape."
function study(; shape=(8, 7, 6), subjects=2, type=Int16, options...)
    dataset = Dataset(; options...)
    for place in 1:subjects
        subject = add_subject(dataset, string('a' + place - 1))
        add_array(dataset, subject, "images", "T1", numbers(type, shape, place))
        add_array(dataset, subject, "labels", "GT", numbers(UInt8, shape, 10 + place))
    end
    return dataset
end

grid(dataset; patch_shape=(4, 4, 3), border="shift", options...) =
    Sampler(dataset; kind="grid", patch_shape=patch_shape, border=border, options...)

small_loader(; options...) = Loader(grid(study()); options...)

"What a block throws, or `nothing`."
function thrown(f)
    try
        f()
        return nothing
    catch error
        return error
    end
end

said(error) = error === nothing ? "nothing was thrown" : sprint(showerror, error)

"Whether a block throws this kind of error, or one of the library with this status, in one line with these parts."
function refused(f, kind, parts...)
    error = thrown(f)
    is_kind = kind isa String ? error isa VoxFeedError && error.status == kind : error isa kind
    text = said(error)
    is_line = error isa MethodError || !occursin('\n', text)
    is_right = is_kind && is_line && all(part -> occursin(part, text), parts)
    is_right || println("expected ", kind, " with ", join(repr.(parts), ", "), "\n   found ", text)
    return is_right
end

"All batches of an epoch: for each the copies of its tensors, and its samples."
function all_batches(loader, number=0)
    found = []
    for batch in epoch(loader, number)
        push!(found, (Dict(name => copy(batch, name) for name in keys(batch)), samples(batch)))
        close(batch)
    end
    return found
end

"A copy of the first tensor of an epoch's first batch."
function batch_of(loader, number=0)
    start(loader, number)
    return copy(next_batch(loader))
end
