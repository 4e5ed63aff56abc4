"""pymia's own files and datasource beside ours: the same samples, the same voxels, the same assembled volumes."""

import contextlib
import io
import os
import unittest

import h5py
import numpy
import SimpleITK

import voxfeed
from support import Case, import_pymia, rng, volume

creation, extraction, assembling = import_pymia()
import pymia.data.indexexpression as indexexpression  # noqa: E402
import pymia.data.subjectfile as subjectfile  # noqa: E402

SHAPE = (5, 6, 7)
DIRECTION = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)


class Pymia(Case):
    def written(self, subjects=3, shape=lambda number: SHAPE):
        """A dataset file made by pymia of files that SimpleITK wrote."""
        files = []
        for number in range(subjects):
            groups = {}
            for category, entries, dtype in (("images", ("T1", "T2"), "float32"), ("labels", ("GT",), "uint8")):
                groups[category] = {}
                for place, entry in enumerate(entries):
                    image = SimpleITK.GetImageFromArray(volume(shape(number), dtype, 10 * number + place))
                    image.SetSpacing((1.0, 2.0, 3.0))
                    image.SetOrigin((10.0 + number, -20.0, 30.0))
                    image.SetDirection(DIRECTION)
                    path = self.path("s%d_%s.nii.gz" % (number, entry))
                    SimpleITK.WriteImage(image, path)
                    groups[category][entry] = path
            files.append(subjectfile.SubjectFile("subject_%d" % number, **groups))
        path = self.path("pymia.h5")
        with creation.get_writer(path) as writer, contextlib.redirect_stdout(io.StringIO()):
            creation.Traverser().traverse(files, callback=creation.get_default_callbacks(writer))
        return path

    def rewritten(self, path):
        """The same dataset, written by us."""
        other = self.path("ours.h5")
        with voxfeed.Writer(other) as writer:
            self.assertTrue(writer.add_dataset(voxfeed.Dataset(path)))
        return other

    def source(self, path, strategy):
        extractor = extraction.ComposeExtractor([
            extraction.DataExtractor(categories=("images", "labels")), extraction.IndexingExtractor(),
            extraction.NamesExtractor(), extraction.SubjectExtractor()])
        source = extraction.PymiaDatasource(path, strategy, extractor)
        self.addCleanup(source.close_reader)
        return source

    def same_samples(self, path, strategy, ours, squeeze=lambda array: array):
        """pymia's samples, channel last, are ours, channel first, in the same order."""
        source = self.source(path, strategy)
        dataset = voxfeed.Dataset(path)
        loader = voxfeed.Loader(voxfeed.Sampler(dataset, **ours))
        count = 0
        for batch, theirs in zip(loader.epoch(0), (source[number] for number in range(len(source)))):
            sample = batch.samples[0]
            self.assertEqual((sample.subject, dataset.subject_id(sample.subject)),
                             (theirs["subject_index"], theirs["subject"]))
            for category in ("images", "labels"):
                row = batch[category][0]
                if sample.thin_axis is None:
                    row = row[(slice(None),) + sample.in_row]
                self.same(numpy.moveaxis(row, 0, -1), squeeze(theirs[category]), (sample, category))
            count += 1
        self.assertEqual(count, len(source))
        self.assertEqual(count, len(loader))
        self.assertGreater(count, 0)

    CASES = [
        (lambda: extraction.EmptyIndexing(), dict(kind="whole")),
        (lambda: extraction.SliceIndexing(0), dict(kind="slices", axes=0)),
        (lambda: extraction.SliceIndexing((2, 0, 1)), dict(kind="slices", axes=(2, 0, 1))),
        (lambda: extraction.PatchWiseIndexing((2, 4, 4)), dict(kind="grid", patch_shape=(2, 4, 4))),
        (lambda: extraction.PatchWiseIndexing((2, 4, 4), ignore_incomplete=False),
         dict(kind="grid", patch_shape=(2, 4, 4), border="clip")),
    ]

    def test_its_files_are_read_as_it_reads_them(self):
        path = self.written()
        for strategy, ours in self.CASES:
            self.same_samples(path, strategy(), ours)

    def test_our_files_are_read_by_it_as_we_read_them(self):
        path = self.rewritten(self.written())
        for strategy, ours in self.CASES:
            self.same_samples(path, strategy(), ours)

    def test_our_file_has_what_its_file_has(self):
        theirs = self.written(11, lambda number: (3 + number % 2, 4, 5))
        with h5py.File(theirs, "r") as one, h5py.File(self.rewritten(theirs), "r") as two:
            names = []
            one.visit(names.append)
            for name in names:
                if name.startswith("meta/files"):
                    continue
                self.assertIn(name, two)
                if isinstance(one[name], h5py.Dataset):
                    self.assertEqual((one[name].shape, one[name].dtype), (two[name].shape, two[name].dtype), name)
                    if one[name].dtype.kind == "f":
                        numpy.testing.assert_allclose(one[name][()], two[name][()], rtol=1e-5, atol=1e-5, err_msg=name)
                    else:
                        self.assertEqual(numpy.array_equal(one[name][()], two[name][()]), True, name)

    def test_geometry_and_files_pass_through_its_layout(self):
        path = self.written()
        dataset = voxfeed.Dataset(path)
        image = SimpleITK.ReadImage(self.path("s1_T1.nii.gz"))
        for checked in (dataset, voxfeed.Dataset(self.rewritten(path))):
            info = checked.volume_info("subject_1", "images", "T1")
            left, posterior, superior = image.TransformIndexToPhysicalPoint((4, 2, 1))
            numpy.testing.assert_allclose((info.affine @ [1, 2, 4, 1])[:3], [-left, -posterior, superior], atol=1e-4)
            numpy.testing.assert_allclose(info.spacing_mm, (3, 2, 1), atol=1e-5)
            self.assertEqual(dict(checked.categories(0)), {"images": ["T1", "T2"], "labels": ["GT"]})
            self.same(checked.read("subject_1", "images", "T1"), volume(SHAPE, "float32", 10))

    def test_files_are_named_where_each_entry_has_its_own(self):
        self.written()
        dataset = voxfeed.Dataset()
        for number in range(3):
            dataset.add_subject("subject_%d" % number)
            for category, entries in (("images", ("T1", "T2")), ("labels", ("GT",))):
                for entry in entries:
                    dataset.add_file(number, category, entry, self.path("s%d_%s.nii.gz" % (number, entry)))
        with voxfeed.Writer(self.path("ours.h5")) as writer:
            writer.add_dataset(dataset)
        source = extraction.PymiaDatasource(self.path("ours.h5"), extraction.EmptyIndexing(),
                                            extraction.FilesExtractor(categories=("images", "labels")))
        self.addCleanup(source.close_reader)
        for number in range(3):
            found = source[number]
            for category, entries in (("images", ("T1", "T2")), ("labels", ("GT",))):
                paths = [os.path.join(found["file_root"], name) for name in found[category + "_files"]]
                self.assertEqual(paths, [self.path("s%d_%s.nii.gz" % (number, entry)) for entry in entries])

    def test_direct_extraction_is_a_read(self):
        path = self.written()
        source = self.source(path, extraction.EmptyIndexing())
        dataset, random = voxfeed.Dataset(path), rng(1)
        for _ in range(10):
            first = [random.randint(0, extent) for extent in SHAPE]
            last = [random.randint(start + 1, extent + 1) for start, extent in zip(first, SHAPE)]
            theirs = source.direct_extract(extraction.DataExtractor(categories=("images",)), 2,
                                           indexexpression.IndexExpression([list(pair) for pair in zip(first, last)]))
            ours = dataset.read(2, "images", offset=first, shape=[b - a for a, b in zip(first, last)])
            self.same(numpy.moveaxis(ours, 0, -1), theirs["images"])

    def test_the_assembled_subjects_are_the_same(self):
        path = self.written(3, lambda number: (5 + number, 6, 7))
        for strategy, ours in self.CASES[1:]:
            if isinstance(ours.get("axes"), tuple):
                continue
            source = self.source(path, strategy())
            theirs = assembling.SubjectAssembler(source)
            loader = voxfeed.Loader(voxfeed.Sampler(voxfeed.Dataset(path), **ours), batch_size=3, ragged="pad")
            assembler = voxfeed.Assembler(loader, blend="last")
            for batch in loader.epoch(0):
                prediction = batch["images"] * numpy.float32(0.5)
                assembler.add(batch, prediction)
                for number, (sample, row) in enumerate(zip(batch.samples, prediction)):
                    if sample.thin_axis is None:
                        row = row[(slice(None),) + sample.in_row]
                    theirs.add_batch(numpy.moveaxis(row, 0, -1)[None], numpy.array([sample.position]),
                                     last_batch=sample.position == len(source) - 1)
            self.assertEqual(list(assembler.complete()), [0, 1, 2])
            for subject in range(3):
                self.same(numpy.moveaxis(assembler.take(subject), 0, -1).astype("float64"),
                          theirs.get_assembled_subject(subject), (ours, subject))

    def test_counting_is_not_fooled_by_shuffling_as_it_is(self):
        path = self.written()
        dataset = voxfeed.Dataset(path)
        loader = voxfeed.Loader(voxfeed.Sampler(dataset, kind="slices"), batch_size=4, order="shuffled", seed=1)
        assembler, ready = voxfeed.Assembler(loader), {}
        for number, batch in enumerate(loader.epoch(0)):
            assembler.add(batch, batch["images"])
            for subject in assembler.complete():
                ready[subject] = number
                self.same(assembler.take(subject), dataset.read(subject, "images"))
        self.assertEqual(sorted(ready), [0, 1, 2])

    def test_no_samples_and_files_of_another_make(self):
        path = self.written()
        self.assertEqual(len(self.source(path, extraction.PatchWiseIndexing((50, 4, 4)))), 0)
        with self.refused(voxfeed.ArgumentError):
            voxfeed.Sampler(voxfeed.Dataset(path), kind="grid", patch_shape=(50, 4, 4))
        with h5py.File(path, "a") as file:
            del file["data/images/1"]
        with self.refused(voxfeed.Error, "pymia.h5", "data/images/1"):
            voxfeed.Dataset(path).read(1, "images")


if __name__ == "__main__":
    unittest.main()
