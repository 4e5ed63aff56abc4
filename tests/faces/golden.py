"""Writes a small study and what batches of it hold, for the tests of the other faces: golden.py FOLDER

The lines of FOLDER/cases.txt say how a loader is made, with axes slowest first and numbers from 0, and what it gives:

    case NAME
    data PATH
    dataset KEY VALUE | sampler KEY VALUE | loader KEY VALUE
    category NAME KEY=VALUE ...
    transform JSON
    epoch N
    batches N
    tensor BATCH CATEGORY DTYPE SHAPE SHA256
    sample BATCH ROW INDEX SUBJECT OFFSET
    end
"""

import hashlib
import json
import os
import sys

import h5py
import nibabel
import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bindings", "python"))

import voxfeed  # noqa: E402

SHAPES = [(19, 14, 11), (12, 17, 13), (16, 16, 16)]

CASES = [
    ("uniform patches, shuffled, normed by subject", "study", [], [
        ("kind", "uniform"), ("patch_shape", (5, 8, 6)), ("samples_per_subject", 5),
    ], [("batch_size", 4), ("order", "shuffled"), ("seed", 7), ("threads", 2)],
     [("images", [("dtype", "f32")]), ("labels", [])],
     {"name": "zscore", "category": "images", "statistics": "subject"}, 3),
    ("a grid that is shifted at the border", "study", [], [
        ("kind", "grid"), ("patch_shape", (6, 7, 8)), ("overlap", (2, 1, 3)), ("border", "shift"),
    ], [("batch_size", 5), ("prefetch", 1)], [], None, 0),
    ("a padded grid, one entry, the last batch filled up", "study", [("cache_bytes", 1 << 20)], [
        ("kind", "grid"), ("patch_shape", (9, 5, 12)), ("stride", (7, 5, 9)), ("border", "pad"),
    ], [("batch_size", 4), ("last_batch", "pad"), ("order", "shuffled")],
     [("images", [("entries", ("T2",)), ("padding", "reflect")]), ("labels", [("padding", "edge")])], None, 1),
    ("a constant outside, values cut to the dtype, no axis for one channel", "study", [], [
        ("kind", "grid"), ("patch_shape", (10, 10, 10)), ("border", "pad"),
    ], [("batch_size", 3)], [
        ("images", [("entries", ("T1",)), ("dtype", "u8"), ("fit", "saturate"), ("padding", "constant"),
                    ("pad_value", 7), ("squeeze_channel", 1)])], None, 0),
    ("slices along two axes", "equal", [], [("kind", "slices"), ("axes", (2, 0))],
     [("batch_size", 3), ("ragged", "pad"), ("order", "shuffled"), ("seed", 5)], [], None, 2),
    ("slices with their axis", "equal", [], [("kind", "slices"), ("axes", (1,))],
     [("batch_size", 5), ("thin_axis", "keep"), ("last_batch", "drop")], [], None, 0),
    ("whole volumes of unlike shapes", "study", [], [("kind", "whole")],
     [("batch_size", 2), ("ragged", "pad")], [("labels", []), ("images", [("entries", ("T2", "T1"))])], None, 0),
    ("seen in another orientation", "study", [("orient", "LPS"), ("io", "positional"), ("seek_index", "always")], [
        ("kind", "uniform"), ("patch_shape", (4, 4, 4)), ("samples_per_subject", 2),
    ], [("batch_size", 6), ("seed", 11)], [], None, 0),
    ("one share of two, grouped", "equal", [], [
        ("kind", "uniform"), ("patch_shape", (6, 6, 6)), ("samples_per_subject", 7),
    ], [("batch_size", 2), ("rank", 1), ("world_size", 2), ("order", "shuffled"), ("group_window", 8),
        ("last_batch", "drop"), ("threads", 3)], [("images", [("dtype", "f16")]), ("labels", [("dtype", "bool")])],
     None, 4),
    ("steps one behind the other", "equal", [], [("kind", "grid"), ("patch_shape", (8, 8, 8))],
     [("batch_size", 4), ("consumer", "device")], [], [
         {"name": "cast", "category": "images", "dtype": "f64"},
         {"name": "window", "category": "images", "low": -200, "high": 900.5, "to": [-1, 1]},
         {"name": "cast", "category": "labels", "dtype": "i64"},
         {"name": "lookup", "category": "labels", "map": {"1": -7}, "default": "keep"}], 0),
    ("four axes, the channel last", "channels.h5", [], [
        ("kind", "uniform"), ("patch_shape", (3, 4, 5)), ("samples_per_subject", 9)],
     [("batch_size", 2)], [], None, 0),
]


