"""HDF5 files as h5py writes them, read region by region."""

import unittest

import h5py
import numpy

import voxfeed
from support import Case, opened, random_region, rng, volume, window

STORED = [
    ("contiguous", {}),
    ("chunked", {"chunks": (3, 4, 5)}),
    ("gzip", {"chunks": (3, 4, 5), "compression": "gzip", "compression_opts": 4}),
    ("shuffle", {"chunks": (4, 4, 4), "compression": "gzip", "shuffle": True}),
    ("fletcher32", {"chunks": (5, 2, 7), "fletcher32": True}),
    ("all", {"chunks": (3, 9, 2), "compression": "gzip", "shuffle": True, "fletcher32": True}),
    ("one chunk", {"chunks": (8, 9, 10), "compression": "gzip"}),
    ("unlimited", {"chunks": (3, 4, 5), "maxshape": (None, None, None)}),
]


class Hdf5(Case):
    def written(self, data, name="a.h5", path="/data/vol", libver=None, **how):
        with h5py.File(self.path(name), "w", libver=libver) as file:
            file.create_dataset(path, data=data, **how)
        return self.path(name)

    def check(self, dataset, expected, about, count=8):
        random = rng(len(str(about)))
        spatial = dataset.volume_info(0, "images").shape
        self.same(dataset.read(0, "images", "one"), expected, about)
        for _ in range(count):
            offset, shape = random_region(random, spatial)
            found = dataset.read(0, "images", "one", offset=offset, shape=shape)
            self.same(found, window(expected, offset, shape), (about, offset, shape))

    def test_every_way_of_storing(self):
        array = volume((8, 9, 10)) % 500
        for libver in ("earliest", "latest"):
            for name, how in STORED:
                path = self.written(array, libver=libver, **how)
                self.check(opened(path, inner="/data/vol"), array, (name, libver))
                self.check(opened(path), array, (name, "the only one"), 2)

    def test_every_dtype_and_byte_order(self):
        for dtype in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]:
            for order in "<>":
                for _, how in (STORED[0], STORED[3]):
                    array = volume((6, 7, 8), dtype)
                    path = self.written(array.astype(order + dtype), **how)
                    # Big-endian halves come in the dtype that holds their values and those of bfloat16.
                    array = array.astype("f4") if order + dtype == ">f2" else array
                    self.check(opened(path), array, (dtype, order), 3)

    def test_bool_is_a_dtype(self):
        array = volume((6, 7, 8), "bool")
        for _, how in (STORED[0], STORED[2]):
            self.check(opened(self.written(array, **how)), array, "bool")

    def test_what_was_never_written_is_the_fill_value(self):
        for how in ({}, {"chunks": (3, 4, 5)}, {"chunks": (3, 4, 5), "compression": "gzip"}):
            with h5py.File(self.path("a.h5"), "w") as file:
                data = file.create_dataset("vol", (8, 9, 10), "i2", fillvalue=-7, **how)
                if how:
                    data[2:4, 3:5, 1:6] = 5
                expected = data[...]
            self.check(opened(self.path("a.h5")), expected, how)

    def test_four_axes_have_their_channel_last(self):
        array = volume((6, 7, 8, 2))
        path = self.written(array, chunks=(3, 4, 4, 1), compression="gzip")
        self.check(opened(path), array.transpose(3, 0, 1, 2), "last")
        self.check(opened(path, channel="first"), array, "first")
        self.assertEqual(opened(path, channel="none").volume_info(0, "images").shape, array.shape)

    def test_two_axes_and_one(self):
        for shape in [(12, 13), (14,)]:
            self.check(opened(self.written(volume(shape))), volume(shape), shape)

    def test_a_user_block_and_a_group_of_many(self):
        with h5py.File(self.path("a.h5"), "w", userblock_size=512) as file:
            for number in range(20):
                file["deep/er/%02d" % number] = volume((3, 4, 5), seed=number)
        for number in (0, 7, 19):
            dataset = opened(self.path("a.h5"), inner="/deep/er/%02d" % number)
            self.check(dataset, volume((3, 4, 5), seed=number), number, 3)

    def test_the_dataset_that_is_missing_or_not_said_is_named(self):
        with h5py.File(self.path("a.h5"), "w") as file:
            file["one"], file["two"] = volume((3, 4, 5)), volume((3, 4, 5))
            file.create_group("empty")
        with self.refused(voxfeed.Error, "a.h5", "one", "two"):
            opened(self.path("a.h5"))
        with self.refused(voxfeed.NotFoundError, "a.h5", "three"):
            opened(self.path("a.h5"), inner="three")
        with self.refused(voxfeed.Error, "a.h5", "empty"):
            opened(self.path("a.h5"), inner="/empty")

    def test_what_is_no_volume_is_unsupported(self):
        kinds = {"text": numpy.array([b"abc"] * 3), "complex": numpy.zeros((3, 4, 5), complex),
                 "compound": numpy.zeros((3, 4), [("a", "i4"), ("b", "f4")]), "scalar": numpy.float32(3)}
        for name, data in kinds.items():
            with self.refused(voxfeed.Error, "a.h5"):
                opened(self.written(data), inner="/data/vol")

    def test_our_own_file_is_read_by_h5py(self):
        array = volume((6, 7, 8), "float32")
        voxfeed.save_volume(self.path("a.h5"), array, numpy.diag([1.0, 2, 3, 1])[[2, 1, 0, 3]])
        found = []
        with h5py.File(self.path("a.h5"), "r") as file:
            file.visititems(lambda name, item: found.append(item[...]) if isinstance(item, h5py.Dataset) and
                            item.size == array.size else None)
        self.assertEqual(len(found), 1)
        self.same(found[0].reshape(array.shape), array)
        self.same(voxfeed.Dataset(self.path("a.h5")).read(0, "images").reshape(array.shape), array)


if __name__ == "__main__":
    unittest.main()
