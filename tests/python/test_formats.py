"""npy, npz and NIfTI against numpy and nibabel: voxels, dtypes, padding, affines, orientation, and our own files."""

import unittest

import nibabel
import numpy
import SimpleITK

import voxfeed
from support import PADDINGS, Case, in_memory, opened, random_region, rng, volume, window

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
          "float64"]


class Regions(Case):
    def check(self, dataset, expected, about, count=12):
        """Random regions, inside and partly outside, equal numpy's."""
        random = rng(len(str(about)))
        spatial = expected.shape[-len(dataset.volume_info(0, "images").shape):]
        self.same(dataset.read(0, "images", "one"), expected, about)
        for number in range(count):
            offset, shape = random_region(random, spatial)
            if number % 3 == 0:
                offset = [start - random.randint(0, 5) for start in offset]
                shape = [length + random.randint(0, 9) for length in shape]
            found = dataset.read(0, "images", "one", offset=offset, shape=shape)
            self.same(found, window(expected, offset, shape), (about, offset, shape))


class Npy(Regions):
    def test_every_dtype_order_and_byte_order(self):
        path = self.path("a.npy")
        for dtype in DTYPES:
            for order in "CF":
                for swap in (False, True):
                    array = volume((5, 6, 7), dtype)
                    stored = array.astype(array.dtype.newbyteorder(), order=order) if swap else array.astype(
                        dtype, order=order)
                    numpy.save(path, stored)
                    self.check(opened(path), array, (dtype, order, swap), 4)

    def test_one_and_two_axes_and_channels(self):
        path = self.path("a.npy")
        for shape in [(9,), (8, 9), (1, 1, 1)]:
            numpy.save(path, volume(shape))
            self.check(opened(path), volume(shape), shape)
        four = volume((2, 5, 6, 7))
        numpy.save(path, four)
        self.check(opened(path), four, "auto is first")
        self.check(opened(path, channel="first"), four, "first")
        self.check(opened(path, channel="last"), four.transpose(3, 0, 1, 2), "last")
        self.assertEqual(opened(path, channel="none").volume_info(0, "images").shape, (2, 5, 6, 7))
        numpy.save(path, four[0])
        self.assertEqual(opened(path, channel="first").volume_info(0, "images").channels, 5)

    def test_versions_two_and_three(self):
        for version in [(1, 0), (2, 0), (3, 0)]:
            path = self.path("a.npy")
            with open(path, "wb") as file:
                numpy.lib.format.write_array(file, volume((4, 5, 6)), version)
            self.check(opened(path), volume((4, 5, 6)), version)

    def test_positional_reads_and_maps_are_the_same(self):
        path = self.path("a.npy")
        numpy.save(path, volume((9, 10, 11)))
        for io in ("auto", "positional", "map"):
            self.check(opened(path, options={"io": io}), volume((9, 10, 11)), io)

    def test_npz_stored_and_deflated(self):
        arrays = {"image": volume((5, 6, 7), "float32"), "seg": volume((5, 6, 7), "uint8")}
        for save in (numpy.savez, numpy.savez_compressed):
            path = self.path("a.npz")
            save(path, **arrays)
            for inner, array in arrays.items():
                self.check(opened(path, inner=inner), array, (save.__name__, inner))
            with self.refused(voxfeed.ArgumentError, "a.npz", "image", "seg"):
                opened(path)
            with self.refused(voxfeed.NotFoundError, "a.npz", "no such", "image"):
                opened(path, inner="no such")
            save(path, only=arrays["image"])
            self.check(opened(path), arrays["image"], save.__name__)
            save(path, data=arrays["image"], seg=arrays["seg"])
            self.check(opened(path), arrays["image"], "nnU-Net's name of the image")


class Conversions(Case):
    def test_every_dtype_to_every_other_is_numpys(self):
        values = [0, 1, 2, 5, 17, 100, 126, 127]
        fractions = [0.5, 1.5, 2.5, 2.4999, 99.5, 0.49]
        for source in DTYPES:
            stored = numpy.array(values + (fractions if "float" in source else []))
            stored = (stored != 0) if source == "bool" else stored.astype(source)
            dataset = in_memory([("a", {"images": {"one": stored}})])
            for target in DTYPES:
                if target == "bool":
                    continue
                whole = numpy.rint(stored.astype("float64")) if numpy.dtype(target).kind in "iu" else stored
                self.same(dataset.read(0, "images", "one", dtype=target), whole.astype(target), (source, target))

    def test_what_does_not_fit_is_refused_or_saturated(self):
        cases = [("float32", [300.0, -1.0, numpy.nan, numpy.inf, -numpy.inf], "uint8", [255, 0, 0, 255, 0]),
                 ("int16", [-129, 128, 5, 0, 1], "int8", [-128, 127, 5, 0, 1]),
                 ("float64", [1e300, -1e300, 2.5, 3.5, 0], "int64", [2 ** 63 - 1, -2 ** 63, 2, 4, 0]),
                 ("uint64", [2 ** 64 - 1, 2 ** 63, 3, 4, 5], "int64", [2 ** 63 - 1, 2 ** 63 - 1, 3, 4, 5])]
        for source, values, target, saturated in cases:
            dataset = in_memory([("a", {"images": {"one": numpy.array(values, dtype=source)}})])
            with self.refused(voxfeed.RangeError):
                dataset.read(0, "images", "one", dtype=target)
            loader = voxfeed.Loader(voxfeed.Sampler(dataset), categories={
                "name": "images", "dtype": target, "fit": "saturate", "squeeze_channel": True})
            self.same(next(loader.epoch(0))["images"][0], numpy.array(saturated, dtype=target), (source, target))


