"""The loader: the same bytes whatever the threads, places that are kept, shards, last batches, transforms, errors."""

import os
import unittest

import numpy

import voxfeed
from support import Case, batch_bytes, count, epoch_bytes, in_memory, opened, rng, rows, volume, window

SHAPES = [(9, 10, 11), (7, 12, 8), (10, 8, 9)]
RULES = [dict(kind="uniform", patch_shape=(4, 5, 6), samples_per_subject=7),
         dict(kind="grid", patch_shape=(4, 4, 4), border="pad"),
         dict(kind="grid", patch_shape=(4, 5, 4), overlap=(1, 2, 0), border="shift")]


def study(dtype="int16"):
    return in_memory([("s%d" % number, {
        "images": {"T1": volume(shape, dtype, 3 * number), "T2": volume(shape, dtype, 3 * number + 1)},
        "labels": {"GT": volume(shape, "uint8", 3 * number + 2) % 5}}) for number, shape in enumerate(SHAPES)])


class Regions(Case):
    def test_every_row_is_the_region_that_its_sample_names(self):
        dataset = study()
        for rule in RULES:
            sampler = voxfeed.Sampler(dataset, **rule)
            loader = voxfeed.Loader(sampler, batch_size=4, order="shuffled", seed=5)
            seen = []
            for batch in loader.epoch(2):
                for row, sample in enumerate(batch.samples):
                    for category in ("images", "labels"):
                        source = dataset.read(sample.subject, category)
                        self.same(batch[category][row], window(source, sample.offset, sample.shape), sample)
                    same = sampler.get(sample.index, seed=5, epoch=2)
                    self.assertEqual(same._replace(position=sample.position), sample)
                    seen.append(sample.index)
            self.assertEqual(sorted(seen), list(range(len(sampler))))

    def test_slices_come_axis_by_axis(self):
        dataset = study()
        for axes in [(0,), (1, 2), (2, 0, 1)]:
            expected = []
            for subject in range(3):
                source = dataset.read(subject, "images")
                for axis in axes:
                    expected += [numpy.take(source, place, axis + 1) for place in range(source.shape[axis + 1])]
            sampler = voxfeed.Sampler(dataset, kind="slices", axes=axes)
            for found, one in zip(voxfeed.Loader(sampler).epoch(0), expected):
                self.same(found["images"][0], one)
                self.assertIn(found.samples[0].thin_axis, axes)
            kept = next(voxfeed.Loader(sampler, thin_axis="keep").epoch(0))["images"]
            self.same(numpy.squeeze(kept[0], axes[0] + 1), expected[0])
            self.assertEqual(len(sampler), len(expected))

    def test_grids_have_numpys_places(self):
        dataset = study()
        patch, overlap = numpy.array([4, 5, 4]), numpy.array([1, 2, 0])
        for border in ("drop", "clip", "pad", "shift"):
            expected = []
            for subject, shape in enumerate(SHAPES):
                places = []
                for extent, length, step in zip(shape, patch, patch - overlap):
                    count = (extent - length) // step + 1 if border == "drop" else -(-(extent - length) // step) + 1
                    starts = [number * step for number in range(count)]
                    if border == "shift":
                        starts = [min(start, extent - length) for start in starts]
                    places.append(starts)
                expected += [(subject, (a, b, c)) for a in places[0] for b in places[1] for c in places[2]]
            sampler = voxfeed.Sampler(dataset, kind="grid", patch_shape=patch, overlap=overlap, border=border)
            found = [sampler.get(number) for number in range(len(sampler))]
            self.assertEqual([(one.subject, one.offset) for one in found], expected, border)
            for one in found:
                end = numpy.add(one.offset, one.shape)
                if border == "pad":
                    self.assertEqual(one.shape, tuple(patch))
                else:
                    self.assertTrue((end <= SHAPES[one.subject]).all(), one)

    def test_uniform_places_are_spread_evenly(self):
        dataset = in_memory([("a", {"images": {"one": volume((8, 9, 3))}})])
        sampler = voxfeed.Sampler(dataset, kind="uniform", patch_shape=(3, 9, 5), samples_per_subject=600)
        found = [sampler.get(number, seed=3) for number in range(600)]
        counts = numpy.bincount([one.offset[0] for one in found], minlength=6)
        self.assertEqual(len(counts), 6)
        self.assertTrue((abs(counts - 100) < 50).all(), counts)
        self.assertEqual({one.offset[1:] for one in found}, {(0, -1)})
        other = [sampler.get(number, seed=3, epoch=1).offset for number in range(600)]
        self.assertNotEqual([one.offset for one in found], other)

    def test_volumes_of_unequal_shape(self):
        dataset = study()
        sampler = voxfeed.Sampler(dataset, kind="whole")
        for batch in voxfeed.Loader(sampler).epoch(0):
            subject = batch.samples[0].subject
            self.same(batch["images"][0], dataset.read(subject, "images"))
        with self.refused(voxfeed.ArgumentError):
            voxfeed.Loader(sampler, batch_size=2)
        batch = next(voxfeed.Loader(sampler, batch_size=3, ragged="pad").epoch(0))
        self.assertEqual(batch["images"].shape, (3, 2, 10, 12, 11))
        for row, sample in enumerate(batch.samples):
            place = tuple(slice(0, extent) for extent in SHAPES[sample.subject])
            self.same(batch["images"][row][(slice(None),) + place], dataset.read(sample.subject, "images"))

    def test_entries_channels_and_dtypes_of_a_category(self):
        dataset = study()
        sampler = voxfeed.Sampler(dataset, kind="slices")
        batch = next(voxfeed.Loader(sampler, categories=[
            {"name": "labels", "dtype": "i64", "squeeze_channel": True},
            voxfeed.Category("images", entries=["T2", "T1"], dtype="f16", fit="saturate")]).epoch(0))
        source = dataset.read(0, "images")[::-1, 0]
        self.same(batch["images"][0], source.astype("float16"))
        self.same(batch["labels"][0], dataset.read(0, "labels", "GT")[0].astype("int64"))
        self.same(batch.tensor(), batch["labels"])


