"""Predictions back into volumes: grid then assemble is the source again, in any order, for every blend."""

import itertools
import unittest

import h5py
import nibabel
import numpy

import voxfeed
from support import Case, in_memory, rng, volume

SHAPES = [(9, 10, 11), (7, 12, 8)]
GRIDS = [dict(kind="slices"), dict(kind="slices", axes=(2, 0)), dict(kind="whole")] + [
    dict(kind="grid", patch_shape=(4, 5, 4), overlap=overlap, border=border)
    for overlap in (None, (1, 2, 3)) for border in ("clip", "pad", "shift")]


def study(dtype="float32", channels=2):
    return in_memory([("s%d" % number, {"images": {
        "c%d" % channel: volume(shape, dtype, 10 * number + channel) for channel in range(channels)}})
        for number, shape in enumerate(SHAPES)])


def loader_of(rule, dataset=None, **options):
    options.setdefault("batch_size", 1 if rule["kind"] == "whole" else 3)
    if len(rule.get("axes", "")) > 1 or rule["kind"] == "slices":
        options.setdefault("ragged", "pad")
    return voxfeed.Loader(voxfeed.Sampler(dataset or study(), **rule), ragged=options.pop("ragged", "pad"), **options)


class Assembled(Case):
    def check(self, rule, exact=True, shuffled=False, epoch=0, **options):
        dataset = study()
        loader = loader_of(rule, dataset, order="shuffled" if shuffled else "sequential", seed=3)
        assembler = voxfeed.Assembler(loader, **options)
        complete = []
        for batch in loader.epoch(epoch):
            assembler.add(batch, batch["images"])
            complete += list(assembler.complete())
        self.assertEqual(sorted(complete), [0, 1])
        for subject in complete:
            source = dataset.read(subject, "images")
            self.assertEqual(assembler.coverage(subject), 1.0)
            found = assembler.take(subject)
            if exact:
                self.same(found, source, (rule, options))
            else:
                self.within_ulps(found, source, (rule, options))
        self.assertIsNone(assembler.next_complete())
        with self.assertRaises(voxfeed.Error):
            assembler.take(0)

    def within_ulps(self, found, source, about, ulps=8):
        """f32 sums of up to 27 equal values, divided by their weights, stay within 8 units in the last place."""
        self.assertEqual(found.dtype, source.dtype)
        apart = abs(found.astype("float64") - source) / numpy.spacing(abs(source))
        self.assertLessEqual(apart.max(), ulps, about)

    def test_last_is_the_source_bit_for_bit(self):
        for rule, shuffled in itertools.product(GRIDS, (False, True)):
            self.check(rule, shuffled=shuffled, blend="last", epoch=shuffled)

    def test_means_in_f64_are_exact(self):
        for rule, blend, shuffled in itertools.product(GRIDS, ("mean", "gaussian"), (False, True)):
            self.check(rule, shuffled=shuffled, blend=blend, accumulate="f64")

    def test_means_in_f32_are_within_ulps(self):
        for rule, blend in itertools.product(GRIDS, ("mean", "gaussian")):
            self.check(rule, exact=False, shuffled=True, blend=blend)

    def test_overlapping_predictions_are_averaged(self):
        rule = dict(kind="grid", patch_shape=(4, 5, 4), overlap=(2, 3, 2), border="shift")
        dataset = study()
        loader = loader_of(rule, dataset)
        for blend in ("mean", "gaussian", "last"):
            assembler = voxfeed.Assembler(loader, blend=blend, accumulate="f64")
            weights = numpy.ones((4, 5, 4))
            if blend == "gaussian":
                axes = [numpy.exp(-0.5 * ((numpy.arange(extent) - (extent - 1) / 2) / (0.125 * extent)) ** 2)
                        for extent in weights.shape]
                weights = axes[0][:, None, None] * axes[1][:, None] * axes[2]
            sums = [numpy.zeros((1,) + shape) for shape in SHAPES]
            total = [numpy.zeros(shape) for shape in SHAPES]
            random = rng(1)
            for batch in loader.epoch(0):
                prediction = random.normal(size=(len(batch), 1, 4, 5, 4)).astype("float32")
                assembler.add(batch, prediction)
                for sample, row in zip(batch.samples, prediction):
                    place = (slice(None),) + sample.in_volume
                    if blend == "last":
                        sums[sample.subject][place], total[sample.subject][place[1:]] = row, 1
                    else:
                        sums[sample.subject][place] += row * weights
                        total[sample.subject][place[1:]] += weights
            for subject in assembler.complete():
                expected = (sums[subject] / total[subject]).astype("float32")
                numpy.testing.assert_allclose(assembler.take(subject), expected, rtol=2e-4, atol=1e-5, err_msg=blend)

    def test_any_order_of_batches_and_kept_samples(self):
        rule = GRIDS[-1]
        dataset = study()
        loader = loader_of(rule, dataset, last_batch="pad")
        kept = [(batch.samples, batch["images"].copy()) for batch in loader.epoch(0)]
        self.assertTrue(any(sample.repeated for samples, _ in kept for sample in samples) or len(kept) * 3 == sum(
            1 for samples, _ in kept for sample in samples))
        for seed in range(4):
            assembler = voxfeed.Assembler(loader, blend="mean", accumulate="f64")
            for number in rng(seed).permutation(len(kept)):
                assembler.add_samples(*kept[number])
            for subject in (0, 1):
                self.same(assembler.take(subject), dataset.read(subject, "images"))

    def test_smaller_predictions_are_centred(self):
        dataset = study(channels=1)
        loader = loader_of(dict(kind="grid", patch_shape=(5, 6, 7), stride=(1, 2, 1)), dataset)
        assembler = voxfeed.Assembler(loader, blend="last")
        for batch in loader.epoch(0):
            assembler.add(batch, batch["images"][:, :, 2:-2, 2:-2, 2:-2])
        for subject in (0, 1):
            source, coverage = dataset.read(subject, "images"), assembler.coverage(subject)
            found = assembler.take(subject, partial=True)
            inside = numpy.zeros_like(source)
            ends = [extent - extent_patch + 1 for extent, extent_patch in zip(SHAPES[subject], (5, 6, 7))]
            inside[:, 2:ends[0] - 1 + 3, 2:(ends[1] - 1) // 2 * 2 + 4, 2:ends[2] - 1 + 5] = 1
            self.same(found, source * inside)
            self.assertAlmostEqual(coverage, inside.mean())

    def test_a_channel_axis_that_comes_last_is_refused(self):
        loader = loader_of(dict(kind="grid", patch_shape=(6, 6, 6)), study(channels=1))
        assembler = voxfeed.Assembler(loader, blend="gaussian")
        for batch in loader.epoch(0):
            with self.assertRaises(voxfeed.ArgumentError) as caught:
                assembler.add(batch, numpy.zeros((len(batch), 6, 6, 6, 2), "f4"))
            self.assertIn("the axes are batch, channel", str(caught.exception))

    def test_arrays_of_any_dtype_and_stride(self):
        dataset = study("uint8", 1)
        loader = loader_of(dict(kind="slices"), dataset)
        for change in (lambda row: row.astype("f8"), lambda row: row.astype("f2"), lambda row: row.astype(">i4"),
                       lambda row: numpy.asfortranarray(row), lambda row: row[::-1].copy()[::-1],
                       lambda row: numpy.repeat(row, 2, axis=-1)[..., ::2]):
            for dtype in ("f32", "u8"):
                assembler = voxfeed.Assembler(loader, dtype=dtype)
                for batch in loader.epoch(0):
                    assembler.add(batch, change(batch["images"]))
                source = dataset.read(1, "images")
                self.same(assembler.take(1), source if dtype == "u8" else source.astype("float32"))

    def test_argmax_is_numpys(self):
        dataset = study(channels=1)
        loader = loader_of(dict(kind="grid", patch_shape=(4, 5, 4), border="shift", overlap=(1, 1, 1)), dataset)
        classes = [volume((5,) + shape, "float32", 77 + number) for number, shape in enumerate(SHAPES)]
        for blend in ("last", "mean"):
            assembler = voxfeed.Assembler(loader, blend=blend, reduce="argmax")
            for batch in loader.epoch(0):
                assembler.add(batch, numpy.stack([
                    classes[sample.subject][(slice(None),) + sample.in_volume] for sample in batch.samples]))
            for subject in (0, 1):
                found = assembler.take(subject)
                self.same(found.reshape(SHAPES[subject]), classes[subject].argmax(0).astype("uint8"))

    def test_an_incomplete_subject_is_counted(self):
        dataset = study()
        loader = loader_of(dict(kind="slices"), dataset)
        assembler = voxfeed.Assembler(loader)
        epoch = loader.epoch(0)
        for batch in itertools.islice(epoch, 2):
            assembler.add(batch, batch["images"])
        self.assertIsNone(assembler.next_complete())
        with self.refused(voxfeed.StateError, "3"):
            assembler.take(0)
        with self.refused(voxfeed.NotFoundError):
            assembler.take(1)
        self.assertAlmostEqual(assembler.coverage(0), 6 / 9)
        found, expected = assembler.take(0, partial=True), dataset.read(0, "images")
        expected[:, 6:] = 0
        self.same(found, expected)

    def test_what_is_wrong_changes_nothing(self):
        dataset = study()
        loader = loader_of(dict(kind="slices"), dataset)
        assembler = voxfeed.Assembler(loader)
        epoch = loader.epoch(0)
        first, second = next(epoch), next(epoch)
        assembler.add(first, first["images"])
        for prediction in (second["images"][:2], second["images"][:, :, :-1], second["images"][:, :1],
                           second["images"][0], numpy.zeros(second["images"].shape[:3])):
            with self.refused(voxfeed.ArgumentError):
                assembler.add(second, prediction)
        with self.refused(voxfeed.StateError):
            assembler.add(first, first["images"])
        assembler.add(second, second["images"])
        third = next(epoch)
        assembler.add(third, third["images"])
        self.same(assembler.take(0), dataset.read(0, "images"))
        with self.refused(ValueError, "sideways"):
            voxfeed.Assembler(loader, blend="sideways")
        with self.refused(voxfeed.ArgumentError):
            voxfeed.Assembler(loader, dtype="i16")

    def test_each_rank_completes_its_own_share(self):
        dataset = study()
        for size in (2, 3):
            for rank in range(size):
                loader = loader_of(dict(kind="slices"), dataset, rank=rank, world_size=size)
                assembler = voxfeed.Assembler(loader)
                for batch in loader.epoch(0):
                    assembler.add(batch, batch["images"])
                self.assertEqual(sorted(assembler.complete()), [0, 1])
                self.assertLess(assembler.coverage(0), 1)

    def test_epoch_follows_epoch(self):
        dataset = study()
        loader = loader_of(GRIDS[-1], dataset, order="shuffled")
        assembler = voxfeed.Assembler(loader)
        for epoch in range(3):
            for batch in loader.epoch(epoch):
                assembler.add(batch, batch["images"] + epoch)
            for subject in assembler.complete():
                self.same(assembler.take(subject), dataset.read(subject, "images") + numpy.float32(epoch))


class Saved(Case):
    def test_the_result_lies_where_the_subject_lies(self):
        affine = numpy.array([[-2.0, 0, 0, 90], [0, 0, 3, -126], [0, 4, 0, -72], [0, 0, 0, 1.0]])
        array = volume((7, 6, 5), "uint8")
        nibabel.save(nibabel.Nifti1Image(array, affine), self.path("t1.nii.gz"))
        dataset = voxfeed.Dataset()
        dataset.add_file(dataset.add_subject("a"), "images", "T1", self.path("t1.nii.gz"))
        for dtype in ("f32", "u8"):
            for name in ("out.nii", "out.nii.gz", "out.npy", "out.h5"):
                loader = voxfeed.Loader(voxfeed.Sampler(dataset, kind="slices"))
                assembler = voxfeed.Assembler(loader, dtype=dtype)
                for batch in loader.epoch(0):
                    assembler.add(batch, batch["images"])
                with self.refused(voxfeed.Error, "none"):
                    assembler.save(0, self.path("none/" + name))
                with self.refused(voxfeed.ArgumentError, "out.png"):
                    assembler.save(0, self.path("out.png"))
                assembler.save(0, self.path(name))
                with self.refused(voxfeed.NotFoundError):
                    assembler.save(0, self.path(name))
                expected = array.astype("float32" if dtype == "f32" else "uint8")
                if name.endswith(".npy"):
                    self.same(numpy.load(self.path(name)).reshape(5, 6, 7), expected.T)
                elif name.endswith(".h5"):
                    with h5py.File(self.path(name), "r") as file:
                        found = []
                        file.visititems(lambda _, item: found.append(item) if hasattr(item, "shape") and
                                        item.size == array.size else None)
                        self.same(found[0][...].reshape(5, 6, 7), expected.T)
                else:
                    loaded = nibabel.load(self.path(name))
                    self.same(numpy.asarray(loaded.dataobj), expected)
                    numpy.testing.assert_allclose(loaded.affine, affine, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
