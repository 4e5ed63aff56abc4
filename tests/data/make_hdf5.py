#!/usr/bin/env python3
"""Makes the files of tests/data/hdf5 and the JSON of the values in them.

Needs numpy < 1.24, h5py 3, SimpleITK and pymia 0.3.4 (installed without its own requirements). What is in
the files is the same however often it runs; the library notes the time in groups of the latest format.
"""
import json
import os
import shutil
import struct
import sys

import h5py
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hdf5")
EXPECTED = {}


def path(*parts):
    full = os.path.join(HERE, *parts)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def ramp(shape, dtype, first=0):
    """Numbers that differ along every axis, negative ones where the dtype has them."""
    count = int(np.prod(shape))
    values = (np.arange(count) * 7 + first) % 101
    if np.dtype(dtype).kind in "if":
        values = values - 50
    if np.dtype(dtype).kind == "f":
        values = values / 4.0
    if np.dtype(dtype).kind == "b":
        values = values % 2
    return values.reshape(shape).astype(dtype)


def note(file, inner, array):
    key = file + ":" + inner
    array = np.asarray(array)
    EXPECTED[key] = {"shape": list(array.shape), "values": array.astype(np.float64).ravel().tolist()}


def note_all(file):
    """Notes every numeric dataset of a file as h5py reads it back."""
    with h5py.File(path(file), "r") as h5:
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "iufb" and item.ndim > 0:
                note(file, "/" + name, item[...])
        h5.visititems(visit)


def dtypes():
    with h5py.File(path("dtypes.h5"), "w") as h5:
        for name in "i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split():
            h5["little/" + name] = ramp((2, 3, 4), "<" + name)
            h5["big/" + name] = ramp((2, 3, 4), ">" + name)
        h5["bool"] = ramp((2, 3, 4), "?")
        labels = h5py.enum_dtype({"background": 0, "tumour": 1, "oedema": 2}, basetype="u1")
        h5.create_dataset("enum", data=ramp((2, 3, 4), "u1") % 3, dtype=labels)
        # Twelve bits in sixteen: only the library knows how to read these.
        odd = h5py.h5t.NATIVE_UINT16.copy()
        odd.set_precision(12)
        odd.set_offset(2)
        space = h5py.h5s.create_simple((2, 3, 4))
        untimed = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        untimed.set_obj_track_times(False)
        dataset = h5py.h5d.create(h5.id, b"twelve_bits", odd, space, untimed)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(ramp((2, 3, 4), "u2")))
    note_all("dtypes.h5")


def layouts():
    with h5py.File(path("layouts.h5"), "w", libver="latest") as h5:
        data = ramp((5, 6, 7), "i2")
        h5["contiguous"] = data
        h5.create_dataset("chunked", data=data, chunks=(2, 3, 4))
        h5.create_dataset("gzip", data=data, chunks=(2, 3, 4), compression="gzip")
        h5.create_dataset("gzip_shuffle", data=data, chunks=(2, 3, 4), compression="gzip", shuffle=True)
        h5.create_dataset("fletcher32", data=data, chunks=(5, 2, 7), fletcher32=True)
        h5.create_dataset("scaleoffset", data=data, chunks=(5, 6, 7), scaleoffset=0)
        h5.create_dataset("gzip_big_endian", data=data.astype(">i2"), chunks=(2, 3, 4), compression="gzip")
        h5.create_dataset("gzip_half", data=ramp((5, 6, 7), "f2"), chunks=(2, 3, 4), compression="gzip")
        h5.create_dataset("gzip_bool", data=ramp((5, 6, 7), "?"), chunks=(2, 3, 4), compression="gzip")
        h5.create_dataset("never_written", shape=(5, 6, 7), dtype="f4", fillvalue=2.5)
        part = h5.create_dataset("part_written", shape=(5, 6, 7), dtype="i2", chunks=(2, 3, 4), fillvalue=-9)
        part[0:2, 0:3] = data[0:2, 0:3]
        grown = h5.create_dataset("grown", data=data[:3], maxshape=(None, 6, 7), chunks=(2, 6, 7))
        grown.resize(5, axis=0)
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        compact.set_obj_track_times(False)
        space = h5py.h5s.create_simple((5, 6, 7))
        dataset = h5py.h5d.create(h5.id, b"compact", h5py.h5t.NATIVE_INT16, space, compact)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(data))
        layout = h5py.VirtualLayout(shape=(5, 6, 7), dtype="i2")
        layout[...] = h5py.VirtualSource(h5["gzip"])
        h5.create_virtual_dataset("virtual", layout)
        h5["four_axes"] = ramp((3, 4, 5, 2), "f4")
        h5.create_dataset("four_axes_chunked", data=ramp((3, 4, 5, 2), "f4"), chunks=(2, 2, 2, 2))
    note_all("layouts.h5")


