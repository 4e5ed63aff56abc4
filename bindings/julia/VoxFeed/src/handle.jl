# Objects of the library: who owns them, and how functions are called on them.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
Owns one object of the library. It is freed when it was closed and no call uses it any more, so that no thread frees
what another works with; without a close, by the garbage collector.
"""
mutable struct Handle{T}
    # The first field, since the library writes it through the address of the whole.
    pointer::Ptr{T}
    open::Threads.Atomic{Int}
    users::Threads.Atomic{Int}

    # Empty, to be filled by the call that makes the object: whatever interrupts then, it has an owner.
    function Handle{T}() where {T}
        return finalizer(free, new{T}(C_NULL, Threads.Atomic{Int}(1), Threads.Atomic{Int}(1)))
    end
end

"Stands for a handle that the call fills."
struct Made{T}
    handle::Handle{T}
end

"What has a handle: datasets, samplers, transforms, loaders, batches, assemblers and writers."
abstract type Object end

free(pointer::Ptr{vxf_dataset}) = vxf_dataset_free(pointer)
free(pointer::Ptr{vxf_sampler}) = vxf_sampler_free(pointer)
free(pointer::Ptr{vxf_transform}) = vxf_transform_free(pointer)
free(pointer::Ptr{vxf_loader}) = vxf_loader_free(pointer)
free(pointer::Ptr{vxf_batch}) = vxf_batch_release(pointer)
free(pointer::Ptr{vxf_assembler}) = vxf_assembler_free(pointer)
free(pointer::Ptr{vxf_writer}) = vxf_writer_free(pointer)

function free(handle::Handle)
    pointer = handle.pointer
    handle.pointer = C_NULL
    pointer == C_NULL || free(pointer)
    return nothing
end

"""
    close(object)

Lets go of a dataset, sampler, transform, batch, assembler or writer; what was made of it lives on. Again: nothing
happens. Objects that are not closed are let go of by the garbage collector.
"""
Base.close(object::Object) = close(object.handle)

function Base.close(handle::Handle)
    Threads.atomic_xchg!(handle.open, 0) == 1 && let_go(handle)
    return nothing
end

Base.isopen(object::Object) = isopen(object.handle)
Base.isopen(handle::Handle) = handle.open[] == 1

check_open(argument) = nothing
check_open(object::Object) = check_open(object.handle)

function check_open(handle::Handle{T}) where {T}
    isopen(handle) || throw(VoxFeedError("err_handle", "this $(noun(T)) is closed"))
    return nothing
end

"Dataset for vxf_dataset."
noun(T) = uppercasefirst(replace(string(nameof(T)), "vxf_" => ""))

hold(argument) = nothing
hold(object::Object) = hold(object.handle)

function hold(handle::Handle)
    while true
        users = handle.users[]
        users == 0 && check_open(handle)
        Threads.atomic_cas!(handle.users, users, users + 1) == users && return nothing
    end
end

let_go(argument) = nothing
let_go(object::Object) = let_go(object.handle)

function let_go(handle::Handle)
    Threads.atomic_sub!(handle.users, 1) == 1 && free(handle)
    return nothing
end

# What C is given for an argument, whose memory stays where it is during the call.
address(number::Union{Number,Ptr}) = number
address(::Nothing) = C_NULL
address(text::String) = pointer(text)
address(array::Array) = pointer(array)
address(reference::Ref{T}) where {T} = Base.unsafe_convert(Ptr{T}, reference)
address(object::Object) = address(object.handle)
address(handle::Handle) = handle.pointer
address(made::Made{T}) where {T} = Ptr{Ptr{T}}(pointer_from_objref(made.handle))

"""
Calls a function of the library and gives its status, or throws what it says went wrong.

Other threads may collect garbage meanwhile, so the function must not call back.
"""
call(f, arguments...) = perform(gc_safe, f, arguments)

"As call, for functions that call back on this thread."
call_with_callback(f, arguments...) = perform(directly, f, arguments)

function perform(enter, f, arguments::Tuple)
    opened()
    map(check_open, arguments)
    map(hold, arguments)
    try
        GC.@preserve arguments begin
            status = enter(f, map(address, arguments)...)
            status < 0 && throw(last_error(status))
            return status
        end
    finally
        map(let_go, arguments)
    end
end

directly(f, arguments...) = f(arguments...)

@inline function gc_safe(f::F, arguments::Vararg{Any,N}) where {F,N}
    has_gc_safe[] || return f(arguments...)
    state = ccall(:jl_gc_safe_enter, Int8, ())
    status = f(arguments...)
    ccall(:jl_gc_safe_leave, Cvoid, (Int8,), state)
    return status
end

"A new object of the library: made(f, arguments...) for a function whose last parameter is where to write it."
function made(::Type{T}, f, arguments...) where {T}
    handle = Handle{T}()
    call(f, arguments..., Made(handle))
    return handle
end

"A struct of zeros."
function zeroed(::Type{T}) where {T}
    bytes = zeros(UInt8, sizeof(T))
    return GC.@preserve bytes unsafe_load(Ptr{T}(pointer(bytes)))
end

"A struct of zeros that says its size, for functions that fill it."
function sized(::Type{T}) where {T}
    out = Ref(zeroed(T))
    GC.@preserve out unsafe_store!(Ptr{UInt32}(Base.unsafe_convert(Ptr{T}, out)), sizeof(T))
    return out
end

function Base.deepcopy_internal(handle::Handle{T}, ::IdDict) where {T}
    throw(ArgumentError("a $(noun(T)) cannot be copied, since its memory is the library's; Array(x) copies its arrays"))
end

function Base.show(io::IO, object::Object)
    print(io, nameof(typeof(object)), "(")
    isopen(object) ? describe(io, object) : print(io, "closed")
    print(io, ")")
end

describe(io, object) = nothing

plural(count, word) = count == 1 ? "1 $word" : endswith(word, "ch") ? "$count $(word)es" : "$count $(word)s"

"Does something while the object is not freed, though another thread may close it."
function holding(f, object)
    check_open(object)
    hold(object)
    try
        return f()
    finally
        let_go(object)
    end
end

"A text that the library lends as long as the object lives."
function lent_text(f, object, arguments...)
    out = Ref(Cstring(C_NULL))
    return holding(object) do
        call(f, object, arguments..., out)
        unsafe_string(out[])
    end
end

"The number that a function writes to its last parameter."
function number_of(f, arguments...)
    number = Ref{UInt64}(0)
    call(f, arguments..., number)
    return Int(number[])
end