class Order(Case):
    def test_batches_are_the_same_for_any_number_of_threads(self):
        for rule in RULES:
            for order in ("sequential", "shuffled"):
                sampler = voxfeed.Sampler(study(), **rule)
                first = None
                for threads in (1, 2, 8):
                    loader = voxfeed.Loader(sampler, batch_size=4, order=order, seed=9, threads=threads,
                                            prefetch=threads)
                    found = [epoch_bytes(loader, epoch) for epoch in (0, 1)]
                    first = first or found
                    self.assertTrue(found == first, (rule, order, threads))
                if order == "shuffled":
                    self.assertFalse(first[0] == first[1])
                    self.assertFalse(epoch_bytes(voxfeed.Loader(sampler, batch_size=4, order=order, seed=10)) == first[0])

    def test_it_continues_exactly_where_it_was_saved(self):
        sampler = voxfeed.Sampler(study(), **RULES[0])
        options = dict(order="shuffled", seed=4, threads=2)
        whole = [(sample, row.tobytes()) for sample, row in rows(voxfeed.Loader(sampler, **options), epoch=3)]
        for size in (1, 2, 4):
            loader = voxfeed.Loader(sampler, batch_size=size, **options)
            epoch, states, given = loader.epoch(3), [], 0
            states.append((0, loader.save_state()))
            for batch in epoch:
                given += len(batch)
                states.append((given, loader.save_state()))
            for given, state in states:
                for other in (1, 3, 4):
                    again = voxfeed.Loader(sampler, batch_size=other, prefetch=1, **options)
                    again.load_state(state)
                    found = []
                    for batch in again:
                        found += [(sample, row.tobytes()) for sample, row in zip(batch.samples, batch["images"])]
                    self.assertTrue(found == whole[given:], (size, given, other))

    def test_a_state_of_another_plan_is_refused(self):
        sampler = voxfeed.Sampler(study(), **RULES[0])
        loader = voxfeed.Loader(sampler, order="shuffled", seed=4)
        next(loader.epoch(0))
        state = loader.save_state()
        for other in (voxfeed.Loader(sampler, order="shuffled", seed=5), voxfeed.Loader(sampler, seed=4),
                      voxfeed.Loader(sampler, order="shuffled", seed=4, world_size=2),
                      voxfeed.Loader(voxfeed.Sampler(study(), **RULES[1]), order="shuffled", seed=4)):
            with self.refused(voxfeed.ArgumentError):
                other.load_state(state)
        for damaged in ("", "{}", state[:-5], state.replace("1", "x")):
            with self.refused(voxfeed.ArgumentError):
                loader.load_state(damaged)

    def test_shards_part_the_epoch(self):
        sampler = voxfeed.Sampler(study(), **RULES[0])
        samples = len(sampler)
        for order in ("sequential", "shuffled"):
            whole = [sample.index for sample, _ in rows(voxfeed.Loader(sampler, order=order, seed=2))]
            for size in (1, 2, 3, 4):
                for last in ("keep", "drop", "pad"):
                    found, lengths = [], []
                    for rank in range(size):
                        loader = voxfeed.Loader(sampler, order=order, seed=2, batch_size=2, last_batch=last, rank=rank,
                                                world_size=size)
                        batches = [batch.samples for batch in loader.epoch(0)]
                        self.assertEqual(len(batches), len(loader))
                        lengths.append(len(batches))
                        if last != "keep":
                            self.assertEqual({len(samples) for samples in batches}, {2})
                        found += [sample for samples in batches for sample in samples]
                    fresh = sorted(sample.index for sample in found if not sample.repeated)
                    self.assertEqual(len(set(fresh)), len(fresh))
                    if last == "drop":
                        self.assertEqual(len(fresh), samples // (2 * size) * 2 * size)
                        self.assertEqual(set(lengths), {samples // (2 * size)})
                    else:
                        self.assertEqual(fresh, sorted(whole), (order, size, last))
                    if last == "pad":
                        self.assertEqual(set(lengths), {-(-samples // (2 * size))})
                    else:
                        self.assertFalse(any(sample.repeated for sample in found))
        with self.refused(voxfeed.ArgumentError, "rank"):
            voxfeed.Loader(sampler, rank=2, world_size=2)

    def test_endless_is_epoch_after_epoch(self):
        sampler = voxfeed.Sampler(study(), **RULES[0])
        options = dict(order="shuffled", seed=6, batch_size=4, threads=2)
        finite = voxfeed.Loader(sampler, **options)
        expected = [one for epoch in range(3, 6) for one in epoch_bytes(finite, epoch)]
        endless = voxfeed.Loader(sampler, endless=True, **options)
        epoch = endless.epoch(3)
        found = [batch_bytes(next(epoch)) for _ in expected]
        self.assertTrue(found == expected)
        state = endless.save_state()
        following = batch_bytes(next(epoch))
        again = voxfeed.Loader(sampler, endless=True, **options)
        again.load_state(state)
        self.assertTrue(batch_bytes(next(iter(again))) == following)

    def test_an_epoch_can_be_given_up_and_begun_again(self):
        loader = voxfeed.Loader(voxfeed.Sampler(study(), **RULES[0]), batch_size=4, order="shuffled")
        whole = epoch_bytes(loader, 1)
        for stop in (1, 3, 0):
            for number, batch in enumerate(loader.epoch(0)):
                if number == stop:
                    break
            self.assertTrue(epoch_bytes(loader, 1) == whole)
        stats = loader.stats()
        self.assertEqual((stats.errors, stats.slots, stats.held), (0, 3, 1))
        self.assertGreater(stats.samples, 4 * 21)


class Transforms(Case):
    def rows(self, steps, dtype="f32", category="images", source="int16"):
        dataset = study(source)
        sampler = voxfeed.Sampler(dataset, **RULES[1])
        loader = voxfeed.Loader(sampler, transform=steps, batch_size=3, categories={"name": category, "dtype": dtype})
        return [(sample, row, window(dataset.read(sample.subject, category), sample.offset, sample.shape),
                 dataset.read(sample.subject, category)) for sample, row in rows(loader, category)]

    def close(self, found, expected, about=""):
        self.assertEqual(found.dtype, expected.dtype)
        numpy.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=str(about))

    def test_each_step_is_its_formula(self):
        for dtype, kind in (("f32", numpy.float32), ("f64", numpy.float64)):
            for sample, row, region, whole in self.rows(
                    {"name": "scale", "category": "images", "slope": 0.5, "offset": -3}, dtype):
                self.same(row, region.astype(kind) * kind(0.5) + kind(-3))
            for sample, row, region, whole in self.rows(
                    {"name": "window", "category": "images", "low": -500, "high": 1500, "to": [-1, 1]}, dtype):
                self.close(row, ((numpy.clip(region, -500, 1500) + 500) / 1000 - 1).astype(kind))
            for sample, row, region, whole in self.rows(
                    {"name": "window", "category": "images", "low": 0, "high": 1000}, dtype):
                self.close(row, (numpy.clip(region, 0, 1000) / 1000).astype(kind))
            for sample, row, region, whole in self.rows(
                    {"name": "zscore", "category": "images", "mean": [10, 20], "std": [300, 400]}, dtype):
                mean, std = numpy.reshape([10, 20], (2, 1, 1, 1)), numpy.reshape([300, 400], (2, 1, 1, 1))
                self.close(row, ((region - mean) / std).astype(kind))

    def test_a_subjects_own_statistics_are_of_its_whole_volume(self):
        for voxels in ("all", "nonzero"):
            for sample, row, region, whole in self.rows(
                    {"name": "zscore", "category": "images", "statistics": "subject", "voxels": voxels}):
                for channel in range(2):
                    of = whole[channel].astype("float64")
                    of = of if voxels == "all" else of[of != 0]
                    self.close(row[channel], ((region[channel] - of.mean()) / of.std()).astype("float32"), voxels)

    def test_labels_are_looked_up(self):
        table = {2: 7, 3: -1}
        for default, rest in ((0, lambda label: 0), ("keep", lambda label: label)):
            for sample, row, region, whole in self.rows(
                    {"name": "lookup", "category": "labels", "map": {"2": 7, "3": -1}, "default": default}, "i64", "labels"):
                expected = numpy.vectorize(lambda label: table.get(label, rest(label)), otypes=["int64"])(region)
                self.same(row, expected)
        with self.refused(voxfeed.RangeError, "s0"):
            self.rows({"name": "lookup", "category": "labels", "map": {"2": 7}, "default": "error"}, "i64", "labels")

    def test_casts_round_half_to_even_and_saturate(self):
        steps = [{"name": "scale", "category": "images", "slope": 0.25},
                 {"name": "cast", "category": "images", "dtype": "u8", "fit": "saturate"}]
        for sample, row, region, whole in self.rows(steps):
            self.same(row, numpy.clip(numpy.rint(region.astype("float32") * numpy.float32(0.25)), 0, 255).astype("uint8"))
        with self.refused(voxfeed.RangeError):
            self.rows([{"name": "cast", "category": "images", "dtype": "u8"}])

    def test_steps_follow_each_other_and_only_touch_their_category(self):
        dataset = study()
        loader = voxfeed.Loader(voxfeed.Sampler(dataset, kind="slices"), transform=[
            {"name": "cast", "category": "images", "dtype": "f32"},
            {"name": "window", "category": "images", "low": 0, "high": 100},
            {"name": "scale", "category": "images", "slope": 2, "offset": 1}])
        for batch in loader.epoch(0):
            sample = batch.samples[0]
            self.same(batch["labels"][0, 0], dataset.read(sample.subject, "labels", "GT")[sample.offset[0]])
            expected = numpy.clip(dataset.read(sample.subject, "images")[:, sample.offset[0]], 0, 100) / 100 * 2 + 1
            self.close(batch["images"][0], expected.astype("float32"))

    def test_a_floating_step_on_integers_asks_for_a_cast(self):
        sampler = voxfeed.Sampler(study(), kind="slices")
        for steps in ({"name": "scale", "category": "images", "slope": 2},
                      {"name": "zscore", "category": "images", "statistics": "subject"}):
            with self.refused(voxfeed.ArgumentError, "cast"):
                voxfeed.Loader(sampler, transform=steps)
        with self.refused(voxfeed.Error, "masks"):
            voxfeed.Loader(sampler, transform={"name": "cast", "category": "masks", "dtype": "f32"})


class Errors(Case):
    def files(self, count=4):
        dataset = voxfeed.Dataset()
        for number in range(count):
            numpy.save(self.path("s%d.npy" % number), volume((6, 40, 50), "float32", number))
            dataset.add_subject("s%d" % number)
            dataset.add_file(number, "images", "one", self.path("s%d.npy" % number))
        return dataset

    def test_a_file_that_shrinks_fails_its_batches_in_order(self):
        for on_error in ("continue", "stop"):
            dataset = self.files()
            sampler = voxfeed.Sampler(dataset, kind="slices")
            loader = voxfeed.Loader(sampler, batch_size=3, on_error=on_error, threads=2)
            os.truncate(self.path("s1.npy"), 10000)
            loader.start(0)
            given, failed, place = [], [], 0
            while True:
                try:
                    batch = loader.next_batch(timeout=60)
                except voxfeed.FormatError as error:
                    self.assertIn("s1.npy", str(error))
                    self.assertIn("s1.npy", error.path)
                    self.assertRegex(str(error), r"\[\d+:\d+, 0:40, 0:50\]")
                    self.assertTrue(6 <= error.sample < 12, error.sample)
                    failed.append(place)
                else:
                    if batch is None:
                        break
                    given.append(place)
                    self.assertEqual([sample.position for sample in batch.samples], list(range(3 * place, 3 * place + 3)))
                place += 1
            if on_error == "continue":
                self.assertEqual((given, failed), ([0, 1, 4, 5, 6, 7], [2, 3]))
            else:
                self.assertEqual((given, failed), ([0, 1], [2]))
            self.assertEqual(loader.stats().errors, len(failed))
            self.assertEqual(len(rows(voxfeed.Loader(sampler.__class__(dataset.subset([0, 2]), kind="slices")))), 12)

    def test_a_file_that_goes_away_is_named(self):
        for name, error in (("a.nii.gz", voxfeed.Error), ("b.npz", voxfeed.Error)):
            path = self.path(name)
            if name.endswith("npz"):
                numpy.savez_compressed(path, a=volume((6, 7, 8)))
            else:
                voxfeed.save_volume(path, volume((6, 7, 8)))
            dataset = opened(path)
            os.remove(path)
            loader = voxfeed.Loader(voxfeed.Sampler(dataset))
            with self.refused(error, name):
                next(loader.epoch(0))

    def test_values_that_do_not_fit_name_the_subject(self):
        loader = voxfeed.Loader(voxfeed.Sampler(study("int32"), kind="slices"), categories={"name": "images", "dtype": "u8"})
        with self.refused(voxfeed.RangeError, "s0"):
            next(loader.epoch(0))

    def test_after_the_end_comes_the_end(self):
        loader = voxfeed.Loader(voxfeed.Sampler(study(), kind="whole"))
        self.assertEqual(count(loader.epoch(0)), 3)
        for _ in range(3):
            self.assertIsNone(loader.next_batch())
        loader.cancel()
        with self.assertRaises(voxfeed.Cancelled):
            loader.next_batch()
        self.assertEqual(count(loader.epoch(0)), 3)


class Cache(Case):
    def test_decoded_volumes_are_kept_within_their_budget(self):
        arrays = [volume((20, 30, 40), "int16", number) for number in range(3)]
        for budget, hits in ((1 << 20, True), (50000, False)):
            dataset = voxfeed.Dataset(cache_bytes=budget)
            for number, array in enumerate(arrays):
                path = self.path("%d.nii.gz" % number)
                voxfeed.save_volume(path, array)
                dataset.add_subject(str(number))
                dataset.add_file(number, "images", "one", path)
            loader = voxfeed.Loader(voxfeed.Sampler(dataset, kind="uniform", patch_shape=(8, 8, 8), samples_per_subject=4),
                                    order="shuffled", threads=2)
            random = rng(1)
            for _ in range(2):
                for sample, row in rows(loader, epoch=random.randint(100)):
                    self.same(row[0], window(arrays[sample.subject], sample.offset, sample.shape))
            stats = loader.stats()
            self.assertLessEqual(stats.cache_bytes, budget)
            if hits:
                self.assertEqual(stats.cache_misses, 3)
                self.assertEqual(stats.cache_hits, 21)


if __name__ == "__main__":
    unittest.main()
