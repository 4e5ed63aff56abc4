# -*- coding: utf-8 -*-
# SPDX-License-Identifier: MIT OR Apache-2.0
"""voxfeed for Python: volumetric medical data for deep learning.

A thin face of the shared library `libvoxfeed`, in one file that runs on Python 2.7 and 3.6 or newer.

    import voxfeed
    dataset = voxfeed.Dataset("brains.h5")
    sampler = voxfeed.Sampler(dataset, kind="uniform", patch_shape=(64, 64, 64), samples_per_subject=8)
    loader = voxfeed.Loader(sampler, batch_size=4, order="shuffled", seed=1)
    for batch in loader.epoch(0):
        x, y = batch["images"], batch["labels"]       # numpy arrays (batch, channel, depth, height, width)

Axes are listed slowest first, indices begin at 0, lengths are in millimetres and times in seconds.

Arrays: what a batch gives are views of the library's memory, not copies. A view keeps its memory, so do not
collect views: copy what you want to keep, or the loader runs out of batches to fill. Without numpy, arrays come
as `Array`, which only has a shape, a dtype and bytes; whatever has `__array_interface__` can be passed in.

Choices are written as words ("shuffled") or constants (ORDER_SHUFFLED), dtypes as "f32", "float32",
numpy.float32 or DTYPE_F32.

Errors are subclasses of `Error`; values that Python itself refuses are TypeError and ValueError.
"""

from __future__ import absolute_import, division, print_function

import atexit
import collections
import ctypes
import ctypes.util
import json
import operator
import os
import sys
import threading
import time
import warnings
import weakref
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

try:
    import numpy
except ImportError:
    numpy = None

ABI_VERSION = 0
"""The number of the C interface that this file speaks."""

MAX_NDIM = 8
MAX_AXES = 6
SAMPLE_REPEATED = 1
DLPACK_PINNED_AS_CPU = 1
DLPACK_PINNED_AS_PINNED = 2
DLPACK_NO_WAIT = 4

_PY2 = sys.version_info[0] == 2
_WORD = (type(u""), bytes)
_OK, _END, _CANCELLED, _FORKED = 0, 1, 4, -14

_CHOICES = {
    "dtype": dict(stored=0, bool=1544, u8=264, i8=8, u16=272, i16=16, u32=288, i32=32, u64=320, i64=64,
                  f16=528, f32=544, f64=576),
    "device": dict(default=0, cpu=1, cuda=2, cuda_host=3),
    "io": dict(auto=0, positional=1, map=2),
    "geometry": dict(strict=0, shape=1),
    "seek_index": dict(auto=0, never=1, always=2),
    "index_place": dict(auto=0, beside=1),
    "channel": dict(auto=0, none=1, first=2, last=3),
    "sampler_kind": dict(whole=0, slices=1, grid=2, uniform=3),
    "border": dict(drop=0, clip=1, pad=2, shift=3),
    "order": dict(sequential=0, shuffled=1),
    "last_batch": dict(keep=0, drop=1, pad=2),
    "on_error": dict([("continue", 0), ("stop", 1)]),
    "ragged": dict(error=0, pad=1),
    "thin_axis": dict(drop=0, keep=1),
    "consumer": dict(cpu=0, device=1), "cast": dict(auto=0, host=1, device=2),
    "padding": dict(zero=0, constant=1, edge=2, reflect=3, symmetric=4, wrap=5),
    "fit": dict(exact=0, saturate=1),
    "blend": dict(last=0, mean=1, gaussian=2),
    "reduce": dict(none=0, argmax=1),
    "completeness": dict(complete=0, partial=1),
    "existing": dict(error=0, replace=1),
    "look": dict(auto=0, grey=1, labels=2),
    "log_level": dict(error=1, warning=2, info=3), "log_mode": dict(direct=0, queued=1),
    "status": dict(ok=0, end=1, timeout=2, not_ready=3, cancelled=4, err_internal=-1, err_argument=-2,
                   err_handle=-3, err_state=-4, err_unsupported=-5, err_memory=-6, err_range=-7,
                   err_not_found=-8, err_io=-9, err_format=-10, err_limit=-11, err_device=-12,
                   err_no_device=-13, err_forked=-14, err_buffer=-15),
}

# ORDER_SHUFFLED and its like: the constants of voxfeed.h without their prefix.
for _kind, _words in _CHOICES.items():
    for _word, _number in _words.items():
        globals()[(_kind + "_" + _word).upper()] = _number

# Each dtype's number with the letter and bytes that __array_interface__ uses, and numpy's name.
_TYPESTR = {1544: ("b", 1, "bool"), 264: ("u", 1, "uint8"), 8: ("i", 1, "int8"), 272: ("u", 2, "uint16"),
            16: ("i", 2, "int16"), 288: ("u", 4, "uint32"), 32: ("i", 4, "int32"), 320: ("u", 8, "uint64"),
            64: ("i", 8, "int64"), 528: ("f", 2, "float16"), 544: ("f", 4, "float32"), 576: ("f", 8, "float64")}
_DTYPE_OF = dict((letter + str(size), number) for number, (letter, size, _) in _TYPESTR.items())
_DTYPE_NAMED = dict((name, number) for number, (_, _, name) in _TYPESTR.items())
_DTYPE_NAMED.update(_CHOICES["dtype"])
_NATIVE = "<" if sys.byteorder == "little" else ">"


def _choice(kind, value, what):
    """The number of a word or constant."""
    if kind == "dtype":
        return _dtype(value, what)
    words = _CHOICES[kind]
    if isinstance(value, _WORD):
        if value not in words:
            raise ValueError("%s is %r, expected %s" % (what, value, _either(words)))
        return words[value]
    return _integer(value, what, -2 ** 31, 2 ** 31 - 1)


def _either(words):
    return ", ".join('"%s"' % word for word in sorted(words, key=words.get))


def _dtype(value, what="dtype"):
    """The number of "f32", "float32", numpy.float32, numpy.dtype("float32") or DTYPE_F32."""
    if value is None:
        return 0
    name = getattr(value, "__name__", None) or getattr(value, "name", None) or value
    if isinstance(name, _WORD):
        if name in _DTYPE_NAMED:
            return _DTYPE_NAMED[name]
        raise ValueError("%s is %r, expected %s" % (what, str(name), _either(_CHOICES["dtype"])))
    return _integer(name, what, 0, 2 ** 31 - 1)


def _integer(value, what, low, high):
    # ctypes would cut off what does not fit, without a word.
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError("%s is %r, expected an integer" % (what, value))
    if not low <= number <= high:
        raise ValueError("%s is %d, expected %d to %d" % (what, number, low, high))
    return number


def _text(raw):
    """Text of the library as str."""
    return raw if _PY2 or raw is None else raw.decode("utf-8", "replace")


def _encoded(value, what):
    """Text of the caller as UTF-8 with no NUL inside, where C would end it."""
    if isinstance(value, type(u"")):
        value = value.encode("utf-8")
    elif not isinstance(value, bytes):
        raise TypeError("%s is %r, expected text" % (what, value))
    if b"\0" in value:
        raise ValueError("%s has a NUL inside: %r" % (what, value))
    return value


def _path(value):
    if hasattr(os, "fsencode"):
        value = os.fsencode(value)
    elif isinstance(value, type(u"")):
        value = value.encode(sys.getfilesystemencoding() or "utf-8")
    return _encoded(value, "path")


# Opaque, and each a type of its own, so that they cannot be mixed up.
_Dataset, _Sampler, _Transform, _Batch, _Loader, _Assembler, _Writer = [
    type("vxf_" + _word, (ctypes.Structure,), {})
    for _word in ("dataset", "sampler", "transform", "batch", "loader", "assembler", "writer")]


class _ErrorInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("status", c_int32), ("os_error", c_int32),
                ("device_error", c_int32), ("sample", c_int64), ("path", c_char_p)]


class _Tensor(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("dtype", c_int32), ("device", c_int32), ("device_id", c_int32),
                ("data", c_void_p), ("ndim", c_int64), ("shape", c_int64 * MAX_NDIM),
                ("strides", c_int64 * MAX_NDIM)]


class _Sample(ctypes.Structure):
    _fields_ = [("index", c_uint64), ("subject", c_uint64), ("epoch", c_uint64), ("position", c_uint64),
                ("flags", c_uint32), ("ndim", c_uint32), ("thin_axis", c_int64),
                ("offset", c_int64 * MAX_AXES), ("shape", c_int64 * MAX_AXES),
                ("valid_offset", c_int64 * MAX_AXES), ("valid_shape", c_int64 * MAX_AXES),
                ("reserved", c_uint64 * 4)]


class _Region(ctypes.Structure):
    _fields_ = [("offset", c_int64 * MAX_AXES), ("shape", c_int64 * MAX_AXES)]


class _VolumeInfo(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("dtype", c_int32), ("value_dtype", c_int32), ("ndim", c_uint32),
                ("shape", c_int64 * MAX_AXES), ("channels", c_int64), ("scale_slope", c_double),
                ("scale_intercept", c_double), ("spacing_mm", c_double * 3), ("affine", c_double * 16),
                ("has_affine", c_uint32), ("reserved", c_uint32), ("path", c_char_p), ("format", c_char_p)]


class _LoaderStats(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("threads", c_uint32)] + [
        (name, c_uint64) for name in (
            "batches", "samples", "bytes", "errors", "waits", "wait_ns", "work_ns", "idle_ns", "held", "slots",
            "slot_bytes", "cache_hits", "cache_misses", "cache_bytes", "scratch_bytes", "pinned_bytes",
            "device_bytes", "uploads", "upload_bytes", "event_waits")]


class _DatasetOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("io", c_int32), ("geometry", c_int32), ("reserved", c_int32),
                ("cache_bytes", c_uint64), ("orient", c_char_p), ("seek_index", c_int32), ("index_place", c_int32),
                ("index_folder", c_char_p)]


class _FileOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("channel", c_int32), ("inner", c_char_p)]


class _SamplerOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("kind", c_int32), ("border", c_int32), ("axis_count", c_uint32),
                ("axes", c_int32 * MAX_AXES), ("patch_shape", c_int64 * MAX_AXES),
                ("stride", c_int64 * MAX_AXES), ("overlap", c_int64 * MAX_AXES),
                ("samples_per_subject", c_uint64)]


class _Category(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("entries", POINTER(c_char_p)), ("entry_count", c_uint64),
                ("dtype", c_int32), ("padding", c_int32), ("pad_value", c_double), ("fit", c_int32),
                ("squeeze_channel", c_uint32), ("reserved", c_uint64 * 4)]


