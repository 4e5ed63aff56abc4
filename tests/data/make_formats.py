"""Makes tests/data/formats with numpy, nibabel and blosc2, and expected.json with what they read there.

    python make_formats.py

The files are the same on every run. A file named x_KIND_... is one that must be refused with an error of
that kind.
"""

import gzip
import io
import json
import os
import struct
import zipfile

import blosc2
import nibabel as nib
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "formats")
DTYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
EXPECTED = {}


def path(name):
    return os.path.join(FOLDER, name)


def write(name, content):
    with open(path(name), "wb") as file:
        file.write(content)


def numbers(dtype, shape):
    """Numbers that fill the range of the dtype, the extremes among them."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape))
    steps = np.arange(count, dtype=np.int64) * 7919 % 1009
    if dtype.kind == "b":
        flat = steps % 3 == 0
    elif dtype.kind in "ui":
        info = np.iinfo(dtype)
        flat = (steps.astype(np.uint64) * np.uint64(2**54 // 1009 * 1009 + 12345)).astype(dtype)
        flat[0], flat[-1] = info.min, info.max
    else:
        flat = ((steps - 500) / 8.0).astype(dtype)
        flat[0], flat[-1] = np.finfo(dtype).min, np.finfo(dtype).max
    return flat.reshape(shape)


def fnv(content):
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return "%016x" % value


def expect(name, array, channels=1, affine=None, scaled=False, **more):
    """Notes what a reader must find: array has its channel axis first where it has more than one."""
    kind = np.dtype(array.dtype)
    dtype = "bool" if kind.kind == "b" else "%s%d" % (kind.kind, kind.itemsize * 8)
    flat = np.ascontiguousarray(array).astype(kind.newbyteorder("<")).ravel()
    spatial = array.shape[1:] if channels > 1 else array.shape
    entry = {
        "shape": list(spatial),
        "channels": channels,
        "read_as": dtype,
        "scaled": scaled,
        "first": [float(value) for value in flat[:4]],
        "fnv": fnv(flat.tobytes()),
    }
    if affine is not None:
        entry["affine"] = [[float(value) for value in row] for row in affine[:3]]
    entry.update(more)
    EXPECTED[name] = entry


def npy_bytes(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


def npy(name, array, version=None, channels=1, seen=None, **more):
    content = npy_bytes(array, version)
    write(name, content)
    back = np.load(io.BytesIO(content))
    expect(name, back if seen is None else seen(back), channels, **more)


def npy_header(text, version=1, tail=b""):
    text = text.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + tail


def make_npy():
    for dtype in DTYPES:
        npy("npy_%s.npy" % dtype, numbers(dtype, (3, 4, 5)))
        if dtype[-1] not in "1l":
            npy("npy_%s_big.npy" % dtype, numbers(dtype, (3, 4, 5)).astype(">" + dtype))
    npy("npy_i2_fortran.npy", np.asfortranarray(numbers("i2", (3, 4, 5))))
    npy("npy_f4_fortran_big.npy", np.asfortranarray(numbers("f4", (3, 4, 5)).astype(">f4")))
    npy("npy_v2.npy", numbers("f4", (3, 4, 5)), (2, 0))
    npy("npy_v3.npy", numbers("f4", (3, 4, 5)), (3, 0))
    npy("npy_1d.npy", numbers("f4", (7,)))
    npy("npy_2d.npy", numbers("u1", (5, 6)))
    npy("npy_4d.npy", numbers("f4", (2, 3, 4, 5)), channels=2)
    npy("npy_4d_fortran.npy", np.asfortranarray(numbers("i2", (2, 3, 4, 5))), channels=2)
    npy("npy_4d_last.npy", numbers("i2", (3, 4, 5, 2)), channels=2, channel="last",
        seen=lambda array: np.moveaxis(array, -1, 0))
    npy("npy_4d_none.npy", numbers("i2", (2, 3, 4, 5)), channel="none")
    npy("npy_3d_first.npy", numbers("i2", (2, 4, 5)), channels=2, channel="first")
    old = npy_header("{'descr': '<i2', 'shape': (3L, 4L), 'fortran_order': False, }\n", 1,
                     numbers("i2", (3, 4)).tobytes())
    write("npy_python2.npy", old)
    expect("npy_python2.npy", numbers("i2", (3, 4)))
    content = npy_bytes(numbers("f4", (3, 4, 5)))
    write("x_format_truncated.npy", content[:-1])
    write("x_format_header_cut.npy", content[:60])
    write("x_format_magic.npy", b"\x92" + content[1:])
    write("x_unsupported_version.npy", content[:6] + b"\x09" + content[7:])
    write("x_unsupported_complex.npy", npy_bytes(np.zeros((2, 3), "c8")))
    write("x_unsupported_string.npy", npy_bytes(np.array([["ab", "c"]])))
    write("x_unsupported_structured.npy", npy_bytes(np.zeros(3, [("a", "f4"), ("b", "i2")])))
    write("x_unsupported_empty.npy", npy_bytes(np.zeros((2, 0, 3), "f4")))
    write("x_argument_5d.npy", npy_bytes(np.zeros((1, 1, 1, 1, 1), "f4")))
    objects = "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n"
    write("x_unsupported_object.npy", npy_header(objects, 1, b"\x80\x04N."))
    nonsense = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, ] }\n"
    write("x_format_nonsense.npy", npy_header(nonsense, 1, b"\0" * 64))
    huge = "{'descr': '<f8', 'fortran_order': True, 'shape': (%d, %d, 9), }\n" % (2**62, 2**61)
    write("x_format_huge.npy", npy_header(huge, 1, b"\0" * 64))
    write("x_format_long_header.npy", b"\x93NUMPY\x02\0\xff\xff\xff\xff" + b" " * 64)


def make_npz():
    one, two = numbers("f4", (3, 4, 5)), numbers("u1", (3, 4, 5))
    np.savez(path("npz_one.npz"), whatever=one)
    expect("npz_one.npz", one)
    np.savez(path("npz_data.npz"), seg=two, data=one)
    expect("npz_data.npz", one)
    np.savez(path("npz_named.npz"), seg=two, data=one)
    expect("npz_named.npz", two, inner="seg")
    np.savez_compressed(path("npz_deflated.npz"), seg=two, data=numbers("f4", (2, 3, 4, 5)))
    expect("npz_deflated.npz", numbers("f4", (2, 3, 4, 5)), 2, inner="data.npy")
    big = np.asfortranarray(numbers("i2", (3, 4, 5)).astype(">i2"))
    np.savez_compressed(path("npz_deflated_fortran_big.npz"), big)
    expect("npz_deflated_fortran_big.npz", big)
    np.savez(path("x_argument_several.npz"), seg=two, image=one)
    with zipfile.ZipFile(path("x_notfound_no_array.npz"), "w") as archive:
        archive.writestr(zipfile.ZipInfo("readme.txt"), "nothing")
    with zipfile.ZipFile(path("x_unsupported_bzip2.npz"), "w") as archive:
        info = zipfile.ZipInfo("data.npy")
        info.compress_type = zipfile.ZIP_BZIP2
        archive.writestr(info, npy_bytes(one))
    for name, method in [("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)]:
        with zipfile.ZipFile(path("x_format_short_%s.npz" % name), "w") as archive:
            info = zipfile.ZipInfo("data.npy")
            info.compress_type = method
            archive.writestr(info, npy_bytes(one)[:-4])
    with open(path("npz_deflated.npz"), "rb") as file:
        content = bytearray(file.read())
    write("x_format_truncated.npz", content[:-30])
    place = content.index(b"PK\x03\x04", 10)
    content[place + 250] ^= 0x55
    write("x_format_damaged.npz", content)
    liar = io.BytesIO()
    with zipfile.ZipFile(liar, "w") as archive:
        info = zipfile.ZipInfo("data.npy")
        info.compress_type = zipfile.ZIP_DEFLATED
        head = "{'descr': '<f4', 'fortran_order': False, 'shape': (500000, 500000, 10), }\n"
        archive.writestr(info, npy_header(head, 1, b"\0" * 60))
    liar = liar.getvalue()
    size = len(npy_header(head)) + 60
    write("x_format_bomb.npz", liar.replace(struct.pack("<I", size), struct.pack("<I", 2**32 - 2)))


def header(shape, dtype="<i2", version=1, endian="<"):
    klass = nib.Nifti1Header if version == 1 else nib.Nifti2Header
    made = klass(endianness=endian)
    made.set_data_dtype(np.dtype(dtype).newbyteorder(endian))
    made.set_data_shape(shape)
    made["pixdim"][1:4] = [1.5, 2.0, 2.5]
    return made


def nifti_bytes(array, made=None, **fields):
    """A single file: array's axes as nibabel has them, x first."""
    made = header(array.shape, array.dtype) if made is None else made
    second = made["sizeof_hdr"] == 540
    made["magic"] = made.single_magic
    made["vox_offset"] = 544 if second else 352
    for name, value in fields.items():
        made[name] = value
    offset = int(made["vox_offset"])
    head = made.binaryblock
    head += b"\0" * (offset - len(head))
    return head + array.astype(array.dtype.newbyteorder(made.endianness)).tobytes(order="F")


UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001, 0: 1.0}


def note_nifti(name):
    image = nib.load(path(name))
    shape = list(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    # The header of a loaded image has lost its scaling; the array has kept it.
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    data = image.get_fdata() if scaled else np.asanyarray(image.dataobj.get_unscaled())
    if data.dtype.names:
        parts = [data[part].reshape(shape).T for part in data.dtype.names]
        data, channels = np.stack(parts), len(parts)
    else:
        channels = int(np.prod(shape[3:]))
        data = data.reshape(shape).T
        data = data.reshape((channels,) + data.shape[-3:]) if channels > 1 else data
    affine = image.affine * UNIT_MM[int(image.header["xyzt_units"]) & 7]
    expect(name, data, channels, affine, scaled)


def nifti(name, array, made=None, **fields):
    write(name, nifti_bytes(array, made, **fields))
    note_nifti(name)


def make_nifti():
    shape = (5, 4, 3)
    sform = {"sform_code": 1, "srow_x": [-1.5, 0.1, 0, 40], "srow_y": [0, 2, 0.25, -50],
             "srow_z": [0.5, 0, 2.5, -60]}
    qform = {"qform_code": 1, "quatern_b": 0.1, "quatern_c": -0.25, "quatern_d": 0.75,
             "qoffset_x": 10, "qoffset_y": -20.5, "qoffset_z": 30}
    for dtype in DTYPES:
        if dtype in ("bool", "f2"):
            continue
        array = numbers(dtype, shape)
        nifti("nifti1_%s.nii" % dtype, array, header(shape, dtype), **sform)
        nifti("nifti2_%s_big.nii" % dtype, array, header(shape, dtype, 2, ">"), **sform)
    i2 = numbers("i2", shape)
    nifti("nifti1_big.nii", i2, header(shape, endian=">"), **sform)
    nifti("nifti2.nii", i2, header(shape, version=2), **sform)
    nifti("qform.nii", i2, **qform)
    nifti("qform_qfac.nii", i2, pixdim=[-1, 1.5, 2, 2.5, 0, 0, 0, 0], **qform)
    nifti("qform_half_turn.nii", i2, qform_code=2, quatern_b=0, quatern_c=np.sqrt(0.5), quatern_d=np.sqrt(0.5))
    nifti("qform_nifti2.nii", i2, header(shape, version=2), **qform)
    nifti("sform_and_qform.nii", i2, **dict(sform, **qform))
    nifti("no_form.nii", i2)
    nifti("no_form_2d.nii", numbers("i2", (5, 4)))
    nifti("no_form_1d.nii", numbers("i2", (5,)))
    nifti("metres.nii", i2, xyzt_units=1, **sform)
    nifti("micrometres_and_seconds.nii", i2, xyzt_units=3 + 8, **qform)
    nifti("scaled_i2.nii", i2, scl_slope=0.3, scl_inter=-7.7)
    nifti("scaled_u1_big.nii", numbers("u1", shape), header(shape, "u1", endian=">"), scl_slope=2, scl_inter=0)
    nifti("scaled_nifti2.nii", i2, header(shape, version=2), scl_slope=0.1, scl_inter=3)
    nifti("shifted_only.nii", i2, scl_slope=1, scl_inter=-1000)
    nifti("slope_zero.nii", i2, scl_slope=0, scl_inter=5)
    nifti("slope_nan.nii", i2, scl_slope=np.nan, scl_inter=5)
    nifti("slope_one.nii", i2, scl_slope=1, scl_inter=0)
    nifti("depth_one.nii", numbers("i2", (5, 4, 1)), **sform)
    nifti("time.nii", numbers("i2", (5, 4, 3, 2)), **sform)
    nifti("time_one.nii", numbers("i2", (5, 4, 3, 1)), **sform)
    nifti("vector.nii", numbers("f4", (5, 4, 3, 1, 3)), **sform)
    nifti("time_and_vector.nii", numbers("u1", (5, 4, 1, 2, 3)), **sform)
    nifti("trailing_ones.nii", numbers("u1", (5, 4, 3, 1, 1, 1, 1)), **sform)
    nifti("extension.nii", i2, vox_offset=416, **sform)
    colour = np.zeros(shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for number, part in enumerate("RGB"):
        colour[part] = numbers("u1", shape) // (number + 1)
    nifti("colour.nii", colour, **sform)
    content = nifti_bytes(i2, **sform)
    write("gzip.nii.gz", gzip.compress(content, 6, mtime=0))
    note_nifti("gzip.nii.gz")
    members = [content[:100], content[100:400], content[400:]]
    write("members.nii.gz", b"".join(gzip.compress(part, 6, mtime=0) for part in members))
    note_nifti("members.nii.gz")
    write("padded.nii.gz", gzip.compress(content, 6, mtime=0) + b"\0" * 512)
    note_nifti("padded.nii.gz")
    write("gzip_named_otherwise.bin", gzip.compress(content, 1, mtime=0))
    EXPECTED["gzip_named_otherwise.bin"] = EXPECTED["gzip.nii.gz"]
    made = header(shape, "f4", 2, ">")
    write("gzip_scaled.nii.gz", gzip.compress(nifti_bytes(numbers("f4", shape), made, scl_slope=2, scl_inter=1), mtime=0))
    note_nifti("gzip_scaled.nii.gz")
    make_pairs(i2, sform)
    refuse_nifti(content, i2)


def make_pairs(i2, sform):
    for name, made in [("pair", header(i2.shape)), ("pair_big", header(i2.shape, endian=">"))]:
        content = nifti_bytes(i2, made, **sform)
        made["magic"], made["vox_offset"] = made.pair_magic, 0
        write(name + ".hdr", made.binaryblock)
        write(name + ".img", content[352:])
        note_nifti(name + ".hdr")
        EXPECTED[name + ".img"] = EXPECTED[name + ".hdr"]
    made = header(i2.shape)
    content = nifti_bytes(i2, made, **sform)
    made["magic"], made["vox_offset"] = made.pair_magic, 16
    write("pair_gzip.hdr.gz", gzip.compress(made.binaryblock, mtime=0))
    write("pair_gzip.img.gz", gzip.compress(b"\0" * 16 + content[352:], mtime=0))
    note_nifti("pair_gzip.hdr.gz")
    EXPECTED["pair_gzip.img.gz"] = EXPECTED["pair_gzip.hdr.gz"]
    write("x_notfound_alone.hdr", made.binaryblock)
    analyze = nib.AnalyzeHeader()
    analyze.set_data_shape(i2.shape)
    analyze.set_data_dtype("i2")
    write("x_unsupported_analyze.hdr", analyze.binaryblock)
    write("x_unsupported_analyze.img", content[352:])


def refuse_nifti(content, i2):
    def changed(name, **fields):
        write(name, nifti_bytes(i2, **fields))

    changed("x_format_dim9.nii", dim=[9, 5, 4, 3, 1, 1, 1, 1])
    changed("x_format_negative_dim.nii", dim=[3, 5, -4, 3, 1, 1, 1, 1])
    changed("x_format_zero_dim.nii", dim=[3, 5, 4, 0, 1, 1, 1, 1])
    changed("x_format_huge.nii", dim=[7] + [32767] * 7)
    changed("x_format_bitpix.nii", bitpix=32)
    changed("x_format_datatype.nii", datatype=77)
    changed("x_format_intercept.nii", scl_slope=2, scl_inter=np.inf)
    changed("x_format_nan_sform.nii", sform_code=1, srow_x=[np.nan, 0, 0, 0])
    write("x_format_vox_offset.nii", content[:108] + struct.pack("<f", 100) + content[112:])
    write("x_format_vox_offset_nan.nii", content[:108] + struct.pack("<f", np.nan) + content[112:])
    write("x_format_magic.nii", content[:344] + b"n+7\0" + content[348:])
    write("x_format_size.nii", b"\x01\x02\x03\x04" + content[4:])
    write("x_format_random.nii", bytes(range(1, 256)) * 3)
    write("x_format_empty.nii", b"")
    write("x_format_header_cut.nii", content[:200])
    write("x_format_truncated.nii", content[:-1])
    made = header((5, 4, 3), version=2)
    second = nifti_bytes(i2, made)
    write("x_format_magic2.nii", second[:8] + b"\r\r\r\r" + second[12:])
    huge = nifti_bytes(i2, made, dim=[3, 2**62, 2**62, 2**62, 1, 1, 1, 1])
    write("x_format_huge2.nii", huge)
    write("x_format_huge2.nii.gz", gzip.compress(huge, mtime=0))
    large = nifti_bytes(i2, made, dim=[3, 2**20, 2**20, 64, 1, 1, 1, 1])
    write("x_format_bomb.nii.gz", gzip.compress(large, mtime=0))
    packed = gzip.compress(content, 6, mtime=0)
    write("x_format_truncated.nii.gz", packed[:-40])
    write("x_format_header_cut.nii.gz", packed[:40])
    write("x_format_short.nii.gz", gzip.compress(content[:-2], 6, mtime=0))
    write("x_format_checksum.nii.gz", packed[:-8] + b"\1\2\3\4" + packed[-4:])
    write("x_format_gzip_magic.nii.gz", gzip.compress(b"\7" * 1000, mtime=0))
    for name, code, bits in [("complex", 32, 64), ("float128", 1536, 128), ("binary", 1, 1)]:
        changed("x_unsupported_%s.nii" % name, datatype=code, bitpix=bits)
    write("x_unsupported_text.txt", b"volumes are stored elsewhere\n")


CODECS = ["BLOSCLZ", "LZ4", "LZ4HC", "ZLIB", "ZSTD"]


def pack(name, array, filters=("SHUFFLE",), codec="ZSTD", chunks=None, blocks=None, **more):
    """Writes an array as Blosc2 does, one thread doing all the work so that the bytes are always the same."""
    filters = [getattr(blosc2.Filter, filter) for filter in filters]
    options = {"codec": getattr(blosc2.Codec, codec), "clevel": 5, "filters": filters, "nthreads": 1}
    options["filters_meta"] = [10 if filter == blosc2.Filter.TRUNC_PREC else 0 for filter in filters]
    options.update(more)
    where = {"urlpath": path(name), "mode": "w", "contiguous": True}
    return blosc2.asarray(array, chunks=chunks, blocks=blocks, cparams=options, dparams={"nthreads": 1}, **where)


def make_b2nd():
    cut = {"chunks": (6, 5, 8), "blocks": (3, 5, 3)}
    smooth = (np.arange(9 * 10 * 11).reshape(9, 10, 11) // 7).astype("i2")
    for number, dtype in enumerate(DTYPES):
        for order in "<>":
            stored = numbers(dtype, (9, 10, 11)).astype(np.dtype(dtype).newbyteorder(order))
            if stored.dtype.itemsize > 1 or order == "<":
                name = "b2nd_%s_%s.b2nd" % (dtype, "le" if order == "<" else "be")
                pack(name, stored, codec=CODECS[number % len(CODECS)], **cut)
                expect(name, stored.astype(dtype))
    pipelines = [(), ("BITSHUFFLE",), ("DELTA",), ("DELTA", "SHUFFLE"), ("SHUFFLE", "BYTEDELTA")]
    for filters in pipelines:
        for codec in CODECS:
            name = "b2nd_%s_%s.b2nd" % ("_".join(filters).lower() or "plain", codec.lower())
            pack(name, smooth, filters, codec, **cut)
            expect(name, smooth)
    for name, split in [("always", "ALWAYS_SPLIT"), ("never", "NEVER_SPLIT")]:
        pack("b2nd_%s_split.b2nd" % name, smooth, codec="LZ4", splitmode=getattr(blosc2.SplitMode, split), **cut)
        expect("b2nd_%s_split.b2nd" % name, smooth)
    many = (np.arange(64000).reshape(40, 40, 40) // 7).astype("i2")
    pack("b2nd_dictionary.b2nd", many, use_dict=True, chunks=many.shape, blocks=(5, 40, 40))
    expect("b2nd_dictionary.b2nd", many)
    pack("b2nd_stored.b2nd", smooth, clevel=0, **cut)
    expect("b2nd_stored.b2nd", smooth)
    rounded = pack("b2nd_trunc_prec.b2nd", numbers("f4", (9, 10, 11)), ("TRUNC_PREC", "SHUFFLE"), **cut)
    expect("b2nd_trunc_prec.b2nd", rounded[:])
    channels = numbers("f4", (2, 5, 6, 7))
    pack("b2nd_channels.b2nd", channels, chunks=(1, 4, 6, 4), blocks=(1, 4, 3, 4))
    expect("b2nd_channels.b2nd", channels, channels=2)
    pack("b2nd_two_axes.b2nd", numbers("u1", (9, 10)), chunks=(4, 10), blocks=(2, 3))
    expect("b2nd_two_axes.b2nd", numbers("u1", (9, 10)))
    holes = np.zeros((9, 10, 11), "f4")
    holes[6:, :5, :8] = numbers("f4", (3, 5, 8))
    pack("b2nd_holes.b2nd", holes, **cut)
    expect("b2nd_holes.b2nd", holes)
    where = {"mode": "w", "contiguous": True, "cparams": {"nthreads": 1}}
    for name, array in [
        ("b2nd_zeros.b2nd", blosc2.zeros((9, 10, 11), "i4", urlpath=path("b2nd_zeros.b2nd"), **cut, **where)),
        ("b2nd_full.b2nd", blosc2.full((9, 10, 11), 7, "i4", urlpath=path("b2nd_full.b2nd"), **cut, **where)),
    ]:
        expect(name, array[:])
    chunk = blosc2.SChunk(chunksize=400, data=bytes(range(200)) * 4, urlpath=path("x_unsupported_frame.b2nd"),
                          mode="w", contiguous=True, cparams={"nthreads": 1})
    del chunk
    record = np.zeros((4, 5), [("a", "<i4"), ("b", "<f4")])
    pack("x_unsupported_record.b2nd", record)
    pack("x_argument_five_axes.b2nd", numbers("u1", (1, 2, 3, 4, 5)))
    with open(path("b2nd_plain_zstd.b2nd"), "rb") as file:
        content = file.read()
    write("x_format_truncated.b2nd", content[:-1])
    write("x_format_header_cut.b2nd", content[:60])
    write("x_format_layer_cut.b2nd", content[:120])
    write("x_unsupported_version.b2nd", content[:25] + b"\x1f" + content[26:])
    write("x_unsupported_sparse.b2nd", content[:26] + b"\x01" + content[27:])
    write("x_format_sizes.b2nd", content[:39] + b"\x7f" * 8 + content[47:])
    start = struct.unpack(">i", content[11:15])[0]
    write("x_format_chunk.b2nd", content[:start] + b"\xff" * 40 + content[start + 40:])
    write("x_format_magic.b2nd", b"\0" * 20 + content[20:])


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name in os.listdir(FOLDER):
        os.remove(path(name))
    make_npy()
    make_npz()
    make_nifti()
    make_b2nd()
    lines = ["%s: %s" % (json.dumps(name), json.dumps(entry, sort_keys=True)) for name, entry in EXPECTED.items()]
    write("expected.json", ("{\n" + ",\n".join(sorted(lines)) + "\n}\n").encode())


main()
