"""The face itself: its structs are the header's, its options are checked, its errors have kinds."""

import ctypes
import os
import re
import subprocess
import unittest

import numpy

import support
import voxfeed
from support import Case, grid, in_memory, loader_of, small, volume

HEADER = os.path.join(support.ROOT, "include", "voxfeed.h")
STRUCTS = {
    "vxf_error_info": voxfeed._ErrorInfo, "vxf_tensor": voxfeed._Tensor, "vxf_sample": voxfeed._Sample,
    "vxf_region": voxfeed._Region, "vxf_volume_info": voxfeed._VolumeInfo, "vxf_loader_stats": voxfeed._LoaderStats,
    "vxf_dataset_options": voxfeed._DatasetOptions, "vxf_file_options": voxfeed._FileOptions,
    "vxf_sampler_options": voxfeed._SamplerOptions, "vxf_category": voxfeed._Category,
    "vxf_loader_options": voxfeed._LoaderOptions, "vxf_assembler_options": voxfeed._AssemblerOptions,
    "vxf_writer_options": voxfeed._WriterOptions, "vxf_montage_options": voxfeed._MontageOptions,
    "vxf_montage_column": voxfeed._MontageColumn, "vxf_pinned_allocator": voxfeed._PinnedAllocator,
}


class Header(Case):
    """The face and voxfeed.h say the same."""

    @classmethod
    def setUpClass(cls):
        with open(HEADER) as file:
            cls.text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)

    def test_every_function_is_in_the_table_with_its_parameters(self):
        declared = {}
        for name, parameters in re.findall(r"\bvxf_(\w+)\(([^;{]*)\);", self.text):
            declared[name] = 0 if parameters.strip() == "void" else parameters.count(",") + 1
        self.assertEqual(declared, {name: len(takes) for name, _, takes in voxfeed._functions()})

    def test_every_struct_has_the_fields_sizes_and_offsets_of_c(self):
        declared = dict(re.findall(r"typedef struct \{([^}]*)\} (\w+);", self.text))
        declared = {name: re.findall(r"(\w+)(?:\[\w+\])?;", fields) for fields, name in declared.items()}
        self.assertEqual(declared, {name: [field[0] for field in struct._fields_] for name, struct in STRUCTS.items()})
        lines = []
        for name, fields in declared.items():
            lines.append('printf("%s %%zu\\n", sizeof(%s));' % (name, name))
            lines += ['printf("%s.%s %%zu %%zu\\n", offsetof(%s, %s), sizeof(((%s *)0)->%s));' % (
                name, field, name, field, name, field) for field in fields]
        source = self.path("layout.c")
        with open(source, "w") as file:
            file.write('#include "voxfeed.h"\n#include <stdio.h>\nint main(void) {\n%s\nreturn 0; }' % "\n".join(lines))
        try:
            subprocess.check_call(["gcc", "-I", os.path.dirname(HEADER), source, "-o", self.path("layout")])
        except OSError:
            self.skipTest("no gcc")
        found = subprocess.check_output([self.path("layout")]).decode().splitlines()
        expected = []
        for name in declared:
            struct = STRUCTS[name]
            expected.append("%s %d" % (name, ctypes.sizeof(struct)))
            for field in struct._fields_:
                place = getattr(struct, field[0])
                expected.append("%s.%s %d %d" % (name, field[0], place.offset, place.size))
        self.assertEqual(found, expected)

    def test_every_constant_is_the_headers(self):
        declared = {name: int(value.strip("()")) for name, value in re.findall(
            r"#define VXF_(\w+) (\(?-?\d+\)?)\n", self.text) if not name.startswith("VERSION_")}
        names = [(kind + "_" + word).upper() for kind, words in voxfeed._CHOICES.items() for word in words]
        names += ["ABI_VERSION", "MAX_NDIM", "MAX_AXES", "SAMPLE_REPEATED"]
        names += ["DLPACK_PINNED_AS_CPU", "DLPACK_PINNED_AS_PINNED", "DLPACK_NO_WAIT"]
        found = {name: getattr(voxfeed, name) for name in names}
        self.assertEqual(declared, found)

    def test_what_is_not_in_the_table_is_no_attribute(self):
        with self.assertRaises(AttributeError):
            voxfeed._lib.vxf_made_up

    def test_every_status_has_its_own_error(self):
        for word, number in voxfeed._CHOICES["status"].items():
            if number < 0:
                kind = voxfeed._ERRORS[number]
                self.assertEqual(kind("text").name, "VXF_STATUS_" + word.upper())
                self.assertEqual(kind.status, number)
                self.assertEqual(str(kind("a 'text'")), "a 'text'")


