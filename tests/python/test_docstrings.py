"""What the docstrings say in so many words is there to be read, and is so."""

import os
import time
import unittest

import h5py
import numpy

import voxfeed
from support import Case, count, epoch_bytes, in_memory, loader_of, opened, small, volume


class Docstrings(Case):
    def says(self, thing, *parts):
        """The docstring has all these parts, however its lines are broken."""
        text = " ".join(thing.__doc__.split())
        for part in parts:
            self.assertIn(part, text)

    def test_zero_is_the_default_of_numbers(self):
        self.says(voxfeed.Loader, "every number is its default where it is 0", "batch_size (0: 1)", "0: 2",
                  "world_size (0: 1)", "device_id (0)", "threads (0: one a core, 8 at most")
        plain = loader_of()
        same = loader_of(batch_size=0, prefetch=0, threads=0, rank=0, world_size=0, seed=0, device_id=0, group_window=0)
        self.assertEqual((same.stats().slots, same.stats().threads, len(same)), (3, plain.stats().threads, 16))
        self.assertEqual(epoch_bytes(same), epoch_bytes(plain))

        self.says(voxfeed.Dataset, "0, the default, is 2 GiB")
        self.assertEqual(len(voxfeed.Dataset(cache_bytes=0)), 0)
        self.says(voxfeed.Sampler, "samples_per_subject (in an epoch; 0, the default, is 1)")
        self.assertEqual(len(voxfeed.Sampler(small(), kind="uniform", samples_per_subject=0)), 2)

        self.says(voxfeed.Assembler, "0: 0.125", "0: half of what is free", "device_id (0)")
        results = []
        for options in (dict(sigma=0, device_id=0, device_bytes=0, threads=0), dict(sigma=0.125), dict(sigma=0.3)):
            loader = voxfeed.Loader(voxfeed.Sampler(small(), kind="grid", patch_shape=(4, 4, 4), overlap=(2, 2, 2)))
            assembler = voxfeed.Assembler(loader, blend="gaussian", **options)
            for batch in loader.epoch(0):
                assembler.add(batch, batch["images"] * float(1 + batch.samples[0].index))
            results.append(assembler.take(0))
        self.same(results[0], results[1])
        self.assertFalse(numpy.array_equal(results[0], results[2]))

        self.says(voxfeed.montage, "slices (0: 6)", "0: 240")
        for name, options in (("zero.png", dict(slices=0, tile_pixels=0)),
                              ("said.png", dict(slices=6, tile_pixels=240))):
            voxfeed.montage(self.path(name), [volume((9, 20, 30))], **options)
        with open(self.path("zero.png"), "rb") as zero, open(self.path("said.png"), "rb") as said:
            self.assertEqual(zero.read(), said.read())

    def test_a_batch_is_never_larger_than_the_epoch(self):
        self.says(voxfeed.Loader, "A batch is never larger than this rank's epoch", 'with last_batch "pad"',
                  'with "drop"')
        for size in (16, 17, 2 ** 32 - 1):
            loader = loader_of(batch_size=size)
            self.assertEqual([len(batch) for batch in loader.epoch(0)], [16])
            self.assertEqual(loader.stats().slot_bytes, loader_of(batch_size=16).stats().slot_bytes)
        self.assertEqual([len(batch) for batch in loader_of(batch_size=100, world_size=3).epoch(0)], [6])
        self.assertEqual([len(batch) for batch in loader_of(batch_size=100, last_batch="pad").epoch(0)], [100])
        with self.refused(voxfeed.ArgumentError, "no batch of 100"):
            loader_of(batch_size=100, last_batch="drop")

    def test_idle_time_goes_on_behind_an_epoch(self):
        self.says(voxfeed.LoaderStats, "the epoch over, and so the time until the next begins")
        loader = loader_of(threads=1)
        count(loader.epoch(0))
        before = loader.stats().idle_ns
        time.sleep(0.2)
        count(loader.epoch(1))
        self.assertGreater(loader.stats().idle_ns - before, 0.15e9)

    def test_parts_are_looked_up_once_for_slices_that_are_read_together(self):
        self.says(voxfeed.LoaderStats, "look-ups of decoded parts",
                  "slices that are read together look each part up once, so it depends on batch size and threads")
        voxfeed.save_volume(self.path("a.nii.gz"), volume((16, 20, 30)))
        found = []
        for size in (1, 8):
            sampler = voxfeed.Sampler(opened(self.path("a.nii.gz")), kind="slices")
            loader = voxfeed.Loader(sampler, batch_size=size, threads=1)
            count(loader.epoch(0))
            stats = loader.stats()
            self.assertEqual(stats.cache_misses, 1)
            found.append(stats.cache_hits)
        self.assertEqual(found[0], 15)
        self.assertLess(found[1], found[0])

    def test_where_the_channel_axis_is(self):
        self.says(voxfeed.Dataset, "(20, 18, 16, 5) is 5 channels of (20, 18, 16) as .h5",
                  "20 channels of (18, 16, 5) as .npy", "channel of add_file")
        self.says(voxfeed.Dataset.add_file, '"first", which is the slowest')
        self.says(voxfeed.Dataset.add_array, "(20, 18, 16, 5) is 20 channels of (18, 16, 5)")
        array = volume((20, 18, 16, 5))
        numpy.save(self.path("a.npy"), array)
        numpy.savez(self.path("a.npz"), array)
        with h5py.File(self.path("a.h5"), "w") as file:
            file["data"] = array
        first, last = (20, (18, 16, 5)), (5, (20, 18, 16))
        for name, expected in (("a.npy", first), ("a.npz", first), ("a.h5", last)):
            for options, place in (({}, expected), ({"channel": "first"}, first), ({"channel": "last"}, last)):
                info = opened(self.path(name), **options).volume_info(0, "images")
                self.assertEqual((info.channels, info.shape), place, (name, options))
        info = in_memory([("a", {"images": {"one": array}})]).volume_info(0, "images")
        self.assertEqual((info.channels, info.shape), first)

    def test_a_saved_volume_replaces_a_file_as_a_whole(self):
        self.says(voxfeed.save_volume, "an existing file of this name is then replaced, as a whole")
        for ending in (".nii", ".nii.gz", ".npy", ".h5"):
            path = self.path("a" + ending)
            voxfeed.save_volume(path, volume((30, 20, 10)))
            with self.assertRaises(TypeError):
                voxfeed.save_volume(path, volume((3, 4, 5)).astype("complex64"))
            self.same(voxfeed.Dataset(path).read(0, "images")[0], volume((30, 20, 10)))
            voxfeed.save_volume(path, volume((3, 4, 5), "uint8"))
            self.same(voxfeed.Dataset(path).read(0, "images")[0], volume((3, 4, 5), "uint8"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.h5", "a.nii", "a.nii.gz", "a.npy"])


if __name__ == "__main__":
    unittest.main()
