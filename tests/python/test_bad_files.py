"""Files that are broken, in known ways and at random: a clean error that names the file, never a crash or a hang."""

import gzip
import json
import os
import struct
import subprocess
import sys
import unittest

import h5py
import nibabel
import numpy

import support
import voxfeed
from support import Case, opened, volume

# Opens, describes and reads each file that it is given, as a file and as a dataset, and prints one JSON line about
# each. Before that it says which file is next, so that a crash can be blamed on one.
READER = r"""
import json, resource, signal, sys
import voxfeed
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

def read(dataset):
    for subject in range(len(dataset)):
        for category, entries in dataset.categories(subject).items():
            for entry in entries:
                info = dataset.volume_info(subject, category, entry)
                voxels = info.channels
                for extent in info.shape:
                    voxels *= extent
                if voxels <= 1 << 24:
                    dataset.read(subject, category, entry)

for path in json.load(sys.stdin):
    print("next", path, flush=True)
    signal.alarm(20)
    try:
        try:
            read(voxfeed.Dataset(path, io=sys.argv[1]))
        finally:
            dataset = voxfeed.Dataset(io=sys.argv[1])
            dataset.add_subject("a")
            if not path.endswith(("pymia.h5", "m.json")):
                dataset.add_file(0, "images", "one", path)
            read(dataset)
        print(json.dumps([path, "read", ""]))
    except voxfeed.Error as error:
        print(json.dumps([path, type(error).__name__, str(error)]))
    except MemoryError:
        print(json.dumps([path, "MemoryError", path]))
"""


class Bad(Case):
    def good(self):
        """One small file of each format."""
        paths = {}
        array = volume((5, 6, 7))
        for name in ("a.npy", "f.npy", "z.npz", "s.npz", "a.nii", "b.nii.gz", "p.hdr", "two.nii", "a.h5", "c.h5"):
            paths[name] = self.path(name)
        numpy.save(paths["a.npy"], array)
        numpy.save(paths["f.npy"], numpy.asfortranarray(array.astype(">f4")))
        numpy.savez_compressed(paths["z.npz"], a=array)
        numpy.savez(paths["s.npz"], a=array)
        nibabel.save(nibabel.Nifti1Image(array, numpy.eye(4)), paths["a.nii"])
        nibabel.save(nibabel.Nifti1Image(array, numpy.eye(4)), paths["b.nii.gz"])
        nibabel.save(nibabel.Nifti1Pair(array, numpy.eye(4)), paths["p.hdr"])
        nibabel.save(nibabel.Nifti2Image(array, numpy.eye(4)), paths["two.nii"])
        with h5py.File(paths["a.h5"], "w") as file:
            file["vol"] = array
        with h5py.File(paths["c.h5"], "w", libver="latest") as file:
            file.create_dataset("vol", data=array, chunks=(2, 3, 4), compression="gzip", shuffle=True, fletcher32=True)
        return paths

    def studies(self):
        """One small file of each format that holds a dataset."""
        paths = {"pymia.h5": self.path("pymia.h5"), "m.json": self.path("m.json")}
        with voxfeed.Writer(paths["pymia.h5"]) as writer:
            for id in ("a", "b"):
                writer.add_subject(id)
                writer.add_entry("images", "T1", volume((3, 4, 5)))
                writer.add_entry("labels", "GT", volume((3, 4, 5), "uint8"))
        numpy.save(self.path("t1.npy"), volume((3, 4, 5)))
        with open(paths["m.json"], "w") as file:
            json.dump({"voxfeed_manifest": 1, "splits": {"train": ["a"]}, "subjects": [
                {"id": "a", "categories": {"images": {"T1": "t1.npy"}, "labels": {
                    "GT": {"file": "t1.npy", "channel": "none"}}}, "attributes": {"age": 61}}]}, file)
        return paths

    def run_reader(self, paths, io, code=READER):
        environment = dict(os.environ, PYTHONPATH=support.FACE)
        process = subprocess.run([sys.executable, "-c", code, io], input=json.dumps(paths), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, universal_newlines=True, timeout=240, env=environment)
        lines = process.stdout.splitlines()
        last = [line for line in lines if line.startswith("next")][-1:]
        self.assertEqual(process.returncode, 0, "%s\n%s" % (last, process.stderr))
        return [json.loads(line) for line in lines if not line.startswith("next")]

    def fails(self, path, kinds, *parts):
        """Opening or reading is refused with one of these kinds, and the error names the file."""
        with self.refused(kinds, os.path.basename(path), *parts) as caught:
            opened(path).read(0, "images", "one")
        self.assertIn(os.path.basename(path), caught.exception.path)
        return caught.exception


