"""Datasets of many files: manifests and the folders that people have, with voxels as their own libraries read them."""

import json
import os
import unittest

import h5py
import nibabel
import numpy

import voxfeed
from support import Case, rows, volume, window

AFFINE = numpy.diag([2.0, 3, 4, 1])


class Folders(Case):
    def nifti(self, name, seed, dtype="int16", shape=(7, 6, 5)):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(volume(shape, dtype, seed) % 90, AFFINE), path)
        return numpy.asarray(nibabel.load(path).dataobj).T

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            json.dump(content, file)

    def test_a_manifest_mixes_formats(self):
        image = self.nifti("one/t1.nii.gz", 1)
        stored = volume((2, 5, 6, 7), "int16", 2)
        with h5py.File(self.path("all.h5"), "w") as file:
            file.create_dataset("one/t2", data=stored[0], chunks=(2, 3, 4), compression="gzip")
            file["two/t1"], file["two/t2"] = stored[1], stored[0]
        classes = volume((4, 5, 6, 7), "uint8", 3) % 2
        numpy.save(self.path("one/seg.npy"), classes)
        numpy.savez_compressed(self.path("two.npz"), label=classes[3], other=classes[1])
        self.write("study.json", {"voxfeed_manifest": 1, "subjects": [
            {"id": "one", "attributes": {"age": 61}, "categories": {
                "images": {"T1": "one/t1.nii.gz", "T2": {"file": "all.h5", "dataset": "/one/t2"}},
                "labels": {"GT": {"file": "one/seg.npy", "channel": "first", "index": 2}}}},
            {"id": "two", "categories": {
                "images": {"T1": {"file": "all.h5", "dataset": "two/t1"}, "T2": {"file": "all.h5", "dataset": "two/t2"}},
                "labels": {"GT": {"file": "two.npz", "dataset": "label"}}}}],
            "splits": {"train": ["two"], "test": ["one"]}})
        dataset = voxfeed.Dataset(self.path("study.json"))
        self.assertEqual((dataset.ids, dataset.attribute("one", "age")), (["one", "two"], 61))
        self.assertEqual(dataset.split("train").ids, ["two"])
        sources = {"images": [numpy.stack([image, stored[0]]), numpy.stack([stored[1], stored[0]])],
                   "labels": [classes[2:3], classes[3:]]}
        sampler = voxfeed.Sampler(dataset, kind="grid", patch_shape=(3, 4, 4), border="pad")
        for category, volumes in sources.items():
            for sample, row in rows(voxfeed.Loader(sampler, batch_size=5), category):
                self.same(row, window(volumes[sample.subject], sample.offset, sample.shape), sample)

    def test_a_folder_a_subject(self):
        expected = {}
        for number, id in enumerate(("sub-01", "sub-02")):
            for place, entry in enumerate(("t1", "t2", "seg")):
                expected[id, entry] = self.nifti("%s/%s.nii.gz" % (id, entry), 3 * number + place)
        dataset = voxfeed.Dataset(self.folder)
        self.assertEqual(dataset.ids, ["sub-01", "sub-02"])
        self.assertEqual(dict(dataset.categories(1)), {"images": ["t1", "t2"], "labels": ["seg"]})
        for (id, entry), array in expected.items():
            self.same(dataset.read(id, "labels" if entry == "seg" else "images", entry), array)

    def test_a_raw_folder_of_nnunet(self):
        self.write("dataset.json", {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "tumour": 1},
                                    "numTraining": 2, "file_ending": ".nii.gz"})
        expected = {}
        for number, id in enumerate(("a_001", "a_002")):
            for channel in range(2):
                expected[id, "images", ("T1", "T2")[channel]] = self.nifti(
                    "imagesTr/%s_%04d.nii.gz" % (id, channel), 2 * number + channel)
            expected[id, "labels", "seg"] = self.nifti("labelsTr/%s.nii.gz" % id, 9, "uint8")
        dataset = voxfeed.Dataset(self.folder)
        for (id, category, entry), array in expected.items():
            self.same(dataset.read(id, category, entry), array)
        self.assertEqual(dataset.split("train").ids, ["a_001", "a_002"])

    def test_slices_and_scans_of_medsegpy(self):
        image, classes = volume((8, 9, 4), "float32"), volume((8, 9, 4, 3), "uint8", 1) % 2
        os.mkdir(self.path("slices"))
        for number in range(4):
            for ending, data in (("im", image[..., number]), ("seg", classes[:, :, None, number])):
                with h5py.File(self.path("slices/0000001_V00-Aug00_%03d.%s" % (number + 1, ending)), "w") as file:
                    file["data"] = data
        os.mkdir(self.path("scans"))
        with h5py.File(self.path("scans/0000001_V00.h5"), "w") as file:
            file["volume"], file["seg"] = image, classes
        for place in ("slices", "scans/0000001_V00.h5"):
            dataset = voxfeed.Dataset(self.path(place))
            self.same(dataset.read(0, "images"), image[None])
            self.same(dataset.read(0, "labels"), numpy.transpose(classes, (3, 0, 1, 2)))

    def test_a_folder_without_volumes_says_what_was_expected(self):
        os.mkdir(self.path("empty"))
        with self.refused(voxfeed.NotFoundError, "empty"):
            voxfeed.Dataset(self.path("empty"))


if __name__ == "__main__":
    unittest.main()