_PINNED_ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_uint64, c_void_p)
_PINNED_RELEASE = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_void_p)


class _PinnedAllocator(ctypes.Structure):
    _fields_ = [("allocate", _PINNED_ALLOCATE), ("release", _PINNED_RELEASE), ("user_data", c_void_p)]


class _LoaderOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("batch_size", c_uint32), ("prefetch", c_uint32),
                ("threads", c_uint32), ("order", c_int32), ("last_batch", c_int32), ("on_error", c_int32),
                ("ragged", c_int32), ("thin_axis", c_int32), ("endless", c_uint32), ("rank", c_uint32),
                ("world_size", c_uint32), ("seed", c_uint64), ("transform", POINTER(_Transform)),
                ("categories", POINTER(_Category)), ("category_count", c_uint64), ("device", c_int32),
                ("device_id", c_int32), ("group_window", c_uint32), ("consumer", c_int32), ("cast", c_int32),
                ("reserved", c_uint32), ("pinned", POINTER(_PinnedAllocator))]


class _AssemblerOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("blend", c_int32), ("reduce", c_int32), ("dtype", c_int32),
                ("accumulate", c_int32), ("reserved", c_uint32), ("sigma", c_double), ("device", c_int32),
                ("device_id", c_int32), ("device_bytes", c_uint64), ("threads", c_uint32),
                ("reserved_end", c_uint32)]


class _WriterOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("existing", c_int32)]


class _MontageOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("axis", c_uint32), ("slices", c_uint32), ("tile_pixels", c_uint32),
                ("affine", POINTER(c_double))]


class _MontageColumn(ctypes.Structure):
    _fields_ = [("volume", POINTER(_Tensor)), ("title", c_char_p), ("look", c_int32), ("channel", c_uint32),
                ("reserved", c_uint64 * 2)]


_PROGRESS = ctypes.CFUNCTYPE(c_int32, c_uint64, c_uint64, c_void_p)
_LOG = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)


def _functions():
    """Every function of voxfeed.h: its name, what it returns, what it takes."""
    p, size, u64, text, status = POINTER, c_size_t, c_uint64, c_char_p, c_int32
    dataset, sampler, transform, batch = p(_Dataset), p(_Sampler), p(_Transform), p(_Batch)
    loader, assembler, writer, tensor = p(_Loader), p(_Assembler), p(_Writer), p(_Tensor)
    affine, stream = p(c_double), c_void_p
    return [
        ("abi_version", c_uint32, []),
        ("version_string", text, []),
        ("build_info", text, []),
        ("status_name", text, [status]),
        ("last_error_message", text, []),
        ("last_error_info", status, [p(_ErrorInfo)]),
        ("cuda_device_count", status, [p(c_int32)]),
        ("set_log", status, [c_int32, c_int32, _LOG, c_void_p]),
        ("process_events", status, []),
        ("dataset_options_init", status, [p(_DatasetOptions), size]),
        ("dataset_open", status, [text, p(_DatasetOptions), p(dataset)]),
        ("dataset_new", status, [p(_DatasetOptions), p(dataset)]),
        ("dataset_add_subject", status, [dataset, text, p(u64)]),
        ("file_options_init", status, [p(_FileOptions), size]),
        ("dataset_add_file", status, [dataset, u64, text, text, text, p(_FileOptions)]),
        ("dataset_add_tensor", status, [dataset, u64, text, text, tensor, affine]),
        ("dataset_set_attribute", status, [dataset, u64, text, text]),
        ("dataset_set_split", status, [dataset, text, p(u64), u64]),
        ("dataset_split", status, [dataset, text, p(dataset)]),
        ("dataset_subset", status, [dataset, p(u64), u64, p(dataset)]),
        ("dataset_len", status, [dataset, p(u64)]),
        ("dataset_subject_id", status, [dataset, u64, p(text)]),
        ("dataset_find", status, [dataset, text, p(u64)]),
        ("dataset_splits", status, [dataset, p(text)]),
        ("dataset_categories", status, [dataset, u64, p(text)]),
        ("dataset_attribute", status, [dataset, u64, text, p(text)]),
        ("dataset_volume_info", status, [dataset, u64, text, text, p(_VolumeInfo)]),
        ("dataset_read", status, [dataset, u64, text, text, p(_Region), tensor]),
        ("dataset_preload", status, [dataset, c_uint32, _PROGRESS, c_void_p]),
        ("dataset_evict", status, [dataset]),
        ("dataset_free", None, [dataset]),
        ("sampler_options_init", status, [p(_SamplerOptions), size]),
        ("sampler_new", status, [dataset, p(_SamplerOptions), p(sampler)]),
        ("sampler_len", status, [sampler, p(u64)]),
        ("sampler_get", status, [sampler, u64, u64, u64, p(_Sample)]),
        ("sampler_free", None, [sampler]),
        ("transform_parse", status, [text, p(transform)]),
        ("transform_free", None, [transform]),
        ("batch_tensor", status, [batch, text, tensor]),
        ("batch_categories", status, [batch, p(text)]),
        ("batch_len", status, [batch, p(u64)]),
        ("batch_samples", status, [batch, p(_Sample), u64]),
        ("batch_copy_to", status, [batch, text, tensor]),
        ("batch_retain", status, [batch, p(batch)]),
        ("batch_release", None, [batch]),
        ("batch_wait", status, [batch, stream]),
        ("batch_record_stream", status, [batch, stream]),
        ("batch_ready_event", status, [batch, p(c_void_p)]),
        ("batch_query", status, [batch]),
        ("pinned_alloc", status, [u64, p(c_void_p)]),
        ("pinned_free", None, [c_void_p]),
        ("batch_dlpack", status, [batch, text, c_uint32, stream, p(c_void_p)]),
        ("batch_dlpack_legacy", status, [batch, text, c_uint32, stream, p(c_void_p)]),
        ("dlpack_capsule_free", None, [c_void_p]),
        ("loader_options_init", status, [p(_LoaderOptions), size]),
        ("loader_new", status, [sampler, p(_LoaderOptions), p(loader)]),
        ("loader_start", status, [loader, u64]),
        ("loader_len", status, [loader, p(u64)]),
        ("loader_next", status, [loader, c_int64, p(batch)]),
        ("loader_cancel", status, [loader]),
        ("loader_close", status, [loader, c_int64]),
        ("loader_save_state", status, [loader, c_char_p, p(size)]),
        ("loader_load_state", status, [loader, text]),
        ("loader_get_stats", status, [loader, p(_LoaderStats)]),
        ("loader_free", None, [loader]),
        ("assembler_options_init", status, [p(_AssemblerOptions), size]),
        ("assembler_new", status, [loader, p(_AssemblerOptions), p(assembler)]),
        ("assembler_add", status, [assembler, batch, tensor]),
        ("assembler_add_async", status, [assembler, batch, tensor, c_void_p]),
        ("assembler_add_samples", status, [assembler, p(_Sample), u64, tensor]),
        ("assembler_next_complete", status, [assembler, p(u64)]),
        ("assembler_shape", status, [assembler, u64, tensor]),
        ("assembler_coverage", status, [assembler, u64, p(c_double)]),
        ("assembler_take", status, [assembler, u64, c_int32, tensor]),
        ("assembler_save", status, [assembler, u64, c_int32, text]),
        ("assembler_free", None, [assembler]),
        ("writer_options_init", status, [p(_WriterOptions), size]),
        ("writer_create", status, [text, p(_WriterOptions), p(writer)]),
        ("writer_add_subject", status, [writer, text]),
        ("writer_add_entry", status, [writer, text, text, tensor, affine]),
        ("writer_add_dataset", status, [writer, dataset, _PROGRESS, c_void_p]),
        ("writer_finish", status, [writer]),
        ("writer_free", None, [writer]),
        ("volume_save", status, [text, tensor, affine]),
        ("montage_options_init", status, [p(_MontageOptions), size]),
        ("montage_save", status, [text, p(_MontageColumn), u64, p(_MontageOptions)]),
    ]


class _Library(object):
    """The loaded library; its functions are the table's and no others."""

    def __init__(self):
        self.path, cdll = self._open()
        try:
            for name, returns, takes in _functions():
                function = getattr(cdll, "vxf_" + name)
                function.restype, function.argtypes = returns, takes
                if returns is c_int32 and name != "last_error_info":
                    function.errcheck = _check
                setattr(self, name, function)
        except AttributeError as error:
            raise ImportError("voxfeed: %s lacks a function, is it the right version? %s" % (self.path, error))
        found = self.abi_version()
        if found != ABI_VERSION:
            raise ImportError("voxfeed: this voxfeed.py speaks C interface %d, the library %s speaks %d: use "
                              "the voxfeed.py that came with the library" % (ABI_VERSION, self.path, found))

    @staticmethod
    def _names():
        if sys.platform == "darwin":
            return ["libvoxfeed.%d.dylib" % ABI_VERSION, "libvoxfeed.dylib"]
        if sys.platform in ("win32", "cygwin"):
            return ["voxfeed.dll"]
        return ["libvoxfeed.so.%d" % ABI_VERSION, "libvoxfeed.so"]

    @classmethod
    def _open(cls):
        asked = os.environ.get("VXF_LIBRARY")
        if asked:
            try:
                return asked, ctypes.CDLL(asked)
            except OSError as error:
                raise ImportError("voxfeed: VXF_LIBRARY is %s, which cannot be loaded: %s" % (asked, error))
        here = os.path.dirname(os.path.abspath(__file__))
        # Beside this file; <prefix>/share/voxfeed/python; bindings/python of a source checkout.
        folders = [here, os.path.join(here, "..", "..", "..", "lib"),
                   os.path.join(here, "..", "..", "target", "release")]
        tried = []
        for folder in folders:
            for name in cls._names():
                path = os.path.normpath(os.path.join(folder, name))
                if os.path.exists(path):
                    try:
                        return path, ctypes.CDLL(path)
                    except OSError as error:
                        tried.append("%s (%s)" % (path, error))
            tried.append(os.path.normpath(folder))
        for name in [ctypes.util.find_library("voxfeed"), cls._names()[0]]:
            if name:
                try:
                    return name, ctypes.CDLL(name)
                except OSError as error:
                    tried.append("%s (%s)" % (name, error))
        raise ImportError("voxfeed: the shared library is in none of these places: %s. Set VXF_LIBRARY to its "
                          "path" % ", ".join(tried))


