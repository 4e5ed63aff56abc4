"""What the Python tests share: folders, small datasets, and the obviously right extractor in numpy."""

import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FACE = os.path.join(ROOT, "bindings", "python")
if FACE not in sys.path:
    sys.path.insert(0, FACE)

import voxfeed  # noqa: E402

PADDINGS = {"zero": "constant", "constant": "constant", "edge": "edge", "reflect": "reflect",
            "symmetric": "symmetric", "wrap": "wrap"}


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def same(self, found, expected, about=""):
        """Equal in dtype, shape and every byte; NaN equals NaN."""
        found, expected = numpy.asarray(found), numpy.asarray(expected)
        self.assertEqual(found.dtype, expected.dtype.newbyteorder("="), about)
        numpy.testing.assert_array_equal(found, expected, err_msg=str(about))

    @contextlib.contextmanager
    def refused(self, kind, *parts):
        """The block raises this kind of error, and its one line has all these parts."""
        with self.assertRaises(kind) as caught:
            yield caught
        text = str(caught.exception)
        for part in parts:
            self.assertIn(str(part), text)
        self.assertNotIn("\n", text)
        self.assertTrue(text)


def rng(seed=0):
    return numpy.random.RandomState(seed)


def volume(shape, dtype="int16", seed=0):
    """Numbers that differ from voxel to voxel as far as the dtype lets them."""
    dtype = numpy.dtype(dtype)
    if dtype.kind == "f":
        return rng(seed).normal(0, 100, shape).astype(dtype)
    if dtype.kind == "b":
        return rng(seed).randint(0, 2, shape).astype(bool)
    info = numpy.iinfo(dtype)
    low, high = max(info.min, -2 ** 31), min(info.max, 2 ** 31 - 1)
    return rng(seed).randint(low, high, shape, dtype=numpy.int64).astype(dtype)


def in_memory(subjects, **options):
    """A dataset of {id: {category: {entry: array}}} in the order given."""
    dataset = voxfeed.Dataset(**options)
    for id, categories in subjects:
        number = dataset.add_subject(id)
        for category, entries in categories.items():
            for entry, array in entries.items():
                dataset.add_array(number, category, entry, array)
    return dataset


def opened(path, category="images", entry="one", options=None, **file_options):
    """A dataset of one subject with one volume of a file."""
    dataset = voxfeed.Dataset(**(options or {}))
    dataset.add_subject("one")
    dataset.add_file(0, category, entry, path, **file_options)
    return dataset


def small():
    """Two subjects with an image and labels."""
    return in_memory([
        (id, {"images": {"T1": volume((6, 7, 8), seed=seed)}, "labels": {"GT": volume((6, 7, 8), "uint8", seed + 1)}})
        for id, seed in (("a", 0), ("b", 2))])


def grid(dataset, patch=(3, 4, 4)):
    return voxfeed.Sampler(dataset, kind="grid", patch_shape=patch, border="shift")


def loader_of(**options):
    return voxfeed.Loader(grid(small()), **options)


def random_region(random, shape):
    """An offset and extents that lie inside."""
    offset = [random.randint(0, extent) for extent in shape]
    return offset, [random.randint(1, extent - start + 1) for extent, start in zip(shape, offset)]


def damaged(whole, random, changes):
    """The bytes of a file with so many of them changed; without changes, cut off."""
    content = bytearray(whole)
    if changes == 0:
        del content[random.randint(len(content)):]
    for _ in range(changes):
        content[random.randint(len(content))] = random.randint(256)
    return content


def window(array, offset, shape, padding="zero", value=0):
    """The region of a volume's last axes, made up with numpy.pad where it lies outside."""
    spatial = len(offset)
    lead = array.ndim - spatial
    extents = array.shape[lead:]
    before = [max(0, -start) for start in offset]
    after = [max(0, start + length - extent) for start, length, extent in zip(offset, shape, extents)]
    widths = [(0, 0)] * lead + list(zip(before, after))
    extra = {"constant_values": value} if padding == "constant" else {}
    padded = numpy.pad(array, widths, PADDINGS[padding], **extra)
    inside = tuple(slice(start + more, start + more + length) for start, more, length in zip(offset, before, shape))
    return padded[(slice(None),) * lead + inside]


def rows(loader, category="images", epoch=0):
    """Every sample of an epoch with a copy of its row."""
    out = []
    for batch in loader.epoch(epoch):
        out.extend(zip(batch.samples, batch[category].copy()))
    return out


def epoch_bytes(loader, epoch=0):
    """The bytes of every batch, and which samples they are of."""
    return [batch_bytes(batch) for batch in loader.epoch(epoch)]


def count(epoch):
    """The number of batches that are left, none of them held."""
    return sum(1 for _ in epoch)


def batch_bytes(batch):
    return [(sample.position, sample.index, sample.subject) for sample in batch.samples], batch.tensor().tobytes()


def collect():
    """Lets garbage go; twice, for what the first round made unreachable."""
    gc.collect()
    gc.collect()


def run_python(code, *arguments, **options):
    """Runs Python code in a process of its own and returns its status, output and errors."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([FACE, os.path.dirname(os.path.abspath(__file__))]))
    environment.update(options.pop("environment", {}))
    process = subprocess.run([sys.executable, "-c", code] + list(arguments), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, universal_newlines=True, env=environment,
                             timeout=options.pop("timeout", 120))
    return process.returncode, process.stdout, process.stderr


def import_pymia():
    """pymia's modules, which use names of numpy that newer versions have removed."""
    for name, kind in (("object", object), ("float", float), ("int", int), ("bool", bool)):
        if name not in vars(numpy):
            setattr(numpy, name, kind)
    import pymia.data.assembler as assembler
    import pymia.data.creation as creation
    import pymia.data.extraction as extraction
    return creation, extraction, assembler
