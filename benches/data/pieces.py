"""Where the compressed pieces of a data set lie, so that a bare decoder can be timed on the very same bytes."""

import os
import struct
import zipfile

import numpy

#: The formats that have such a list, with the codec of their pieces.
CODECS = {"h5-gzip": "zlib", "nii.gz": "gzip", "npz-deflated": "deflate", "zarr3": "blosc", "zarr2": "blosc"}


def _array(shape, chunk, raw_bytes, pieces):
    """One array: pieces are [file, offset, bytes] in the order of the chunk grid, the last axis fastest."""
    return {"shape": list(shape), "chunk": list(chunk), "raw_bytes": int(raw_bytes), "pieces": pieces}


def _hdf5(folder, plan):
    import h5py

    subjects = []
    with h5py.File(os.path.join(folder, "data.h5"), "r") as file:
        for number in range(plan.subjects):
            arrays = []
            for category in ("images", "labels"):
                stored = file["data/%s/%0*d" % (category, len(str(plan.subjects - 1)), number)]
                places = {}
                for index in range(stored.id.get_num_chunks()):
                    chunk = stored.id.get_chunk_info(index)
                    places[chunk.chunk_offset] = ["data.h5", int(chunk.byte_offset), int(chunk.size)]
                raw = numpy.prod(stored.chunks) * stored.dtype.itemsize
                pieces = [places[key] for key in sorted(places)]
                arrays.append(_array(plan.volume, stored.chunks[:3], raw, pieces))
            subjects.append(arrays)
    return subjects


def _nifti(folder, plan):
    subjects = []
    for id in plan.ids():
        arrays = []
        for name, itemsize in (("c0", plan.dtype.itemsize), ("c1", plan.dtype.itemsize), ("label", 1)):
            file = "%s_%s.nii.gz" % (id, name)
            size = os.path.getsize(os.path.join(folder, file))
            raw = 352 + numpy.prod(plan.volume) * itemsize
            arrays.append(_array(plan.volume, plan.volume, raw, [[file, 0, size]]))
        subjects.append(arrays)
    return subjects


def _npz(folder, plan):
    subjects = []
    for id in plan.ids():
        path, arrays = os.path.join(folder, id + ".npz"), []
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            for member in archive.infolist():
                # A local header has 30 bytes, then a name and extra fields of its own lengths.
                file.seek(member.header_offset + 26)
                begin = member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))
                piece = [id + ".npz", begin, member.compress_size]
                arrays.append(_array(plan.volume, plan.volume, member.file_size, [piece]))
        subjects.append(arrays)
    return subjects


def _zarr(folder, plan, version):
    grid = [-(-whole // part) for whole, part in zip(plan.volume, plan.chunk)]
    subjects = []
    for id in plan.ids():
        arrays = []
        for name, axes, itemsize in ((id, (0,), plan.channels * plan.dtype.itemsize), (id + "_label", (), 1)):
            pieces = []
            for place in numpy.ndindex(*grid):
                names = [str(part) for part in axes + place]
                file = os.path.join(name + ".zarr", "c/" + "/".join(names) if version == 3 else ".".join(names))
                path = os.path.join(folder, file)
                # A chunk of nothing but the fill value has no file.
                pieces.append([file, 0, os.path.getsize(path) if os.path.exists(path) else 0])
            arrays.append(_array(plan.volume, plan.chunk, numpy.prod(plan.chunk) * itemsize, pieces))
        subjects.append(arrays)
    return subjects


def pieces(name, folder, plan):
    """The arrays of each subject with their compressed pieces; nothing for formats without such a list."""
    readers = {"h5-gzip": _hdf5, "nii.gz": _nifti, "npz-deflated": _npz,
               "zarr3": lambda folder, plan: _zarr(folder, plan, 3),
               "zarr2": lambda folder, plan: _zarr(folder, plan, 2)}
    if name not in readers:
        return None
    return {"codec": CODECS[name], "subjects": readers[name](folder, plan)}
