# Functions of the library that tell how far they are.
# SPDX-License-Identifier: MIT OR Apache-2.0

"Who is told, and what that has thrown, which must not go through C."
mutable struct Progress
    told::Any
    thrown::Any
end

function on_progress(done::UInt64, total::UInt64, data::Ptr{Cvoid})::Int32
    progress = unsafe_pointer_to_objref(data)::Progress
    try
        return progress.told !== nothing && progress.told(Int(done), Int(total)) === true
    catch thrown
        progress.thrown = thrown
        return 1
    end
end

"""
Calls a function whose last parameters are a progress callback and its data; whether it came to its end. The callback
is set also where nobody asks for it, since Ctrl-C is noticed in it.
"""
function with_progress(f, progress, arguments...)
    state = Progress(progress, nothing)
    callback = @cfunction(on_progress, Int32, (UInt64, UInt64, Ptr{Cvoid}))
    # What is told may print, and so change tasks; C must be left on the thread that it was entered on.
    task = current_task()
    sticky = task.sticky
    task.sticky = true
    status = try
        GC.@preserve state call_with_callback(f, arguments..., callback, pointer_from_objref(state))
    finally
        task.sticky = sticky
    end
    state.thrown === nothing || throw(state.thrown)
    return status == 0
end