class Library(Case):
    def test_version_and_build(self):
        self.assertRegex(voxfeed.version(), r"^\d+\.\d+\.\d+")
        self.assertIn("version", voxfeed.build_info())
        self.assertGreaterEqual(voxfeed.cuda_device_count(), 0)

    def test_a_library_of_another_interface_is_refused_with_both_numbers_and_its_path(self):
        source, library = self.path("other.c"), self.path("other.so")
        names = [name for name, _, _ in voxfeed._functions()]
        with open(source, "w") as file:
            file.write("\n".join("int vxf_%s(void) { return 77; }" % name for name in names))
        try:
            subprocess.check_call(["gcc", "-shared", "-fPIC", source, "-o", library])
        except OSError:
            self.skipTest("no gcc")
        status, _, errors = support.run_python("import voxfeed", environment={"VXF_LIBRARY": library})
        self.assertEqual(status, 1)
        for part in ("ImportError", "interface 0", "speaks 77", library):
            self.assertIn(part, errors)

    def test_a_library_that_is_not_there_is_named(self):
        status, _, errors = support.run_python("import voxfeed", environment={"VXF_LIBRARY": "/no/such.so"})
        self.assertEqual(status, 1)
        self.assertIn("VXF_LIBRARY is /no/such.so", errors)

    def test_an_installed_face_finds_the_installed_library(self):
        folder = os.path.join(self.folder, "share", "voxfeed", "python")
        os.makedirs(folder)
        os.makedirs(os.path.join(self.folder, "lib"))
        os.symlink(os.path.join(support.FACE, "voxfeed.py"), os.path.join(folder, "voxfeed.py"))
        place = os.path.join(self.folder, "lib", voxfeed._Library._names()[0])
        os.symlink(os.path.abspath(voxfeed.library_path()), place)
        code = "import sys; sys.path.insert(0, sys.argv[1]); import voxfeed; print(voxfeed.library_path())"
        status, output, errors = support.run_python(code, folder, environment={"VXF_LIBRARY": ""})
        self.assertEqual((status, output.strip()), (0, os.path.normpath(place)), errors)

    def test_it_works_without_numpy(self):
        code = """if 1:
            import sys
            sys.modules["numpy"] = None
            import voxfeed
            class Given(object):
                pass
            import ctypes
            memory = (ctypes.c_float * 24)(*range(24))
            given = Given()
            given.__array_interface__ = {"version": 3, "data": (ctypes.addressof(memory), False), "shape": (2, 3, 4),
                                         "typestr": "<f4"}
            dataset = voxfeed.Dataset()
            dataset.add_array(dataset.add_subject("a"), "images", "T1", given)
            loader = voxfeed.Loader(voxfeed.Sampler(dataset, kind="slices", axes=0))
            assembler = voxfeed.Assembler(loader)
            for batch in loader.epoch(0):
                view = batch["images"]
                assert (view.shape, view.dtype, view.nbytes) == ((1, 1, 3, 4), "float32", 48), view
                assembler.add(batch, view)
            assert assembler.take(0).tobytes() == bytes(memory) == dataset.read("a", "images").tobytes()
            assert dataset.volume_info(0, "images").nibabel_affine[0][2] in (0.0, 1.0)
            print("done")
            """
        status, output, errors = support.run_python(code)
        self.assertEqual((status, output.strip()), (0, "done"), errors)


