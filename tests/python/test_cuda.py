"""Batches on a GPU through the Python face, with the stand-in driver of tests/standin, whose log tells who waits."""

import ctypes
import glob
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

import numpy

import voxfeed
from support import ROOT, Case, collect, loader_of, run_python
from test_dlpack import VERSION, content

LEGACY_STREAM, THREAD_STREAM = 1, 2


class Entry(ctypes.Structure):
    _fields_ = [("function", ctypes.c_char_p), ("thread", ctypes.c_long), ("ran", ctypes.c_int32),
                ("result", ctypes.c_int32), ("stream", ctypes.c_void_p), ("event", ctypes.c_void_p),
                ("to", ctypes.c_uint64), ("start", ctypes.c_uint64), ("bytes", ctypes.c_uint64)]


# A program that ends with a loader at work; what it registers first is called last.
ENDS = """
import atexit, ctypes, os, sys, time
driver = ctypes.CDLL(sys.argv[1])
def last():
    closed = loader._handle is None
    print(closed and driver.standin_await_nothing_held(), time.time() - began < 30)
atexit.register(last)
import support
loader = support.loader_of(batch_size=2, prefetch=1, device=sys.argv[2], endless=True)
epoch = loader.epoch(0)
next(epoch).close()
child = os.fork() if sys.argv[3] == "fork" else 0
if sys.argv[3] == "fork" and child == 0:
    atexit.unregister(last)
    sys.exit(3)
if child:
    print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
began = time.time()
"""

driver = folder = None


def setUpModule():
    """The stand-in, loaded first: the library then finds it under the name of NVIDIA's driver."""
    global driver, folder
    if shutil.which("gcc") is None:
        raise unittest.SkipTest("no gcc")
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "libcuda.so.1")
    sources = [name for name in glob.glob(os.path.join(ROOT, "tests", "standin", "*.c")) if "selftest" not in name]
    subprocess.check_call(["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden",
                           "-ffp-contract=off", "-Wl,-soname,libcuda.so.1", "-o", path] + sorted(sources))
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    driver = ctypes.CDLL(path)
    driver.standin_stream.restype = ctypes.c_void_p
    driver.standin_stream.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    driver.standin_violation.restype = ctypes.c_char_p
    driver.standin_violation.argtypes = [ctypes.c_uint64]
    driver.standin_log.argtypes = [ctypes.c_uint64, ctypes.POINTER(Entry)]
    driver.standin_hold.argtypes = [ctypes.c_char_p]
    driver.standin_let.argtypes = [ctypes.c_char_p, ctypes.c_uint64]


def tearDownModule():
    shutil.rmtree(folder)


def log():
    """What has been called so far: pairs of a function and its stream."""
    entries = []
    while True:
        entry = Entry()
        if not driver.standin_log(len(entries), ctypes.byref(entry)):
            return [(one.function.decode(), one.stream or 0) for one in entries if not one.ran]
        entries.append(entry)


def logged(function, call):
    """The streams that a call has named to a function of the driver, from this thread or the library's."""
    before = len(log())
    call()
    return [stream for name, stream in log()[before:] if name == function]


