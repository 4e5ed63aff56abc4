# -*- coding: utf-8 -*-
"""One walk through the whole face, for every Python that it promises to run on: legacy_smoke.py FOLDER"""

from __future__ import absolute_import, division, print_function

import gc
import os
import signal
import sys
import threading

import numpy

import voxfeed

FOLDER = sys.argv[1]


def path(name):
    return os.path.join(FOLDER, name)


def raised(kind, call, *parts):
    try:
        call()
    except kind as error:
        for part in parts:
            assert part in str(error), (part, str(error))
        return error
    raise AssertionError("%s was not raised" % kind.__name__)


def same(found, expected):
    assert found.dtype == expected.dtype and numpy.array_equal(found, expected), (found, expected)


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted("by a signal")


source = numpy.arange(2 * 6 * 7 * 8, dtype=numpy.float32).reshape(2, 6, 7, 8)
dataset = voxfeed.Dataset()
for name in (u"m\u00fcller", "b"):
    number = dataset.add_subject(name)
    dataset.add_array(number, "images", u"T1", source[0] + number)
    dataset.add_array(number, "images", "T2", source[1] + number)
    dataset.add_array(number, "labels", "GT", source[0].astype(numpy.uint8) % 3)
assert dataset.find(u"m\u00fcller") == 0 and len(dataset) == 2
dataset.set_attribute("b", "seite", u"links \u00e4")
assert dataset.attribute("b", u"seite") == u"links \u00e4"
same(dataset.read("b", "images", "T2", offset=(1, -1, 2), shape=(2, 3, 4))[:, 1:], source[1, 1:3, :2, 2:6] + 1)

with voxfeed.Writer(path("a.h5")) as writer:
    assert writer.add_dataset(dataset, lambda done, total: None)
    raised(TypeError, lambda: voxfeed.Writer(path("b.h5"), exists="replace"), "existing")
dataset = voxfeed.Dataset(path("a.h5"))

sampler = voxfeed.Sampler(dataset, kind="grid", patch_shape=(3, 4, 4), overlap=(1, 0, 0), border=u"shift")
loader = voxfeed.Loader(sampler, batch_size=3, order="shuffled", seed=2 ** 63, categories=[
    {"name": "images", "dtype": numpy.float64}, u"labels"],
    transform=[{"name": "scale", "category": "images", "slope": 2}])
assembler = voxfeed.Assembler(loader, blend="gaussian", accumulate="f64")
states, found = [], []
for batch in loader.epoch(4):
    images = batch["images"]
    for sample, row in zip(batch.samples, images):
        same(row, (source + sample.subject)[(slice(None),) + sample.in_volume].astype("f8") * 2)
    assembler.add(batch, images / 2)
    states.append(loader.save_state())
    found.append(images.tobytes())
again = voxfeed.Loader(sampler, batch_size=3, order="shuffled", seed=2 ** 63, threads=1, categories=[
    {"name": "images", "dtype": "f64"}, "labels"], transform='[{"name":"scale","category":"images","slope":2}]')
again.load_state(states[1])
assert [batch["images"].tobytes() for batch in again] == found[2:]

done = list(assembler.complete())
assert sorted(done) == [0, 1], done
same(assembler.take(0), source)
assembler.save(1, path(u"gr\u00fc\u00dfe.nii.gz"))
info = voxfeed.Dataset(path(u"gr\u00fc\u00dfe.nii.gz")).volume_info(0, "images")
assert (info.channels, info.shape, info.dtype) == (2, (6, 7, 8), "float32"), info
voxfeed.montage(path("a.png"), [source[0], {"volume": (source[0] % 3).astype("u1"), "title": u"\u00e4"}])

lines = []
voxfeed.set_log(lambda level, line: lines.append((level, line)))
os.mkdir(path("indexes"))
scan = voxfeed.Dataset(path(u"gr\u00fc\u00dfe.nii.gz"), seek_index="always", index_folder=path("indexes"))
os.rmdir(path("indexes"))
scan.read(0, "images")
assert lines == []
voxfeed.process_events()
assert [level for level, _ in lines] == ["warning"] and "its index is not kept" in lines[0][1], lines
voxfeed.set_log(None)

del images, row
batch = next(loader.epoch(0))
capsule = batch.array("images").__dlpack__(max_version=(1, 0))
assert "dltensor_versioned" in repr(capsule)
assert batch.query() and batch.copy("labels").tobytes() == batch["labels"].tobytes()
batch.wait(-1)
batch.close()
assert loader.stats().held == 1
del capsule
assert loader.stats().held == 0
batch = next(loader.epoch(0))
view = batch["labels"][0]
batch.close()
del batch
gc.collect()
assert loader.stats().held == 1
del view
gc.collect()
assert loader.stats().held == 0

raised(KeyError, lambda: voxfeed.Dataset(path("none.nii")), "none.nii")
raised(TypeError, lambda: voxfeed.Loader(sampler, batchsize=1), "batch_size")
raised(ValueError, lambda: voxfeed.Loader(sampler, order="sorted"), "shuffled")


def stop(done, total):
    raise Interrupted("stop")


with voxfeed.Writer(path("c.h5")) as writer:
    raised(Interrupted, lambda: writer.add_dataset(dataset, stop), "stop")
    writer.close()

epoch = loader.epoch(1)
held = [next(epoch) for _ in range(loader.stats().slots)]
raised(voxfeed.TimedOut, lambda: loader.next_batch(timeout=0.01))
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.05)
raised(Interrupted, loader.next_batch)
thread = threading.Thread(target=lambda: raised(voxfeed.Cancelled, loader.next_batch))
thread.start()
thread.join(0.1)
loader.cancel()
thread.join(20)
assert not thread.is_alive()
assert loader.close(20)
raised(voxfeed.HandleError, loader.next_batch, "closed")
print("done", sys.version_info[0], numpy.__version__, voxfeed.version())
