# Files that are written: datasets and single volumes.
# SPDX-License-Identifier: MIT OR Apache-2.0

"""
    Writer(path; existing="error")
    Writer(f, path; existing="error")

Makes a dataset file in pymia's HDF5 layout; the name must end in .h5 or .hdf5.

    Writer("brains.h5") do writer
        add_dataset(writer, dataset)
    end

The file gets its name when it is finished: by [`finish`](@ref), or at the end of such a block without error; what is
not finished is removed with the writer. `existing`: "error", "replace".
"""
struct Writer <: Object
    handle::Handle{vxf_writer}

    Writer(handle::Handle{vxf_writer}) = new(handle)
end

function Writer(path; options...)
    given = options_of(vxf_writer_options, vxf_writer_options_init, options, Any[])
    return Writer(made(vxf_writer, vxf_writer_create, text(path, "path"), Ref(given)))
end

function Writer(f::Function, path; options...)
    writer = Writer(path; options...)
    try
        result = f(writer)
        finish(writer)
        return result
    finally
        close(writer)
    end
end

add_subject(writer::Writer, id) = (call(vxf_writer_add_subject, writer, text(id, "id")); nothing)

"""
    add_entry(writer, category, entry, array; affine=nothing)

Writes a volume, (width, height, depth), of the current subject, with its 4×4 affine or none.

The entries of a category have one shape and dtype within a subject.
"""
function add_entry(writer::Writer, category, entry, array; affine=nothing)
    tensor, root = dense_tensor_of(array)
    GC.@preserve root call(vxf_writer_add_entry, writer, text(category, "category"), text(entry, "entry"), Ref(tensor),
                           affine_of(affine))
    return nothing
end

"""
    add_dataset(writer, dataset; progress=nothing)

Writes all subjects of a dataset, read in parallel; returns whether all of them were written.

Voxels, as values, and geometry are written; attributes and splits are not.
`progress(done, total)` is called as subjects are done; where it returns `true`, writing stops. What it throws stops it
too, and is thrown here.
"""
add_dataset(writer::Writer, dataset::Dataset; progress=nothing) =
    with_progress(vxf_writer_add_dataset, progress, writer, dataset)

"""
    finish(writer)

Completes the file and gives it its name.
"""
finish(writer::Writer) = (call(vxf_writer_finish, writer); nothing)

"""
    save_volume(path, array; affine=nothing)

Saves one volume, (width, height, depth) or (width, height, depth, channel): .nii, .nii.gz, .npy or .h5 by the name.

`affine` is 4×4 as [`VolumeInfo`](@ref)'s. The file gets its name when all is written: an existing file of this name is
then replaced, as a whole, and is untouched where that fails.
"""
function save_volume(path, array; affine=nothing)
    tensor, root = dense_tensor_of(array)
    GC.@preserve root call(vxf_volume_save, text(path, "path"), Ref(tensor), affine_of(affine))
    return nothing
end
