"""Deflated volumes against nibabel and numpy: however they are packed, through the whole inflate and the index."""

import gzip
import io
import os
import struct
import subprocess
import sys
import unittest
import zipfile
import zlib

import nibabel
import numpy

import voxfeed
from support import FACE, Case, opened, random_region, rng

WAYS = [{"seek_index": "never"}, {"seek_index": "always"}, {"cache_bytes": 1}, {"cache_bytes": 3 << 20},
        {"seek_index": "always", "cache_bytes": 1, "io": "positional"}]


def scan(shape, dtype, seed):
    """Voxels like a scan's: smooth, with noise, and empty outside."""
    random = rng(seed)
    z, y, x = numpy.ogrid[:shape[0], :shape[1], :shape[2]]
    smooth = z * 5 + y // 3 + x // 7
    noise = random.randint(0, 40, shape)
    inside = (y - shape[1] / 2.0) ** 2 + (x - shape[2] / 2.0) ** 2 < (shape[1] * shape[2]) / 6.0
    return numpy.where(inside, smooth + noise, 0).astype(dtype)


def member(plain, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, memory=8, flush=None, every=50000):
    """A gzip member, by zlib's own hands."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31, memory, strategy)
    out = []
    for at in range(0, len(plain), every):
        out.append(packer.compress(plain[at:at + every]))
        if flush is not None:
            out.append(packer.flush(flush))
    return b"".join(out) + packer.flush()


def bgzf(plain):
    """Blocks of 64 KiB with their size in an extra field, and the empty one at the end, as bgzip writes them."""
    out = []
    for at in list(range(0, len(plain), 65280)) + [len(plain)]:
        piece = plain[at:at + 65280]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        data = packer.compress(piece) + packer.flush()
        out.append(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + struct.pack("<H", len(data) + 25) + data)
        out.append(struct.pack("<II", zlib.crc32(piece) & 0xFFFFFFFF, len(piece)))
    return b"".join(out)


class Deflated(Case):
    def check(self, path, expected, about, ways=WAYS):
        random = rng(len(str(about)))
        for way in ways:
            dataset = opened(path, options=way)
            for _ in range(6):
                offset, shape = random_region(random, expected.shape)
                found = dataset.read(0, "images", "one", offset=offset, shape=shape)
                inside = expected[tuple(slice(o, o + s) for o, s in zip(offset, shape))]
                self.same(found, inside, (about, way, offset, shape))
            self.same(dataset.read(0, "images", "one"), expected, (about, way))

    def plain(self, array, order="<"):
        """The bytes of a NIfTI file of nibabel's; its axes are ours the other way round."""
        header = nibabel.Nifti1Header(endianness=order)
        header.set_data_dtype(array.dtype.newbyteorder(order))
        image = nibabel.Nifti1Image(array.T, numpy.diag([1, 2, 3, 1]), header)
        image.header.set_data_dtype(array.dtype.newbyteorder(order))
        return image.to_bytes()

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_what_nibabel_saves_at_any_level(self):
        for level, dtype in [(1, "int16"), (6, "float32"), (9, "uint8"), (0, "float64")]:
            array = scan((50, 120, 150), dtype, level)
            path = self.path("level%d.nii.gz" % level)
            opener = nibabel.openers.Opener.default_compresslevel
            nibabel.openers.Opener.default_compresslevel = level
            try:
                nibabel.save(nibabel.Nifti1Image(array.T, numpy.eye(4)), path)
            finally:
                nibabel.openers.Opener.default_compresslevel = opener
            self.check(path, numpy.asarray(nibabel.load(path).dataobj).T, (level, dtype))

    def test_streams_of_every_make(self):
        array = scan((40, 140, 170), "int16", 3)
        plain = self.plain(array)
        half = len(plain) // 2 + 13
        makes = {
            "fixed codes": member(plain, strategy=zlib.Z_FIXED),
            "only codes": member(plain, strategy=zlib.Z_HUFFMAN_ONLY),
            "runs": member(plain, strategy=zlib.Z_RLE),
            "filtered": member(plain, strategy=zlib.Z_FILTERED),
            "small blocks": member(plain, memory=1),
            "large blocks": member(plain, memory=9),
            "stored": member(plain, 0),
            "flushed": member(plain, flush=zlib.Z_SYNC_FLUSH, every=7001),
            "forgetful": member(plain, flush=zlib.Z_FULL_FLUSH, every=300001),
            "two levels": member(plain[:half], 1) + member(plain[half:], 9),
            "stored and not": member(plain[:half], 0) + member(plain[half:], 6) + member(b""),
            "named": self.named(plain),
            "bgzf": bgzf(plain),
            "padded": member(plain[:half]) + b"\0" * 512 + member(plain[half:]) + b"\0" * 1024,
        }
        for name, packed in makes.items():
            path = self.write("volume.nii.gz", packed)
            # What zlib's own unpacker says, member by member.
            self.assertEqual(gzip.decompress(packed), plain)
            self.check(path, array, name)

    @staticmethod
    def named(plain):
        out = io.BytesIO()
        with gzip.GzipFile("a name of some length.nii", "wb", 6, out, 12345) as file:
            file.write(plain)
        return out.getvalue()

    def test_big_endian_volumes(self):
        array = scan((30, 150, 160), "int32", 4)
        path = self.write("volume.nii.gz", member(self.plain(array, ">")))
        self.assertEqual(nibabel.load(path).header.endianness, ">")
        self.check(path, numpy.asarray(nibabel.load(path).dataobj).T.astype("int32"), "big")

    def test_what_numpy_deflates(self):
        for order in "CF":
            array = numpy.asarray(scan((40, 120, 130), "float32", 5), order=order)
            path = self.path("array.npz")
            numpy.savez_compressed(path, array)
            self.check(path, array, order)
        with zipfile.ZipFile(self.path("large.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("arr_0.npy", "w", force_zip64=True) as file:
                numpy.lib.format.write_array(file, array)
        self.check(self.path("large.npz"), array, "zip64")

    def test_cut_and_flipped_files_are_told_or_right(self):
        array = scan((20, 100, 110), "int16", 6)
        plain = self.plain(array)
        packed = member(plain[:100000]) + member(plain[100000:])
        random = rng(1)
        for number in range(60):
            content = bytearray(packed)
            at = random.randint(len(content))
            if number % 2:
                content[at] ^= 1 << random.randint(8)
            else:
                del content[at:]
            path = self.write("volume.nii.gz", bytes(content))
            for way in WAYS[:3]:
                try:
                    self.same(opened(path, options=way).read(0, "images", "one"), array, (number, at))
                except (voxfeed.FormatError, voxfeed.UnsupportedError) as error:
                    self.assertIn("volume.nii.gz", str(error))

    def test_other_methods_of_zip_are_named(self):
        buffer = io.BytesIO()
        numpy.lib.format.write_array(buffer, scan((3, 4, 5), "int16", 1))
        for method, name in [(zipfile.ZIP_BZIP2, "zip2"), (zipfile.ZIP_LZMA, "lzma")]:
            path = self.path("other.npz")
            with zipfile.ZipFile(path, "w", method) as archive:
                archive.writestr("data.npy", buffer.getvalue())
            with self.refused(voxfeed.UnsupportedError, path, "compression"):
                opened(path)
            self.assertTrue(name)

    def test_indexes_are_kept_and_serve_other_processes(self):
        array = scan((40, 160, 170), "int16", 7)
        path = self.write("volume.nii.gz", member(self.plain(array)))
        cache = self.path("indexes")
        os.mkdir(cache)
        for options, folder in [({"index_place": "beside"}, self.folder), ({"index_folder": cache}, cache)]:
            options = dict(options, seek_index="always")
            self.check(path, array, options, [options])
            indexes = [name for name in os.listdir(folder) if name.endswith(".vxfindex")]
            self.assertEqual(len(indexes), 1)
            index = os.path.join(folder, indexes[0])
            before = os.stat(index)
            code = ("import sys; sys.path.insert(0, sys.argv[1]); import voxfeed; "
                    "d = voxfeed.Dataset(sys.argv[2], **eval(sys.argv[3])); "
                    "sys.stdout.write(str(int(d.read(0, 'images').sum(dtype='int64'))))")
            told = subprocess.check_output([sys.executable, "-c", code, FACE, path, repr(options)])
            self.assertEqual(int(told), int(array.sum(dtype="int64")))
            self.assertEqual((os.stat(index).st_ino, os.stat(index).st_mtime), (before.st_ino, before.st_mtime))
            # A folder of volumes is read as without its indexes.
            self.assertEqual(len(voxfeed.Dataset(path)), 1)
        with self.refused(voxfeed.NotFoundError, "index_folder"):
            voxfeed.Dataset(path, index_folder=self.path("nowhere"))
        with self.refused(voxfeed.ArgumentError, "index_folder"):
            voxfeed.Dataset(path, index_folder=cache, index_place="beside")

    def test_a_folder_may_hold_indexes_beside_its_volumes(self):
        for name in ("images", "labels"):
            os.makedirs(self.path("study/" + name))
            for case in ("a", "b"):
                array = scan((9, 40, 50), "int16", 8)
                nibabel.save(nibabel.Nifti1Image(array.T, numpy.eye(4)), self.path("study/%s/%s.nii.gz" % (name, case)))
        for _ in range(2):
            dataset = voxfeed.Dataset(self.path("study"), seek_index="always", index_place="beside")
            self.assertEqual(len(dataset), 2)
            for subject in range(2):
                for category in ("images", "labels"):
                    self.same(dataset.read(subject, category)[0], scan((9, 40, 50), "int16", 8))
        self.assertEqual(len([name for name in os.listdir(self.path("study/images")) if name.endswith("vxfindex")]), 2)


if __name__ == "__main__":
    unittest.main()
