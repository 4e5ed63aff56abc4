"""The data set of the benches: the same bytes on every call, pieces where they are said to be, layouts as promised."""

import gzip
import json
import os
import sys
import unittest
import zlib

import numpy

import voxfeed
from support import ROOT, Case

sys.path.insert(0, os.path.join(ROOT, "benches", "data"))
import formats  # noqa: E402
import make  # noqa: E402
from plan import Plan, extents, subject  # noqa: E402

HERE = ["npy", "nii", "npz", "h5", "h5-gzip", "nii.gz", "npz-deflated"]


class BenchData(Case):
    def setUp(self):
        Case.setUp(self)
        make.say = lambda text: None

    def made(self, **numbers):
        plan = Plan(**dict(dict(subjects=2, volume=(10, 9, 12), chunk=(4, 4, 4), patch=(4, 4, 4)), **numbers))
        with open(make.make(self.folder, plan, HERE)) as file:
            return plan, json.load(file)

    def test_a_subject_is_the_same_on_every_call_and_unlike_the_others(self):
        for dtype in ("u8", "i16", "f32"):
            plan = Plan(volume=(16, 18, 20), dtype=dtype)
            image, label = subject(plan, 3)
            self.same(subject(plan, 3)[0], image)
            self.assertFalse(numpy.array_equal(subject(plan, 4)[0], image))
            self.assertEqual((image.shape, image.dtype), ((2, 16, 18, 20), plan.dtype))
            self.assertEqual((image[0, 0, 0, 0], label.dtype), (0, numpy.dtype("uint8")))
            self.assertGreater(len(numpy.unique(image)), 100 if dtype == "u8" else 2000)

    def test_a_deflated_image_has_about_half_its_size(self):
        image, _ = subject(Plan(volume=(64, 64, 64)), 0)
        self.assertTrue(1.7 < image.nbytes / len(zlib.compress(image.tobytes(), 4)) < 2.6)

    def test_every_format_opens_and_holds_the_same_voxels(self):
        for dtype in ("u8", "i16", "f32"):
            plan, about = self.made(dtype=dtype)
            self.assertEqual([format["name"] for format in about["formats"]], HERE)
            for format in about["formats"]:
                dataset = voxfeed.Dataset(format["open"])
                sampler = voxfeed.Sampler(dataset, kind="whole")
                categories = [dict(name="images"), dict(name="labels", squeeze_channel=True)]
                for number, batch in enumerate(voxfeed.Loader(sampler, categories=categories).epoch(0)):
                    image, label = subject(plan, number)
                    self.same(batch["images"][0], image, format["name"])
                    self.same(batch["labels"][0], label, format["name"])

    def test_what_is_there_is_not_made_again(self):
        plan, about = self.made()
        times = [os.stat(path).st_mtime_ns for path in about["images"]]
        self.assertEqual(self.made()[1], about)
        self.assertEqual([os.stat(path).st_mtime_ns for path in about["images"]], times)

    def test_pieces_decode_to_the_chunks(self):
        plan, about = self.made()
        decode = {"zlib": zlib.decompress, "gzip": gzip.decompress, "deflate": lambda packed: zlib.decompress(packed, -15)}
        seen = 0
        for format in about["formats"]:
            if not format["pieces"]:
                continue
            with open(format["pieces"]) as file:
                listed = json.load(file)
            for arrays in listed["subjects"]:
                for array in arrays:
                    grid = [-(-whole // part) for whole, part in zip(array["shape"], array["chunk"])]
                    self.assertEqual(len(array["pieces"]), numpy.prod(grid), format["name"])
                    for file, begin, size in array["pieces"]:
                        with open(os.path.join(format["folder"], file), "rb") as stream:
                            stream.seek(begin)
                            packed = stream.read(size)
                        self.assertEqual(len(decode[listed["codec"]](packed)), array["raw_bytes"], format["name"])
                        seen += 1
        self.assertEqual(seen, 2 * (2 * 27 + 3 + 2))

    def test_pieces_of_hdf5_are_in_the_order_of_the_grid(self):
        plan, about = self.made(dtype="u8")
        (format,) = [format for format in about["formats"] if format["name"] == "h5-gzip"]
        with open(format["pieces"]) as file:
            array = json.load(file)["subjects"][1][0]
        image, _ = subject(plan, 1)
        for place, (name, begin, size) in zip(numpy.ndindex(3, 3, 3), array["pieces"]):
            with open(os.path.join(format["folder"], name), "rb") as stream:
                stream.seek(begin)
                chunk = numpy.frombuffer(zlib.decompress(stream.read(size)), numpy.uint8).reshape(4, 4, 4, 2)
            corner = tuple(slice(4 * at, 4 * at + 4) for at in place)
            expected = numpy.moveaxis(image[(slice(None),) + corner], 0, -1)
            self.same(chunk[tuple(slice(0, extent) for extent in expected.shape)], expected, place)

    def test_blocks_and_chunks_of_b2nd_keep_to_their_sizes(self):
        self.assertEqual(formats.blosc2_layout((128, 160, 160), (64, 64, 64), 4), ((32, 32, 32), (96, 96, 96)))
        self.assertEqual(formats.blosc2_layout((40, 512, 512), (1, 256, 256), 2), ((1, 256, 256), (1, 384, 384)))
        self.assertEqual(formats.blosc2_layout((10, 9, 12), (4, 4, 4), 4), ((4, 4, 4), (6, 6, 6)))
        block, chunk = formats.blosc2_layout((512, 512, 512), (128, 128, 128), 4)
        self.assertEqual(numpy.prod(block) * 4, 128 << 10)
        self.assertTrue((4 << 20) < numpy.prod(chunk) * 4 <= (6 << 20))

    def test_extents_are_read_as_people_write_them(self):
        self.assertEqual(extents("64"), (64, 64, 64))
        self.assertEqual(extents("256x128"), (1, 256, 128))
        self.assertEqual(extents("5x256x256"), (5, 256, 256))
        for text in ("", "0", "4x", "1x2x3x4", "-1"):
            with self.assertRaises(ValueError):
                extents(text)

    def test_an_unknown_format_is_refused(self):
        with self.assertRaises(ValueError) as caught:
            make.make(self.folder, Plan(subjects=1), ["npy", "tiff"])
        self.assertIn("no format tiff: there are npy", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
