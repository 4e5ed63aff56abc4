"""Batches that other libraries take over: what a capsule says, who frees it, and how long its memory lives."""

import ctypes
import gc
import sys
import threading
import unittest

import numpy

import voxfeed
from support import Case, collect, count, loader_of

VERSIONED, LEGACY = b"dltensor_versioned", b"dltensor"
VERSION = {VERSIONED: (1, 0), LEGACY: None}


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class Legacy(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


class Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deleter", ctypes.CFUNCTYPE(None, ctypes.c_void_p)), ("flags", ctypes.c_uint64), ("tensor", Tensor)]


def api(name, returns, *takes):
    return ctypes.PYFUNCTYPE(returns, *takes)((name, ctypes.pythonapi))


get_pointer = api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
set_name = api("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
USED = {VERSIONED: b"used_dltensor_versioned", LEGACY: b"used_dltensor"}


def content(capsule, name):
    """The struct in a capsule, which still owns it."""
    kind = Versioned if name == VERSIONED else Legacy
    return kind.from_address(get_pointer(capsule, name))


def taken(capsule, name):
    """The struct in a capsule, taken out as readers do."""
    found = content(capsule, name)
    set_name(capsule, USED[name])
    return found


class Newer(object):
    """Gives readers capsules of a version that none of them knows, which they refuse."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **_):
        capsule = self.array.__dlpack__(max_version=(1, 0))
        content(capsule, VERSIONED).major = 99
        return capsule


class Capsules(Case):
    def setUp(self):
        Case.setUp(self)
        self.loader = loader_of(batch_size=2)
        self.batch = next(self.loader.epoch(0))

    def held(self):
        collect()
        return self.loader.stats().held

    def test_a_capsule_says_what_the_batch_says(self):
        for category, code, bits in (("images", 0, 16), ("labels", 1, 8)):
            array = self.batch[category]
            for name, version in VERSION.items():
                capsule = self.batch.array(category).__dlpack__(max_version=version)
                found = content(capsule, name)
                tensor = found.tensor
                self.assertEqual((tensor.data, tensor.byte_offset), (array.ctypes.data, 0))
                self.assertEqual((tensor.code, tensor.bits, tensor.lanes), (code, bits, 1))
                self.assertEqual(list(tensor.device), [1, 0])
                self.assertEqual(tuple(tensor.shape[:tensor.ndim]), array.shape)
                self.assertEqual(tuple(stride * array.itemsize for stride in tensor.strides[:tensor.ndim]), array.strides)
                self.assertTrue(found.deleter)
                if name == VERSIONED:
                    self.assertEqual((found.major, found.minor, found.flags), (1, 0, 0))

    def test_the_newest_version_that_a_reader_knows_is_ours_from_1_0_on(self):
        array = self.batch.array()
        for version, name in (((0, 8), LEGACY), ((1, 0), VERSIONED), ((1, 3), VERSIONED), ((2, 0), VERSIONED)):
            content(array.__dlpack__(max_version=version), name)

    def test_numpy_reads_it_without_a_copy(self):
        array = numpy.from_dlpack(self.batch.array("images"))
        self.same(array, self.batch["images"])
        self.assertEqual(array.ctypes.data, self.batch["images"].ctypes.data)
        self.same(numpy.from_dlpack(self.batch["labels"]), self.batch["labels"])

    def test_what_is_read_keeps_its_memory_when_all_else_is_gone(self):
        expected = self.batch["images"].copy()
        array = numpy.from_dlpack(self.batch.array("images"))[:, 0, 1:]
        self.batch.close()
        self.assertEqual(self.held(), 1)
        self.assertGreater(count(iter(self.loader)), 0)
        loader, self.loader = self.loader, None
        loader.close()
        del loader
        collect()
        self.same(array, expected[:, 0, 1:])

    def test_a_capsule_that_nobody_reads_gives_its_batch_back(self):
        for version in VERSION.values():
            capsules = [self.batch.array(category).__dlpack__(max_version=version) for category in ("images", "labels")]
            self.batch.close()
            self.assertEqual(self.held(), 1)
            capsules.pop()
            self.assertEqual(self.held(), 1)
            capsules.pop()
            self.assertEqual(self.held(), 0)
            self.batch = self.loader.next_batch()
        self.batch.close()
        self.assertEqual(self.held(), 0)

    def test_a_reader_that_refuses_a_capsule_tells_its_own_error_and_leaks_nothing(self):
        array = Newer(self.batch.array("images"))
        with self.assertRaises((ValueError, RuntimeError, BufferError)):
            numpy.from_dlpack(array)
        self.batch.close()
        del array
        self.assertEqual(self.held(), 0)

    def test_a_capsule_dies_while_an_exception_is_on_its_way(self):
        def fails(array):
            capsule = array.__dlpack__()
            raise KeyError(len(str(capsule)))

        with self.assertRaises(KeyError):
            fails(self.batch.array("images"))
        self.batch.close()
        self.assertEqual(self.held(), 0)

    def test_a_reader_that_takes_the_tensor_out_frees_it_once_and_on_any_thread(self):
        for name, version in VERSION.items():
            capsule = self.batch.array().__dlpack__(max_version=version)
            found = taken(capsule, name)
            del capsule
            self.batch.close()
            self.assertEqual(self.held(), 1)
            thread = threading.Thread(target=found.deleter, args=(ctypes.addressof(found),))
            thread.start()
            thread.join()
            self.assertEqual(self.held(), 0)
            self.batch = self.loader.next_batch()

    def test_an_unread_capsule_may_outlive_everything(self):
        for version in VERSION.values():
            capsule = self.batch.array().__dlpack__(max_version=version)
            self.batch.close()
            self.loader.close()
            del capsule
            gc.collect()
            self.loader = loader_of()
            self.batch = next(self.loader.epoch(0))

    def test_what_cannot_be_had_is_a_buffer_error(self):
        array = self.batch.array()
        array.__dlpack__(stream=None, max_version=(1, 0), dl_device=(1, 0), copy=False)
        for options in (dict(copy=True), dict(dl_device=(2, 0)), dict(dl_device=(1, 1))):
            with self.refused(BufferError):
                array.__dlpack__(**options)
        self.batch.close()
        del array
        self.assertEqual(self.held(), 0)

    def test_a_thousand_capsules_leave_nothing_behind(self):
        array = self.batch.array()
        for number in range(1000):
            capsule = array.__dlpack__(max_version=(1, number % 2) if number % 3 else None)
            if number % 5 == 0:
                numpy.from_dlpack(self.batch.array())
            del capsule
        references = sys.getrefcount(array._owner)
        self.assertLess(references, 10)
        self.batch.close()
        del array
        self.assertEqual(self.held(), 0)


class OnTheHost(Case):
    def test_a_batch_is_there_at_once_and_streams_need_not_wait(self):
        loader = loader_of()
        batch = next(loader.epoch(0))
        self.assertTrue(batch.query())
        for stream in (None, 1, 2, -1, 0x1234):
            batch.wait(stream)
            batch.record_stream(stream)
        with self.refused(voxfeed.UnsupportedError):
            batch.ready_event()
        self.assertFalse(hasattr(batch.array(), "__cuda_array_interface__"))
        self.assertEqual((batch.array().device, batch.array().device_id), ("cpu", 0))
        for wrong in ("one", 1.5, -2, 2 ** 64):
            with self.assertRaises((TypeError, ValueError)):
                batch.wait(wrong)

    def test_copies_are_the_callers(self):
        loader = loader_of()
        batch = next(loader.epoch(0))
        for category in ("images", "labels", None):
            copy = batch.copy(category)
            self.same(copy, batch.tensor(category))
            copy[...] = 0
            self.assertTrue(batch.tensor(category).any())


if __name__ == "__main__":
    unittest.main()
