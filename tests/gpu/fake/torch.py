"""As much of PyTorch as peers.py asks for, on the stand-in driver, whose device memory a program can read."""

import contextlib
import ctypes
import types

import numpy

import voxfeed

__version__ = "of the stand-in"

driver = ctypes.CDLL("libcuda.so.1")
context = ctypes.c_void_p()
assert driver.cuInit(0) == 0 and driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert driver.cuCtxSetCurrent(context) == 0


class Stream(object):
    def __init__(self, handle=None):
        self.handle = ctypes.c_void_p(handle)
        if handle is None:
            assert driver.cuStreamCreate(ctypes.byref(self.handle), 1) == 0

    @property
    def cuda_stream(self):
        return self.handle.value

    def synchronize(self):
        assert driver.cuStreamSynchronize(self.handle) == 0


current = [Stream(1)]


@contextlib.contextmanager
def on(stream):
    current.append(stream)
    yield
    current.pop()


def synchronize():
    current[-1].synchronize()


class Tensor(object):
    """An array with the owner of its memory; what is read of it is read in the stream's order."""

    def __init__(self, array, owner=None):
        self.array, self.owner = array, owner

    def clone(self):
        synchronize()
        return Tensor(self.array.copy())

    def cpu(self):
        return self

    def numpy(self):
        return self.array

    def to(self, device, non_blocking):
        assert device == "cuda" and non_blocking
        return self


def at(address, dtype, shape, owner):
    count = int(numpy.prod(shape)) * numpy.dtype(dtype).itemsize
    bytes_there = (ctypes.c_uint8 * count).from_address(address)
    return Tensor(numpy.frombuffer(bytes_there, dtype).reshape(shape), owner)


def from_dlpack(array):
    assert array.__dlpack_device__() == (2, 0)
    capsule = array.__dlpack__(stream=current[-1].cuda_stream)
    return at(array._address, array.dtype, array.shape, capsule)


def as_tensor(array, device):
    face = array.__cuda_array_interface__
    assert device == "cuda" and face["stream"] == current[-1].cuda_stream
    return at(face["data"][0], face["typestr"], face["shape"], array)


def sleep(cycles):
    """A cycle is a nanosecond."""
    synchronize()


class DataLoader(object):
    """Batches by one thread, with the arguments that peers.py gives."""

    def __init__(self, source, batch_size, shuffle, num_workers, pin_memory, prefetch_factor, persistent_workers):
        assert pin_memory and persistent_workers and not shuffle and num_workers > 0 and prefetch_factor > 0
        self.source, self.batch_size = source, batch_size

    def __iter__(self):
        for first in range(0, len(self.source), self.batch_size):
            rows = [self.source[first + row] for row in range(self.batch_size)]
            yield [Tensor(numpy.stack(part)) for part in zip(*rows)]


cuda = types.SimpleNamespace(is_available=lambda: voxfeed.cuda_device_count() > 0, Stream=Stream, stream=on, _sleep=sleep,
                             synchronize=synchronize, current_stream=lambda: current[-1])
utils = types.SimpleNamespace(data=types.SimpleNamespace(DataLoader=DataLoader))