class Error(RuntimeError):
    """A failure in the library.

    `status` is its number (STATUS_ERR_FORMAT), `name` that number's name, `message` one line, `path` the file
    concerned or "", `sample` the number of the sample that failed or None, `os_error` the operating system's
    error number or 0, `device_error` the CUDA driver's result or 0.
    """

    status = -1

    def __init__(self, message, path="", sample=None, os_error=0, device_error=0):
        RuntimeError.__init__(self, message)
        self.message, self.path, self.sample = message, path, sample
        self.os_error, self.device_error = os_error, device_error

    def __str__(self):
        return self.message

    @property
    def name(self):
        """The name of the status, "VXF_STATUS_ERR_FORMAT"."""
        return _text(_lib.status_name(self.status))


_ERRORS = {}

for _word, _name, _base, _about in [
        ("err_internal", "InternalError", None, "A fault of voxfeed itself; the object is unusable."),
        ("err_argument", "ArgumentError", ValueError, "A value that makes no sense."),
        ("err_handle", "HandleError", None, "An object that is closed."),
        ("err_state", "StateError", None, "A call out of order."),
        ("err_unsupported", "UnsupportedError", None, "A sound file or request that this build cannot serve."),
        ("err_memory", "OutOfMemoryError", MemoryError, "Memory could not be had."),
        ("err_range", "RangeError", ValueError, "An index or region outside, a number that does not fit."),
        ("err_not_found", "NotFoundError", KeyError, "No such file, category, entry, subject or split."),
        ("err_io", "IoError", None, "The operating system refused; os_error says why."),
        ("err_format", "FormatError", ValueError, "A file breaks its own format."),
        ("err_limit", "LimitError", None, "A budget is too small."),
        ("err_device", "DeviceError", None, "A GPU or its driver failed."),
        ("err_no_device", "NoDeviceError", None, "No GPU, no driver, or none that can be used."),
        ("err_forked", "ForkedError", None, "A loader that was made before a fork is used in the child."),
        ("err_buffer", "BufferTooSmallError", None, "A buffer is too small."),
        ("timeout", "TimedOut", None, "The time is up; nothing was lost, call again."),
        ("cancelled", "Cancelled", None, "The loader was cancelled.")]:
    _number = _CHOICES["status"][_word]
    # KeyError prints its text in quotes, so Error comes first.
    _ERRORS[_number] = type(_name, (Error, _base) if _base else (Error,),
                            {"status": _number, "__doc__": _about, "__module__": __name__})
    globals()[_name] = _ERRORS[_number]

_FORK_HINT = ("make the loader in the process that uses it"
              + ("" if _PY2 else ', or start processes with multiprocessing.set_start_method("spawn")'))


def _check(status, function, arguments):
    """Turns a negative status into an exception, on the thread that has the message."""
    if status >= 0:
        return status
    message = _text(_lib.last_error_message())
    info = _ErrorInfo(struct_size=ctypes.sizeof(_ErrorInfo), sample=-1)
    _lib.last_error_info(byref(info))
    if status == _FORKED:
        message = "%s (%s)" % (message, _FORK_HINT)
    raise _ERRORS.get(status, Error)(message, _text(info.path) or "", None if info.sample < 0 else info.sample,
                                     info.os_error, info.device_error)


_lib = _Library()


class _Handle(object):
    """Owns one object of the library, and frees it when nobody uses it any more.

    It stands in the arguments of every call on the object, so one thread cannot free what another works with.
    """

    __slots__ = ("pointer", "_free")

    def __init__(self, noun, free):
        self._free = free
        self.pointer = POINTER(noun)()

    @property
    def _as_parameter_(self):
        return self.pointer

    def __del__(self):
        if self.pointer:
            self._free(self.pointer)


class _Object(object):
    """What Dataset, Sampler, Transform, Loader, Batch, Assembler and Writer share."""

    _handle = None

    @property
    def _own(self):
        handle = self._handle
        if handle is None:
            raise HandleError("this %s is closed" % type(self).__name__)
        return handle

    def close(self):
        """Lets go of the object; what was made of it lives on. Again: nothing happens."""
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __reduce_ex__(self, _):
        raise TypeError("a voxfeed.%s cannot be pickled: its memory belongs to this process. Pass what it is "
                        "made of, and make it in the process that uses it" % type(self).__name__)

    def __copy__(self):
        raise TypeError("a voxfeed.%s cannot be copied" % type(self).__name__)

    def __deepcopy__(self, _):
        return self.__copy__()


def _options(noun, init, given, choices, keep, others=()):
    """An options struct: the library's defaults, then the caller's keywords; others are those taken out before."""
    options = noun()
    init(byref(options), ctypes.sizeof(options))
    fields = collections.OrderedDict((name, kind) for name, kind in noun._fields_
                                     if name not in ("struct_size", "category_count", "axis_count", "pinned")
                                     and not name.startswith("reserved"))
    for name, value in given.items():
        if name not in fields:
            raise TypeError("there is no option %r; there are: %s" % (name, ", ".join(list(fields) + list(others))))
        if value is not None:
            _set(options, name, value, fields[name], choices.get(name), keep)
    return options


def _set(options, name, value, kind, choice, keep):
    """Fills one field; what C borrows goes to keep."""
    if choice:
        value = _choice(choice, value, name)
    elif kind is c_char_p:
        value = _path(value) if name.endswith("_folder") else _encoded(value, name)
        keep.append(value)
    elif kind is c_double:
        value = float(value)
    elif isinstance(kind, type(c_int64 * 2)) and hasattr(kind, "_length_"):
        numbers = value if isinstance(value, (list, tuple)) or hasattr(value, "__len__") else [value]
        if len(numbers) > kind._length_:
            raise ValueError("%s has %d numbers, at most %d axes are possible" % (name, len(numbers), kind._length_))
        low, high = _limits(kind._type_)
        value = kind(*[_integer(number, name, low, high) for number in numbers])
        if name == "axes":
            options.axis_count = len(numbers)
    elif kind in (c_uint32, c_uint64, c_int32, c_int64):
        value = _integer(value, name, *_limits(kind))
    setattr(options, name, value)


def _limits(kind):
    bits = 8 * ctypes.sizeof(kind)
    return (0, 2 ** bits - 1) if kind in (c_uint32, c_uint64) else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)


def _numbers(kind, values, what):
    low, high = _limits(kind)
    values = [_integer(value, what, low, high) for value in values]
    return (kind * max(len(values), 1))(*values), len(values)


class Array(object):
    """An array in memory of the library, or in its own: shape, dtype and bytes, for use without numpy.

    numpy.asarray(array) is a view of the same memory and keeps it alive.
    """

    def __init__(self, tensor, owner):
        letter, size, name = _TYPESTR[tensor.dtype]
        self._owner = owner
        self.shape = tuple(tensor.shape[:tensor.ndim])
        self.dtype = name
        self.nbytes = size
        for extent in self.shape:
            self.nbytes *= extent
        self._address = tensor.data or 0
        self._face = {"version": 3, "data": (self._address, False), "shape": self.shape, "strides": None,
                      "typestr": (_NATIVE if size > 1 else "|") + letter + str(size)}

    @property
    def __array_interface__(self):
        return self._face

    def tobytes(self):
        """A copy of the bytes, the last axis fastest."""
        return ctypes.string_at(self._address, self.nbytes)

    def __repr__(self):
        return "voxfeed.%s(shape=%s, dtype=%s)" % (type(self).__name__, self.shape, self.dtype)


class BatchArray(Array):
    """One category of a batch where it lies, for libraries that take memory over: torch.from_dlpack(array).

    It keeps the batch's memory, and so does what they make of it. `device` is "cpu", "cuda" or "cuda_host" (pinned),
    device_id the device's number.
    """

    def __init__(self, tensor, owner, category, pinned_as_cpu):
        Array.__init__(self, tensor, owner)
        self._category = category
        self._device = 1 if pinned_as_cpu and tensor.device == 3 else tensor.device
        self.device, self.device_id = _DEVICES[tensor.device], tensor.device_id

    def __dlpack_device__(self):
        return self._device, self.device_id

    def __dlpack__(self, stream=None, max_version=None, dl_device=None, copy=None):
        """A capsule of the array, without a copy; of DLPack 1.0 where max_version allows it.

        On a GPU the stream waits for the batch, and the memory is not reused before what the stream has been given
        by then is done. None is the legacy default stream; with -1 nothing waits.
        """
        if copy:
            raise BufferError("voxfeed shares a batch's memory and makes no copies of it: copy what you get")
        flags, device = (DLPACK_PINNED_AS_PINNED if self._device == 3 else DLPACK_PINNED_AS_CPU), self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != device:
            if self._device != 3 or tuple(dl_device) != (1, 0):
                raise BufferError("the batch lies on device %s, not on %s" % (device, tuple(dl_device)))
            flags = DLPACK_PINNED_AS_CPU
        if self._device == 2 and stream == 0:
            raise BufferError("stream is 0, which says no stream: 1 is the legacy default one, 2 the thread's own")
        if stream == -1 or (stream is None and self._device != 2):
            stream, flags = None, flags | DLPACK_NO_WAIT
        export, name = _lib.batch_dlpack_legacy, _LEGACY
        if max_version is not None and tuple(max_version) >= (1, 0):
            export, name = _lib.batch_dlpack, _VERSIONED
        out = c_void_p()
        stream = _stream(stream)
        export(self._owner, self._category, flags, stream, byref(out))
        if not flags & DLPACK_NO_WAIT:
            self._owner.stream = stream or 1
        # Python code cannot run while an exception is on its way, so the destructor is the library's.
        return _new_capsule(out, name, ctypes.cast(_lib.dlpack_capsule_free, c_void_p))


class DeviceArray(BatchArray):
    """One category of a batch in the memory of a GPU: what torch, CuPy, Numba and others take without a copy.

    torch.from_dlpack(array) or cupy.asarray(array) keep the batch's memory. batch.copy() brings it to the host.
    """

    @property
    def __array_interface__(self):
        raise AttributeError("the array lies on a GPU")

    @property
    def __cuda_array_interface__(self):
        """The array for readers of version 3, ready on the stream that the batch was last told to wait for.

        Where it was told of none, the legacy default stream waits here.
        """
        handle = self._owner
        if handle.stream is None:
            _lib.batch_wait(handle, 1)
            handle.stream = 1
        return dict(self._face, stream=None if handle.stream == -1 else handle.stream)

    def __array__(self, *_, **__):
        raise TypeError("the array lies on a GPU: batch.copy(category) brings it to the host")

    def tobytes(self):
        """A copy of the bytes, the last axis fastest; it waits for them."""
        tensor, owner = _dense(_DTYPE_NAMED[self.dtype], self.shape)
        _lib.batch_copy_to(self._owner, self._category, byref(tensor))
        return ctypes.string_at(tensor.data, self.nbytes)


