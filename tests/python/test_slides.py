"""Slides against openslide-python: levels, regions, holes, damage, and what happens without the library."""

import json
import os
import subprocess
import sys
import unittest

import numpy
import openslide  # loads the library, which voxfeed then finds in the process by its name
import tifffile

import voxfeed
from support import FACE, Case, opened, random_region, rng

LEVELS = [(500, 700), (250, 350), (83, 117)]


def write_slide(path, levels=LEVELS, holes=False, seed=0, **options):
    """A tiled pyramid of noise; with holes, two tiles of five are not there."""
    random = rng(seed)
    mpp = options.pop("mpp", None)
    if mpp:
        options.update(resolution=(10000.0 / mpp, 10000.0 / mpp), resolutionunit="CENTIMETER")
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("order", "<")) as file:
        for number, (height, width) in enumerate(levels):
            pixels = random.randint(0, 256, (height, width, 3)).astype("uint8")
            how = dict(options, tile=(64, 64), photometric="rgb", subfiletype=1 if number else 0)
            if not holes:
                file.write(pixels, **how)
                continue
            rows, columns = -(-height // 64), -(-width // 64)
            padded = numpy.zeros((rows * 64, columns * 64, 3), "uint8")
            padded[:height, :width] = pixels
            tiles = [padded[y * 64:y * 64 + 64, x * 64:x * 64 + 64].copy() for y in range(rows) for x in range(columns)]
            kept = [None if place and random.rand() < 0.4 else tile for place, tile in enumerate(tiles)]
            file.write(iter(kept), shape=pixels.shape, dtype="uint8", **how)
    return path


def expected(slide, level, offset, shape):
    """What openslide-python gives, channels first: a region is asked for by its nearest place in level 0."""
    y, x = (int(numpy.floor(start * slide.level_downsamples[level] + 0.5)) for start in offset)
    image = slide.read_region((x, y), level, (shape[1], shape[0])).convert("RGB")
    return numpy.asarray(image).transpose(2, 0, 1)


class Slides(Case):
    def check(self, path, count=40):
        random = rng(7)
        with openslide.OpenSlide(path) as slide:
            levels = [opened(path, inner=str(level)) for level in range(slide.level_count)]
            for level, dataset in enumerate(levels):
                width, height = slide.level_dimensions[level]
                info = dataset.volume_info(0, "images")
                self.assertEqual((info.shape, info.channels, info.dtype), ((height, width), 3, "uint8"))
                self.same(dataset.read(0, "images", "one"), expected(slide, level, (0, 0), (height, width)), level)
            for _ in range(count):
                level = random.randint(slide.level_count)
                offset, shape = random_region(random, levels[level].volume_info(0, "images").shape)
                found = levels[level].read(0, "images", "one", offset=offset, shape=shape)
                self.same(found, expected(slide, level, offset, shape), (level, offset, shape))

    def test_random_regions_of_all_levels(self):
        for number, options in enumerate([{}, {"compression": "zlib"}, {"bigtiff": True},
                                           {"order": ">", "bigtiff": True}]):
            self.check(write_slide(self.path("%d.tif" % number), seed=number, **options))

    def test_tiles_that_are_not_there_are_black_and_edges_are_divided_by_their_alpha(self):
        path = write_slide(self.path("a.tif"), holes=True, compression="zlib")
        self.check(path, 100)
        with openslide.OpenSlide(path) as slide:
            alpha = numpy.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., 3]
            self.assertEqual(set(numpy.unique(alpha)), {0, 255})
        self.assertEqual(opened(path).read(0, "images", "one")[:, alpha == 0].max(), 0)

    def test_content_tells_a_slide_by_any_name(self):
        path = write_slide(self.path("slide.data"))
        self.same(opened(path).read(0, "images", "one").shape, (3,) + LEVELS[0])

    def test_the_spacing_is_that_of_the_level(self):
        path = write_slide(self.path("a.tif"), mpp=0.5)
        for level, step in [("0", 0.5e-3), ("1", 1e-3)]:
            affine = opened(path, inner=level).volume_info(0, "images").affine
            numpy.testing.assert_allclose(numpy.linalg.norm(affine[:3, :3], axis=0), [1, step, step], rtol=1e-6)
        plain = opened(write_slide(self.path("b.tif"))).volume_info(0, "images")
        self.assertFalse(plain.has_affine)

    def test_what_is_asked_for_wrongly_is_refused(self):
        path = write_slide(self.path("a.tif"))
        for level in ("3", "-1", "one", ""):
            with self.refused(voxfeed.NotFoundError, "a.tif", "0 (500 x 700), 1 (250 x 350), 2 (83 x 117)"):
                opened(path, inner=level)
        with self.refused(voxfeed.ArgumentError, "a.tif"):
            opened(path, channel="first")
        self.assertEqual(opened(path, channel="last").volume_info(0, "images").channels, 3)

    def test_what_is_no_slide_is_refused(self):
        tifffile.imwrite(self.path("strips.tif"), numpy.zeros((64, 64, 3), "uint8"))
        with open(self.path("text.svs"), "w") as file:
            file.write("no slide")
        with open(self.path("empty.tif"), "w"):
            pass
        for name, kind in [("strips.tif", voxfeed.UnsupportedError), ("text.svs", voxfeed.UnsupportedError),
                           ("empty.tif", voxfeed.FormatError)]:
            with self.refused(kind, name):
                opened(self.path(name))

    def test_a_truncated_slide_is_refused(self):
        path = write_slide(self.path("a.tif"))
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        with self.refused((voxfeed.FormatError, voxfeed.UnsupportedError), "a.tif"):
            opened(path).read(0, "images", "one")

    def damaged(self):
        """A slide one of whose compressed tiles is nonsense, and the place of that tile."""
        path = write_slide(self.path("a.tif"), compression="zlib")
        with tifffile.TiffFile(path) as file:
            start = file.pages[0].dataoffsets[12]
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(b"\xff" * 64)
        return path, (64, 64)                                # 11 tiles a row: number 12 is the second of the second

    def test_a_damaged_tile_fails_its_own_regions_and_no_others(self):
        path, (y, x) = self.damaged()
        dataset = opened(path)
        with openslide.OpenSlide(path) as slide:
            for _ in range(3):
                with self.refused(voxfeed.FormatError, "a.tif"):
                    dataset.read(0, "images", "one", offset=(y + 10, x + 10), shape=(5, 5))
                found = dataset.read(0, "images", "one", offset=(200, 300), shape=(40, 50))
                self.same(found, expected(slide, 0, (200, 300), (40, 50)))

    def test_batches_and_their_errors_are_the_same_for_any_number_of_threads(self):
        path, _ = self.damaged()
        outcomes = []
        for threads in (1, 2, 4):
            sampler = voxfeed.Sampler(opened(path), kind="grid", patch_shape=(60, 60))
            loader = voxfeed.Loader(sampler, batch_size=1, threads=threads, prefetch=3)
            outcomes.append([])
            loader.start(0)
            while True:
                try:
                    batch = loader.next_batch()
                except voxfeed.FormatError as error:
                    outcomes[-1].append(error.sample)
                    continue
                if batch is None:
                    break
                outcomes[-1].append(batch["images"].tobytes())
        self.assertEqual(sum(not isinstance(one, bytes) for one in outcomes[0]), 4)
        for other in outcomes[1:]:
            self.assertTrue(other == outcomes[0])

    def test_more_slides_than_are_kept_open(self):
        paths = [write_slide(self.path("%d.tif" % seed), levels=[(70, 90)], seed=seed) for seed in range(40)]
        dataset = voxfeed.Dataset(self.folder)
        self.assertEqual(len(dataset), 40)
        for _ in range(2):
            for path in paths:
                subject = dataset.find(os.path.basename(path)[:-4])
                with openslide.OpenSlide(path) as slide:
                    (category, entries), = dataset.categories(subject).items()
                    self.same(dataset.read(subject, category, entries[0]), expected(slide, 0, (0, 0), (70, 90)))

    def test_a_manifest_names_the_level(self):
        write_slide(self.path("a.tif"))
        entries = {"all": "a.tif", "small": {"file": "a.tif", "dataset": "2"}}
        subjects = [{"id": name, "categories": {"images": {"one": entry}}} for name, entry in sorted(entries.items())]
        with open(self.path("manifest.json"), "w") as file:
            json.dump({"voxfeed_manifest": 1, "subjects": subjects}, file)
        dataset = voxfeed.Dataset(self.path("manifest.json"))
        shapes = [dataset.volume_info(number, "images").shape for number in range(2)]
        self.assertEqual(shapes, [LEVELS[0], LEVELS[2]])

    def test_without_the_library_the_error_says_where_to_get_it(self):
        path = write_slide(self.path("a.tif"))
        code = ("import ctypes, sys, voxfeed\n"
                "data = voxfeed.Dataset()\n"
                "try:\n    data.add_file(data.add_subject('s'), 'images', 'one', sys.argv[1])\n"
                "except voxfeed.UnsupportedError as error:\n    print(error)\n"
                "else:\n    print('read')\n")
        found = subprocess.check_output([sys.executable, "-c", code, path], universal_newlines=True,
                                        env=dict(os.environ, PYTHONPATH=FACE))
        if any(installed(name) for name in ("libopenslide.so.1", "libopenslide.so.0")):
            self.assertEqual(found.strip(), "read")
        else:
            for part in ("a.tif", "libopenslide.so.1", "apt install libopenslide0", "openslide-bin"):
                self.assertIn(part, found)


def installed(name):
    """Whether a process that has not loaded it finds a library by its name."""
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    return subprocess.call([sys.executable, "-c", code, name], stderr=subprocess.DEVNULL) == 0


if __name__ == "__main__":
    unittest.main()
