# Where the shared library is, and what it says of itself.
# SPDX-License-Identifier: MIT OR Apache-2.0

const library = Ref("")

# Whether this Julia lets calls be marked as safe for its garbage collector.
const has_gc_safe = Ref(false)

function library_names()
    Sys.isapple() && return ["libvoxfeed.$VXF_ABI_VERSION.dylib", "libvoxfeed.dylib"]
    Sys.iswindows() && return ["voxfeed.dll"]
    return ["libvoxfeed.so.$VXF_ABI_VERSION", "libvoxfeed.so"]
end

"Opens the library and looks its functions up, once."
function open_library()
    path, handle = find_library()
    found = [Libdl.dlsym(handle, name; throw_error=false) for name in function_names]
    lacking = findfirst(isnothing, found)
    lacking === nothing ||
        error("voxfeed: $path has no function $(function_names[lacking]): set VXF_LIBRARY to the path of the " *
              "libvoxfeed that this face came with")
    speaks = ccall(found[1], UInt32, ())
    speaks == VXF_ABI_VERSION ||
        error("voxfeed: this face speaks C interface $VXF_ABI_VERSION, the library $path speaks $speaks: set " *
              "VXF_LIBRARY to the path of the libvoxfeed that this face came with")
    library[] = path
    has_gc_safe[] = try
        ccall(:jl_gc_safe_leave, Cvoid, (Int8,), ccall(:jl_gc_safe_enter, Int8, ()))
        true
    catch
        false
    end
    copyto!(functions, found)
    return nothing
end

"The path of the library and its handle: of VXF_LIBRARY, of an installed prefix or a checkout, or of the system."
function find_library()
    # A Rust library with threads cannot be unloaded.
    flags = Libdl.RTLD_LAZY | Libdl.RTLD_NODELETE
    asked = get(ENV, "VXF_LIBRARY", "")
    if !isempty(asked)
        handle = try
            Libdl.dlopen(asked, flags)
        catch why
            error("voxfeed: VXF_LIBRARY is $asked, which cannot be loaded: $(sprint(showerror, why))")
        end
        return asked, handle
    end
    # Asked now and not when this was compiled, since a prefix may be moved.
    here = dirname(something(pathof(VoxFeed), @__FILE__))
    up = joinpath(here, "..", "..", "..", "..")
    places = [joinpath(folder, name) for folder in (joinpath(up, "..", "lib"), joinpath(up, "target", "release"))
              for name in library_names()]
    tried = String[]
    for place in [filter(ispath, map(normpath, places)); library_names()]
        try
            return place, Libdl.dlopen(place, flags)
        catch why
            push!(tried, sprint(showerror, why))
        end
    end
    error("voxfeed: the shared library is neither below this package's prefix nor known to the system: set " *
          "VXF_LIBRARY to its path ($(join(tried, "; ")))")
end

"The library, opened now where that failed when the package was loaded."
opened() = functions[1] == C_NULL ? open_library() : nothing

"""
    VoxFeed.version()

The library's version, "0.1.0".
"""
version() = (opened(); unsafe_string(vxf_version_string()))

"""
    VoxFeed.build_info()

What the library is made of: version, C interface, linked libraries, target, as a `Dict`.
"""
build_info() = (opened(); read_json(unsafe_string(vxf_build_info())))

"""
    VoxFeed.library_path()

The path of the library that was loaded.
"""
library_path() = library[]

"""
    VoxFeed.cuda_device_count()

The number of CUDA devices; 0 where there is no driver.
"""
function cuda_device_count()
    count = Ref{Int32}(0)
    call(vxf_cuda_device_count, count)
    return Int(count[])
end
