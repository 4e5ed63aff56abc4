"""The formats of the benches: for each, how a subject is written, and how the manifest names its files."""

import os

import numpy


class Format:
    """One way to store the subjects.

    kind: "raw" is read in place, "chunks" are decoded one by one, "whole" streams have to be decoded from
    their beginning.
    """

    kind = "raw"
    per_subject = True

    def __init__(self, name, title):
        self.name, self.title = name, title

    def key(self, plan):
        """The name of its folder; formats that suit the patch have one for each."""
        return self.name

    def chunk(self, plan):
        """The extents of what is decoded at once."""
        return plan.volume

    def entries(self, subject):
        """The manifest's categories for a subject, with files relative to the format's folder."""
        raise NotImplementedError


class Npy(Format):
    def write(self, folder, id, image, label, plan):
        numpy.save(os.path.join(folder, id + ".npy"), image)
        numpy.save(os.path.join(folder, id + "_label.npy"), label)

    def entries(self, id):
        return {"images": {"image": {"file": id + ".npy", "channel": "first"}}, "labels": {"label": id + "_label.npy"}}


class Npz(Format):
    def __init__(self, name, title, deflated):
        Format.__init__(self, name, title)
        self.deflated, self.kind = deflated, "whole" if deflated else "raw"

    def write(self, folder, id, image, label, plan):
        save = numpy.savez_compressed if self.deflated else numpy.savez
        save(os.path.join(folder, id + ".npz"), data=image, label=label)

    def entries(self, id):
        image = {"file": id + ".npz", "dataset": "data", "channel": "first"}
        return {"images": {"image": image}, "labels": {"label": {"file": id + ".npz", "dataset": "label"}}}


class Nifti(Format):
    def __init__(self, name, title, ending):
        Format.__init__(self, name, title)
        self.ending, self.kind = ending, "whole" if ending.endswith("gz") else "raw"

    def write(self, folder, id, image, label, plan):
        import nibabel

        named = [("c%d" % number, channel) for number, channel in enumerate(image)] + [("label", label)]
        for name, array in named:
            # NIfTI's first axis is its fastest one, so the bytes are those of the array.
            volume = nibabel.Nifti1Image(array.transpose(2, 1, 0), numpy.eye(4))
            nibabel.save(volume, os.path.join(folder, "%s_%s%s" % (id, name, self.ending)))

    def entries(self, id):
        channels = {"c%d" % number: "%s_c%d%s" % (id, number, self.ending) for number in range(2)}
        return {"images": channels, "labels": {"label": "%s_label%s" % (id, self.ending)}}


class Hdf5(Format):
    """pymia's layout: one file, channels last, tables beside the arrays."""

    per_subject = False

    def __init__(self, name, title, filters):
        Format.__init__(self, name, title)
        self.filters, self.kind = filters, "chunks" if filters else "raw"

    def chunk(self, plan):
        return plan.chunk if self.filters else plan.volume

    def write_all(self, folder, subjects, plan):
        import h5py

        text = h5py.string_dtype()
        path = os.path.join(folder, "data.h5")
        with h5py.File(path, "w", libver="latest" if self.filters else None) as file:
            file["meta/subjects"] = numpy.array(plan.ids(), text)
            file["meta/names/images_names"] = numpy.array(["c0", "c1"], text)
            file["meta/names/labels_names"] = numpy.array(["label"], text)
            rows = (plan.subjects, 1)
            file["meta/image_props/shapes"] = numpy.tile(numpy.array(plan.volume[::-1], numpy.uint16), rows)
            file["meta/image_props/origins"] = numpy.zeros((plan.subjects, 3))
            file["meta/image_props/spacing"] = numpy.ones((plan.subjects, 3))
            file["meta/image_props/directions"] = numpy.tile(numpy.eye(3).ravel(), rows)
            for category, channels in (("images", plan.channels), ("labels", 1)):
                shape = numpy.array(plan.volume + (channels,), numpy.uint16)
                file["meta/shapes/%s_shapes" % category] = numpy.tile(shape, rows)
            width = len(str(plan.subjects - 1))
            for number, (image, label) in enumerate(subjects):
                for category, array in (("images", numpy.moveaxis(image, 0, -1)), ("labels", label[..., None])):
                    chunks = dict(chunks=plan.chunk + array.shape[-1:]) if self.filters else {}
                    name = "data/%s/%0*d" % (category, width, number)
                    file.create_dataset(name, data=numpy.ascontiguousarray(array), **dict(chunks, **self.filters))

    def entries(self, id):
        return None


