"""Readers in worker processes that fill batches in shared memory, for libraries that hold a lock while they read."""

import itertools
import multiprocessing
import os

import numpy

from tasks import Data, Job


def _shape(data, extents, channels_last):
    return (data.batch,) + (extents + (data.channels,) if channels_last else (data.channels,) + extents)


def _views(memory, data, extents, channels_last):
    image_shape = _shape(data, extents, channels_last)
    values = int(numpy.prod(image_shape))
    image = numpy.frombuffer(memory, numpy.float32, values).reshape(image_shape)
    label = numpy.frombuffer(memory, numpy.uint8, data.batch * int(numpy.prod(extents)), values * 4)
    return image, label.reshape((data.batch,) + extents)


def _serve(source, open_reader, slots, channels_last, pipe):
    """A worker: fills the batches that it is told to."""
    os.environ["OMP_NUM_THREADS"] = "1"
    data, extents = Data(*source[:3]), source[3]
    reader = open_reader[0](data, *open_reader[1:])
    views = [_views(slot, data, extents, channels_last) for slot in slots]
    while True:
        order = pipe.recv()
        if order is None:
            return
        slot, corners = order
        for row, corner in enumerate(corners):
            window = data.window(corner[1:], extents)
            reader.image(corner[0], window, views[slot][0][row])
            reader.label(corner[0], window, views[slot][1][row])
        pipe.send(slot)


class Processes(Job):
    """T1 and T2 by processes, each with two batches to fill at a time."""

    AHEAD = 2

    def __init__(self, path, data, open_reader, task, count=2):
        self.data, self.task = data, task
        self.extents = data.patch if task == "T1" else data.slice_extents()
        self.channels_last = channels_last = open_reader[0].channels_last
        context = multiprocessing.get_context("spawn")
        size = int(numpy.prod(_shape(data, self.extents, channels_last))) * 4
        size += data.batch * int(numpy.prod(self.extents))
        slots = [context.RawArray("b", size) for _ in range(count * self.AHEAD)]
        self.views = [_views(slot, data, self.extents, channels_last) for slot in slots]
        self.random, self.order = numpy.random.default_rng(5), itertools.cycle(data.slices())
        self.pipes, self.processes, self.orders = [], [], {}
        source = (path, data.patch, data.batch, self.extents)
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(source, open_reader, slots, channels_last, theirs),
                                      daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
            theirs.close()
        self.free = {pipe: [number * self.AHEAD + k for k in range(self.AHEAD)]
                     for number, pipe in enumerate(self.pipes)}
        self.turn = 0
        self.check()

    def corners(self):
        if self.task == "T1":
            return self.data.random_corners(self.random, self.data.batch)
        return list(itertools.islice(self.order, self.data.batch))

    def delivered(self):
        """The slot of the next batch, in turn, and what is in it."""
        for number in range(len(self.pipes)):
            pipe = self.pipes[(self.turn + number) % len(self.pipes)]
            while self.free[pipe]:
                slot, corners = self.free[pipe].pop(), self.corners()
                self.orders[slot] = corners
                pipe.send((slot, corners))
        pipe = self.pipes[self.turn]
        self.turn = (self.turn + 1) % len(self.pipes)
        slot = pipe.recv()
        self.free[pipe].append(slot)
        return slot, self.orders.pop(slot)

    def step(self):
        self.delivered()
        return self.data.batch

    def check(self):
        # The batches after the first go on arriving in other slots, so this one stays as it is.
        slot, corners = self.delivered()
        for row, corner in enumerate(corners):
            image, label = (view[row] for view in self.views[slot])
            self.data.check(corner, self.extents, image, label, self.channels_last)
        self.drain()

    def drain(self):
        while self.orders:
            for pipe in self.pipes:
                while self.orders and len(self.free[pipe]) < self.AHEAD:
                    slot = pipe.recv()
                    self.free[pipe].append(slot)
                    del self.orders[slot]
        self.turn = 0

    def close(self):
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)
            if process.is_alive():
                process.terminate()