class Padding(Case):
    def test_every_mode_is_numpys(self):
        random = rng(3)
        for mode in sorted(PADDINGS):
            for number in range(15):
                shape = [random.randint(1, 6) for _ in range(3)]
                patch = [random.randint(1, 14) for _ in range(3)]
                array = volume(shape, "int16", number)
                value = random.randint(-50, 50) if mode == "constant" else 0
                dataset = in_memory([("a", {"images": {"one": array}})])
                for rule in ({"kind": "grid", "border": "pad"}, {"kind": "uniform", "samples_per_subject": 3}):
                    loader = voxfeed.Loader(
                        voxfeed.Sampler(dataset, patch_shape=patch, **rule), seed=number, threads=1,
                        categories={"name": "images", "padding": mode, "pad_value": value, "squeeze_channel": True})
                    for batch in loader.epoch(0):
                        sample = batch.samples[0]
                        expected = window(array, sample.offset, sample.shape, mode, value)
                        self.same(batch["images"][0], expected, (mode, shape, sample))
                        self.same(batch["images"][0][sample.in_row], array[sample.in_volume])


OBLIQUE = numpy.array([[1.9, -0.3, 0.2, -90], [0.25, 2.1, 0.4, 126], [-0.2, -0.5, 2.8, -72], [0, 0, 0, 1.0]])
FLIPPED = numpy.array([[-2.0, 0, 0, 90], [0, 0, 3, -126], [0, 4, 0, -72], [0, 0, 0, 1.0]])