class OnTheGpu(Case):
    device = 0

    def setUp(self):
        Case.setUp(self)
        context = ctypes.c_void_p()
        driver.cuInit(0)
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), self.device)
        self.stream = driver.standin_stream(context, 1)
        # With one batch at a time nothing else happens while a test looks at the log.
        self.loader = loader_of(batch_size=2, prefetch=1, device="cuda", device_id=self.device)
        self.batch = self.settled(self.loader.epoch(0))

    def tearDown(self):
        # Copies to the caller's own memory are the only ones that are not of pinned memory.
        self.assertEqual(self.violations() - {b"a copy of memory that is not pinned"}, set())

    @staticmethod
    def violations():
        found = []
        while not found or found[-1] is not None:
            found.append(driver.standin_violation(len(found)))
        return set(found[:-1])

    def settled(self, batches):
        """The next batch, when both slots of the loader are filled."""
        batch = next(batches)
        batch.wait(-1)
        while self.loader.stats().uploads < 2:
            pass
        driver.standin_settle()
        return batch

    def waits(self, call):
        return logged("cuStreamWaitEvent", call)

    def held(self):
        collect()
        return self.loader.stats().held

    def test_batches_are_those_of_the_host(self):
        self.batch.close()
        plain = loader_of(batch_size=2)
        for batch, expected in zip(self.loader.epoch(0), plain.epoch(0)):
            for category in ("images", "labels"):
                self.same(batch.copy(category), expected[category], category)
                self.assertEqual(batch[category].tobytes(), expected[category].tobytes())
            self.assertEqual(batch.samples, expected.samples)
            self.assertEqual(len(batch), len(expected))
        self.assertIsNone(self.loader.next_batch())

    def test_an_array_says_where_it_lies(self):
        array = self.batch["images"]
        self.assertIsInstance(array, voxfeed.DeviceArray)
        self.assertEqual((array.device, array.device_id, array.dtype), ("cuda", self.device, "int16"))
        self.assertEqual(array.shape, (2, 1, 3, 4, 4))
        face = array.__cuda_array_interface__
        self.assertEqual((face["version"], face["typestr"], face["shape"]), (3, "<i2", array.shape))
        self.assertEqual((face["strides"], face["data"][1]), (None, False))
        self.assertEqual(self.batch["labels"].__cuda_array_interface__["typestr"], "|u1")
        self.assertEqual(array.__dlpack_device__(), (2, self.device))
        for name, version in VERSION.items():
            capsule = array.__dlpack__(max_version=version)
            tensor = content(capsule, name).tensor
            self.assertEqual(list(tensor.device), [2, self.device])
            self.assertEqual((tensor.data, tensor.byte_offset), (face["data"][0], 0))
            self.assertEqual(tensor.strides[:tensor.ndim], [48, 48, 16, 4, 1])

    def test_numpy_is_told_that_it_cannot_read_it(self):
        array = self.batch["images"]
        self.assertFalse(hasattr(array, "__array_interface__"))
        with self.refused(TypeError, "GPU"):
            numpy.asarray(array)
        with self.assertRaisesRegex((RuntimeError, BufferError), "evice"):
            numpy.from_dlpack(array)
        del array
        self.batch.close()
        self.assertEqual(self.held(), 0)

    def test_the_stream_that_waits_is_the_one_that_was_named(self):
        for stream in (self.stream, LEGACY_STREAM, THREAD_STREAM):
            self.assertEqual(self.waits(lambda: self.batch.wait(stream)), [stream])
        self.assertIn(self.waits(self.batch.wait), ([0], [LEGACY_STREAM]))
        self.assertEqual(self.waits(lambda: self.batch.wait(-1)), [])
        self.assertEqual(logged("cuEventSynchronize", lambda: self.batch.wait(-1)), [0])
        self.assertEqual(self.waits(lambda: self.batch.record_stream(self.stream)), [])

    def test_streams_of_other_libraries_are_understood(self):
        def named(**attributes):
            return type("Stream", (object,), attributes)()

        for stream in (named(cuda_stream=self.stream), named(ptr=self.stream), named(handle=self.stream),
                       named(handle=ctypes.c_void_p(self.stream)), named(__cuda_stream__=lambda _: (0, self.stream))):
            self.assertEqual(self.waits(lambda: self.batch.wait(stream)), [self.stream])
        self.assertIn(self.waits(lambda: self.batch.wait(named(cuda_stream=0))), ([0], [LEGACY_STREAM]))
        self.assertIn(self.waits(lambda: self.batch.wait(named(handle=ctypes.c_void_p()))), ([0], [LEGACY_STREAM]))

    def test_a_capsule_lets_its_stream_wait(self):
        for version in VERSION.values():
            def export(stream):
                return self.waits(lambda: self.batch["images"].__dlpack__(stream=stream, max_version=version))

            self.assertEqual(export(self.stream), [self.stream])
            self.assertEqual(export(THREAD_STREAM), [THREAD_STREAM])
            self.assertEqual(export(LEGACY_STREAM), [LEGACY_STREAM])
            self.assertIn(export(None), ([0], [LEGACY_STREAM]))
            self.assertEqual(export(-1), [])
            with self.refused(BufferError, "stream is 0"):
                export(0)

    def test_the_cuda_array_interface_names_the_stream_that_waited(self):
        array = self.batch["images"]
        self.assertEqual(self.waits(lambda: self.batch["labels"].__cuda_array_interface__), [])
        again = loader_of(batch_size=2, prefetch=1, device="cuda", device_id=self.device)
        fresh = next(again.epoch(0))
        streams = []
        self.assertIn(LEGACY_STREAM, self.waits(lambda: streams.append(fresh["images"].__cuda_array_interface__["stream"])))
        self.assertEqual(streams, [LEGACY_STREAM])
        array.__dlpack__(stream=self.stream)
        self.assertEqual(array.__cuda_array_interface__["stream"], self.stream)
        array.__dlpack__(stream=-1)
        self.assertEqual(array.__cuda_array_interface__["stream"], self.stream)
        for stream, said in ((self.stream, self.stream), (THREAD_STREAM, 2), (LEGACY_STREAM, 1), (None, 1), (-1, None)):
            self.batch.wait(stream)
            self.assertEqual(array.__cuda_array_interface__["stream"], said)

    def test_the_release_follows_every_stream_that_was_named(self):
        array = self.batch["images"]
        capsule = array.__dlpack__(stream=self.stream)
        self.batch.record_stream(THREAD_STREAM)
        self.batch.close()
        del array
        self.assertEqual(self.held(), 1)
        records = []

        def release():
            nonlocal capsule
            del capsule
            collect()

        records = logged("cuEventRecord", release)
        self.assertIn(self.stream, records)
        self.assertIn(THREAD_STREAM, records)
        self.assertEqual(self.held(), 0)

    def test_a_batch_that_is_still_on_its_way_says_so(self):
        # The copies that are held are those of the epoch that begins here, and of no other.
        self.batch.close()
        self.loader.cancel()
        driver.standin_settle()
        driver.standin_hold(b"cuMemcpyHtoDAsync_v2")
        try:
            batch = next(self.loader.epoch(1))
            self.assertFalse(batch.query())
            self.assertEqual(len(batch), 2)
            copies = []
            thread = threading.Thread(target=lambda: copies.append(batch.copy("images")))
            thread.start()
        finally:
            driver.standin_let(b"cuMemcpyHtoDAsync_v2", 2 ** 64 - 1)
        thread.join()
        batch.wait(-1)
        self.assertTrue(batch.query())
        self.assertTrue(batch.ready_event())
        self.same(copies[0], next(loader_of(batch_size=2).epoch(1))["images"])

    def test_pinned_batches_are_numpys_and_say_that_they_are_pinned(self):
        loader = loader_of(batch_size=2, device="cuda_host", device_id=self.device)
        batch = next(loader.epoch(0))
        self.same(batch["images"], next(loader_of(batch_size=2).epoch(0))["images"])
        array, plain = batch.array("images"), batch.array("images", pinned_as_cpu=True)
        self.assertEqual(array.device, "cuda_host")
        self.assertEqual((array.__dlpack_device__()[0], plain.__dlpack_device__()), (3, (1, 0)))
        self.same(numpy.from_dlpack(array), batch["images"])
        for name, version in VERSION.items():
            for one, kind, options in ((array, 3, {}), (array, 1, dict(dl_device=(1, 0))), (plain, 1, {})):
                capsule = one.__dlpack__(max_version=version, **options)
                self.assertEqual(content(capsule, name).tensor.device[0], kind)
        with self.refused(BufferError):
            array.__dlpack__(dl_device=(2, 0))

    def test_pinned_memory_may_come_from_a_pool_of_ones_own(self):
        pool, taken, gone = {}, [], threading.Event()

        def allocate(size):
            # Of the driver, since copies are of pinned memory only.
            address = ctypes.c_void_p()
            self.assertEqual(driver.cuMemHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), 1), 0)
            pool[address.value] = size
            return address.value

        def release(address, size):
            # The driver's functions want a context, which this thread may not have: the memory is kept.
            taken.append(pool.pop(address) == size)
            if not pool:
                gone.set()

        plain = loader_of(batch_size=2)
        for device in ("cuda", "cuda_host"):
            loader = loader_of(batch_size=2, device=device, device_id=self.device,
                               pinned_allocator=(allocate, release))
            self.assertEqual(sum(pool.values()), loader.stats().pinned_bytes)
            for batch, expected in zip(loader.epoch(0), plain.epoch(0)):
                self.same(batch.copy("images"), expected["images"])
            batch = next(loader.epoch(1))
            array = batch.array("images")
            self.assertEqual(array._face["data"][0] in pool, device == "cuda_host")
            del loader, batch
            collect()
            if device == "cuda_host":
                self.assertFalse(gone.is_set())
                self.assertGreater(len(pool), 0)
            del array
            collect()
            self.assertTrue(gone.wait(60) and all(taken))
            gone.clear()

    def test_a_pool_may_be_in_use_when_python_ends(self):
        code = ("import ctypes, sys, test_cuda, voxfeed\n"
                "test_cuda.setUpModule()\n"
                "def allocate(size):\n"
                "    address = ctypes.c_void_p()\n"
                "    test_cuda.driver.cuMemHostAlloc(ctypes.byref(address), ctypes.c_size_t(size), 1)\n"
                "    return address.value\n"
                "def release(address, size):\n"
                "    pass\n"
                "loader = test_cuda.loader_of(batch_size=2, device=sys.argv[1], pinned_allocator=(allocate, release))\n"
                "array = next(loader.epoch(0)).array('images')\n"
                "if sys.argv[2] == 'closed':\n"
                "    loader.close()\n"
                "if sys.argv[2] == 'gone':\n"
                "    del loader\n")
        for device in ("cuda", "cuda_host"):
            for how in ("kept", "closed", "gone"):
                self.assertEqual(run_python(code, device, how), (0, "", ""), (device, how))

    def test_a_pool_that_cannot_is_told_of_by_its_own_words(self):
        def broken(_):
            raise KeyError("no pool today")

        def leave(address, size):
            raise AssertionError("nothing was given")

        options = dict(device="cuda_host", device_id=self.device)
        with self.assertRaises(KeyError):
            loader_of(pinned_allocator=(broken, leave), **options)
        with self.refused(voxfeed.OutOfMemoryError, "allocator"):
            loader_of(pinned_allocator=(lambda _: None, leave), **options)
        with self.refused(TypeError, "address"):
            loader_of(pinned_allocator=(lambda _: "here", leave), **options)
        with self.refused(voxfeed.ArgumentError, "allocator"):
            loader_of(pinned_allocator=(broken, leave))
        with self.refused(TypeError, "pair"):
            loader_of(pinned_allocator=broken, **options)

    def test_loaders_tell_what_they_sent(self):
        stats = self.loader.stats()
        self.assertEqual(stats.uploads, 2)
        self.assertEqual(stats.upload_bytes, 2 * 2 * (3 * 4 * 4 * 2 + 3 * 4 * 4))
        self.assertGreater(stats.pinned_bytes, 0)
        self.assertEqual(stats.device_bytes, stats.pinned_bytes)

    def test_the_end_of_the_interpreter_closes_loaders(self):
        path = os.path.join(folder, "libcuda.so.1")
        for device, how, said in (("cuda", "", "1 True\n"), ("cuda_host", "", "1 True\n"), ("cuda", "fork", "3\n1 True\n"),
                                  ("cpu", "", "False True\n")):
            self.assertEqual(run_python(ENDS, path, device, how), (0, said, ""), device)

    def test_predictions_are_added_where_they_lie(self):
        self.batch.close()
        plain, launched = loader_of(batch_size=2), []
        host = voxfeed.Assembler(plain, blend="gaussian")
        there = voxfeed.Assembler(self.loader, blend="gaussian", device="cuda", device_id=self.device,
                                  device_bytes=1 << 20)
        for batch, expected in zip(self.loader.epoch(1), plain.epoch(1)):
            batch.wait(self.stream)
            launched += logged("cuLaunchKernel", lambda: there.add(batch, batch.array("images"), self.stream))
            host.add(expected, expected["images"])
        self.assertGreater(len(launched), 0)
        for subject in list(there.complete()):
            self.same(there.take(subject), host.take(subject))
        self.assertTrue(there.next_complete() is None and list(host.complete()) == [])

    def test_the_driver_knows_where_an_array_lies_that_does_not_say(self):
        class Bare(object):
            def __init__(self, array):
                self.__cuda_array_interface__ = array.__cuda_array_interface__

        self.batch.close()
        plain, assembler = loader_of(batch_size=2), voxfeed.Assembler(self.loader)
        host = voxfeed.Assembler(plain)
        for batch, expected in zip(self.loader.epoch(1), plain.epoch(1)):
            batch.wait(self.stream)
            assembler.add(batch, Bare(batch.array("images")), self.stream)
            host.add(expected, expected["images"])
        for subject in list(host.complete()):
            self.same(assembler.take(subject), host.take(subject))

    def test_a_device_that_is_not_there_is_an_error(self):
        with self.refused(voxfeed.NoDeviceError):
            voxfeed.Assembler(self.loader, device="cuda", device_id=17)
        with self.refused(voxfeed.NoDeviceError):
            loader_of(device="cuda", device_id=17)


class OnTheSecondGpu(OnTheGpu):
    device = 1


if __name__ == "__main__":
    unittest.main()