_DEVICES = dict((number, word) for word, number in _CHOICES["device"].items())


def _stream(value):
    """The handle of a CUDA stream: its number, None, or an object of torch, CuPy, Numba, PyCUDA or cuda.core."""
    if hasattr(value, "__cuda_stream__"):
        value = value.__cuda_stream__()[1]
    for name in ("cuda_stream", "ptr", "handle"):
        value = getattr(value, name, value)
    value = getattr(value, "value", value)
    number = 0 if value is None else _integer(value, "stream", -1, 2 ** 64 - 1)
    return number % 2 ** 64


def _forever(thing):
    # Capsules may live longer than this module, so what they point to is never freed.
    ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_IncRef", ctypes.pythonapi))(thing)
    return thing


_LEGACY, _VERSIONED = _forever(b"dltensor"), _forever(b"dltensor_versioned")
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, c_char_p, c_void_p)(("PyCapsule_New", ctypes.pythonapi))


def _given(tensor, owner):
    """What callers get for a tensor: a numpy array where there is numpy."""
    array = Array(tensor, owner)
    return array if numpy is None else numpy.asarray(array)


def _dense(dtype, shape):
    """A new tensor of our own memory, and the owner of that memory."""
    count = _TYPESTR[dtype][1]
    for extent in shape:
        count *= extent
    owner = ctypes.create_string_buffer(count) if numpy is None else numpy.empty(count, numpy.uint8)
    address = ctypes.addressof(owner) if numpy is None else owner.ctypes.data
    tensor = _Tensor(struct_size=ctypes.sizeof(_Tensor), dtype=dtype, data=address, ndim=len(shape))
    tensor.shape[:len(shape)] = shape
    return tensor, owner


def _tensor(array, what="array"):
    """A tensor that shows the caller's array, and what keeps that array alive."""
    if numpy is not None:
        array = numpy.asarray(array)
        plain = array.dtype.isnative and all(
            stride > 0 and stride % array.itemsize == 0
            for stride, extent in zip(array.strides, array.shape) if extent > 1)
        if not plain:
            array = numpy.ascontiguousarray(array, array.dtype.newbyteorder("="))
    elif not hasattr(array, "__array_interface__"):
        raise TypeError("%s is %s, expected something with __array_interface__" % (what, type(array).__name__))
    return _described(array.__array_interface__, what, 1), array