class Nifti(Regions):
    def saved(self, name, array, affine=OBLIQUE, kind=nibabel.Nifti1Image, **header):
        """A file that nibabel wrote, and the array in our order of axes (nibabel's is fastest first)."""
        image = kind(array, affine)
        for field, value in header.items():
            image.header[field] = value
        path = self.path(name)
        nibabel.save(image, path)
        return path

    def test_voxels_of_every_dtype(self):
        for dtype in [one for one in DTYPES if one not in ("bool", "float16")]:
            array = volume((7, 6, 5), dtype)
            for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
                image = kind(array, OBLIQUE, dtype=array.dtype)
                nibabel.save(image, self.path("a.nii"))
                dataset = opened(self.path("a.nii"))
                self.assertEqual(dataset.volume_info(0, "images").dtype, dtype)
                self.check(dataset, array.T, (dtype, kind.__name__), 6)

    def test_files_by_any_name(self):
        array = volume((7, 6, 5))
        for name, kind in [("a.nii", nibabel.Nifti1Image), ("a.nii.gz", nibabel.Nifti1Image),
                           ("p.hdr", nibabel.Nifti1Pair), ("q.img", nibabel.Nifti1Pair),
                           ("b.nii.gz", nibabel.Nifti2Image), ("r.hdr", nibabel.Nifti2Pair),
                           ("z.img.gz", nibabel.Nifti1Pair)]:
            path = self.saved(name, array, kind=kind)
            self.check(opened(path), array.T, name)
            info = opened(path).volume_info(0, "images")
            numpy.testing.assert_allclose(info.nibabel_affine, nibabel.load(path).affine, atol=1e-4)

    def test_big_endian(self):
        array = volume((7, 6, 5), "int32")
        image = nibabel.Nifti1Image(array, OBLIQUE, nibabel.Nifti1Header(endianness=">"), dtype=array.dtype)
        for name in ("a.nii", "a.nii.gz"):
            nibabel.save(image, self.path(name))
            self.check(opened(self.path(name)), array.T, name)
            numpy.testing.assert_allclose(opened(self.path(name)).volume_info(0, "images").nibabel_affine, OBLIQUE,
                                          atol=1e-5)

    def test_scaled_values(self):
        array = volume((7, 6, 5), "uint8")
        image = nibabel.Nifti1Image(array, OBLIQUE)
        image.header.set_slope_inter(0.25, -3)
        for name in ("a.nii", "a.nii.gz"):
            nibabel.save(image, self.path(name))
            dataset = opened(self.path(name))
            info = dataset.volume_info(0, "images")
            self.assertEqual((info.dtype, info.scale_slope, info.scale_intercept), ("uint8", 0.25, -3))
            loaded = nibabel.load(self.path(name)).get_fdata()
            self.same(dataset.read(0, "images", "one", dtype="f64"), loaded.T, name)
            self.same(dataset.read(0, "images", "one", dtype="f32"), loaded.T.astype("float32"), name)

    def test_the_fourth_axis_is_the_channel(self):
        array = volume((7, 6, 5, 3))
        self.check(opened(self.saved("a.nii", array)), array.T, "four axes")
        self.check(opened(self.saved("b.nii.gz", array)), array.T, "four axes, gzip")

    def test_two_axes(self):
        dataset = opened(self.saved("a.nii", volume((7, 6))))
        self.assertEqual(dataset.read(0, "images", "one").size, 42)

    def test_sform_qform_and_neither(self):
        turned = numpy.eye(4)
        turned[:3, :3] = nibabel.eulerangles.euler2mat(0.3, -0.2, 0.5) @ numpy.diag([2.0, 3.0, 4.0])
        turned[:3, 3] = [5, -6, 7]
        for sform, qform in [(OBLIQUE, turned), (OBLIQUE, None), (None, turned), (None, None),
                             (None, turned @ numpy.diag([1.0, 1, -1, 1]))]:
            image = nibabel.Nifti1Image(volume((7, 6, 5)), None)
            image.header.set_zooms((2, 3, 4))
            image.set_sform(sform, 1 if sform is not None else 0)
            image.set_qform(qform, 1 if qform is not None else 0)
            nibabel.save(image, self.path("a.nii"))
            info = opened(self.path("a.nii")).volume_info(0, "images")
            expected = nibabel.load(self.path("a.nii")).affine
            numpy.testing.assert_allclose(info.nibabel_affine, expected, atol=1e-4)
            numpy.testing.assert_allclose(info.spacing_mm, nibabel.affines.voxel_sizes(expected)[::-1], rtol=1e-5)

    def test_orient_is_as_closest_canonical(self):
        random = rng(11)
        for number in range(24):
            axes, signs = random.permutation(3), random.choice([-1, 1], 3)
            affine = numpy.eye(4)
            affine[:3, :3] = numpy.eye(3)[:, axes] * signs * [1.5, 2, 3] + random.uniform(-0.2, 0.2, (3, 3))
            affine[:3, 3] = random.uniform(-90, 90, 3)
            array = volume((7, 6, 5), seed=number)
            path = self.saved("a.nii" if number % 2 else "a.nii.gz", array, affine)
            canonical = nibabel.as_closest_canonical(nibabel.load(path))
            dataset = opened(path, options={"orient": "RAS"})
            self.check(dataset, numpy.asarray(canonical.dataobj).T, affine, 6)
            numpy.testing.assert_allclose(dataset.volume_info(0, "images").nibabel_affine, canonical.affine, atol=1e-4)
            lps = nibabel.orientations.axcodes2ornt("LPS")
            turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), lps)
            turned = nibabel.load(path).as_reoriented(turn)
            dataset = opened(path, options={"orient": "LPS"})
            self.check(dataset, numpy.asarray(turned.dataobj).T, affine, 6)
            numpy.testing.assert_allclose(dataset.volume_info(0, "images").nibabel_affine, turned.affine, atol=1e-4)

    def test_images_and_labels_on_other_grids_are_refused_with_both_names(self):
        first = self.saved("t1.nii", volume((7, 6, 5)))
        moved = OBLIQUE.copy()
        moved[0, 3] += 1
        second = self.saved("gt.nii", volume((7, 6, 5), "uint8"), moved)
        third = self.saved("small.nii", volume((7, 6, 4), "uint8"))
        dataset = opened(first)
        for path in (second, third):
            with self.refused(voxfeed.ArgumentError, "t1.nii" if path else "", path):
                dataset.add_file(0, "labels", "gt", path)
        self.assertEqual(list(dataset.categories(0)), ["images"])
        loose = opened(first, options={"geometry": "shape"})
        loose.add_file(0, "labels", "gt", second)
        with self.refused(voxfeed.ArgumentError, third):
            loose.add_file(0, "labels", "small", third)


