"""Blosc2 arrays against the library that wrote them, and nnU-Net's preprocessed folders of them."""

import os
import unittest

import blosc2
import numpy

import voxfeed
from support import Case, damaged, opened, random_region, rng, volume, window

CODECS = ["BLOSCLZ", "LZ4", "LZ4HC", "ZLIB", "ZSTD"]
FILTERS = [(), ("SHUFFLE",), ("BITSHUFFLE",), ("DELTA",), ("DELTA", "SHUFFLE"), ("SHUFFLE", "BYTEDELTA")]
DTYPES = ["uint8", "int16", ">i2", "float32", ">f4", "float64", "bool", "uint64", "float16"]


def write(path, array, codec="ZSTD", filters=("SHUFFLE",), chunks=None, blocks=None):
    options = {"codec": getattr(blosc2.Codec, codec), "clevel": 5,
               "filters": [getattr(blosc2.Filter, filter) for filter in filters],
               "filters_meta": [0] * len(filters)}
    return blosc2.asarray(array, chunks=chunks, blocks=blocks, urlpath=path, mode="w", cparams=options)


def cut(random, shape):
    """Random extents of chunks and of the blocks in them."""
    chunks = [random.randint(1, extent + 1) for extent in shape]
    return {"chunks": chunks, "blocks": [random.randint(1, extent + 1) for extent in chunks]}


class Regions(Case):
    def check(self, path, expected, random, about):
        for io, budget in [("map", 0), ("map", 1 << 28), ("positional", 0), ("positional", 1 << 12)]:
            dataset = opened(path, options={"io": io, "cache_bytes": budget})
            spatial = expected.shape[-len(dataset.volume_info(0, "images").shape):]
            self.same(dataset.read(0, "images", "one"), expected, about)
            for _ in range(3):
                offset, shape = random_region(random, spatial)
                found = dataset.read(0, "images", "one", offset=offset, shape=shape)
                self.same(found, window(expected, offset, shape), (about, offset, shape))

    def test_every_codec_and_filter_with_random_cuts_dtypes_and_regions(self):
        random, path = rng(1), self.path("a.b2nd")
        for codec in CODECS:
            for filters in FILTERS:
                shape = tuple(random.randint(2, 40, random.randint(1, 5)))
                dtype = DTYPES[random.randint(len(DTYPES))]
                # Few different numbers, so that the codecs find something to do.
                array = (volume(shape, "int32", 3) // 3000000).astype(dtype)
                how = cut(random, shape)
                write(path, array, codec, filters, **how)
                self.check(path, array.astype(array.dtype.newbyteorder("=")), random, (codec, filters, dtype, how))

    def test_blocks_of_zeros_of_one_value_and_of_nothing(self):
        random, path = rng(2), self.path("a.b2nd")
        for make in [blosc2.zeros, blosc2.empty]:
            make((9, 10, 11), dtype="int32", urlpath=path, mode="w", chunks=(4, 5, 6), blocks=(2, 5, 3))
            self.check(path, numpy.zeros((9, 10, 11), "int32"), random, make)
        for value in [7, numpy.nan]:
            blosc2.full((9, 10, 11), value, dtype="float32", urlpath=path, mode="w", chunks=(4, 5, 6))
            self.check(path, numpy.full((9, 10, 11), value, "float32"), random, value)
        holes = blosc2.zeros((30, 31, 32), dtype="int16", urlpath=path, mode="w", chunks=(8, 9, 10), blocks=(4, 9, 5))
        holes[10:20, 3:9, 8:30] = volume((10, 6, 22), "int16")
        self.check(path, holes[:], random, "holes")

    def test_threads_and_cuts_change_no_voxel_of_a_loader(self):
        array = volume((40, 50, 60), "int16")
        batches = []
        for number, (chunks, blocks) in enumerate([((40, 50, 60), (7, 50, 9)), ((13, 17, 19), (5, 4, 19))]):
            path = self.path("%d.b2nd" % number)
            write(path, array, "LZ4", chunks=chunks, blocks=blocks)
            for threads in (1, 4):
                sampler = voxfeed.Sampler(opened(path), kind="uniform", patch_shape=(16, 16, 16),
                                          samples_per_subject=24)
                loader = voxfeed.Loader(sampler, batch_size=4, threads=threads, seed=5)
                batches.append([numpy.array(batch["images"]) for batch in loader.epoch(0)])
        for other in batches[1:]:
            self.assertEqual(len(other), 6)
            for first, second in zip(batches[0], other):
                self.same(second, first)


class NnUnet(Case):
    def test_a_preprocessed_folder_has_its_channels_and_labels(self):
        images, labels = volume((2, 20, 21, 22), "float32"), volume((1, 20, 21, 22), "int8") % 3
        folder = self.path("nnUNetPlans_3d_fullres")
        os.makedirs(folder)
        with open(self.path("dataset.json"), "w") as file:
            file.write('{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0}}')
        for id in ("la_001", "la_002"):
            write(os.path.join(folder, id + ".b2nd"), images, chunks=(1, 16, 16, 16), blocks=(1, 8, 8, 8))
            write(os.path.join(folder, id + "_seg.b2nd"), labels)
        dataset = voxfeed.Dataset(self.folder)
        self.assertEqual(len(dataset), 2)
        self.same(dataset.read("la_002", "images"), images)
        self.same(dataset.read("la_002", "labels"), labels)


class Damage(Case):
    def test_damaged_files_are_read_or_refused(self):
        random, refused = rng(4), 0
        for codec in CODECS:
            path = self.path(codec + ".b2nd")
            write(path, (volume((20, 21, 22), "int32") // 3000000).astype("int16"), codec, chunks=(10, 9, 22))
            with open(path, "rb") as file:
                whole = file.read()
            for number in range(60):
                with open(path, "wb") as file:
                    file.write(damaged(whole, random, number % 5))
                try:
                    opened(path, options={"cache_bytes": number % 2}).read(0, "images", "one")
                except (voxfeed.FormatError, voxfeed.UnsupportedError):
                    refused += 1
        self.assertGreater(refused, 50)


if __name__ == "__main__":
    unittest.main()