def volumes(shape, seed):
    source = numpy.random.RandomState(seed)
    image = source.randint(-300, 1200, shape).astype("int16")
    return image, (image // 3 + source.randint(0, 5, shape)).astype("int16"), (image > 500).astype("uint8")


def save_nifti(path, array, affine):
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_data_dtype(array.dtype)
    nibabel.save(image, path)


def make_data(folder):
    """Three subjects of unlike shapes and directions, two of one shape, and a volume with channels."""
    for number, shape in enumerate(SHAPES):
        subject = os.path.join(folder, "study", "sub-%02d" % number)
        os.makedirs(subject)
        one, other, label = volumes(shape, number)
        affine = numpy.diag([1.5, -2.0 if number == 1 else 2.0, 3.0, 1])
        affine[:3, 3] = 10 * number, -20, 30
        save_nifti(os.path.join(subject, "T1.nii.gz"), one, affine)
        save_nifti(os.path.join(subject, "T2.nii"), other, affine)
        save_nifti(os.path.join(subject, "labels.nii.gz"), label, affine)
    for category in ("images", "labels"):
        os.makedirs(os.path.join(folder, "equal", category))
    for number in range(2):
        one, _, label = volumes((10, 12, 9), 10 + number)
        numpy.save(os.path.join(folder, "equal", "images", "s%d.npy" % number), one)
        numpy.save(os.path.join(folder, "equal", "labels", "s%d.npy" % number), label.astype(bool))
    with h5py.File(os.path.join(folder, "channels.h5"), "w") as file:
        array = numpy.random.RandomState(20).standard_normal((7, 9, 8, 3)).astype("float32")
        file.create_dataset("volume", data=array, chunks=(4, 4, 4, 3), compression="gzip", shuffle=True)


def text(value):
    return ",".join(str(one) for one in value) if isinstance(value, tuple) else str(value)


def expected(case, folder):
    name, data, dataset, sampler, loader, categories, transform, epoch = case
    yield "case " + name
    yield "data " + data
    for noun, options in (("dataset", dataset), ("sampler", sampler), ("loader", loader)):
        for key, value in options:
            yield "%s %s %s" % (noun, key, text(value))
    for category, options in categories:
        yield " ".join(["category", category] + ["%s=%s" % (key, text(value)) for key, value in options])
    if transform:
        yield "transform " + json.dumps(transform)
    yield "epoch %d" % epoch
    given = dict(loader)
    if categories:
        given["categories"] = [dict(options, name=category) for category, options in categories]
    opened = voxfeed.Dataset(os.path.join(folder, data), **dict(dataset))
    made = voxfeed.Loader(voxfeed.Sampler(opened, **dict(sampler)), transform=transform, **given)
    yield "batches %d" % len(made)
    for number, batch in enumerate(made.epoch(epoch)):
        for category in batch.categories:
            array = batch[category]
            digest = hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()
            dtype = voxfeed_name(array.dtype)
            yield "tensor %d %s %s %s %s" % (number, category, dtype, text(array.shape), digest)
        for row, sample in enumerate(batch.samples):
            yield "sample %d %d %d %d %s" % (number, row, sample.index, sample.subject, text(sample.offset))
    made.close()
    yield "end"


def voxfeed_name(dtype):
    return "bool" if dtype.kind == "b" else "%s%d" % (dtype.kind, 8 * dtype.itemsize)


def main(folder):
    make_data(folder)
    with open(os.path.join(folder, "cases.txt"), "w") as file:
        for case in CASES:
            file.write("\n".join(expected(case, folder)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
