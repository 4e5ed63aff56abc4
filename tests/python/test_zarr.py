"""Zarr arrays of both versions against zarr-python, and damaged ones."""

import os
import unittest
import warnings

import numcodecs
import numpy
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, TransposeCodec, ZstdCodec

import voxfeed
from support import Case, damaged, opened, random_region, rng, volume, window

warnings.simplefilter("ignore")

NAMES = ["blosclz", "lz4", "lz4hc", "zlib", "zstd"]
SECOND = [None, numcodecs.Zlib(1), numcodecs.GZip(1), numcodecs.Zstd(1), numcodecs.LZ4()] + [
    numcodecs.Blosc(name, 3, shuffle=shuffle) for name in NAMES for shuffle in (0, 1, 2)]
THIRD = [None, GzipCodec(level=1), ZstdCodec(level=1), ZstdCodec(level=1, checksum=True)] + [
    BloscCodec(cname=name, clevel=3, shuffle=shuffle) for name in NAMES
    for shuffle in ("noshuffle", "shuffle", "bitshuffle")]


def random_shape(random, most):
    shape = tuple(int(extent) for extent in random.randint(1, most, random.randint(1, 5)))
    # A single channel would lose its axis.
    return (2,) + shape[1:] if len(shape) == 4 else shape


class Regions(Case):
    def check(self, path, array, random, about):
        expected = numpy.asarray(array[...])
        for io, budget in [("map", 0), ("map", 1 << 28), ("positional", 0), ("positional", 1 << 10)]:
            dataset = opened(path, options={"io": io, "cache_bytes": budget})
            spatial = expected.shape[-len(dataset.volume_info(0, "images").shape):]
            self.same(dataset.read(0, "images", "one"), expected, about)
            for _ in range(3):
                offset, shape = random_region(random, spatial)
                found = dataset.read(0, "images", "one", offset=offset, shape=shape)
                self.same(found, window(expected, offset, shape), (about, offset, shape))

    def fill(self, array, dtype, random):
        """Writes all of an array or a corner of it, so that chunks are missing."""
        shape = array.shape
        values = (volume(shape, "int32", 3) // 3000000).astype(dtype)
        part = tuple(slice(0, max(1, extent // 2)) for extent in shape) if random.randint(2) else Ellipsis
        array[part] = values[part]

    def test_version_two_with_random_cuts_codecs_dtypes_and_orders(self):
        random = rng(1)
        for number, compressor in enumerate(SECOND * 2):
            dtype = ["<f4", ">f4", "|b1", "|u1", ">i2", "<u8", "<f2", ">f8"][random.randint(8)]
            shape = random_shape(random, 30)
            fill = [None, 0, 1][number % 3]
            if dtype[1] == "f" and number % 2:
                fill = float(["nan", "inf", "-inf"][number % 3])
            path = self.path("second-%d" % number)
            size = numpy.dtype(dtype).itemsize
            about = {"shape": shape, "chunks": tuple(random.randint(1, extent + 3) for extent in shape),
                     "dtype": dtype, "order": "CF"[random.randint(2)], "fill_value": fill,
                     "filters": [numcodecs.Shuffle(size)] if number % 4 == 0 else None,
                     "chunk_key_encoding": {"name": "v2", "separator": "./"[number % 2]}}
            array = zarr.create_array(path, zarr_format=2, compressors=compressor, **about)
            self.fill(array, dtype[1:] if dtype[0] == "|" else "=" + dtype[1:], random)
            self.check(path, array, random, (about, compressor))

    def test_version_three_with_random_shards_codecs_dtypes_and_orders(self):
        random = rng(2)
        for number, compressor in enumerate(THIRD * 3):
            dtype = ["float32", "bool", "uint8", "int16", "float16", "uint64"][random.randint(6)]
            shape = random_shape(random, 22)
            chunks = tuple(int(extent) for extent in random.randint(1, 8, len(shape)))
            wide = dtype not in ("bool", "uint8")
            as_bytes = BytesCodec(endian=["little", "big"][number % 2] if wide else None)
            turned = [TransposeCodec(order=tuple(map(int, random.permutation(len(shape)))))] if number % 2 else []
            packing = [codec for codec in (compressor, Crc32cCodec() if number % 3 == 0 else None) if codec]
            fill = {"bool": True, "float32": [float("nan"), 1.5, float("-inf")][number % 3], "float16": 2.5}
            options = {"shape": shape, "dtype": dtype, "fill_value": fill.get(dtype, 3), "chunk_key_encoding":
                       {"name": ["default", "v2"][number % 5 == 0], "separator": "./"[random.randint(2)]}}
            path = self.path("third-%d" % number)
            place = ["no", "start", "end"][random.randint(3)]
            if place == "no":
                array = zarr.create_array(path, chunks=chunks, serializer=as_bytes, compressors=packing or None,
                                          filters=turned or None, **options)
            else:
                codec = ShardingCodec(chunk_shape=chunks, codecs=turned + [as_bytes] + packing, index_location=place)
                shards = tuple(extent * int(random.randint(1, 4)) for extent in chunks)
                array = zarr.create_array(path, chunks=shards, serializer=codec, compressors=None, filters=None,
                                          **options)
            self.fill(array, dtype, random)
            self.check(path, array, random, (options, place, chunks, packing, turned))

    def test_codecs_of_numcodecs_are_read_in_version_three(self):
        random = rng(3)
        for number, codec in enumerate(["zlib", "gzip", "zstd", "lz4", "blosc", "shuffle"]):
            path = self.path(codec)
            about = {"name": "numcodecs." + codec, "configuration": {"elementsize": 2} if codec == "shuffle" else {}}
            array = zarr.create_array(path, shape=(9, 10, 11), chunks=(4, 5, 6), dtype="int16", compressors=[about])
            array[...] = volume((9, 10, 11), "int16", number)
            self.check(path, array, random, codec)

    def test_groups_channels_and_refusals(self):
        root = zarr.create_group(self.path("group"))
        names = {"T1": ("z", "y", "x"), "all": ("c", "z", "y", "x"), "last": ("y", "x", "c")}
        arrays = {name: root.create_array("images/" + name, shape=tuple(range(5, 5 + len(axes))), dtype="int16",
                                          dimension_names=axes) for name, axes in names.items()}
        for array in arrays.values():
            array[...] = volume(array.shape, "int16")
        path = self.path("group")
        self.same(opened(path, inner="images/T1").read(0, "images", "one"), arrays["T1"][...])
        self.same(opened(path, inner="images/all").read(0, "images", "one"), arrays["all"][...])
        last = opened(path, inner="images/last").read(0, "images", "one")
        self.same(last, arrays["last"][...].transpose(2, 0, 1))
        with self.refused(voxfeed.ArgumentError, "images/T1", "images/all"):
            opened(path)
        with self.refused(voxfeed.NotFoundError, "images/T9", "images/T1"):
            opened(path, inner="images/T9")
        zarr.create_array(self.path("complex"), shape=(4, 4), dtype="complex64")
        with self.refused(voxfeed.UnsupportedError, "complex64"):
            opened(self.path("complex"))
        store = zarr.storage.ZipStore(self.path("a.zip"), mode="w")
        zarr.create_array(store, shape=(4, 4), dtype="int16")[...] = 1
        store.close()
        with self.refused(voxfeed.UnsupportedError, "unpack"):
            opened(self.path("a.zip"))


class Damage(Case):
    def test_damaged_chunks_and_metadata_are_read_or_refused(self):
        random, refused = rng(4), 0
        values = (volume((20, 21, 22), "int32") // 3000000).astype("int16")
        for number, compressor in enumerate(THIRD):
            path = self.path("damaged-%d" % number)
            shards = (20, 18, 22) if number % 2 else None
            array = zarr.create_array(path, shape=values.shape, chunks=(10, 9, 11), shards=shards, dtype="int16",
                                      compressors=compressor)
            array[...] = values
            files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
            for round in range(24):
                chosen = sorted(files)[random.randint(len(files))]
                with open(chosen, "rb") as file:
                    whole = file.read()
                with open(chosen, "wb") as file:
                    file.write(damaged(whole, random, round % 4))
                try:
                    opened(path, options={"cache_bytes": round % 2}).read(0, "images", "one")
                except voxfeed.Error as error:
                    self.assertNotIsInstance(error, voxfeed.InternalError)
                    refused += 1
                with open(chosen, "wb") as file:
                    file.write(whole)
        self.assertGreater(refused, 100)


if __name__ == "__main__":
    unittest.main()
