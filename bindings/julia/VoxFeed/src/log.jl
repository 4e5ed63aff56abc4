# The log: lines about what is no error, and would otherwise happen in silence.
# SPDX-License-Identifier: MIT OR Apache-2.0

# Who is told, and lines that have come and were not told yet.
const listener = Ref{Any}(nothing)
const heard = Tuple{String,String}[]
const hearing = Threads.SpinLock()

# What was thrown while a line came, such as by Ctrl-C: it must not go through C.
const thrown_at_log = Ref{Any}(nothing)

function on_log(level::Int32, line::Cstring, ::Ptr{Cvoid})::Cvoid
    try
        said = (word_of(:vxf_log_level, level), unsafe_string(line))
        lock(() -> push!(heard, said), hearing)
    catch thrown
        thrown_at_log[] = thrown
    end
    return nothing
end

"""
    set_log(told; level="info")

Sets who is told of what is no error and would otherwise happen in silence; `nothing` for nobody, as at first.

`told(level, line)` gets "error" (something is lost), "warning" (it goes on, but not as you want it to) or "info" (what
the library has decided by itself), and one line of text: lines of this level and of those that matter more. `level`:
one of these words, or "warn", which is "warning".

Lines wait, 256 at most, and are told in [`process_events`](@ref) and wherever a batch is waited for, on the thread
that does that; what `told` throws is thrown there. There is one for the whole process; while one is set, batches that
are all held are no warning besides.
"""
function set_log(told; level="info")
    told === nothing || applicable(told, "info", "line") ||
        throw(ArgumentError("told is $(repr(told)), expected a function of a level and a line"))
    least = choice(:vxf_log_level, string(level) == "warn" ? "warning" : level, "level")
    callback = told === nothing ? C_NULL : @cfunction(on_log, Cvoid, (Int32, Cstring, Ptr{Cvoid}))
    call(vxf_set_log, least, choice(:vxf_log_mode, "queued", "mode"), callback, C_NULL)
    listener[] = told
    lock(() -> empty!(heard), hearing)
    return nothing
end

"""
    process_events()

Tells the lines of the log that wait. What the function of [`set_log`](@ref) throws is thrown here.
"""
function process_events()
    listener[] === nothing && return nothing
    call_with_callback(vxf_process_events)
    thrown, thrown_at_log[] = thrown_at_log[], nothing
    thrown === nothing || throw(thrown)
    while true
        said = lock(() -> isempty(heard) ? nothing : popfirst!(heard), hearing)
        told = listener[]
        (said === nothing || told === nothing) && return nothing
        told(said...)
    end
end
