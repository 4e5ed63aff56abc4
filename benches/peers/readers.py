"""How a careful user of each library reads a region: the shortest way into the rows of a batch.

A reader is opened once. image(subject, window, row) and label(subject, window, row) fill rows; window is three slices. Where the
channels come last in the file (HDF5), they come last in the rows too: nobody has to transpose.
"""

import os

import numpy

ALL = (slice(None),)


class Reader:
    """Gives rows of a batch; channels_last says how the image's rows lie."""

    channels_last = False

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def image(self, subject, window, row):
        row[...] = self.images[subject][ALL + window]

    def label(self, subject, window, row):
        row[...] = self.labels[subject][window]


def memory_maps(data):
    return Reader([numpy.load(path, mmap_mode="r") for path in data.images],
                  [numpy.load(path, mmap_mode="r") for path in data.labels])


def preloaded(data):
    """Everything in memory, shared by all who ask: what a dataset that fits is turned into."""
    if data.in_memory is None:
        data.in_memory = Reader([numpy.load(path) for path in data.images], [numpy.load(path) for path in data.labels])
    return data.in_memory


class Reopened(Reader):
    """As batchgenerators' examples and nnU-Net v1 do: the maps are made for every sample."""

    def __init__(self, data):
        Reader.__init__(self, data.images, data.labels)

    def image(self, subject, window, row):
        row[...] = numpy.load(self.images[subject], mmap_mode="r")[ALL + window]

    def label(self, subject, window, row):
        row[...] = numpy.load(self.labels[subject], mmap_mode="r")[window]


class Nifti(Reader):
    """nibabel's array proxies, or the maps that they give; its axes are the other way round."""

    def __init__(self, data, maps):
        import nibabel

        def arrays(name):
            proxies = [nibabel.load(data.of("nii", id + name + ".nii")).dataobj for id in data.ids]
            return [numpy.asanyarray(proxy) for proxy in proxies] if maps else proxies

        Reader.__init__(self, list(zip(arrays("_c0"), arrays("_c1"))), arrays("_label"))

    def image(self, subject, window, row):
        for channel, stored in zip(row, self.images[subject]):
            channel[...] = stored[window[::-1]].transpose(2, 1, 0)

    def label(self, subject, window, row):
        row[...] = self.labels[subject][window[::-1]].transpose(2, 1, 0)


def nifti_whole(data):
    """Reads a subject whole, as one has to with .nii.gz."""
    import nibabel

    def load(subject):
        paths = [data.of("nii.gz", data.ids[subject] + name + ".nii.gz") for name in ("_c0", "_c1", "_label")]
        arrays = [numpy.asanyarray(nibabel.load(path).dataobj).transpose(2, 1, 0) for path in paths]
        return arrays[:2], arrays[2]

    return load


def npz_whole(format):
    def make(data):
        def load(subject):
            with numpy.load(data.of(format, data.ids[subject] + ".npz")) as members:
                return members["data"], members["label"]

        return load

    return make


class Hdf5(Reader):
    channels_last = True

    def __init__(self, data, format, cache_bytes):
        import h5py

        chunk_cache = dict(rdcc_nbytes=cache_bytes, rdcc_nslots=10007) if cache_bytes else {}
        file = h5py.File(data.of(format, "data.h5"), "r", **chunk_cache)
        width = len(str(len(data.ids) - 1))
        Reader.__init__(self, *[[file["data/%s/%0*d" % (category, width, number)] for number in range(len(data.ids))]
                                for category in ("images", "labels")])

    def image(self, subject, window, row):
        self.images[subject].read_direct(row, window)

    def label(self, subject, window, row):
        self.labels[subject].read_direct(row[..., None], window)


def zarr_arrays(data, format):
    import zarr

    def arrays(name):
        return [zarr.open_array(data.of(format, id + name + ".zarr"), mode="r") for id in data.ids]

    return Reader(arrays(""), arrays("_label"))


class Blosc2(Reader):
    """Mapped files, as nnU-Net v2 opens its cases, and some threads of blosc2's own."""

    def __init__(self, data, threads):
        import blosc2

        blosc2.set_nthreads(1)
        folder = data.formats["b2nd"]["folder"]

        def arrays(name):
            return [blosc2.open(os.path.join(folder, id + name + ".b2nd"), mode="r", mmap_mode="r",
                                dparams=dict(nthreads=threads)) for id in data.ids]

        Reader.__init__(self, arrays(""), arrays("_seg"))

    def label(self, subject, window, row):
        row[...] = self.labels[subject][(slice(0, 1),) + window][0]