def _described(face, what, device):
    """The tensor that an array interface describes."""
    order, dtype = face["typestr"][0], _DTYPE_OF.get(face["typestr"][1:])
    if dtype is None or order not in ("|", _NATIVE):
        raise TypeError("%s has dtype %s, expected %s" % (what, face["typestr"], ", ".join(sorted(
            name for _, _, name in _TYPESTR.values()))))
    shape, strides = face["shape"], face.get("strides")
    if not 1 <= len(shape) <= MAX_NDIM:
        raise ValueError("%s has %d axes, expected 1 to %d" % (what, len(shape), MAX_NDIM))
    tensor = _Tensor(struct_size=ctypes.sizeof(_Tensor), dtype=dtype, device=device, data=face["data"][0],
                     ndim=len(shape))
    tensor.shape[:len(shape)] = shape
    if strides is not None:
        tensor.strides[:len(shape)] = [stride // _TYPESTR[dtype][1] for stride in strides]
    return tensor


def _affine(affine):
    """Sixteen numbers for C from four rows of four, or NULL."""
    if affine is None:
        return None
    rows = affine.tolist() if hasattr(affine, "tolist") else [list(row) for row in affine]
    if len(rows) != 4 or any(len(row) != 4 for row in rows):
        raise ValueError("an affine has four rows of four numbers")
    return (c_double * 16)(*[number for row in rows for number in row])


def nibabel_affine(affine):
    """An affine with its three columns in the opposite order: from voxfeed's to nibabel's, and back.

    voxfeed maps (depth, height, width), nibabel (i, j, k) = (width, height, depth), both to RAS+ millimetres.
    """
    rows = [[row[2], row[1], row[0], row[3]] for row in affine]
    return rows if numpy is None else numpy.array(rows, dtype=numpy.float64)


class Sample(collections.namedtuple("Sample", [
        "index", "subject", "epoch", "position", "repeated", "thin_axis", "offset", "shape", "valid_offset",
        "valid_shape"])):
    """One region of one subject at one position of an epoch: what a row of a batch holds.

    index: its number within the sampler; subject: the number of its subject; position: its place in the epoch's
    order over all ranks; repeated: whether it only fills up the last batch; thin_axis: the axis that a slice is
    one voxel thick on, or None; offset and shape: the region in voxels, offset negative where it begins
    outside; valid_offset and valid_shape: the part of the region that lies inside the volume.
    """

    __slots__ = ()

    @property
    def in_volume(self):
        """The slices of the volume that the row's valid voxels come from."""
        return tuple(slice(start + begin, start + begin + extent) for start, begin, extent in zip(
            self.offset, self.valid_offset, self.valid_shape))

    @property
    def in_row(self):
        """The slices of the region that hold valid voxels, also of the axis that loaders drop from slices."""
        return tuple(slice(begin, begin + extent) for begin, extent in zip(self.valid_offset, self.valid_shape))

    @classmethod
    def _read(cls, raw):
        used = raw.ndim
        return cls(raw.index, raw.subject, raw.epoch, raw.position, bool(raw.flags & SAMPLE_REPEATED),
                   None if raw.thin_axis < 0 else raw.thin_axis, tuple(raw.offset[:used]),
                   tuple(raw.shape[:used]), tuple(raw.valid_offset[:used]), tuple(raw.valid_shape[:used]))

    def _write(self, raw):
        raw.index, raw.subject, raw.epoch, raw.position = self.index, self.subject, self.epoch, self.position
        raw.flags = SAMPLE_REPEATED if self.repeated else 0
        raw.ndim = len(self.offset)
        raw.thin_axis = -1 if self.thin_axis is None else self.thin_axis
        for field in ("offset", "shape", "valid_offset", "valid_shape"):
            getattr(raw, field)[:len(self.offset)] = getattr(self, field)


class VolumeInfo(collections.namedtuple("VolumeInfo", [
        "dtype", "value_dtype", "shape", "channels", "scale_slope", "scale_intercept", "spacing_mm", "affine",
        "has_affine", "path", "format"])):
    """What a volume's file says of it.

    dtype: of the stored numbers ("int16"); value_dtype: of the values, which differs where stored numbers are
    scaled; shape: the spatial extents, slowest first; value = stored * scale_slope + scale_intercept;
    spacing_mm: the step of each of the last three axes; affine: 4x4, (depth, height, width, 1) to RAS+
    millimetres; has_affine: whether the file has a geometry at all; path: "" for a volume in memory.
    """

    __slots__ = ()

    @property
    def nibabel_affine(self):
        """The affine as nibabel lists it, for (width, height, depth, 1)."""
        return nibabel_affine(self.affine)


def _with_progress(function, arguments, progress):
    """Calls a function that reports its progress; whether it came to its end."""
    raised = []

    def call(done, total, _):
        try:
            return 1 if progress is not None and progress(done, total) else 0
        except BaseException:
            raised.append(sys.exc_info())
            return 1

    status = function(*(arguments + (_PROGRESS(call), None)))
    if raised:
        _raise(raised.pop())
    return status == _OK


class Dataset(_Object):
    """The ordered subjects of a study, each with categories ("images") of entries ("T1"), which are volumes.

    Dataset(path) opens a file or a folder, its format told by its content; Dataset() is empty, to be filled with
    add_subject, add_file and add_array. Only headers are read until voxels are asked for.

    Options: io ("auto", "positional", "map"), geometry ("strict", "shape"), cache_bytes (of decoded volumes and
    chunks; 0, the default, is 2 GiB; of what comes in order, epoch after epoch, a part stays where not all fits:
    as much as is not needed for the batches under way and ahead), orient ("RAS", "LPS", ...: fastest axis first; None as stored), seek_index
    ("auto", "never", "always": which deflated volumes are inflated slab by slab), index_place ("auto", "beside"),
    index_folder (where their indexes are kept).
    Subjects are given by number or id.
    An array of four axes has a channel axis, unless its file says something else: the last in HDF5, the first in .npy,
    .npz, .b2nd and Zarr. So the shape (20, 18, 16, 5) is 5 channels of (20, 18, 16) as .h5, and 20 channels of
    (18, 16, 5) as .npy. volume_info tells what was found; the option channel of add_file says it otherwise.
    Errors: NotFoundError, IoError, FormatError, UnsupportedError, ArgumentError; the message names the file.
    """

    def __init__(self, path=None, **options):
        handle, keep = _Handle(_Dataset, _lib.dataset_free), []
        options = _options(_DatasetOptions, _lib.dataset_options_init, options,
                           {"io": "io", "geometry": "geometry", "seek_index": "seek_index",
                            "index_place": "index_place"}, keep)
        if path is None:
            _lib.dataset_new(byref(options), byref(handle.pointer))
        else:
            _lib.dataset_open(_path(path), byref(options), byref(handle.pointer))
        self._handle = handle

    @classmethod
    def _of(cls, function, *arguments):
        made, handle = cls.__new__(cls), _Handle(_Dataset, _lib.dataset_free)
        function(*(arguments + (byref(handle.pointer),)))
        made._handle = handle
        return made

    def _subject(self, subject):
        if isinstance(subject, _WORD):
            return self.find(subject)
        return _integer(subject, "subject", 0, 2 ** 64 - 1)

    def _json(self, function, *arguments):
        out = c_char_p()
        handle = self._own
        function(*((handle,) + arguments + (byref(out),)))
        return json.loads(out.value.decode("utf-8"), object_pairs_hook=collections.OrderedDict)

    def add_subject(self, id):
        """Adds a subject without volumes and returns its number."""
        out = c_uint64()
        _lib.dataset_add_subject(self._own, _encoded(id, "id"), byref(out))
        return out.value

    def add_file(self, subject, category, entry, path, **options):
        """Adds a file's volume to a subject; no voxel is read.

        Options: channel (the axis: "auto" as Dataset says, "none", "first", which is the slowest, "last"), inner (the
        dataset of an HDF5 file, the array of a Zarr group, the member of an .npz, the level of a slide such as "2";
        None for the only one or the largest).
        """
        keep = []
        options = _options(_FileOptions, _lib.file_options_init, options, {"channel": "channel"}, keep)
        _lib.dataset_add_file(self._own, self._subject(subject), _encoded(category, "category"),
                              _encoded(entry, "entry"), _path(path), byref(options))

    def add_array(self, subject, category, entry, array, affine=None):
        """Adds a copy of an array, (spatial axes) or (channel, three spatial axes), to a subject.

        Of four axes the first is the channel, as in .npy: (20, 18, 16, 5) is 20 channels of (18, 16, 5).
        affine is 4x4 as VolumeInfo's: (depth, height, width, 1) to RAS+ millimetres.
        """
        tensor, _array = _tensor(array)
        _lib.dataset_add_tensor(self._own, self._subject(subject), _encoded(category, "category"),
                                _encoded(entry, "entry"), byref(tensor), _affine(affine))

    def preload(self, threads=0, progress=None):
        """Decodes all chunks and compressed volumes into the cache ahead of time; returns whether all of them were.

        threads: 0 is one for each core. progress(done, total) is called now and then; if it returns something true,
        decoding stops. LimitError, before anything is decoded, where cache_bytes is too small.
        """
        threads = _integer(threads, "threads", 0, 2 ** 32 - 1)
        return _with_progress(_lib.dataset_preload, (self._own, threads), progress)

    def evict(self):
        """Lets the decoded bytes go that nobody reads at the moment."""
        _lib.dataset_evict(self._own)

    def set_attribute(self, subject, name, value):
        """Sets an attribute of a subject to what JSON can say: a number, text, a list, a dict."""
        _lib.dataset_set_attribute(self._own, self._subject(subject), _encoded(name, "name"),
                                   _encoded(json.dumps(value), "value"))

    def set_split(self, name, subjects):
        """Names a subset of the subjects; an old one of this name is replaced."""
        numbers, count = _numbers(c_uint64, [self._subject(one) for one in subjects], "subject")
        _lib.dataset_set_split(self._own, _encoded(name, "name"), numbers, count)

    @property
    def splits(self):
        """The splits and the ids of their subjects: {"train": ["s0", "s1"], "test": ["s2"]}."""
        return self._json(_lib.dataset_splits)

    def split(self, name):
        """A dataset of the subjects of one split. NotFoundError lists the splits that there are."""
        return self._of(_lib.dataset_split, self._own, _encoded(name, "name"))

    def subset(self, subjects):
        """A dataset of these subjects, in this order."""
        numbers, count = _numbers(c_uint64, [self._subject(one) for one in subjects], "subject")
        return self._of(_lib.dataset_subset, self._own, numbers, count)

    def __len__(self):
        out = c_uint64()
        _lib.dataset_len(self._own, byref(out))
        return out.value

    def subject_id(self, subject):
        """The id of a subject."""
        out, handle = c_char_p(), self._own
        _lib.dataset_subject_id(handle, self._subject(subject), byref(out))
        return _text(out.value)

    @property
    def ids(self):
        """The ids of all subjects, in order."""
        return [self.subject_id(number) for number in range(len(self))]

    def find(self, id):
        """The number of the subject of this id. NotFoundError where there is none."""
        out = c_uint64()
        _lib.dataset_find(self._own, _encoded(id, "id"), byref(out))
        return out.value

    def categories(self, subject=0):
        """A subject's categories and their entries: {"images": ["T1", "T2"], "labels": ["GT"]}."""
        return self._json(_lib.dataset_categories, self._subject(subject))

    def attribute(self, subject, name):
        """An attribute of a subject. NotFoundError where it has none of this name."""
        return self._json(_lib.dataset_attribute, self._subject(subject), _encoded(name, "name"))

    def attributes(self, subject):
        """All attributes of a subject."""
        return self._json(_lib.dataset_attribute, self._subject(subject), None)

    def volume_info(self, subject, category, entry=None):
        """What the file of an entry says; None is the category's first entry."""
        info, handle = _VolumeInfo(struct_size=ctypes.sizeof(_VolumeInfo)), self._own
        _lib.dataset_volume_info(handle, self._subject(subject), _encoded(category, "category"),
                                 None if entry is None else _encoded(entry, "entry"), byref(info))
        rows = [list(info.affine[4 * row:4 * row + 4]) for row in range(4)]
        return VolumeInfo(
            _TYPESTR[info.dtype][2], _TYPESTR[info.value_dtype][2], tuple(info.shape[:info.ndim]), info.channels,
            info.scale_slope, info.scale_intercept, tuple(info.spacing_mm),
            rows if numpy is None else numpy.array(rows), bool(info.has_affine), _text(info.path),
            _text(info.format))

    def _first_volume(self):
        """What the first volume of the first subject says; None where there is none."""
        for category, entries in self.categories(0).items() if len(self) else ():
            for entry in entries:
                return self.volume_info(0, category, entry)
        return None

    def read(self, subject, category, entry=None, offset=None, shape=None, dtype=None):
        """Reads a region of an entry, or of all entries of a category, into a new array.

        offset and shape have one number a spatial axis; without them it is the whole volume, and a shape of 0 or
        None is the rest of the axis. The region may reach outside; 0 stands there. dtype: the values' own.
        Shape: (spatial axes) for an entry with one channel, (channel, spatial axes) otherwise.
        Errors: RangeError where a value does not fit the dtype; NotFoundError.
        """
        subject = self._subject(subject)
        names = self.categories(subject).get(category, [entry]) if entry is None else [entry]
        infos = [self.volume_info(subject, category, name) for name in names]
        volume = infos[0].shape
        dtype = _dtype(dtype) or _joint_dtype([info.value_dtype for info in infos])
        region, extents = None, list(volume)
        if offset is not None or shape is not None:
            region = _Region()
            offset = self._axes(offset, volume, "offset")
            extents = [wanted or max(0, extent - start) for wanted, extent, start in zip(
                self._axes(shape, volume, "shape"), volume, offset)]
            region.offset[:len(volume)], region.shape[:len(volume)] = offset, extents
        channels = sum(info.channels for info in infos)
        if channels != 1 or entry is None:
            extents = [channels] + extents
        tensor, owner = _dense(dtype, extents)
        _lib.dataset_read(self._own, subject, _encoded(category, "category"),
                          None if entry is None else _encoded(entry, "entry"),
                          None if region is None else byref(region), byref(tensor))
        return _given(tensor, owner)

    @staticmethod
    def _axes(given, volume, what):
        if given is None:
            return [0] * len(volume)
        if len(given) != len(volume):
            raise ValueError("%s has %d axes, the volume has %d" % (what, len(given), len(volume)))
        low = -2 ** 63 if what == "offset" else 0
        return [0 if one is None else _integer(one, what, low, 2 ** 63 - 1) for one in given]


def _joint_dtype(names):
    """The dtype that holds all values of several entries."""
    if len(set(names)) == 1:
        return _DTYPE_NAMED[names[0]]
    return _DTYPE_NAMED["float64" if numpy is None else numpy.result_type(*names).name]


class Sampler(_Object):
    """The samples of an epoch before they are ordered: regions of subjects, numbered subject by subject.

    Options: kind ("whole", "slices", "grid", "uniform"), and those that the kind uses:
    "whole", volumes, the default: none.
    "slices": axes, which are cut across, in order (a number or several; 0, the slowest, by default).
    "grid", patches from one corner to the other: patch_shape (0: the whole axis), stride (0: the patch's extent less
    the overlap) or overlap (0), border (of patches that would reach beyond the
    far border: "drop", the default, leaves them out, "clip" cuts them, "pad" lets them reach outside, "shift" moves them
    inside).
    "uniform", patches at random places: patch_shape, samples_per_subject (in an epoch; 0, the default, is 1).
    patch_shape, stride and overlap have one number for each spatial axis, slowest first, in voxels.
    Errors: ArgumentError for an option that the kind does not use, for more or fewer numbers than the first volume has
    spatial axes, and where a subject has no sample.
    """

    _USED_BY = [("border", ("grid",)), ("axes", ("slices",)), ("patch_shape", ("grid", "uniform")),
                ("stride", ("grid",)), ("overlap", ("grid",)), ("samples_per_subject", ("uniform",))]

    def __init__(self, dataset, **options):
        self._check_use(options)
        self._check_axes(dataset, options)
        handle, keep = _Handle(_Sampler, _lib.sampler_free), []
        options = _options(_SamplerOptions, _lib.sampler_options_init, options,
                           {"kind": "sampler_kind", "border": "border"}, keep)
        _lib.sampler_new(dataset._own, byref(options), byref(handle.pointer))
        self._handle = handle

    @classmethod
    def _check_use(cls, options):
        """Refuses options that would change nothing."""
        given = options.get("kind")
        number = _CHOICES["sampler_kind"]["whole"] if given is None else _choice("sampler_kind", given, "kind")
        for kind, known in _CHOICES["sampler_kind"].items():
            unused = ["%s (%s %s)" % (name, " and ".join('"%s"' % one for one in users), "do" if users[1:] else "does")
                      for name, users in cls._USED_BY if kind not in users and options.get(name) is not None]
            if known == number and unused:
                raise ArgumentError('kind is %s"%s", which does not use %s' % (
                    "not given and so " if given is None else "", kind, ", ".join(unused)))

    @staticmethod
    def _check_axes(dataset, options):
        """Refuses patches of another number of axes than the first volume has, where there is one."""
        for name in ("patch_shape", "stride", "overlap"):
            given = options.get(name)
            volume = None if given is None else dataset._first_volume()
            if volume is None:
                continue
            try:
                count = len(given)
                found = "has %d numbers" % count
            except TypeError:
                count, found = None, "is %r" % (given,)
            if count != len(volume.shape):
                raise ArgumentError("%s %s, expected %d numbers: one for each spatial axis of the first volume, whose "
                                    "shape is %s" % (name, found, len(volume.shape), volume.shape))

    def __len__(self):
        out = c_uint64()
        _lib.sampler_len(self._own, byref(out))
        return out.value

    def get(self, index, seed=0, epoch=0):
        """The sample of this number, as it is in this epoch under this seed."""
        raw, big = _Sample(), 2 ** 64 - 1
        _lib.sampler_get(self._own, _integer(seed, "seed", 0, big), _integer(epoch, "epoch", 0, big),
                         _integer(index, "index", 0, big), byref(raw))
        return Sample._read(raw)


class Transform(_Object):
    """A chain of steps that is applied to every sample in its row of the batch.

    steps: a dict, a list of dicts, or their JSON text, each with "name", "category" and parameters:
    [{"name": "window", "category": "images", "low": -100, "high": 300}]. voxfeed.h lists the steps.
    Errors: ArgumentError for an unknown step, key or value; it says what is allowed.
    """

    def __init__(self, steps):
        handle = _Handle(_Transform, _lib.transform_free)
        if not isinstance(steps, _WORD):
            steps = json.dumps(steps if isinstance(steps, dict) else list(steps))
        _lib.transform_parse(_encoded(steps, "steps"), byref(handle.pointer))
        self._handle = handle


class _BatchHandle(_Handle):
    """A batch, and the stream that was last told to wait for it."""

    __slots__ = ("stream",)

    def __init__(self):
        _Handle.__init__(self, _Batch, _lib.batch_release)
        self.stream = None


class Batch(_Object):
    """The samples that are handed over together, and the memory that they lie in.

    batch["images"] is an array (batch, channel, spatial axes): a view that you may write to. The memory goes back
    to the loader when the batch and all its views are gone; close() lets go of the batch alone.

    On a GPU it is a DeviceArray. The batch may still be on its way: batch.wait(stream) lets a stream wait for it, not
    the caller, and the memory is not reused before what that stream has been given by the release is done.
    """

    __iter__ = None

    def __init__(self, handle):
        self._handle = handle

    def tensor(self, category=None):
        """The view of one category, or of the first. NotFoundError lists those that there are."""
        array = self.array(category)
        return array if numpy is None or isinstance(array, DeviceArray) else numpy.asarray(array)

    def array(self, category=None, pinned_as_cpu=False):
        """As tensor, but a BatchArray on the host too. pinned_as_cpu: for readers that know no pinned memory."""
        handle, tensor = self._own, _Tensor(struct_size=ctypes.sizeof(_Tensor))
        category = None if category is None else _encoded(category, "category")
        _lib.batch_tensor(handle, category, byref(tensor))
        kind = DeviceArray if tensor.device == 2 else BatchArray
        return kind(tensor, handle, category, pinned_as_cpu)

    def copy(self, category=None):
        """A copy of one category on the host, which waits until it is there."""
        array = self.array(category)
        tensor, owner = _dense(_DTYPE_NAMED[array.dtype], array.shape)
        _lib.batch_copy_to(self._own, array._category, byref(tensor))
        return _given(tensor, owner)

    def wait(self, stream=None):
        """Lets a stream wait until the batch is on the GPU, and ties the memory to what the stream is given.

        stream: its handle as an integer, or a stream of torch, CuPy, Numba or cuda.core; None and 1 are the legacy
        default stream, 2 is the thread's own, and with -1 the caller waits. On the host there is nothing to wait for.
        For a batch in pinned memory the default streams are those of the thread's current GPU.
        """
        stream, handle = _stream(stream), self._own
        _lib.batch_wait(handle, stream)
        handle.stream = -1 if stream == 2 ** 64 - 1 else stream or 1

    def record_stream(self, stream=None):
        """Ties the memory to one more stream that uses it: it is not reused before that stream is done with it."""
        _lib.batch_record_stream(self._own, _stream(stream))

    def query(self):
        """Whether the batch has arrived where it lies."""
        return _lib.batch_query(self._own) == _OK

    def ready_event(self):
        """The CUDA event behind the batch's arrival, as an integer, for those who wait for it by themselves.

        Errors: UnsupportedError on the host.
        """
        out = c_void_p()
        _lib.batch_ready_event(self._own, byref(out))
        return out.value

    def __getitem__(self, category):
        return self.tensor(category)

    @property
    def categories(self):
        """The names of its categories, in order."""
        handle, out = self._own, c_char_p()
        _lib.batch_categories(handle, byref(out))
        return json.loads(out.value.decode("utf-8"))

    def __len__(self):
        out = c_uint64()
        _lib.batch_len(self._own, byref(out))
        return out.value

    @property
    def samples(self):
        """The batch's samples, one for each row, as a list of Sample."""
        count = len(self)
        raw = (_Sample * max(count, 1))()
        _lib.batch_samples(self._own, raw, count)
        return [Sample._read(raw[row]) for row in range(count)]


class Category(object):
    """How one category is fed: a name, and options where the defaults will not do.

    entries: their names in channel order, all by default; dtype: before any transform, by default the smallest
    that holds all stored values; padding ("zero", "constant", "edge", "reflect", "symmetric", "wrap") and
    pad_value for voxels outside; fit ("exact", "saturate"): what happens to a value that does not fit the dtype;
    squeeze_channel: whether a single channel has no axis.
    """

    _CHOICES = {"dtype": "dtype", "padding": "padding", "fit": "fit"}

    def __init__(self, name, **options):
        self.name, self.options = name, options

    @classmethod
    def _of(cls, given):
        if isinstance(given, cls):
            return given
        if isinstance(given, dict):
            if "name" not in given:
                raise ArgumentError('a category needs a name, as in {"name": "images"}; this one has %s' % (
                    ", ".join(sorted(str(key) for key in given)) or "nothing"))
            return cls(**dict((str(key), value) for key, value in given.items()))
        return cls(given)

    def _write(self, raw, keep):
        allowed = ("entries", "dtype", "padding", "pad_value", "fit", "squeeze_channel")
        kinds = dict(_Category._fields_)
        _set(raw, "name", self.name, c_char_p, None, keep)
        for name, value in self.options.items():
            if name not in allowed:
                raise TypeError("a category has no option %r; there are: %s" % (name, ", ".join(allowed)))
            if name == "entries":
                if value is not None:
                    if isinstance(value, _WORD):
                        value = [value]
                    entries = [_encoded(entry, "entry") for entry in value]
                    raw.entries, raw.entry_count = (c_char_p * max(len(entries), 1))(*entries), len(entries)
                    keep.append((entries, raw.entries))
            elif value is not None:
                _set(raw, name, value, kinds[name], self._CHOICES.get(name), keep)


class LoaderStats(collections.namedtuple("LoaderStats", [_field[0] for _field in _LoaderStats._fields_[1:]])):
    """What a loader has done since it was made.

    threads; batches, samples, bytes given out; errors: batches that failed; waits and wait_ns: how often (each 0.2 s of
    a long wait anew) and how long the next batch was waited for; work_ns: how long all threads together read and
    transformed; idle_ns: how long all threads together had nothing to do: every batch ready or held, or the epoch over,
    and so the time until the next begins; held: batches that callers hold now; slots and slot_bytes: those that exist;
    cache_hits: the look-ups of decoded parts (chunks, inflated volumes) that were found in the dataset's cache, since
    the loader was made, by all that read it: chunks that have been joined to a layer are looked up as one, and slices
    that are read together look each part up once, so it depends on batch size and threads; cache_misses: parts that had
    to be decoded; cache_bytes: what is in the cache now; scratch_bytes: what the threads decode and convert in.
    slot_bytes, cache_bytes and scratch_bytes together are the memory that a loader has on the host; pinned_bytes is the
    part of slot_bytes that is pinned, device_bytes lies on the GPU. uploads and upload_bytes: batches sent to it;
    event_waits: how often a thread waited for it.
    """

    __slots__ = ()


class Loader(_Object):
    """Fills batches ahead of time with threads of its own, and lends them in epoch order.

        for batch in loader.epoch(0):
            train(batch["images"], batch["labels"])

    Options, of which every number is its default where it is 0: batch_size (0: 1), prefetch (batches that are kept
    ready; 0: 2, so there is no way to have none), threads (0: one a core, 8 at most; 1024 at most), order
    ("sequential", "shuffled"), last_batch ("keep", "drop", "pad"), on_error ("continue", "stop"), ragged ("error",
    "pad"), thin_axis ("drop", "keep"), endless (False), rank (0), world_size (0: 1), seed (0), transform (a Transform
    or its steps), categories (names, dicts or Category objects; all of the first subject), device ("cpu", "cuda",
    "cuda_host": pinned host memory), device_id (0), cast ("auto", "host", "device": where voxels get their dtype),
    group_window (within windows of so many samples, those of one subject that lie near each other follow each other, so
    that a decoded chunk serves several; 0: none), consumer ("cpu"; "device" where batches are only copied away),
    pinned_allocator (for "cuda" and "cuda_host", in place of the driver's: a pair of allocate(bytes), which gives the
    address of pinned memory aligned to 64, or None, and release(address, bytes), which takes it back on any thread once
    the loader and all its batches are gone, but not when Python ends).

    A batch is never larger than this rank's epoch: a larger batch_size is cut to it, but with last_batch "pad", which
    fills batches up, and with "drop", where no batch at all is an ArgumentError.
    The batches are the same for any number of threads. At most prefetch + 1 batches exist at a time, those that
    you hold or have views of counted. After a fork, calls in the child raise ForkedError. When the interpreter ends,
    loaders with batches on a GPU or in pinned memory are closed, before its driver goes.
    """

    _CHOICES = {"order": "order", "last_batch": "last_batch", "on_error": "on_error", "ragged": "ragged",
                "thin_axis": "thin_axis", "device": "device", "consumer": "consumer", "cast": "cast"}
    # ctypes calls cannot be interrupted, so Ctrl-C is noticed between calls of this length.
    _SLICE_NS = 200 * 1000 * 1000
    _HELD_SECONDS = 5.0
    # How long the end of the interpreter waits for the threads of all loaders.
    _END_SECONDS = 1.0
    # How long a start waits for the iterators that it has woken on other threads.
    _LEAVE_SECONDS = 1.0
    _on_gpus = weakref.WeakSet()
    # What iterators are of: another object whenever the loader is begun anew.
    _begun = None

    def __init__(self, sampler, **options):
        keep = []
        categories, transform = options.pop("categories", None), options.pop("transform", None)
        pool = _Pool.of(options.pop("pinned_allocator", None))
        handle = _Handle(_Loader, _lib.loader_free) if pool is None else _PooledHandle()
        self._batch = _BatchHandle if pool is None else _PooledBatchHandle
        options = _options(_LoaderOptions, _lib.loader_options_init, options, self._CHOICES, keep,
                           ["pinned_allocator"])
        if transform is not None:
            transform = transform if isinstance(transform, Transform) else Transform(transform)
            keep.append(transform._own)
            options.transform = keep[-1].pointer
        if categories is not None:
            if isinstance(categories, (dict, Category) + _WORD):
                categories = [categories]
            if len(categories) == 0:
                raise ArgumentError("categories is empty: leave it out for all that the first subject has")
            array = (_Category * len(categories))()
            for raw, one in zip(array, categories):
                Category._of(one)._write(raw, keep)
            options.categories, options.category_count = array, len(categories)
        if pool is not None:
            _PooledHandle.sweep()
            options.pinned = ctypes.pointer(pool.raw)
        try:
            _lib.loader_new(sampler._own, byref(options), byref(handle.pointer))
        except Error:
            if pool is not None:
                pool.reraise()
            raise
        # One object for each iterator that waits in the library now.
        self._handle, self._waiting = handle, set()
        # Held while the loader is begun anew; how often all that wait were woken for that.
        self._beginning, self._wakes = threading.Lock(), 0
        if _DEVICES.get(options.device, "cpu") != "cpu":
            self._on_gpus.add(self)

    def __len__(self):
        out = c_uint64()
        _lib.loader_len(self._own, byref(out))
        return out.value

    def start(self, epoch):
        """Begins an epoch, 0 being the first; a running one is given up, and iterators of it raise StateError."""
        self._begin(_lib.loader_start, _integer(epoch, "epoch", 0, 2 ** 64 - 1))

    def _begin(self, function, argument):
        """Begins at a place; iterators of before get no batch of it, nor those that wait for one on other threads."""
        with self._beginning:
            handle, before, place = self._own, self._begun, None
            self._begun = object()
            try:
                if self._waiting:
                    self._wakes += 1
                    _lib.loader_cancel(handle)
                    place = self.save_state()
                    end = _clock() + self._LEAVE_SECONDS
                    while self._waiting and _clock() < end:
                        time.sleep(0.001)
                function(handle, argument)
            except BaseException:
                self._begun = before
                if place is not None:
                    _lib.loader_load_state(handle, _encoded(place, "state"))
                raise

    def epoch(self, epoch):
        """Begins an epoch and iterates over its batches, until another is begun: then next() raises StateError."""
        self.start(epoch)
        return iter(self)

    def __iter__(self):
        """Iterates over what is left of the running epoch: after start, load_state, or a break."""
        return _Batches(self)

    def next_batch(self, timeout=None):
        """The next batch, or None at the end of the epoch, waiting at most timeout seconds.

        Errors: those of the batch's samples, in order, the message naming file and region; TimedOut, Cancelled;
        StateError before the first start; ForkedError.
        """
        return self._next(timeout)

    def _next(self, timeout=None, begun=None):
        """As next_batch; where begun is given, a batch of what was begun then and of nothing else."""
        began, warned = _clock(), False
        while True:
            if _listener is not None:
                # Before a batch is asked for: it would be lost to who is told and raises.
                process_events()
            handle, left = self._batch(), self._SLICE_NS
            if timeout is not None:
                left = max(0, min(left, int((timeout - (_clock() - began)) * 1e9)))
            own, waiting, wakes = self._own, object(), self._wakes
            try:
                if begun is not None:
                    self._waiting.add(waiting)
                    self._check_begun(begun)
                status = _lib.loader_next(own, left, byref(handle.pointer))
            finally:
                self._waiting.discard(waiting)
            if status == _OK:
                return Batch(handle)
            if status == _END:
                return None
            if status == _CANCELLED:
                with self._beginning:
                    self._check_begun(begun)
                if self._wakes != wakes:
                    # It was begun anew, or refused to be, and whoever is not of an old epoch waits on.
                    continue
                raise Cancelled("the loader was cancelled")
            waited = _clock() - began
            if timeout is not None and waited >= timeout:
                raise TimedOut("no batch was ready within %g seconds" % timeout)
            # A log is told of it by the library.
            if waited > self._HELD_SECONDS and not warned and _listener is None:
                warned, stats = True, self.stats()
                if stats.held >= stats.slots:
                    warnings.warn("voxfeed: all %d batches of the loader are held, so none can be filled; copy what "
                                  "you keep, let go of batches and views, or raise prefetch" % stats.slots,
                                  RuntimeWarning, stacklevel=3)

    def _check_begun(self, begun):
        if begun not in (None, self._begun):
            raise StateError("the loader was begun anew, by epoch, start or load_state, after this iterator was made: "
                             "iterate over what epoch() gave last; two epochs at a time need another loader")

    def cancel(self):
        """Wakes every thread that waits for a batch with Cancelled, and ends the epoch."""
        _lib.loader_cancel(self._own)

    def save_state(self):
        """The loader's place as text: behind the last batch that was given out."""
        size, handle = c_size_t(), self._own
        _lib.loader_save_state(handle, None, byref(size))
        # The place has numbers in it that may grow between the two calls.
        size.value += 64
        text = ctypes.create_string_buffer(size.value)
        _lib.loader_save_state(handle, text, byref(size))
        return _text(text.value)

    def load_state(self, state):
        """Goes back to a saved place: iterating over the loader continues exactly there.

        Iterators of before raise StateError.
        Errors: ArgumentError where the state is damaged or belongs to another dataset, sampler, seed or share.
        """
        self._begin(_lib.loader_load_state, _encoded(state, "state"))

    def stats(self):
        """What the loader has done since it was made, as LoaderStats; its docstring says what each number counts."""
        raw = _LoaderStats(struct_size=ctypes.sizeof(_LoaderStats))
        _lib.loader_get_stats(self._own, byref(raw))
        return LoaderStats(*[getattr(raw, name) for name in LoaderStats._fields])

    def close(self, timeout=None):
        """Ends the threads, waiting at most timeout seconds, and lets go of the loader.

        Returns whether all threads have ended; others end by themselves, with a pinned_allocator when its batches
        have been let go of. Batches and views stay valid.
        """
        handle, self._handle = self._handle, None
        if handle is None:
            return True
        if isinstance(handle, _PooledHandle) and handle.held > 0:
            return False
        began = _clock()
        while True:
            left = self._SLICE_NS
            if timeout is not None:
                left = max(0, min(left, int((timeout - (_clock() - began)) * 1e9)))
            if _lib.loader_close(handle, left) == _OK:
                return True
            if timeout is not None and _clock() - began >= timeout:
                return False

    @classmethod
    def _close_all(cls):
        """Ends the threads that use a GPU's driver, which does not outlive the process's end as they would."""
        end = _clock() + cls._END_SECONDS
        for loader in list(cls._on_gpus):
            try:
                loader.close(max(0.0, end - _clock()))
            except Error:
                # The threads of a loader that was made before a fork are not this process's.
                pass


atexit.register(Loader._close_all)


class _Pool(object):
    """Pinned memory of the caller's own, as C asks for it."""

    _known = {}

    def __init__(self, allocate, release):
        self._allocate, self._release, self._raised = allocate, release, threading.local()
        self.raw = _PinnedAllocator(_PINNED_ALLOCATE(self._give), _PINNED_RELEASE(self._take), None)

    @classmethod
    def of(cls, pair):
        """The pool of a pair of functions; kept for ever, since memory may come back long after its loader is gone."""
        if pair is None:
            return None
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(callable(one) for one in pair):
            raise TypeError("pinned_allocator is %r, expected a pair of functions: allocate(bytes), "
                            "release(address, bytes)" % (pair,))
        return cls._known.setdefault(tuple(pair), cls(*pair))

    def _give(self, size, _):
        try:
            address = self._allocate(size)
            return None if address is None else _integer(getattr(address, "value", address), "address", 0, 2 ** 64 - 1)
        except BaseException:
            self._raised.info = sys.exc_info()
            return None

    def _take(self, address, size, _):
        self._release(address, size)

    def reraise(self):
        """Raises what allocate has raised on this thread, if it has."""
        raised = self._raised.__dict__.pop("info", None)
        if raised is not None:
            _raise(raised)


class _PooledHandle(_Handle):
    """A loader with a pool, which is freed when nobody holds a batch of it, and when Python ends not at all.

    Else a batch that is let go of at the very end would give its memory back on a thread of the library's, which
    cannot come into Python any more.
    """

    __slots__ = ()

    _left, _ended = [], []

    def __init__(self):
        _Handle.__init__(self, _Loader, _lib.loader_free)

    def __del__(self):
        if self.pointer and not self._ended:
            self._left.append(self.pointer)
            self.sweep()

    @property
    def held(self):
        """The batches that somebody holds; the loader is cancelled, so they do not become more."""
        return self._held(self.pointer)

    @staticmethod
    def _held(pointer):
        stats = _LoaderStats(struct_size=ctypes.sizeof(_LoaderStats))
        _lib.loader_cancel(pointer)
        _lib.loader_get_stats(pointer, byref(stats))
        return stats.held

    @classmethod
    def sweep(cls):
        """Frees the loaders that were let go of and have no batch out any more."""
        waiting = []
        while not cls._ended:
            try:
                pointer = cls._left.pop()
            except IndexError:
                break
            try:
                if cls._held(pointer) > 0:
                    waiting.append(pointer)
                    continue
                # The memory has come back when this returns.
                _lib.loader_close(pointer, -1)
            except ForkedError:
                pass
            _lib.loader_free(pointer)
        cls._left.extend(waiting)


class _PooledBatchHandle(_BatchHandle):
    """A batch of a loader with a pool."""

    __slots__ = ()

    _sweep = _PooledHandle.sweep

    def __del__(self):
        _BatchHandle.__del__(self)
        self._sweep()


atexit.register(_PooledHandle._ended.append, True)


class _Batches(object):
    """Iterates over a loader's batches until it is begun anew; a generator would hold the batch that it gave last."""

    def __init__(self, loader):
        self._loader, self._begun, self._over = loader, loader._begun, False

    def __iter__(self):
        return self

    def __next__(self):
        if self._over:
            raise StopIteration
        if self._begun is None:
            self._begun = self._loader._begun
        batch = self._loader._next(begun=self._begun)
        if batch is None:
            self._over = True
            raise StopIteration
        return batch

    next = __next__


_clock = getattr(time, "monotonic", time.time)


class Assembler(_Object):
    """Puts predictions for the batches of a loader back into volumes, in any order.

    Options: blend ("last", "mean", "gaussian"), reduce ("none", "argmax": a label map), dtype ("f32", "u8"),
    accumulate ("f32", "f64": sums), sigma (gaussian: as a share of the patch's extent; 0: 0.125), device ("cpu",
    "cuda": predictions on a GPU are added there, as far as the sums fit), device_id (0), device_bytes (the most bytes
    of sums there; 0: half of what is free), threads (the most that add the rows of one call on the host, or write what
    is taken; 0: as many as there are cores, at most 8).
    A subject is complete when every sample that this rank's epoch has of it was added.
    """

    _CHOICES = {"blend": "blend", "reduce": "reduce", "dtype": "dtype", "accumulate": "dtype",
                "device": "device"}

    def __init__(self, loader, **options):
        handle = _Handle(_Assembler, _lib.assembler_free)
        options = _options(_AssemblerOptions, _lib.assembler_options_init, options, self._CHOICES, [])
        _lib.assembler_new(loader._own, byref(options), byref(handle.pointer))
        self._handle = handle

    def add(self, batch, prediction, stream=None):
        """Adds the prediction for a batch: (batch, channel, spatial axes), any dtype.

        The spatial extents are those of the batch's rows, or smaller by an even number of voxels: then centred.
        One on a GPU (whatever has __cuda_array_interface__) comes to the host when the stream is done with it, or is
        added on the GPU where the sums lie there, and the caller does not wait; stream is as in Batch.wait, the legacy default one unless the array names its own.
        Errors: ArgumentError for another shape; StateError where a sample was added before.
        """
        face = getattr(prediction, "__cuda_array_interface__", None)
        if face is None:
            tensor, _array = _tensor(prediction, "prediction")
            _lib.assembler_add(self._own, batch._own, byref(tensor))
        else:
            tensor = _described(face, "prediction", 2)
            # The face does not name the device; the driver does.
            device = getattr(prediction, "__dlpack_device__", None)
            tensor.device_id = device()[1] if device else -1
            stream = face.get("stream") if stream is None else stream
            _lib.assembler_add_async(self._own, batch._own, byref(tensor), _stream(stream))

    def add_samples(self, samples, prediction):
        """As add, for a list of Sample that was kept from batch.samples."""
        tensor, _array = _tensor(prediction, "prediction")
        raw = (_Sample * max(len(samples), 1))()
        for slot, sample in zip(raw, samples):
            sample._write(slot)
        _lib.assembler_add_samples(self._own, raw, len(samples), byref(tensor))

    def next_complete(self):
        """The number of a subject that has become complete, each one once; None where none has."""
        out = c_uint64()
        status = _lib.assembler_next_complete(self._own, byref(out))
        return out.value if status == _OK else None

    def complete(self):
        """Iterates over the numbers of the subjects that have become complete."""
        return iter(self.next_complete, None)

    def coverage(self, subject):
        """The share of a subject's voxels, 0 to 1, that a prediction has reached."""
        out = c_double()
        _lib.assembler_coverage(self._own, _integer(subject, "subject", 0, 2 ** 64 - 1), byref(out))
        return out.value

    def take(self, subject, partial=False):
        """A subject's result, (channel, spatial axes); it is then gone from the assembler.

        Errors: StateError where it is incomplete, unless partial; NotFoundError where nothing was added.
        """
        handle, shape = self._own, _Tensor(struct_size=ctypes.sizeof(_Tensor))
        subject = _integer(subject, "subject", 0, 2 ** 64 - 1)
        _lib.assembler_shape(handle, subject, byref(shape))
        tensor, owner = _dense(shape.dtype, shape.shape[:shape.ndim])
        _lib.assembler_take(handle, subject, int(bool(partial)), byref(tensor))
        return _given(tensor, owner)

    def save(self, subject, path, partial=False):
        """Saves a subject's result with its geometry: .nii, .nii.gz, .npy or .h5 by the name.

        The file is complete or not there. Errors: as take; IoError, the subject then stays.
        """
        _lib.assembler_save(self._own, _integer(subject, "subject", 0, 2 ** 64 - 1), int(bool(partial)),
                            _path(path))


class Writer(_Object):
    """Makes a dataset file in pymia's HDF5 layout; the name must end in .h5 or .hdf5.

        with voxfeed.Writer("brains.h5") as writer:
            writer.add_dataset(dataset)

    The file gets its name when it is finished: by finish(), or at the end of a `with` block without error.
    Option: existing ("error", "replace").
    """

    def __init__(self, path, **options):
        handle = _Handle(_Writer, _lib.writer_free)
        options = _options(_WriterOptions, _lib.writer_options_init, options, {"existing": "existing"}, [])
        _lib.writer_create(_path(path), byref(options), byref(handle.pointer))
        self._handle, self._finished = handle, False

    def add_subject(self, id):
        """Begins a subject; the entries that follow are its."""
        _lib.writer_add_subject(self._own, _encoded(id, "id"))

    def add_entry(self, category, entry, array, affine=None):
        """Writes a volume (spatial axes) of the current subject, with its 4x4 affine or none."""
        tensor, _array = _tensor(array)
        _lib.writer_add_entry(self._own, _encoded(category, "category"), _encoded(entry, "entry"), byref(tensor),
                              _affine(affine))

    def add_dataset(self, dataset, progress=None):
        """Writes all subjects of a dataset, read in parallel; returns whether all of them were written.

        Voxels, as values, and geometry are written; attributes and splits are not.
        progress(done, total) is called as subjects are done; if it returns something true, writing stops. What it
        raises stops it too, and is raised here.
        """
        return _with_progress(_lib.writer_add_dataset, (self._own, dataset._own), progress)

    def finish(self):
        """Completes the file and gives it its name."""
        _lib.writer_finish(self._own)
        self._finished = True

    def __exit__(self, kind, *_):
        if kind is None and not self._finished and self._handle is not None:
            self.finish()
        self.close()


if _PY2:
    exec("def _raise(caught):\n    raise caught[0], caught[1], caught[2]\n")
else:
    def _raise(caught):
        raise caught[1].with_traceback(caught[2])


def save_volume(path, array, affine=None):
    """Saves one volume, (spatial axes) or (channel, three spatial axes): .nii, .nii.gz, .npy or .h5 by the name.

    affine is 4x4 as VolumeInfo's. The file gets its name when all is written: an existing file of this name is then
    replaced, as a whole, and is untouched where that fails.
    """
    tensor, _array = _tensor(array)
    _lib.volume_save(_path(path), byref(tensor), _affine(affine))


def montage(path, columns, **options):
    """Saves a PNG that shows volumes of one shape side by side, and several slices below each other.

    columns: arrays (spatial axes) or (channel, three spatial axes), or dicts of a "volume" with a "title", a "look"
    ("auto": labels for integers of at most 64 different values and none below 0, else grey; "grey"; "labels": in colour
    over the first grey column) and the "channel" that is drawn.
    Options: axis (that is cut across; 0), slices (0: 6), tile_pixels (of a slice's longer side; 0: 240), affine (as
    VolumeInfo's: with it superior, else anterior is up).
    """
    affine, keep = _affine(options.pop("affine", None)), []
    options = _options(_MontageOptions, _lib.montage_options_init, options, {}, keep)
    if affine is not None:
        options.affine = affine
    columns = [column if isinstance(column, dict) else {"volume": column} for column in columns]
    raw = (_MontageColumn * max(len(columns), 1))()
    for slot, column in zip(raw, columns):
        for name, value in column.items():
            if name == "volume":
                tensor, array = _tensor(value, "column")
                keep.append((tensor, array))
                slot.volume = ctypes.pointer(tensor)
            elif name in ("title", "look", "channel"):
                kind = dict(_MontageColumn._fields_)[name]
                _set(slot, name, value, kind, "look" if name == "look" else None, keep)
            else:
                raise TypeError("a column has no %r; there are: volume, title, look, channel" % name)
    _lib.montage_save(_path(path), raw, len(columns), byref(options))


def version():
    """The library's version, "0.1.0"."""
    return _text(_lib.version_string())


def build_info():
    """What the library is made of: version, C interface, linked libraries, target."""
    return json.loads(_lib.build_info().decode("utf-8"))


def library_path():
    """The path of the library that was loaded."""
    return _lib.path


def cuda_device_count():
    """The number of CUDA devices; 0 where there is no driver."""
    out = c_int32()
    _lib.cuda_device_count(byref(out))
    return out.value


class _Listener(object):
    """Who is told of the log's lines; the library calls `function`, so that must live as long as it is set."""

    def __init__(self, told, is_direct):
        self.told, self.is_direct, self.lines = told, is_direct, collections.deque()
        self.function = _LOG(self._hear)

    def _hear(self, level, line, _):
        line = (_LOG_LEVELS[level], _text(line))
        if self.is_direct:
            self.told(*line)
        else:
            # Told when the library is left again: there what it raises goes where it should.
            self.lines.append(line)

    def tell(self):
        while True:
            try:
                line = self.lines.popleft()
            except IndexError:
                return
            self.told(*line)


_LOG_LEVELS = dict((number, word) for word, number in _CHOICES["log_level"].items())
_listener, _setting = None, threading.Lock()


def set_log(told, level="info", mode="queued"):
    """Sets who is told of what is no error and would otherwise happen in silence; None for nobody, as at first.

    told(level, line) gets "error" (something is lost), "warning" (it goes on, but not as you want it to) or "info"
    (what the library has decided by itself), and one line of text: lines of this level and those that matter more.
    level: one of these words, or "warn", which is "warning". The variable VXF_LOG takes the same words, and "off": it
    is read once, prints lines to the standard error, and changes nothing here.

    mode "queued": lines wait, 256 at most, and are told in process_events() and wherever a batch is waited for, on
    the thread that does that; what told raises is raised there. "direct": told is called at once, on any thread, must
    be quick and may not use voxfeed; what it raises is printed.
    There is one for the whole process; while one is set, batches that are all held are no RuntimeWarning besides.
    Errors: StateError inside told, where mode is "direct".
    """
    global _listener
    if told is not None and not callable(told):
        raise TypeError("told is %r, expected something to be called with a level and a line" % (told,))
    least = _choice("log_level", "warning" if level == "warn" else level, "level")
    mode = _choice("log_mode", mode, "mode")
    # Inside a direct listener this raises, and so nobody waits for the lock that waits for the listener to end.
    _lib.process_events()
    with _setting:
        new = None if told is None else _Listener(told, mode == _CHOICES["log_mode"]["direct"])
        _lib.set_log(least, mode, _LOG() if new is None else new.function, None)
        _listener = new


# No thread of the library may come back to an interpreter that has ended.
atexit.register(set_log, None)


def process_events():
    """Tells the lines of the log that wait, on this thread. What the function of set_log raises is raised here."""
    _lib.process_events()
    listener = _listener
    if listener is not None:
        listener.tell()