def others():
    with h5py.File(path("user_block.h5"), "w", userblock_size=512) as h5:
        h5["volume"] = ramp((3, 4, 5), "f4")
        h5.create_dataset("chunked", data=ramp((3, 4, 5), "f4"), chunks=(2, 2, 2))
    note_all("user_block.h5")
    with h5py.File(path("single.h5"), "w") as h5:
        h5["somewhere/inside"] = ramp((3, 4, 5), "u1")
        h5["somewhere/text"] = "no numbers"
        h5["spacing"] = np.array([1.0, 2.0, 3.0])
    note_all("single.h5")
    with h5py.File(path("several.h5"), "w") as h5:
        h5["left"] = ramp((3, 4, 5), "u1")
        h5["right"] = ramp((3, 4, 5), "u1")
    with h5py.File(path("named.h5"), "w") as h5:
        h5["Image"] = ramp((3, 4, 5), "u1", 3)
        h5["weights"] = ramp((3, 4, 5), "u1")
    note_all("named.h5")
    with h5py.File(path("no_numbers.h5"), "w") as h5:
        h5["compound"] = np.zeros((2, 2), dtype=[("a", "i2"), ("b", "f4")])
        h5["complex"] = np.zeros((2, 2), dtype="c8")
        h5["text"] = np.array(["a", "b"], dtype=h5py.string_dtype())
        h5.create_dataset("ragged", shape=(2,), dtype=h5py.vlen_dtype("i4"))
        h5.create_dataset("reference", shape=(2,), dtype=h5py.ref_dtype)
        h5["scalar"] = 3.0
    with h5py.File(path("lzf.h5"), "w") as h5:
        h5.create_dataset("data", data=ramp((8, 8, 8), "i2"), chunks=(4, 8, 8), compression="lzf")
    note_all("lzf.h5")


