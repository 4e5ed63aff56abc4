"""How fast the bare codec decodes the pieces that the samples need: the limit for formats packed with blosc.

Deflate is timed by the bench itself, with libdeflate; blosc by c-blosc, which comes with numcodecs. Two threads,
the packed bytes in memory, nothing gathered.
"""

import concurrent.futures
import json
import os

import numpy

from tasks import Job


class Decoding(Job):
    """Decodes, for each sample, the pieces that it touches (T1), or all pieces once for all slices (T2)."""

    def __init__(self, data, format, task):
        from numcodecs import blosc

        # Two threads of ours, each with a decoder of its own, instead of blosc's pool.
        blosc.use_threads = False
        self.decoder, self.data, self.task = blosc, data, task
        with open(data.formats[format]["pieces"]) as file:
            listed = json.load(file)
        assert listed["codec"] == "blosc", listed["codec"]
        folder = data.formats[format]["folder"]
        self.subjects = [[self.loaded(folder, array) for array in arrays] for arrays in listed["subjects"]]
        self.pool, self.subject = concurrent.futures.ThreadPoolExecutor(2), 0
        self.random = numpy.random.default_rng(8)
        most = max(array["raw_bytes"] for arrays in self.subjects for array in arrays)
        self.rooms = [bytearray(most) for _ in range(2)]

    def loaded(self, folder, array):
        packed = []
        for file, begin, size in array["pieces"]:
            if not size:
                packed.append(None)
                continue
            with open(os.path.join(folder, file), "rb") as stream:
                stream.seek(begin)
                packed.append(stream.read(size))
        grid = [-(-whole // part) for whole, part in zip(array["shape"], array["chunk"])]
        return dict(array, packed=packed, places=numpy.arange(len(packed)).reshape(grid))

    def touched(self, corner):
        """The pieces of a patch."""
        for array in self.subjects[corner[0]]:
            window = tuple(slice(begin // part, (begin + extent - 1) // part + 1) for begin, extent, part
                           in zip(corner[1:], self.data.patch, array["chunk"]))
            for place in array["places"][window].ravel().tolist():
                yield array["packed"][place], array["raw_bytes"]

    def decode(self, room, pieces):
        view = memoryview(self.rooms[room])
        for packed, raw in pieces:
            if packed is not None:
                self.decoder.decompress(packed, view[:raw])

    def step(self):
        if self.task == "T1":
            corners = self.data.random_corners(self.random, self.data.batch)
            jobs = [[piece for corner in corners[half::2] for piece in self.touched(corner)] for half in range(2)]
            samples = len(corners)
        else:
            arrays, self.subject = self.subjects[self.subject], (self.subject + 1) % self.data.subjects
            pieces = [(packed, array["raw_bytes"]) for array in arrays for packed in array["packed"]]
            jobs, samples = [pieces[half::2] for half in range(2)], self.data.volume[0]
        for job in [self.pool.submit(self.decode, room, pieces) for room, pieces in enumerate(jobs)]:
            job.result()
        return samples

    def close(self):
        self.pool.shutdown()
