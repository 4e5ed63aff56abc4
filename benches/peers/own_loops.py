"""Peers that bring a loop of their own: pymia, tensorstore, and the larger frameworks where they are installed."""

import itertools

import numpy

from tasks import Batches, Job, buffers


def import_pymia():
    """pymia's modules, which use names of numpy that newer versions have removed."""
    for name, kind in (("object", object), ("float", float), ("int", int), ("bool", bool)):
        if name not in vars(numpy):
            setattr(numpy, name, kind)
    import pymia.data.assembler as assembler
    import pymia.data.extraction as extraction
    import pymia.data.indexexpression as expressions
    return extraction, assembler, expressions


class PymiaReader:
    """A row through pymia's datasource, which opens the HDF5 dataset anew for every sample."""

    channels_last = True

    def __init__(self, data, format):
        extraction, _, self.expressions = import_pymia()
        self.source = extraction.PymiaDatasource(data.of(format, "data.h5"), extraction.SliceIndexing())
        self.extractors = {name: extraction.DataExtractor(categories=(name,)) for name in ("images", "labels")}

    def extracted(self, category, subject, window):
        where = self.expressions.IndexExpression([(part.start, part.stop) for part in window])
        return self.source.direct_extract(self.extractors[category], subject, where)[category]

    def image(self, subject, window, row):
        row[...] = self.extracted("images", subject, window)

    def label(self, subject, window, row):
        row[...] = self.extracted("labels", subject, window)[..., 0]


