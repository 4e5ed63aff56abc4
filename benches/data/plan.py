"""What a data set of the benches is: its numbers, its name, where its files lie, and the voxels themselves."""

import os

import numpy

SEED = 60221
DTYPES = {"u8": numpy.uint8, "i16": numpy.int16, "f32": numpy.float32}


def extents(text):
    """Extents out of "64", which stands for a cube, or "5x256x256"; two extents are a slice one voxel thick."""
    parts = [int(part) for part in text.split("x")]
    if len(parts) == 1:
        parts *= 3
    if len(parts) == 2:
        parts.insert(0, 1)
    if len(parts) != 3 or min(parts) < 1:
        raise ValueError("%r is not like 64, 256x256 or 5x256x256" % text)
    return tuple(parts)


def joined(parts):
    return "x".join(str(part) for part in parts)


class Plan:
    """The numbers that a data set is made from; equal numbers give equal bytes."""

    def __init__(self, subjects=16, volume=(128, 160, 160), dtype="f32", chunk=(32, 32, 32), patch=(64, 64, 64)):
        self.subjects, self.channels = subjects, 2
        self.volume, self.chunk, self.patch = tuple(volume), tuple(chunk), tuple(patch)
        self.dtype_name, self.dtype = dtype, numpy.dtype(DTYPES[dtype])
        # A chunk may not be larger than its array.
        self.chunk = tuple(min(part, whole) for part, whole in zip(self.chunk, self.volume))

    def folder(self):
        return "%dx%d-%s-%s-c%s" % (self.subjects, self.channels, joined(self.volume), self.dtype_name,
                                    joined(self.chunk))

    def ids(self):
        return ["s%0*d" % (len(str(self.subjects - 1)), number) for number in range(self.subjects)]

    def subject_bytes(self):
        return int(numpy.prod(self.volume)) * (self.channels * self.dtype.itemsize + 1)


def _waves(random, axes, count):
    """The sum of some long plane waves."""
    total = numpy.zeros([len(axis) for axis in axes], numpy.float32)
    for _ in range(count):
        steps = random.uniform(0.8, 4.5, 3).astype(numpy.float32)
        z, y, x = (step * axis for step, axis in zip(steps, axes))
        phase = numpy.float32(random.uniform(0, 2 * numpy.pi))
        total += numpy.cos(z[:, None, None] + y[None, :, None] + (x + phase)[None, None, :])
    return total


def _distance(axes, centre, radii):
    """The square of the distance from a centre, in radii."""
    z, y, x = (((axis - middle) / radius) ** 2 for axis, middle, radius in zip(axes, centre, radii))
    return z[:, None, None] + y[None, :, None] + x[None, None, :]


def subject(plan, number):
    """The image (channel, z, y, x) and the label (z, y, x) of a subject.

    Smooth waves and a little noise within an ellipsoid, exact zeros outside, as a head in air: stored as f32
    and deflated, that is about half its size. The label has three balls.
    """
    random = numpy.random.default_rng([SEED, number])
    axes = [numpy.linspace(-1, 1, extent, dtype=numpy.float32) for extent in plan.volume]
    inside = _distance(axes, (0, 0, 0), random.uniform(0.98, 1.08, 3)) < 1
    image = numpy.zeros((plan.channels,) + plan.volume, plan.dtype)
    for channel in image:
        values = _waves(random, axes, 5) + 6
        values += numpy.float32(0.1) * random.standard_normal(plan.volume, numpy.float32)
        if plan.dtype.kind != "f":
            values = numpy.rint(values * (1000 if plan.dtype.itemsize > 1 else 20))
        channel[inside] = values[inside].astype(plan.dtype)
    label = numpy.zeros(plan.volume, numpy.uint8)
    for value in (1, 2, 3):
        ball = _distance(axes, random.uniform(-0.45, 0.45, 3), [random.uniform(0.12, 0.3)] * 3)
        label[ball < 1] = value
    return image, label


class Place:
    """Where the files of a data set lie."""

    def __init__(self, root, plan):
        self.root, self.plan = os.path.join(root, plan.folder()), plan

    def of(self, *parts):
        return os.path.join(self.root, *parts)

    def image(self, number):
        """The image as numpy wrote it, which is what every reader is compared with."""
        return self.of("npy", self.plan.ids()[number] + ".npy")

    def label(self, number):
        return self.of("npy", self.plan.ids()[number] + "_label.npy")