class Options(Case):
    def test_an_unknown_option_is_named_with_those_that_there_are(self):
        dataset = small()
        sampler = grid(dataset)
        cases = [
            (lambda: voxfeed.Dataset(oi="map"), "oi", ["io", "geometry", "cache_bytes", "orient"]),
            (lambda: dataset.add_file(0, "c", "e", "p", inne="x"), "inne", ["channel", "inner"]),
            (lambda: voxfeed.Sampler(dataset, patch=3), "patch", ["kind", "axes", "stride", "samples_per_subject"]),
            (lambda: voxfeed.Loader(sampler, batchsize=3), "batchsize", ["batch_size", "thin_axis", "device_id"]),
            (lambda: voxfeed.Loader(sampler, categories=[dict(name="images", type="f32")]), "type", ["dtype", "fit"]),
            (lambda: voxfeed.Assembler(voxfeed.Loader(sampler), blends="mean"), "blends", ["blend", "sigma"]),
            (lambda: voxfeed.Writer(self.path("a.h5"), overwrite=True), "overwrite", ["existing"]),
            (lambda: voxfeed.montage(self.path("a.png"), [], rows=3), "rows", ["axis", "slices", "tile_pixels", "affine"]),
        ]
        for call, wrong, allowed in cases:
            with self.refused(TypeError, repr(wrong), *allowed):
                call()

    def test_room_is_no_option(self):
        sampler = grid(small())
        loader = voxfeed.Loader(sampler)
        volumes = [volume((3, 4, 5))]
        cases = [(voxfeed.Dataset, voxfeed._DatasetOptions),
                 (lambda **given: small().add_file(0, "c", "e", "p", **given), voxfeed._FileOptions),
                 (lambda **given: voxfeed.Sampler(small(), **given), voxfeed._SamplerOptions),
                 (lambda **given: voxfeed.Loader(sampler, **given), voxfeed._LoaderOptions),
                 (lambda **given: voxfeed.Loader(sampler, categories=dict(given, name="images")), voxfeed._Category),
                 (lambda **given: voxfeed.Assembler(loader, **given), voxfeed._AssemblerOptions),
                 (lambda **given: voxfeed.Writer(self.path("a.h5"), **given), voxfeed._WriterOptions),
                 (lambda **given: voxfeed.montage(self.path("a.png"), volumes, **given), voxfeed._MontageOptions),
                 (lambda **given: voxfeed.montage(self.path("a.png"), [dict(volume=volumes[0], **given)]),
                  voxfeed._MontageColumn)]
        self.assertEqual({struct for name, struct in STRUCTS.items() if "option" in name or name in (
            "vxf_category", "vxf_montage_column")}, {struct for _, struct in cases})
        for call, struct in cases:
            own = [name for name, _ in struct._fields_ if name.startswith("reserved")]
            own += ["made_up", "struct_size", "reserved", "pinned", "axis_count", "category_count", "entry_count"]
            for name in own:
                with self.refused(TypeError, repr(name)) as caught:
                    call(**{name: 0})
                self.assertNotRegex(str(caught.exception).split(";")[1], r"reserved|struct_size|_count|pinned\b")
        with self.refused(TypeError, "consumer, cast, pinned_allocator"):
            voxfeed.Loader(sampler, pinned_alocator=None)

    def test_every_field_can_be_set(self):
        dataset = voxfeed.Dataset(io="positional", geometry="shape", cache_bytes=1 << 20, orient="RAS")
        dataset.add_array(dataset.add_subject("a"), "images", "T1", volume((6, 7, 8)), numpy.eye(4)[[2, 1, 0, 3]])
        voxfeed.Sampler(dataset, kind="slices", axes=(0, 1), border=None)
        voxfeed.Sampler(dataset, kind="uniform", patch_shape=(3, 4, 4), samples_per_subject=2)
        voxfeed.Sampler(dataset, kind="grid", patch_shape=(3, 4, 4), overlap=(1, 0, 1))
        sampler = voxfeed.Sampler(dataset, kind="grid", border="shift", patch_shape=(3, 4, 4), stride=(2, 2, 2),
                                  overlap=None)
        loader = voxfeed.Loader(
            sampler, batch_size=2, prefetch=3, threads=1, order="shuffled", last_batch="drop", on_error="stop",
            ragged="pad", thin_axis="keep", endless=False, rank=0, world_size=1, seed=7, device="cpu", device_id=0,
            transform={"name": "scale", "category": "images", "slope": 2}, categories=voxfeed.Category(
                "images", entries=["T1"], dtype="f64", padding="constant", pad_value=3, fit="saturate",
                squeeze_channel=True))
        self.assertEqual(next(loader.epoch(0))["images"].shape, (2, 3, 4, 4))
        voxfeed.Assembler(loader, blend="gaussian", reduce="argmax", dtype="u8", accumulate="f64", sigma=0.2)

    def test_an_option_that_the_kind_does_not_use_is_refused(self):
        dataset = small()
        given = {"border": "clip", "axes": (0, 1), "patch_shape": (3, 3, 3), "stride": (2, 2, 2), "overlap": (1, 1, 1),
                 "samples_per_subject": 2}
        used = {"whole": [], "slices": ["axes"], "grid": ["border", "patch_shape", "stride", "overlap"],
                "uniform": ["patch_shape", "samples_per_subject"]}
        for kind, own in used.items():
            for name, value in given.items():
                users = [other for other in used if name in used[other]]
                for word in (kind, getattr(voxfeed, "SAMPLER_KIND_" + kind.upper())):
                    if name in own:
                        voxfeed.Sampler(dataset, kind=word, **dict(
                            {"patch_shape": (4, 4, 4)} if "patch_shape" in own else {}, **{name: value}))
                        continue
                    with self.refused(voxfeed.ArgumentError, 'kind is "%s"' % kind, "not use " + name,
                                      *['"%s"' % user for user in users]):
                        voxfeed.Sampler(dataset, kind=word, **{name: value})
                voxfeed.Sampler(dataset, kind=kind, **{name: None})
        with self.refused(voxfeed.ArgumentError, 'kind is not given and so "whole"',
                          'patch_shape ("grid" and "uniform" do), samples_per_subject ("uniform" does)'):
            voxfeed.Sampler(dataset, patch_shape=(3, 3, 3), samples_per_subject=8)

    def test_patches_have_a_number_for_each_spatial_axis(self):
        flat = in_memory([("a", {"images": {"T1": volume((9, 8))}})])
        for dataset, axes in ((small(), 3), (flat, 2)):
            for name in ("patch_shape", "stride", "overlap"):
                for wrong in ((2,) * (axes - 1), [2] * (axes + 1), numpy.ones(axes + 3, int), [0] * 7, ()):
                    parts = name, "has %d numbers, expected %d" % (len(wrong), axes)
                    with self.refused(voxfeed.ArgumentError, *parts):
                        voxfeed.Sampler(dataset, kind="grid", **{name: wrong})
                for wrong in (2, 0, numpy.int64(2), numpy.array(2)):
                    with self.refused(voxfeed.ArgumentError, name + " is", "expected %d numbers" % axes):
                        voxfeed.Sampler(dataset, kind="grid", **{name: wrong})
            with self.refused(voxfeed.ArgumentError, "patch_shape is 32, expected %d numbers" % axes):
                voxfeed.Sampler(dataset, kind="uniform", patch_shape=32)
        for whole in ((3, 0, 0), [3, 0, 0], numpy.array([3, 0, 0])):
            sampler = voxfeed.Sampler(small(), kind="grid", patch_shape=whole, stride=(0, 0, 0))
            self.assertEqual((len(sampler), sampler.get(0).shape), (4, (3, 7, 8)))
        empty = voxfeed.Dataset()
        with self.refused(voxfeed.ArgumentError, "no subject"):
            voxfeed.Sampler(empty, kind="grid", patch_shape=(3, 3, 3))
        empty.add_subject("a")
        with self.refused(voxfeed.NotFoundError, "no volume"):
            voxfeed.Sampler(empty, kind="grid", patch_shape=(3, 3, 3))

    def test_words_constants_and_dtypes_mean_the_same(self):
        for dtype in ("f64", "float64", u"f64", numpy.float64, numpy.dtype("float64"), voxfeed.DTYPE_F64):
            loader = loader_of(categories={"name": "images", "dtype": dtype}, order=voxfeed.ORDER_SHUFFLED)
            self.assertEqual(next(loader.epoch(0))["images"].dtype, numpy.float64)

    def test_values_that_make_no_sense_are_python_errors(self):
        dataset = small()
        sampler = grid(dataset)
        for call, kind, parts in [
                (lambda: voxfeed.Loader(sampler, order="random"), ValueError, ['"sequential", "shuffled"', "order"]),
                (lambda: voxfeed.Loader(sampler, batch_size=-1), ValueError, ["batch_size is -1, expected 0 to"]),
                (lambda: voxfeed.Loader(sampler, batch_size=2 ** 32), ValueError, ["batch_size"]),
                (lambda: voxfeed.Loader(sampler, batch_size=2.5), TypeError, ["batch_size is 2.5"]),
                (lambda: voxfeed.Loader(sampler, order=99), voxfeed.ArgumentError, ["order is 99"]),
                (lambda: voxfeed.Loader(sampler, endless=2), voxfeed.ArgumentError, ["endless is 2"]),
                (lambda: voxfeed.Loader(sampler, categories={"name": "images", "dtype": "f99"}), ValueError, ["f99"]),
                (lambda: voxfeed.Sampler(dataset, kind="grid", patch_shape=[1] * 7), ValueError, ["patch_shape has 7"]),
                (lambda: voxfeed.Sampler(dataset, kind="slices", axes=[1] * 7), ValueError, ["axes has 7"]),
                (lambda: voxfeed.Sampler(dataset, kind=99), voxfeed.ArgumentError, ["kind is 99"]),
                (lambda: dataset.add_subject(5), TypeError, ["id is 5"]),
                (lambda: dataset.add_subject("a\0b"), ValueError, ["NUL"]),
                (lambda: dataset.add_subject("a"), ValueError, ["a"]),
                (lambda: dataset.subject_id(9), voxfeed.RangeError, ["9"]),
                (lambda: dataset.subject_id(-1), ValueError, ["-1"]),
                (lambda: dataset.find("zz"), KeyError, ["zz"]),
                (lambda: dataset.volume_info(0, "image"), voxfeed.NotFoundError, ["image", "labels"]),
                (lambda: dataset.read(0, "images", "T2"), voxfeed.NotFoundError, ["T2", "T1"]),
                (lambda: dataset.read(0, "images", offset=(0, 0)), ValueError, ["offset has 2 axes"]),
                (lambda: dataset.split("train"), voxfeed.NotFoundError, ["train"]),
                (lambda: dataset.set_split("train", [0, 0]), voxfeed.ArgumentError, []),
                (lambda: dataset.set_split("train", [7]), voxfeed.RangeError, ["7"]),
                (lambda: dataset.attribute("a", "age"), voxfeed.NotFoundError, ["age"]),
                (lambda: dataset.add_array(0, "c", "e", numpy.zeros((2, 2), complex)), TypeError, ["c16"]),
                (lambda: dataset.add_array(0, "c", "e", numpy.float32(1)), ValueError, ["0 axes"]),
                (lambda: dataset.add_array(0, "images", "T2", volume((6, 7, 9))), voxfeed.ArgumentError, ["T2"]),
                (lambda: dataset.add_array(0, "images", "T2", volume((6, 7, 8)), numpy.eye(3)), ValueError, ["four"]),
                (lambda: voxfeed.Transform("[{"), voxfeed.ArgumentError, ["JSON"]),
                (lambda: voxfeed.Transform({"name": "blur", "category": "c"}), voxfeed.ArgumentError, ["blur", "cast"]),
                (lambda: voxfeed.Dataset(orient="RAR"), voxfeed.ArgumentError, ["RAR"]),
                (lambda: sampler.get(10 ** 6), voxfeed.RangeError, []),
                (lambda: voxfeed.Loader(sampler).next_batch(), voxfeed.StateError, []),
                (lambda: voxfeed.Loader(sampler, categories=[]), voxfeed.ArgumentError, ["categories", "leave it out"]),
                (lambda: voxfeed.Loader(sampler, categories=()), voxfeed.ArgumentError, ["categories", "leave it out"]),
                (lambda: voxfeed.Loader(sampler, categories=[dict(dtype="f32")]), voxfeed.ArgumentError, ["a name"]),
                (lambda: voxfeed.Loader(sampler, categories={}), voxfeed.ArgumentError, ["needs a name"]),
                (lambda: voxfeed.Loader(sampler, categories="nothing"), voxfeed.NotFoundError, ["nothing", "images"])]:
            with self.refused(kind, *parts):
                call()

    def test_devices_that_are_not_there_are_refused(self):
        with self.assertRaises((voxfeed.NoDeviceError, voxfeed.UnsupportedError)):
            loader_of(device="cuda")

    def test_the_number_of_a_device_that_is_not_named_is_refused(self):
        plain = loader_of(device="cpu", device_id=1)
        voxfeed.Assembler(plain, device="cpu", device_id=1)
        for make in (lambda: loader_of(device_id=1), lambda: voxfeed.Assembler(plain, device_id=1)):
            with self.refused(voxfeed.ArgumentError, "device_id is 1", "VXF_DEVICE_CUDA"):
                make()


