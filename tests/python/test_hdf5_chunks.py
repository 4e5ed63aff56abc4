"""Chunked HDF5 as only h5py writes it, and what only the HDF5 library reads, region by region through the C interface."""

import unittest

import h5py
import numpy
from h5py import h5d, h5p, h5s, h5t, h5z

import voxfeed
from support import Case, opened, random_region, rng, volume, window

SHAPE = (9, 11, 13)
CHUNKS = (4, 5, 6)
DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
PLUGINS = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2"}


def soft(dtype="int16", shape=SHAPE, seed=0):
    """Numbers with few bits, so that every filter makes them smaller."""
    return (volume(shape, "uint8", seed) % 11).astype(dtype)


class Chunks(Case):
    def check(self, expected, about, count=6, name="a.h5", **options):
        """Regions without a cache, with one for a few chunks, with a large one, and without maps."""
        random = rng(len(str(about)))
        for more in ({"cache_bytes": 1}, {"cache_bytes": 700}, {}, {"io": "positional"}):
            dataset = opened(self.path(name), options=more, inner="vol", **options)
            for again in (0, 1):
                self.same(dataset.read(0, "images", "one"), expected, (about, more, again))
            spatial = dataset.volume_info(0, "images").shape
            for _ in range(count):
                offset, shape = random_region(random, spatial)
                found = dataset.read(0, "images", "one", offset=offset, shape=shape)
                self.same(found, window(expected, offset, shape), (about, more, offset, shape))

    def file(self, **how):
        return h5py.File(self.path("a.h5"), "w", **how)

    def test_lzf_with_and_without_shuffle(self):
        for dtype in ("u1", "i2", "f4", "f8"):
            for data in (soft(dtype), volume(SHAPE, dtype)):  # Noise does not shrink: those chunks are left as they are.
                for shuffle in (False, True):
                    for fletcher32 in (False, True):
                        with self.file() as file:
                            file.create_dataset("vol", data=data, chunks=CHUNKS, compression="lzf", shuffle=shuffle,
                                                fletcher32=fletcher32)
                        self.check(data, (dtype, shuffle, fletcher32), 2)

    def test_lzf_with_long_runs_and_far_repeats(self):
        for kind in range(3):
            data = numpy.zeros((16, 32, 32), "i2")
            if kind:
                data[:] = rng(kind).randint(0, 2 ** 15, (1, 8 * kind, 32)).repeat(4 // kind, 1)
            with self.file() as file:
                file.create_dataset("vol", data=data, chunks=(16, 32, 32), compression="lzf")
                self.assertLess(file["vol"].id.get_storage_size(), data.nbytes / 2)
            self.check(data, kind, 2)

    def test_every_order_of_filters(self):
        data = soft("int32")
        orders = [[DEFLATE], [FLETCHER32], [SHUFFLE], [SHUFFLE, DEFLATE, FLETCHER32], [FLETCHER32, SHUFFLE, DEFLATE],
                  [SHUFFLE, FLETCHER32, DEFLATE], [FLETCHER32, DEFLATE], [DEFLATE, SHUFFLE], [DEFLATE, DEFLATE],
                  [SHUFFLE, SHUFFLE, DEFLATE], [SHUFFLE, LZF, DEFLATE], [FLETCHER32, LZF, FLETCHER32]]
        for order in orders:
            with self.file() as file:
                plan = h5p.create(h5p.DATASET_CREATE)
                plan.set_chunk(CHUNKS)
                for number in order:
                    plan.set_filter(number, h5z.FLAG_OPTIONAL, (4,) if number == DEFLATE else ())
                made = h5d.create(file.id, b"vol", h5t.NATIVE_INT32, h5s.create_simple(SHAPE), plan)
                made.write(h5s.ALL, h5s.ALL, data)
            if LZF in order and DEFLATE in order:
                # Two compressors in a row are for the library, which has no LZF.
                with self.refused(voxfeed.UnsupportedError, "a.h5", "lzf"):
                    opened(self.path("a.h5"), inner="vol")
            else:
                self.check(data, order, 3)

    def test_every_index_of_chunks(self):
        data = soft()
        kinds = {"fixed": None, "one": (None, 11, 13), "two": (None, None, 13), "bounded": (20, 30, 13)}
        for libver in ("earliest", "v110", "latest"):
            for kind, most in kinds.items():
                for how in ({}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}):
                    with self.file(libver=(libver, "latest")) as file:
                        file.create_dataset("vol", data=data, chunks=CHUNKS, maxshape=most, **how)
                    self.check(data, (libver, kind, how), 2)
            for how in ({}, {"compression": "gzip"}):
                with self.file(libver=(libver, "latest")) as file:
                    file.create_dataset("vol", data=data, chunks=SHAPE, **how)
                self.check(data, (libver, "single", how), 2)
            with self.file(libver=(libver, "latest")) as file:
                plan = h5p.create(h5p.DATASET_CREATE)
                plan.set_chunk(CHUNKS)
                plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
                space = h5s.create_simple(SHAPE)
                h5d.create(file.id, b"vol", h5t.NATIVE_INT16, space, plan).write(h5s.ALL, h5s.ALL, data)
            self.check(data, (libver, "implicit"), 2)

    def test_chunks_that_were_written_past_some_filters(self):
        data = soft("float32", (8, 8, 8))
        for mask in range(8):
            with self.file() as file:
                made = file.create_dataset("vol", shape=(8, 8, 8), dtype="f4", chunks=(4, 8, 8), compression="gzip",
                                           shuffle=True, fletcher32=True, fillvalue=-1.5)
                # The library itself makes the bytes of each mask: it leaves the filters out that fail to shrink.
                with h5py.File(self.path("b.h5"), "w") as other:
                    how = dict(shuffle=not mask & 1, compression=None if mask & 2 else "gzip", fletcher32=not mask & 4)
                    twin = other.create_dataset("vol", data=data, chunks=(4, 8, 8), **how)
                    other.flush()
                    made.id.write_direct_chunk((4, 0, 0), twin.id.read_direct_chunk((4, 0, 0))[1], mask)
            with h5py.File(self.path("a.h5"), "r") as file:
                expected = file["vol"][...]
            self.same(expected[4:], data[4:])
            self.check(expected, mask, 3)

    def test_a_user_block_shifts_every_chunk(self):
        for size in (512, 4096):
            for libver in ("earliest", "latest"):
                with self.file(userblock_size=size, libver=libver) as file:
                    file.create_dataset("vol", data=soft(), chunks=CHUNKS, compression="gzip")
                self.check(soft(), (size, libver), 3)
                with self.file(userblock_size=size, libver=libver) as file:
                    file.create_dataset("vol", data=soft(), chunks=CHUNKS)
                self.check(soft(), (size, libver, "plain"), 3)

    def test_big_endian_numbers_behind_every_filter(self):
        for dtype in ("u2", "i4", "i8", "f4", "f8"):
            for how in ({}, {"shuffle": True}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}):
                data = soft(dtype)
                with self.file() as file:
                    part = file.create_dataset("vol", shape=(12, 11, 13), dtype=">" + dtype, chunks=CHUNKS, fillvalue=77,
                                               **how)
                    part[:9] = data
                    expected = part[...].astype(dtype)
                self.check(expected, (dtype, how), 2)

    def test_every_fill_value_of_chunks_that_were_never_written(self):
        for dtype, values in (("i2", (None, 0, -7)), ("f4", (None, 2.5, float("nan"))), (">f8", (1e300,)), ("u1", (255,)),
                              ("bool", (True, False))):
            for value in values:
                for fill_time in ("ifset", "alloc", "never"):
                    with self.file() as file:
                        made = file.create_dataset("vol", shape=SHAPE, dtype=dtype, chunks=CHUNKS, compression="gzip",
                                                   fillvalue=value, fill_time=fill_time)
                        made[5:7, 3:9, 2:3] = 1
                    with h5py.File(self.path("a.h5"), "r") as file:
                        expected = numpy.zeros(SHAPE, numpy.dtype(dtype).newbyteorder("="))
                        file["vol"].read_direct(expected)
                    self.check(expected, (dtype, value, fill_time), 2)

    def test_a_dataset_that_was_larger_or_smaller_once(self):
        for libver in ("earliest", "latest"):
            for how in ({}, {"compression": "gzip", "shuffle": True}):
                with self.file(libver=libver) as file:
                    made = file.create_dataset("vol", shape=(20, 20, 20), dtype="i2", chunks=CHUNKS, fillvalue=9,
                                               maxshape=(None, None, 40), **how)
                    made[...] = soft(shape=(20, 20, 20))
                    for shape in ((5, 20, 7), (9, 3, 13), SHAPE):
                        made.resize(shape)
                    expected = made[...]
                self.check(expected, (libver, how), 4)

    def test_chunks_larger_than_the_array(self):
        with self.file() as file:
            file.create_dataset("vol", data=soft(), chunks=(16, 16, 16), maxshape=(None,) * 3, compression="gzip")
        self.check(soft(), "larger")

    def test_channels_in_the_chunks(self):
        data = soft("float32", (8, 9, 10, 3))
        for chunks in ((4, 4, 4, 3), (4, 4, 4, 1), (8, 9, 10, 2)):
            with self.file() as file:
                file.create_dataset("vol", data=data, chunks=chunks, compression="gzip", shuffle=True)
            self.check(data.transpose(3, 0, 1, 2), chunks, channel="last")
            self.check(data, chunks, channel="first")
            self.check(data, chunks, channel="none")

    def test_enumerations_and_bools(self):
        for data in (volume(SHAPE, "bool"), soft("uint8")):
            dtype = data.dtype if data.dtype == bool else h5py.enum_dtype(dict(a=0, b=1), basetype="u1")
            with self.file() as file:
                file.create_dataset("vol", data=data, dtype=dtype, chunks=CHUNKS, compression="gzip")
            self.check(data, dtype, 2)

    def test_what_only_the_library_reads(self):
        data = soft()
        with h5py.File(self.path("source.h5"), "w") as file:
            file.create_dataset("vol", data=data, chunks=CHUNKS, compression="gzip")

        def scaleoffset(file):
            file.create_dataset("vol", data=data, chunks=CHUNKS, scaleoffset=0, shuffle=True, compression="gzip")

        def virtual(file):
            layout = h5py.VirtualLayout(SHAPE, "i2", maxshape=SHAPE)
            layout[...] = h5py.VirtualSource(self.path("source.h5"), "vol", shape=SHAPE)
            file.create_virtual_dataset("vol", layout)

        def external(file):
            data.tofile(self.path("raw"))
            file.create_dataset("vol", SHAPE, "i2", external=[(self.path("raw"), 0, h5py.h5f.UNLIMITED)])

        def compact(file):
            plan = h5p.create(h5p.DATASET_CREATE)
            plan.set_layout(h5d.COMPACT)
            space = h5s.create_simple(SHAPE)
            h5d.create(file.id, b"vol", h5t.NATIVE_INT16, space, plan).write(h5s.ALL, h5s.ALL, data)

        def nbit(file):
            kind = h5t.NATIVE_INT16.copy()
            kind.set_precision(9)
            plan = h5p.create(h5p.DATASET_CREATE)
            plan.set_chunk(CHUNKS)
            plan.set_filter(h5z.FILTER_NBIT, h5z.FLAG_OPTIONAL, ())
            h5d.create(file.id, b"vol", kind, h5s.create_simple(SHAPE), plan).write(h5s.ALL, h5s.ALL, data)

        for write in (scaleoffset, virtual, external, compact, nbit):
            with self.file() as file:
                write(file)
            self.check(data, write.__name__, 3)

    def test_a_filter_without_its_plugin_is_named(self):
        for number, name in PLUGINS.items():
            with self.file() as file:
                plan = h5p.create(h5p.DATASET_CREATE)
                plan.set_chunk(CHUNKS)
                plan.set_filter(number, h5z.FLAG_OPTIONAL, ())
                made = h5d.create(file.id, b"vol", h5t.NATIVE_INT16, h5s.create_simple(SHAPE), plan)
                made.write(h5s.ALL, h5s.ALL, soft())
            with self.refused(voxfeed.UnsupportedError, "a.h5", number, name, "HDF5_PLUGIN_PATH", "gzip") as caught:
                opened(self.path("a.h5"), inner="vol")
            self.assertNotIn("/build", str(caught.exception))

    def test_a_virtual_dataset_over_a_missing_filter_says_so(self):
        with self.file() as file:
            plan = h5p.create(h5p.DATASET_CREATE)
            plan.set_chunk(CHUNKS)
            plan.set_filter(32015, h5z.FLAG_OPTIONAL, ())
            made = h5d.create(file.id, b"inner", h5t.NATIVE_INT16, h5s.create_simple(SHAPE), plan)
            for chunk in made_of(SHAPE, CHUNKS):
                made.write_direct_chunk(chunk, b"\0" * 240, 0)
            layout = h5py.VirtualLayout(SHAPE, "i2")
            layout[...] = h5py.VirtualSource(".", "inner", shape=SHAPE)
            file.create_virtual_dataset("vol", layout)
        dataset = opened(self.path("a.h5"), inner="vol")
        with self.refused(voxfeed.UnsupportedError, "a.h5", "vol", "filter", "HDF5_PLUGIN_PATH") as caught:
            dataset.read(0, "images")
        self.assertNotIn("/build", str(caught.exception))

    def test_a_damaged_checksum_is_an_error_that_names_the_chunk(self):
        with self.file() as file:
            made = file.create_dataset("vol", data=soft(), chunks=CHUNKS, compression="gzip", fletcher32=True)
            chunk = made.id.get_chunk_info_by_coord((4, 5, 0))
        with open(self.path("a.h5"), "r+b") as raw:
            raw.seek(chunk.byte_offset + chunk.size - 1)
            last = raw.read(1)[0]
            raw.seek(-1, 1)
            raw.write(bytes([last ^ 1]))
        dataset = opened(self.path("a.h5"), inner="vol")
        with self.refused(voxfeed.FormatError, "a.h5", "vol", "chunk (1, 1, 0)", "Fletcher-32"):
            dataset.read(0, "images")
        self.same(dataset.read(0, "images", offset=(0, 0, 0), shape=(4, 5, 6)), soft()[None, :4, :5, :6])


def made_of(shape, chunks):
    """Where the chunks of an array begin."""
    steps = [range(0, extent, chunk) for extent, chunk in zip(shape, chunks)]
    return [(z, y, x) for z in steps[0] for y in steps[1] for x in steps[2]]


if __name__ == "__main__":
    unittest.main()
