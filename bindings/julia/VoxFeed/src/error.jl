# What failures are here.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
A failure in the library.

`status` is the word of what failed, the lower-case tail of the C constant: `"err_internal"`, `"err_argument"`,
`"err_handle"` (an object that is closed), `"err_state"`, `"err_unsupported"`, `"err_memory"`, `"err_range"`,
`"err_not_found"`, `"err_io"`, `"err_format"`, `"err_limit"`, `"err_device"`, `"err_no_device"`, `"err_forked"`,
`"err_buffer"`, and `"timeout"` and `"cancelled"` where a batch was waited for. voxfeed.h says what each means.

`message` is one line, `path` the file concerned or "", `sample` the number of the sample that failed, from 1, or
`nothing`, `os_error` the operating system's error number or 0, `device_error` the CUDA driver's result or 0.
"""
struct VoxFeedError <: Exception
    status::String
    message::String
    path::String
    sample::Union{Int,Nothing}
    os_error::Int
    device_error::Int
end

VoxFeedError(status, message) = VoxFeedError(status, message, "", nothing, 0, 0)

Base.showerror(io::IO, error::VoxFeedError) = print(io, "VoxFeedError (", error.status, "): ", error.message)

"The error of the call that has just failed; to be asked on the thread that called, before anything can yield."
function last_error(status)
    info = sized(vxf_error_info)
    GC.@preserve info vxf_last_error_info(Base.unsafe_convert(Ptr{vxf_error_info}, info))
    message = unsafe_string(vxf_last_error_message())
    found = info[]
    path = found.path == Cstring(C_NULL) ? "" : unsafe_string(found.path)
    sample = found.sample < 0 ? nothing : Int(found.sample) + 1
    return VoxFeedError(word_of(:vxf_status, status), message, path, sample, found.os_error, found.device_error)
end
