"""The three tasks as peers do them, each delivering real batches that are checked once.

T1: random patches, image as f32 and label as u8. T2: all slices in order. T3: overlapping patches in order,
put back into volumes as the mean of an identity prediction. A job's step() gives the number of samples that it
delivered; drain() waits for what was begun ahead, so that nothing runs on into another window.
"""

import collections
import concurrent.futures
import itertools
import json
import os
import time

import numpy


class Data:
    """The data set, as data.json tells it."""

    def __init__(self, path, patch, batch):
        with open(path) as file:
            about = json.load(file)
        self.about, self.folder = about, os.path.dirname(path)
        self.images, self.labels = about["images"], about["labels"]
        self.volume, self.patch, self.batch = tuple(about["volume"]), tuple(patch), batch
        self.channels, self.subjects = about["channels"], about["subjects"]
        self.ids = [os.path.basename(path)[:-4] for path in self.images]
        self.formats = {format["name"]: format for format in about["formats"]}
        self.in_memory = None

    def byte_len(self):
        """The bytes of all voxels as stored, decoded."""
        return sum(numpy.load(path, mmap_mode="r").nbytes for path in self.images + self.labels)

    def of(self, *parts):
        return os.path.join(self.folder, *parts)

    def random_corners(self, random, count):
        """Subjects and corners of patches that lie inside."""
        corners = [random.integers(0, whole - part + 1, count) for whole, part in zip(self.volume, self.patch)]
        return list(zip(random.integers(0, self.subjects, count).tolist(), *(axis.tolist() for axis in corners)))

    def slices(self):
        """The corners of all slices, in order."""
        return [(subject, z, 0, 0) for subject in range(self.subjects) for z in range(self.volume[0])]

    def grid(self):
        """The corners in one volume at half a patch's stride, the last ones moved inside."""
        axes = []
        for whole, part in zip(self.volume, self.patch):
            axes.append(sorted({*range(0, whole - part + 1, max(1, part // 2)), whole - part}))
        return list(itertools.product(*axes))

    def window(self, corner, extents=None):
        return tuple(slice(begin, begin + extent) for begin, extent in zip(corner, extents or self.patch))

    def slice_extents(self):
        return (1,) + self.volume[1:]

    def check(self, corner, extents, image, label=None, channels_last=False):
        """A row must be the same voxels that numpy finds in the npy files."""
        window = self.window(corner[1:], extents)
        expected = numpy.load(self.images[corner[0]], mmap_mode="r")[(slice(None),) + window]
        found = numpy.moveaxis(image, -1, 0) if channels_last else image
        assert image.dtype == numpy.float32 and image.flags.c_contiguous, "no dense f32 row"
        assert numpy.array_equal(found.reshape(expected.shape), expected), "other voxels at %s" % (corner,)
        if label is not None:
            expected = numpy.load(self.labels[corner[0]], mmap_mode="r")[window]
            assert numpy.array_equal(label.reshape(expected.shape), expected), "other labels at %s" % (corner,)


def buffers(data, extents, channels_last, batches):
    """Memory for some batches, touched, so that its pages are there."""
    rows = (batches, data.batch)
    shape = rows + (extents + (data.channels,) if channels_last else (data.channels,) + extents)
    image, label = numpy.empty(shape, numpy.float32), numpy.empty(rows + extents, numpy.uint8)
    image.fill(0)
    label.fill(0)
    return image, label


class Job:
    """One peer at one task."""

    def measure(self, seconds):
        """Samples per second in a window of at least this length, once what runs ahead is under way."""
        self.step()
        samples, begun = 0, time.perf_counter()
        while True:
            samples += self.step()
            spent = time.perf_counter() - begun
            if spent >= seconds:
                break
        self.drain()
        return samples / spent

    def drain(self):
        pass

    def close(self):
        pass


class Batches(Job):
    """T1 and T2 with a reader: rows are filled by threads, two batches under way at a time."""

    AHEAD = 2

    def __init__(self, data, reader, task, threads=1, seed=1):
        self.data, self.reader, self.task = data, reader, task
        self.extents = data.patch if task == "T1" else data.slice_extents()
        self.image, self.label = buffers(data, self.extents, reader.channels_last, self.AHEAD + 1)
        self.pool = concurrent.futures.ThreadPoolExecutor(threads) if threads > 1 else None
        self.random, self.order = numpy.random.default_rng(seed), itertools.cycle(data.slices())
        self.under_way, self.slot = collections.deque(), 0
        self.check()

    def corners(self):
        if self.task == "T1":
            return self.data.random_corners(self.random, self.data.batch)
        return list(itertools.islice(self.order, self.data.batch))

    def fill(self, slot, row, corner):
        window = self.data.window(corner[1:], self.extents)
        self.reader.image(corner[0], window, self.image[slot, row])
        self.reader.label(corner[0], window, self.label[slot, row])

    def begin(self):
        corners, slot = self.corners(), self.slot
        self.slot = (slot + 1) % len(self.image)
        jobs = [self.pool.submit(self.fill, slot, row, corner) for row, corner in enumerate(corners)]
        self.under_way.append((slot, corners, jobs))

    def step(self):
        self.delivered()
        return self.data.batch

    def delivered(self):
        """The slot of the next batch and what is in it."""
        if self.pool is None:
            corners, slot = self.corners(), 0
            for row, corner in enumerate(corners):
                self.fill(slot, row, corner)
            return slot, corners
        while len(self.under_way) < self.AHEAD:
            self.begin()
        slot, corners, jobs = self.under_way.popleft()
        for job in jobs:
            job.result()
        self.begin()
        return slot, corners

    def check(self):
        slot, corners = self.delivered()
        self.drain()
        for row, corner in enumerate(corners):
            self.data.check(corner, self.extents, self.image[slot, row], self.label[slot, row],
                            self.reader.channels_last)

    def drain(self):
        """What was read ahead is dropped: it would be a present to the next window."""
        while self.under_way:
            for job in self.under_way.popleft()[2]:
                job.result()

    def close(self):
        if self.pool is not None:
            self.pool.shutdown()


class Loads(Job):
    """T1 and T2 from streams that are decoded whole: a subject at a time, all slices or some patches of it."""

    PATCHES = 8

    def __init__(self, data, load, task, threads=1):
        self.data, self.load, self.task = data, load, task
        self.extents = data.patch if task == "T1" else data.slice_extents()
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.threads, self.subject = threads, 0
        self.random, self.jobs = numpy.random.default_rng(3), collections.deque()
        self.memory = [buffers(data, self.extents, False, 1) for _ in range(threads)]
        self.free = collections.deque(range(threads))
        self.check()

    def corners(self, subject):
        if self.task == "T1":
            return [(subject,) + corner[1:] for corner in self.data.random_corners(self.random, self.PATCHES)]
        return [(subject, z, 0, 0) for z in range(self.data.volume[0])]

    def run(self, subject, corners, check=False):
        images, label = self.load(subject)
        memory = self.free.pop()
        into_image, into_label = self.memory[memory]
        for number, corner in enumerate(corners):
            row, window = number % self.data.batch, self.data.window(corner[1:], self.extents)
            for channel in range(self.data.channels):
                into_image[0, row, channel] = images[channel][window]
            into_label[0, row] = label[window]
            if check:
                self.data.check(corner, self.extents, into_image[0, row], into_label[0, row])
        self.free.append(memory)
        return len(corners)

    def step(self):
        while len(self.jobs) < self.threads:
            self.jobs.append(self.pool.submit(self.run, self.subject, self.corners(self.subject)))
            self.subject = (self.subject + 1) % self.data.subjects
        return self.jobs.popleft().result()

    def check(self):
        self.pool.submit(self.run, 0, self.corners(0), True).result()

    def drain(self):
        while self.jobs:
            self.jobs.popleft().result()

    def close(self):
        self.pool.shutdown()


class Assembly(Job):
    """T3 with numpy: sums and weights of each volume, a subject a thread."""

    def __init__(self, data, reader, threads=1):
        self.data, self.reader, self.subject = data, reader, 0
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        self.threads, self.jobs = threads, collections.deque()
        self.pool.submit(self.run, 0, True).result()

    def run(self, subject, check=False):
        data, last = self.data, self.reader.channels_last
        spread = (lambda weight: weight[..., None]) if last else (lambda weight: weight)
        shape = data.volume + (data.channels,) if last else (data.channels,) + data.volume
        sums, weights = numpy.zeros(shape, numpy.float32), numpy.zeros(data.volume, numpy.float32)
        images, _ = buffers(data, data.patch, last, 1)
        grid = data.grid()
        for begin in range(0, len(grid), data.batch):
            some = [data.window(corner) for corner in grid[begin:begin + data.batch]]
            for row, window in enumerate(some):
                self.reader.image(subject, window, images[0, row])
            for row, window in enumerate(some):
                sums[window if last else (slice(None),) + window] += images[0, row]
                weights[window] += 1
        sums /= spread(weights)
        if check:
            expected = numpy.load(data.images[subject], mmap_mode="r")
            assert numpy.allclose(numpy.moveaxis(sums, -1, 0) if last else sums, expected, rtol=1e-5), "other volume"
        return len(grid)

    def step(self):
        while len(self.jobs) < self.threads:
            self.jobs.append(self.pool.submit(self.run, self.subject))
            self.subject = (self.subject + 1) % self.data.subjects
        return self.jobs.popleft().result()

    def drain(self):
        while self.jobs:
            self.jobs.popleft().result()

    def close(self):
        self.pool.shutdown()