class Saved(Case):
    def test_our_nifti_is_read_by_nibabel_and_simpleitk_in_the_same_place(self):
        for number, affine in enumerate([OBLIQUE, FLIPPED, numpy.diag([2.0, 3, 4, 1])]):
            # SimpleITK wants perpendicular axes.
            rotation, _ = numpy.linalg.qr(affine[:3, :3])
            affine = affine.copy()
            affine[:3, :3] = rotation * [1.5, 2, 3]
            for dtype in ("uint8", "int16", "float32", "float64", "uint16", "int32"):
                for name in ("a.nii", "a.nii.gz"):
                    array = volume((5, 6, 7), dtype, number)
                    path = self.path(name)
                    voxfeed.save_volume(path, array, voxfeed.nibabel_affine(affine))
                    loaded = nibabel.load(path)
                    self.same(numpy.asarray(loaded.dataobj), array.T, (dtype, name))
                    numpy.testing.assert_allclose(loaded.affine, affine, atol=1e-4)
                    numpy.testing.assert_allclose(loaded.get_qform(), affine, atol=1e-3)
                    image = SimpleITK.ReadImage(path)
                    self.same(SimpleITK.GetArrayFromImage(image), array, (dtype, name))
                    # One marked voxel (depth 1, height 2, width 4): ITK tells its place in LPS.
                    left, posterior, superior = image.TransformIndexToPhysicalPoint((4, 2, 1))
                    place = (voxfeed.nibabel_affine(affine) @ [1, 2, 4, 1])[:3]
                    numpy.testing.assert_allclose([-left, -posterior, superior], place, atol=1e-3)
                    again = opened(path)
                    self.same(again.read(0, "images", "one"), array, name)
                    info = again.volume_info(0, "images")
                    numpy.testing.assert_allclose(info.nibabel_affine, affine, atol=1e-4)

    def test_a_stored_orientation_comes_back_in_the_same_place(self):
        for codes in ("RAS", "LPS", "LAS", "PIR", "SLA"):
            ornt = nibabel.orientations.axcodes2ornt(codes)
            affine = FLIPPED @ nibabel.orientations.inv_ornt_aff(
                nibabel.orientations.ornt_transform(nibabel.io_orientation(FLIPPED), ornt), (7, 6, 5))
            array = numpy.zeros((7, 6, 5), "int16")
            array[4, 2, 1] = 9
            nibabel.save(nibabel.Nifti1Image(array, affine), self.path("a.nii"))
            for orient in (None, "RAS", "LPS"):
                dataset = opened(self.path("a.nii"), options={"orient": orient})
                seen = dataset.read(0, "images", "one")
                voxfeed.save_volume(self.path("b.nii.gz"), seen, dataset.volume_info(0, "images").affine)
                loaded = nibabel.load(self.path("b.nii.gz"))
                marked = numpy.argwhere(numpy.asarray(loaded.dataobj) == 9)
                self.assertEqual(len(marked), 1)
                numpy.testing.assert_allclose(loaded.affine @ numpy.append(marked[0], 1), affine @ [4, 2, 1, 1],
                                              atol=1e-3)

    def test_channels_are_the_fourth_axis(self):
        array = volume((3, 5, 6, 7), "float32")
        voxfeed.save_volume(self.path("a.nii.gz"), array)
        self.same(numpy.asarray(nibabel.load(self.path("a.nii.gz")).dataobj), array.T)
        voxfeed.save_volume(self.path("a.npy"), array)
        self.same(numpy.load(self.path("a.npy")), array)

    def test_npy_of_every_dtype_and_stride(self):
        for dtype in DTYPES:
            array = volume((4, 5, 6), dtype)[::2, ::-1]
            voxfeed.save_volume(self.path("a.npy"), array)
            self.same(numpy.load(self.path("a.npy")), array, dtype)
            # Some readers, such as DALI's, know the header in numpy's own words only.
            numpy.save(self.path("numpys.npy"), array)
            headers = []
            for name in ("a.npy", "numpys.npy"):
                with open(self.path(name), "rb") as file:
                    headers.append(file.read()[10:].split(b"}")[0])
            self.assertEqual(*headers)

    def test_a_name_or_dtype_that_the_format_lacks(self):
        with self.refused(voxfeed.ArgumentError, "a.tif", ".nii"):
            voxfeed.save_volume(self.path("a.tif"), volume((3, 4, 5)))
        for dtype, stored in (("float16", "float32"), ("bool", "uint8")):
            voxfeed.save_volume(self.path("a.nii"), volume((3, 4, 5), dtype))
            self.same(numpy.asarray(nibabel.load(self.path("a.nii")).dataobj), volume((3, 4, 5), dtype).T.astype(stored))
        with self.refused(voxfeed.Error, "none"):
            voxfeed.save_volume(self.path("none/a.nii"), volume((3, 4, 5)))


if __name__ == "__main__":
    unittest.main()