class PymiaAssembly(Job):
    """T3 with pymia's SubjectAssembler, which lets the last patch stand where patches overlap."""

    def __init__(self, data, format):
        extraction, self.assembler, expressions = import_pymia()
        places = [expressions.IndexExpression([(part.start, part.stop) for part in data.window(corner)])
                  for corner in data.grid()]

        class Grid(extraction.IndexingStrategy):
            def __call__(self, shape):
                return places

        extractor = extraction.DataExtractor(categories=("images",))
        self.source = extraction.PymiaDatasource(data.of(format, "data.h5"), Grid(), extractor)
        self.data, self.count, self.subject = data, len(places), 0
        self.image, _ = buffers(data, data.patch, True, 1)
        self.step(check=True)

    def step(self, check=False):
        assembler, batch = self.assembler.SubjectAssembler(self.source), self.data.batch
        first, self.subject = self.subject * self.count, (self.subject + 1) % self.data.subjects
        for begin in range(first, first + self.count, batch):
            numbers = numpy.arange(begin, min(begin + batch, first + self.count))
            for row, number in enumerate(numbers):
                self.image[0, row] = self.source[number]["images"]
            assembler.add_batch(self.image[0, :len(numbers)], numbers, numbers[-1] == first + self.count - 1)
        (ready,) = assembler.subjects_ready
        volume = assembler.get_assembled_subject(ready)
        if check:
            expected = numpy.load(self.data.images[first // self.count], mmap_mode="r")
            assert numpy.array_equal(numpy.moveaxis(volume, -1, 0), expected), "other volume"
        return self.count

    def close(self):
        self.source.close_reader()


class Tensorstore(Batches):
    """A batch of asynchronous reads straight into its rows."""

    channels_last = False

    def __init__(self, data, format, task, cache_bytes):
        import tensorstore

        self.tensorstore = tensorstore
        limits = {"cache_pool": {"total_bytes_limit": cache_bytes}, "data_copy_concurrency": {"limit": 2},
                  "file_io_concurrency": {"limit": 2}}
        context = tensorstore.Context(limits)

        def arrays(name):
            specs = [{"driver": "zarr3" if format == "zarr3" else "zarr",
                      "kvstore": {"driver": "file", "path": data.of(format, id + name + ".zarr")}} for id in data.ids]
            return [tensorstore.open(spec, open=True, read=True, context=context).result() for spec in specs]

        self.images, self.labels = arrays(""), arrays("_label")
        self.converts = data.about["dtype"] != "f32"
        Batches.__init__(self, data, self, task)

    def into(self, row, stored):
        if self.converts:
            stored = self.tensorstore.cast(stored, self.tensorstore.float32)
        return self.tensorstore.array(row).write(stored)

    def delivered(self):
        corners, writes = self.corners(), []
        for row, corner in enumerate(corners):
            window = self.data.window(corner[1:], self.extents)
            image = self.images[corner[0]][(slice(None),) + window].translate_to[0]
            writes.append(self.into(self.image[0, row], image))
            label = self.labels[corner[0]][window].translate_to[0]
            writes.append(self.tensorstore.array(self.label[0, row]).write(label))
        for write in writes:
            write.result()
        return 0, corners


class Stream(Job):
    """A framework's endless iterator of image batches, each (batch, channel, patch) of f32, in memory of its own."""

    def __init__(self, data, batches):
        self.data, self.batches = data, iter(batches)
        self.check()

    def step(self):
        return len(next(self.batches))

    def check(self):
        image = numpy.asarray(next(self.batches))
        assert image.shape[1:] == (self.data.channels,) + self.data.patch, image.shape
        assert image.dtype == numpy.float32 and image.flags.c_contiguous, "no dense f32 batch"


def _mapped_batch(data, maps, corners):
    image, label = buffers(data, data.patch, False, 1)
    for row, corner in enumerate(corners):
        maps.image(corner[0], data.window(corner[1:]), image[0, row])
        maps.label(corner[0], data.window(corner[1:]), label[0, row])
    return image[0], label[0]


def grain(data, maps):
    """Google's grain: threads that make samples of numpy maps, joined to batches."""
    import grain as library

    corners = data.random_corners(numpy.random.default_rng(6), 4096)

    def sample(number):
        corner = corners[number % len(corners)]
        window = data.window(corner[1:])
        image = numpy.asarray(maps.images[corner[0]][(slice(None),) + window], numpy.float32, order="C")
        return {"image": image, "label": numpy.ascontiguousarray(maps.labels[corner[0]][window])}

    samples = library.MapDataset.range(len(corners)).shuffle(seed=1).map(sample).repeat().batch(data.batch)
    options = library.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    return Stream(data, (batch["image"] for batch in samples.to_iter_dataset(options)))


def spdl(data, maps):
    """Meta's spdl: a pipeline of threads that make whole batches of numpy maps."""
    from spdl.pipeline import PipelineBuilder

    random = numpy.random.default_rng(7)
    corners = (data.random_corners(random, data.batch) for _ in itertools.count())
    builder = PipelineBuilder().add_source(corners)
    pipeline = builder.pipe(lambda some: _mapped_batch(data, maps, some), concurrency=2).add_sink(4)
    pipeline = pipeline.build(num_threads=2)

    def batches():
        with pipeline.auto_stop():
            for image, _ in pipeline:
                yield image

    return Stream(data, batches())


def monai(data):
    """MONAI: everything cached in memory, four random crops of a volume at a time."""
    import torch
    from monai.data import CacheDataset, DataLoader, set_track_meta
    from monai.transforms import RandSpatialCropSamplesd

    set_track_meta(False)
    torch.set_num_threads(2)
    items = [{"image": torch.from_numpy(numpy.load(image).astype(numpy.float32)),
              "label": torch.from_numpy(numpy.load(label))[None]} for image, label in zip(data.images, data.labels)]
    crop = RandSpatialCropSamplesd(("image", "label"), data.patch, num_samples=4, random_size=False)
    dataset = CacheDataset(items, crop, cache_rate=1.0, progress=False, copy_cache=False)
    loader = DataLoader(dataset, batch_size=max(1, data.batch // 4), shuffle=True, num_workers=0)
    return Stream(data, (batch["image"].numpy() for _ in itertools.count() for batch in loader))


def torchio(data):
    """torchio: a queue of patches of volumes in memory."""
    import torch
    import torchio as library

    torch.set_num_threads(2)
    subjects = [library.Subject(image=library.ScalarImage(tensor=torch.from_numpy(numpy.load(image))),
                                label=library.LabelMap(tensor=torch.from_numpy(numpy.load(label))[None]))
                for image, label in zip(data.images, data.labels)]
    queue = library.Queue(library.SubjectsDataset(subjects), max_length=64, samples_per_volume=8,
                          sampler=library.UniformSampler(data.patch), num_workers=0)
    loader = (batch for _ in itertools.count() for batch in library.SubjectsLoader(queue, batch_size=data.batch))
    return Stream(data, (batch["image"][library.DATA].float().numpy() for batch in loader))


def dali(data):
    """NVIDIA's DALI on the CPU: regions of npy files at random places, by two threads."""
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=data.batch, device_id=None, prefetch_queue_depth=2, num_threads=2)
    def pipeline():
        starts = [fn.cast(fn.random.uniform(range=(-0.499, whole - part + 0.499), seed=7 + axis), dtype=types.INT32)
                  for axis, (whole, part) in enumerate(zip(data.volume, data.patch))]
        start, shared = fn.stack(*starts), dict(device="cpu", random_shuffle=True, seed=11, dont_use_mmap=False)
        region = dict(roi_start=start, roi_shape=list(data.patch))
        image = fn.readers.numpy(files=data.images, roi_axes=[1, 2, 3], name="image", **region, **shared)
        label = fn.readers.numpy(files=data.labels, roi_axes=[0, 1, 2], name="label", **region, **shared)
        return fn.cast(image, dtype=types.FLOAT), label

    built = pipeline()
    built.build()

    def batches():
        while True:
            image, label = built.run()
            numpy.asarray(label.as_tensor())
            yield numpy.asarray(image.as_tensor())

    return Stream(data, batches())