class Zarr(Format):
    kind = "chunks"

    def __init__(self, name, title, version):
        Format.__init__(self, name, title)
        self.version = version

    def chunk(self, plan):
        return plan.chunk

    def write(self, folder, id, image, label, plan):
        import numcodecs
        import zarr

        if self.version == 3:
            codec = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")
        else:
            codec = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
        for name, array, chunks in ((id, image, (plan.channels,) + plan.chunk), (id + "_label", label, plan.chunk)):
            stored = zarr.create_array(os.path.join(folder, name + ".zarr"), shape=array.shape, dtype=array.dtype,
                                       chunks=chunks, compressors=codec, zarr_format=self.version, overwrite=True)
            stored[...] = array

    def entries(self, id):
        image = {"file": id + ".zarr", "channel": "first"}
        return {"images": {"image": image}, "labels": {"label": id + "_label.zarr"}}


class Blosc2(Format):
    """As nnU-Net v2 stores its preprocessed cases: LZ4HC, level 5, blocks and chunks that suit the patch."""

    kind = "chunks"

    def key(self, plan):
        return "%s-p%s" % (self.name, "x".join(str(extent) for extent in plan.patch))

    def chunk(self, plan):
        return blosc2_layout(plan.volume, plan.patch, plan.dtype.itemsize)[1]

    def write(self, folder, id, image, label, plan):
        import blosc2

        for name, array in ((id, image), (id + "_seg", label[None].view(numpy.int8))):
            path = os.path.join(folder, name + ".b2nd")
            if os.path.exists(path):
                os.remove(path)
            blocks, chunks = blosc2_layout(plan.volume, plan.patch, array.dtype.itemsize)
            filters = [blosc2.Filter.SHUFFLE if array.dtype.itemsize > 1 else blosc2.Filter.NOFILTER]
            packing = dict(codec=blosc2.Codec.LZ4HC, clevel=5, filters=filters, nthreads=1)
            blosc2.asarray(numpy.ascontiguousarray(array), urlpath=path, chunks=(1,) + chunks, blocks=(1,) + blocks,
                           cparams=packing)

    def entries(self, id):
        image = {"file": id + ".b2nd", "channel": "first"}
        return {"images": {"image": image}, "labels": {"label": {"file": id + "_seg.b2nd", "channel": "first"}}}


def blosc2_layout(volume, patch, itemsize, most_block=128 << 10, most_chunk=6 << 20):
    """The spatial extents of blocks and of chunks that nnU-Net would choose for patches of this shape.

    A block begins as the patch, rounded up to powers of two, and is halved along the axis that exceeds its
    target most until it has 128 KiB; a chunk grows from it, block by block along the axis that lags most, up
    to one and a half patches on each axis and 6 MiB in all.
    """
    target = [min(whole, 3 * part // 2) for whole, part in zip(volume, patch)]
    block = [min(1 << (part - 1).bit_length(), whole) for part, whole in zip(patch, volume)]
    while numpy.prod(block) * itemsize > most_block:
        _, axis = max((block[axis] / target[axis], axis) for axis in range(3) if block[axis] > 1)
        block[axis] = 1 << ((block[axis] - 1).bit_length() - 1)
    chunk = list(block)
    while True:
        steps = []
        for axis in range(3):
            longer = list(chunk)
            longer[axis] = min(chunk[axis] + block[axis], target[axis])
            fits = numpy.prod(longer) * itemsize <= most_chunk
            if patch[axis] > 1 and longer[axis] > chunk[axis] and fits:
                steps.append((chunk[axis] / target[axis], -volume[axis], axis, longer))
        if not steps:
            return tuple(block), tuple(chunk)
        chunk = min(steps)[-1]


GZIP = dict(compression="gzip", compression_opts=4, shuffle=True)

FORMATS = [
    Npy("npy", "npy"),
    Nifti("nii", "NIfTI", ".nii"),
    Npz("npz", "npz, stored", False),
    Hdf5("h5", "HDF5", {}),
    Hdf5("h5-gzip", "HDF5, gzip", GZIP),
    Hdf5("h5-lzf", "HDF5, lzf", dict(compression="lzf", shuffle=True)),
    Nifti("nii.gz", "NIfTI, gzip", ".nii.gz"),
    Npz("npz-deflated", "npz, deflated", True),
    Zarr("zarr3", "Zarr 3, lz4", 3),
    Zarr("zarr2", "Zarr 2, lz4", 2),
    Blosc2("b2nd", "b2nd, lz4hc"),
]