class Known(Bad):
    def test_truncated_files(self):
        for name, path in self.good().items():
            if name == "p.hdr":
                path = self.path("p.img")
            with open(path, "rb") as file:
                whole = file.read()
            for length in (len(whole) - 1, len(whole) - 40, len(whole) // 2, 400, 300, 100, 11, 3):
                if length >= len(whole) or name == "p.hdr" and length < 4:
                    continue
                with open(path, "wb") as file:
                    file.write(whole[:length])
                self.fails(path, (voxfeed.FormatError, voxfeed.IoError))

    def test_empty_files(self):
        for name, path in self.good().items():
            open(path, "w").close()
            self.fails(path, voxfeed.FormatError)

    def test_other_content_than_the_name_says(self):
        for name, path in self.good().items():
            with open(path, "wb") as file:
                file.write(b"these are not the voxels that you are looking for\n" * 30)
            self.fails(path, voxfeed.FormatError)
        for name in ("a.txt", "a"):
            with open(self.path(name), "wb") as file:
                file.write(b"nothing that anybody knows, again and again\n" * 30)
            self.fails(self.path(name), voxfeed.UnsupportedError)

    def test_files_that_are_not_there(self):
        for name in ("a.npy", "a.nii", "a.h5", "none/a.npz"):
            self.fails(self.path(name), voxfeed.NotFoundError)
        os.symlink(self.path("nowhere"), self.path("dangling.nii"))
        self.fails(self.path("dangling.nii"), voxfeed.NotFoundError)

    def test_a_folder_instead_of_a_file(self):
        for name in ("a.npy", "a.nii.gz", "a.h5"):
            os.mkdir(self.path(name))
            self.fails(self.path(name), voxfeed.Error)
            with self.refused(voxfeed.Error, name):
                voxfeed.Dataset(self.path(name))

    def test_pipes_and_devices_in_the_place_of_files(self):
        names = ["x.nii", "x.nii.gz", "x.hdr", "x.npy", "x.npz", "x.h5", "x.b2nd", "x.svs", "m.json", "x"]
        paths = [os.path.join(self.folder, name) for name in names] + ["/dev/zero"]
        for path in paths[:-1]:
            os.mkfifo(path)
        for name in ("zarr.json", ".zarray", "manifest.json", "dataset.json"):
            folder = os.path.join(self.folder, name[:3])
            os.mkdir(folder)
            os.mkfifo(os.path.join(folder, name))
            paths.append(folder)
        study = os.path.join(self.folder, "study", "sub-01")
        os.makedirs(study)
        os.mkfifo(os.path.join(study, "T1.nii.gz"))
        paths.append(os.path.dirname(study))
        for io in ("auto", "positional"):
            found = self.run_reader(paths, io)
            self.assertEqual([path for path, _, _ in found], paths)
            for path, kind, text in found:
                self.assertNotEqual(kind, "read", path)
            for path, kind, text in found[:len(names) + 1]:
                self.assertIn("it is a device" if path == "/dev/zero" else "it is a pipe", text)

    def test_files_that_may_not_be_read(self):
        paths = [path for path in self.good().values() if not path.endswith(("f.npy", "s.npz"))]
        for path in paths:
            os.chmod(path, 0)
        os.chmod(self.folder, 0o755)
        # Root may read everything, so that the reader is nobody.
        code = READER.replace("import voxfeed", "import os, voxfeed\nos.geteuid() or os.setuid(65534)")
        for path, kind, text in self.run_reader(paths, "auto", code):
            self.assertEqual(kind, "IoError", (path, text))
            self.assertIn(os.path.basename(path), text)
            self.assertIn("denied", text)

    def test_a_pair_without_its_voxels(self):
        path = self.good()["p.hdr"]
        os.remove(self.path("p.img"))
        self.fails(path, voxfeed.NotFoundError, ".img")

    def test_npy_headers_that_lie(self):
        def npy(header, body=b"\0" * 420, version=b"\x01\x00"):
            header = header.encode()
            with open(self.path("a.npy"), "wb") as file:
                file.write(b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body)
            return self.path("a.npy")

        good = "{'descr': '<i2', 'fortran_order': False, 'shape': %s, }\n"
        self.assertEqual(opened(npy(good % "(5, 6, 7)")).read(0, "images", "one").shape, (5, 6, 7))
        for shape in ("(5, 6, 8)", "(4294967296, 4294967296, 4)", "(9223372036854775807, 2)", "(5, -6, 7)",
                      "(99999999999999999999999,)", "(5, 6.5, 7)", "(5, 6", "5", "()"):
            self.fails(npy(good % shape), (voxfeed.FormatError, voxfeed.UnsupportedError))
        # Where the channels are is then the caller's to say, so the caller's value is what is wrong.
        self.fails(npy(good % "(1, 1, 1, 1, 1, 1, 1, 210)"), voxfeed.ArgumentError, "8 axes")
        for header in ("{}", "", "{'descr': '<i2'}", "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
                       "{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (3,)}",
                       "{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}",
                       "{'descr': '<i3', 'fortran_order': False, 'shape': (3,)}",
                       "{'descr': '<i2', 'fortran_order': 7, 'shape': (3,)}",
                       "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), 'x': __import__('os')}"):
            self.fails(npy(header), (voxfeed.FormatError, voxfeed.UnsupportedError))
        for version in (b"\x00\x00", b"\x04\x00", b"\xff\xff"):
            self.fails(npy(good % "(5, 6, 7)", version=version), (voxfeed.FormatError, voxfeed.UnsupportedError))

    def test_nifti_headers_that_lie(self):
        path = self.good()["a.nii"]
        with open(path, "rb") as file:
            whole = file.read()
        cases = [(0, "<i", 349), (40, "<h", 0), (40, "<h", 8), (40, "<h", -1), (42, "<h", -5), (42, "<h", 0),
                 (42, "<h", 32767), (42, "<hhh", 32767, 32767, 32767), (70, "<h", 0), (70, "<h", 999), (70, "<h", 32),
                 (70, "<h", 128), (72, "<h", 12), (108, "<f", -1.0), (108, "<f", 1e30), (108, "<f", float("nan")),
                 (108, "<f", 3.0), (344, "<4s", b"abc\0"), (40, "<hhhhhh", 5, 5, 6, 7, 1, 4)]
        for place, form, *values in cases:
            with open(path, "wb") as file:
                packed = struct.pack(form, *values)
                file.write(whole[:place] + packed + whole[place + len(packed):])
            self.fails(path, (voxfeed.FormatError, voxfeed.UnsupportedError))
        with gzip.open(self.path("a.nii.gz"), "wb") as file:
            file.write(whole[:42] + struct.pack("<hhh", 32767, 32767, 3000) + whole[48:])
        self.fails(self.path("a.nii.gz"), (voxfeed.FormatError, voxfeed.LimitError, voxfeed.OutOfMemoryError))

    def test_a_heap_that_leads_nowhere(self):
        # The names lie in a collection of objects; the library that reads it would never leave one of no size.
        path = self.studies()["pymia.h5"]
        with open(path, "rb") as file:
            whole = bytearray(file.read())
        place = whole.index(b"GCOL") + 16
        while whole[place:place + 2] != b"\0\0":
            place += 16 + (struct.unpack_from("<Q", whole, place + 8)[0] + 7) // 8 * 8
        struct.pack_into("<Q", whole, place + 8, 0)
        with open(path, "wb") as file:
            file.write(whole)
        [(_, kind, text)] = self.run_reader([path], "auto")
        self.assertEqual(kind, "FormatError")
        self.assertIn("heap", text)

    def test_shapes_that_no_machine_holds(self):
        with h5py.File(self.path("a.h5"), "w") as file:
            file.create_dataset("vol", (1 << 20, 1 << 20, 1 << 20), "f4", chunks=(16, 16, 16), compression="gzip")
        dataset = opened(self.path("a.h5"))
        self.assertEqual(dataset.volume_info(0, "images").shape, (1 << 20,) * 3)
        self.same(dataset.read(0, "images", "one", offset=(1 << 19,) * 3, shape=(4, 5, 6)), numpy.zeros((4, 5, 6), "f4"))
        with self.assertRaises((voxfeed.Error, MemoryError)):
            next(voxfeed.Loader(voxfeed.Sampler(dataset)).epoch(0))
        with self.assertRaises((voxfeed.Error, MemoryError, ValueError)):
            dataset.read(0, "images", "one")

    def test_names_of_every_kind(self):
        for name in (u"gr\u00fc\u00dfe \u4e2d.npy", u"with % and \\ and '.npy", "x" * 200 + ".npy"):
            numpy.save(self.path(name), volume((3, 4, 5)))
            self.same(opened(self.path(name)).read(0, "images", "one"), volume((3, 4, 5)))
        with open(os.path.join(os.fsencode(self.folder), b"\xff\xfe.npy"), "wb") as file:
            numpy.save(file, volume((3, 4, 5)))
        self.same(opened(os.path.join(os.fsencode(self.folder), b"\xff\xfe.npy")).read(0, "images", "one"),
                  volume((3, 4, 5)))


class Fuzz(Bad):
    """A few hundred damaged files, read in a process of its own."""

    def mutations(self, whole, random, count):
        """Headers with bits flipped, bytes replaced, parts cut out or doubled, and plain noise."""
        for number in range(count):
            data = bytearray(whole)
            head = min(len(data), 512 if number % 4 else len(data))
            kind = number % 5
            for _ in range(random.randint(1, 6)):
                place = random.randint(head)
                if kind == 0:
                    data[place] ^= 1 << random.randint(8)
                elif kind == 1:
                    data[place] = random.choice([0, 1, 127, 128, 255, random.randint(256)])
                elif kind == 2:
                    data[place:place + 8] = bytes(random.randint(0, 256, 8).tolist())
                elif kind == 3:
                    del data[place:place + random.randint(1, 40)]
                else:
                    data[place:place] = data[place:place + random.randint(1, 40)]
                head = min(head, len(data))
            yield bytes(data)

    def check(self, names, count, io="auto"):
        random = support.rng(len(names[0]) + count)
        good, paths = dict(self.good(), **self.studies()), []
        for name in names:
            with open(good[name], "rb") as file:
                whole = file.read()
            for number, data in enumerate(self.mutations(whole, random, count)):
                path = self.path("m%03d_%s" % (number, name))
                with open(path, "wb") as file:
                    file.write(data)
                if name == "p.hdr":
                    os.symlink(self.path("p.img"), path[:-3] + "img")
                paths.append(path)
        found = self.run_reader(paths, io)
        self.assertEqual([path for path, _, _ in found], paths)
        allowed = {"read", "FormatError", "UnsupportedError", "IoError", "NotFoundError", "ArgumentError", "LimitError",
                   "OutOfMemoryError", "MemoryError", "RangeError"}
        for path, kind, text in found:
            self.assertIn(kind, allowed, (path, text))
            if kind not in ("read", "MemoryError"):
                self.assertIn(os.path.basename(path)[:-4], text, kind)
                self.assertNotIn("\n", text)
        self.assertGreater(sum(kind != "read" for _, kind, _ in found), len(paths) // 10)

    def test_npy(self):
        self.check(["a.npy", "f.npy"], 100)

    def test_npz(self):
        self.check(["z.npz", "s.npz"], 80)

    def test_nifti(self):
        self.check(["a.nii", "b.nii.gz", "two.nii", "p.hdr"], 80)

    def test_hdf5(self):
        self.check(["a.h5", "c.h5"], 150)

    def test_studies(self):
        self.check(["pymia.h5", "m.json"], 150)

    def test_positional_reads(self):
        self.check(["a.npy", "a.nii", "a.h5"], 40, "positional")

    def test_noise(self):
        random, paths = support.rng(5), []
        for number in range(60):
            for magic in (b"", b"\x93NUMPY\x01\x00", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b\x08\x00",
                          struct.pack("<i", 348), struct.pack(">i", 540)):
                path = self.path("n%d_%d" % (number, len(paths)))
                with open(path, "wb") as file:
                    file.write(magic + bytes(random.randint(0, 256, random.randint(1, 900)).tolist()))
                paths.append(path)
        for path, kind, text in self.run_reader(paths, "auto"):
            self.assertIn(kind, ("FormatError", "UnsupportedError", "IoError"), (path, text))
            self.assertIn(os.path.basename(path), text)


if __name__ == "__main__":
    unittest.main()