def broken():
    good = open(path("layouts.h5"), "rb").read()
    with open(path("x_format_truncated.h5"), "wb") as file:
        file.write(good[: len(good) // 2])
    with open(path("x_format_wrong_magic.h5"), "wb") as file:
        file.write(b"this is no HDF5 file, whatever its name says\n" * 20)
    with h5py.File(path("x_format_huge_dims.h5"), "w") as h5:
        h5["data"] = ramp((3, 4, 5), "f8")
    patch("x_format_huge_dims.h5", struct.pack("<3Q", 3, 4, 5), struct.pack("<3Q", 1 << 40, 4, 5))
    with h5py.File(path("x_format_overflowing_dims.h5"), "w") as h5:
        h5["data"] = ramp((3, 4, 5), "f8")
    full = struct.pack("<3Q", 1 << 30, 1 << 30, 1 << 30)
    patch("x_format_overflowing_dims.h5", struct.pack("<3Q", 3, 4, 5), full)
    with h5py.File(path("x_format_corrupt_header.h5"), "w") as h5:
        h5["data"] = ramp((3, 4, 5), "f8")
    with open(path("x_format_corrupt_header.h5"), "r+b") as file:
        file.seek(96)
        file.write(b"\xff" * 200)


def patch(name, old, new):
    raw = open(path(name), "rb").read()
    assert old in raw
    with open(path(name), "wb") as file:
        file.write(raw.replace(old, new))


def pymia_files():
    for alias in "object float int bool".split():
        if alias not in vars(np):
            setattr(np, alias, getattr(__builtins__, alias))
    import SimpleITK as sitk
    import pymia.data.conversion as conversion
    import pymia.data.creation as creation
    import pymia.data as data

    class Load(creation.Load):
        def __call__(self, file_name, id_, category, subject_id):
            number = int(subject_id[1:])
            if category == "age":
                return np.array([20.5 + number]), None
            shape = (4, 5, 6 + number % 2)
            kind = {"T1": "f4", "T2": "f4", "seg": "u1", "mask": "u1"}[id_]
            array = ramp(shape, kind, 3 * number + len(id_)) % (4 if kind == "u1" else 1000)
            image = sitk.GetImageFromArray(array.astype(kind))
            image.SetSpacing((1.0, 2.0, 3.0 + number))
            image.SetOrigin((10.0, -20.0, 30.0 + number))
            image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
            return sitk.GetArrayFromImage(image), conversion.ImageProperties(image)

    def subjects(count):
        for number in range(count):
            name = "S%d" % number
            root = "/study/%s/" % name
            images = {"T1": root + "t1.nii.gz", "T2": root + "t2.nii.gz"}
            labels = {"seg": root + "seg.nii.gz"}
            yield data.SubjectFile(name, images=images, labels=labels, age={"age": root + "age.txt"})

    def write(file, count, meta_only):
        if os.path.exists(path(file)):
            os.remove(path(file))
        with creation.get_writer(path(file)) as writer:
            callbacks = creation.get_default_callbacks(writer, meta_only)
            creation.Traverser().traverse(list(subjects(count)), load=Load(), callback=callbacks)

    for file, count, meta_only in [
        ("pymia_3.h5", 3, False),
        ("pymia_11.h5", 11, False),
        ("pymia_meta_only.h5", 2, True),
    ]:
        write(file, count, meta_only)
        with h5py.File(path(file), "r") as h5:
            for category in ("images", "labels"):
                for number in h5["data/" + category]:
                    inner = "data/%s/%s" % (category, number)
                    note(file, "/" + inner, h5[inner][...])

    for file, name in [("x_format_missing_array.h5", "data/images/1"), ("x_format_shape_table.h5", None)]:
        write(file, 3, False)
        with h5py.File(path(file), "a", libver="latest") as h5:
            if name:
                del h5[name]
            else:
                h5["meta/shapes/labels_shapes"][1, 2] = 99
    # A heap of strings whose first object is free space of no bytes: the library walks it for ever.
    raw = bytearray(open(path("pymia_3.h5"), "rb").read())
    heap = raw.index(b"GCOL")
    raw[heap + 16 : heap + 18] = bytes(2)
    raw[heap + 24 : heap + 32] = bytes(8)
    with open(path("x_format_endless_heap.h5"), "wb") as file:
        file.write(raw)
    # What pymia's documentation promises of a file of metadata only: names and files, no voxels.
    write("meta_without_data.h5", 2, False)
    with h5py.File(path("meta_without_data.h5"), "a", libver="latest") as h5:
        del h5["data"]
        for table in ("names/age_names", "files/age_files", "shapes/age_shapes"):
            del h5["meta/" + table]


def medsegpy():
    for scan, depth in [("0000001_V00-Aug00", 3), ("0000001_V01-Aug00", 4)]:
        volume = ramp((5, 6, depth), "f4", depth)
        seg = np.stack([ramp((5, 6, depth), "u1", k) % 2 for k in range(2)], axis=-1)
        for index in range(depth):
            name = "%s_%03d" % (scan, index + 1)
            with h5py.File(path("medsegpy_2d", name + ".im"), "w") as h5:
                h5["data"] = volume[:, :, index, None]
            with h5py.File(path("medsegpy_2d", name + ".seg"), "w") as h5:
                h5.create_dataset("data", data=seg[:, :, None, index], chunks=(5, 3, 1, 2), compression="gzip")
        note("medsegpy_2d", scan + "/volume", volume)
        note("medsegpy_2d", scan + "/class_1", seg[..., 1])
    with h5py.File(path("medsegpy_single.h5"), "w") as single:
        for scan in ("0000007_V00", "0000008_V02"):
            volume, seg = ramp((4, 5, 6), "f4", int(scan[6])), ramp((4, 5, 6, 3), "u1") % 2
            with h5py.File(path("medsegpy_3d", scan + ".h5"), "w") as h5:
                h5["volume"], h5["seg"] = volume, seg
            single[scan + "/volume"], single[scan + "/seg"] = volume, seg
            note("medsegpy_3d", scan + "/volume", volume)
            note("medsegpy_3d", scan + "/class_2", seg[..., 2])


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    dtypes()
    layouts()
    others()
    broken()
    pymia_files()
    medsegpy()
    with open(path("expected.json"), "w") as file:
        json.dump(EXPECTED, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")
    print("%d datasets noted" % len(EXPECTED), file=sys.stderr)


main()