class Data(Case):
    def test_a_dataset_tells_what_was_put_in(self):
        dataset = small()
        self.assertEqual((len(dataset), dataset.ids, dataset.find("b")), (2, ["a", "b"], 1))
        self.assertEqual(dict(dataset.categories("b")), {"images": ["T1"], "labels": ["GT"]})
        dataset.set_attribute("a", u"seite", u"links \u00e4")
        dataset.set_attribute(0, "age", 61)
        self.assertEqual(dataset.attribute("a", "seite"), u"links \u00e4")
        self.assertEqual(dict(dataset.attributes("a")), {"seite": u"links \u00e4", "age": 61})
        dataset.set_split("train", ["b"])
        self.assertEqual(dataset.split("train").ids, ["b"])
        self.assertEqual(dict(dataset.splits), {"train": ["b"]})
        self.assertEqual(dataset.subset([1, "a"]).ids, ["b", "a"])
        info = dataset.volume_info("a", "labels")
        self.assertEqual((info.dtype, info.value_dtype, info.shape, info.channels, info.has_affine, info.path),
                         ("uint8", "uint8", (6, 7, 8), 1, False, ""))
        self.assertEqual((info.spacing_mm, info.affine.shape), ((1.0, 1.0, 1.0), (4, 4)))

    def test_regions_are_read_and_zero_outside(self):
        source = volume((2, 6, 7, 8), "float32")
        dataset = in_memory([("a", {"images": {"T1": source[0], "T2": source[1]}})])
        self.same(dataset.read("a", "images", "T2"), source[1])
        self.same(dataset.read("a", "images"), source)
        self.same(dataset.read("a", "images", "T1", offset=(1, 2, 3)), source[0, 1:, 2:, 3:])
        self.same(dataset.read("a", "images", "T1", shape=(2, 0, None)), source[0, :2])
        self.same(dataset.read("a", "images", offset=(-1, 5, -2), shape=(3, 4, 12)),
                  support.window(source, (-1, 5, -2), (3, 4, 12)))
        rounded = numpy.rint(source[0]).astype("int16")
        self.same(dataset.read("a", "images", "T1", dtype=numpy.int16), rounded)
        with self.refused(voxfeed.RangeError):
            dataset.read("a", "images", "T1", dtype="u8")

    def test_arrays_of_any_stride_and_byte_order_are_taken(self):
        source = volume((4, 5, 6))
        given = [source, source[::-1, ::2], source.T, numpy.asfortranarray(source), source.astype(">i2"),
                 source[:, :, ::-1], numpy.broadcast_to(source[:1, :1, :1], (3, 3, 3)), source.astype("f2"),
                 source > 0, source.astype("u8"), source[:, 1:2], numpy.broadcast_to(source[:, :1], (4, 3, 6))]
        for number, array in enumerate(given):
            dataset = in_memory([("a", {"images": {"T1": array}})])
            self.same(dataset.read(0, "images", "T1"), array, number)

    def test_arrays_of_what_is_no_number_are_named(self):
        dataset, expected = small(), ["expected bool, float16, float32"]
        for array, dtype in [(numpy.array([None] * 3), "|O"), (numpy.array([[object()]]), "|O"),
                             (numpy.zeros(3, "M8[ns]"), "<M8[ns]"), (numpy.zeros(3, "m8[10s]"), "<m8[10s]"),
                             (numpy.zeros(3, ">M8[ns]"), "<M8[ns]"), (numpy.array(["abc"]), "<U3"),
                             (numpy.zeros(3, "f4,i2"), "|V6"), (numpy.zeros(3, "complex64"), "<c8")]:
            with self.refused(TypeError, "array has dtype " + dtype, *expected):
                dataset.add_array(0, "c", "e", array)
            with self.refused(TypeError, "array has dtype " + dtype, *expected):
                voxfeed.save_volume(self.path("o.npy"), array)
        self.assertFalse(os.path.exists(self.path("o.npy")))

    def test_affines_go_in_and_out(self):
        affine = numpy.array([[0, 0, 2., 5], [0, 3, 0, 6], [4, 0, 0, 7], [0, 0, 0, 1]])
        dataset = voxfeed.Dataset()
        dataset.add_array(dataset.add_subject("a"), "images", "T1", volume((3, 4, 5)), affine)
        info = dataset.volume_info(0, "images")
        self.same(info.affine, affine)
        self.assertEqual(info.spacing_mm, (4.0, 3.0, 2.0))
        self.same(info.nibabel_affine, numpy.array([[2., 0, 0, 5], [0, 3, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]]))
        self.same(voxfeed.nibabel_affine(info.nibabel_affine), affine)


if __name__ == "__main__":
    unittest.main()
