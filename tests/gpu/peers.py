"""Batches on a GPU in PyTorch: that they are right, and how long a training-like loop waits with each kind of loader.

Usage: peers.py check|bench DATA [--edge N] [--patch N] [--subjects N] [--steps N] [--busy-ms X]
DATA is the folder that `check` or `bench` of this folder has filled. Prints rows of a table; without PyTorch or a
device that it can use it says so and leaves 77.
"""

from __future__ import print_function

import argparse
import glob
import os
import sys
import time

BATCH = 8
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def files(arguments, entry):
    return sorted(glob.glob(os.path.join(arguments.data, "s*-%s-%d.npy" % (entry, arguments.edge))))[:arguments.subjects]


def dataset_of(arguments):
    dataset = voxfeed.Dataset()
    for number, paths in enumerate(zip(*[files(arguments, entry) for entry in "ABL"])):
        dataset.add_subject("s%03d" % number)
        for category, entry, path in zip(("images", "images", "labels"), "ABL", paths):
            dataset.add_file(number, category, entry, path)
    return dataset


def loader_of(arguments, **options):
    sampler = voxfeed.Sampler(dataset_of(arguments), kind="uniform", patch_shape=(arguments.patch,) * 3,
                              samples_per_subject=64)
    return voxfeed.Loader(sampler, batch_size=BATCH, order="shuffled", threads=CORES, endless=True, **options)


def check(arguments):
    """Tensors on the device hold what batches on the host hold, on any stream, also after an early release."""
    there = iter(loader_of(arguments, device="cuda").epoch(0))
    here = iter(loader_of(arguments).epoch(0))
    streams = [torch.cuda.current_stream(), torch.cuda.Stream(), torch.cuda.Stream()]
    sums = []
    for step in range(arguments.steps):
        with torch.cuda.stream(streams[step % len(streams)]):
            batch = next(there)
            if step % 2:
                images, labels = [torch.from_dlpack(batch[name]) for name in ("images", "labels")]
            else:
                batch.wait(torch.cuda.current_stream())
                images, labels = [torch.as_tensor(batch[name], device="cuda") for name in ("images", "labels")]
            sleep(arguments.cycles // 10)
            sums.append((images.clone(), labels.clone()))
            del batch, images, labels
        if len(sums) == 4 or step == arguments.steps - 1:
            torch.cuda.synchronize()
            for images, labels in sums:
                expected = next(here)
                assert (images.cpu().numpy() == expected["images"]).all(), step
                assert (labels.cpu().numpy() == expected["labels"]).all(), step
                del expected
            sums = []
    print("%d batches are right in PyTorch %s" % (arguments.steps, torch.__version__))


def row(name, value, note):
    print("| %s | %s | %s |" % (name, value, note))
    sys.stdout.flush()


def loop(name, arguments, batches):
    """How long steps of a known length take when each needs a batch; batches gives tensors on the device."""
    batches = iter(batches)
    for _ in range(5):
        tensors = next(batches)
        sleep(arguments.cycles)
    torch.cuda.synchronize()
    began = time.time()
    for _ in range(arguments.steps):
        # Held while the step is under way, as a training loop does.
        tensors = next(batches)
        sleep(arguments.cycles)
    del tensors
    torch.cuda.synchronize()
    took = time.time() - began
    row("%s, share of time that a step waits" % name, "%.2f" % max(0.0, 100 * (1 - arguments.alone / took)),
        "%%; %d steps of %.3f ms instead of %.3f" % (arguments.steps, took / arguments.steps * 1e3,
                                                     arguments.alone / arguments.steps * 1e3))


def ours(arguments):
    for batch in loader_of(arguments, device="cuda", consumer="device").epoch(0):
        yield [torch.from_dlpack(batch[name]) for name in ("images", "labels")]
        del batch


class Crops(object):
    """Random crops of mapped .npy files, as a PyTorch user writes them."""

    def __init__(self, arguments):
        self.paths = list(zip(*[files(arguments, entry) for entry in "ABL"]))
        self.edge, self.patch = arguments.edge, arguments.patch

    def __len__(self):
        return 1 << 20

    def __getitem__(self, index):
        random = numpy.random.RandomState(index)
        maps = [numpy.load(path, mmap_mode="r") for path in self.paths[random.randint(len(self.paths))]]
        window = tuple(slice(start, start + self.patch) for start in random.randint(0, self.edge - self.patch + 1, 3))
        return numpy.stack([maps[0][window], maps[1][window]]), numpy.ascontiguousarray(maps[2][window])[None]


def torchs(arguments):
    source = torch.utils.data.DataLoader(Crops(arguments), batch_size=BATCH, shuffle=False, num_workers=CORES,
                                         pin_memory=True, prefetch_factor=4, persistent_workers=True)
    for tensors in source:
        yield [tensor.to("cuda", non_blocking=True) for tensor in tensors]


def dalis(arguments):
    from nvidia.dali import fn, pipeline_def, types
    from nvidia.dali.plugin.pytorch import DALIGenericIterator

    @pipeline_def(batch_size=BATCH, num_threads=CORES, device_id=0, prefetch_queue_depth=4)
    def crops():
        start = fn.random.uniform(range=(0, arguments.edge - arguments.patch), shape=(3,), dtype=types.INT32)
        parts = [fn.readers.numpy(files=files(arguments, entry), roi_start=start, roi_shape=[arguments.patch] * 3,
                                  random_shuffle=True, seed=1, dont_use_mmap=False, name=entry) for entry in "ABL"]
        return fn.stack(parts[0], parts[1]).gpu(), parts[2].gpu()

    while True:
        for tensors in DALIGenericIterator(crops(), ["images", "labels"]):
            yield list(tensors[0].values())


def bench(arguments):
    loop("voxfeed in PyTorch", arguments, ours(arguments))
    loop("PyTorch's DataLoader, %d workers, pinned" % CORES, arguments, torchs(arguments))
    try:
        import nvidia.dali  # noqa: F401
    except ImportError:
        row("DALI", "", "not installed")
        return
    try:
        loop("DALI", arguments, dalis(arguments))
    except Exception as error:
        row("DALI", "", "failed: %s" % str(error).splitlines()[0])


def sleep(cycles):
    torch.cuda._sleep(int(cycles))


def calibrate(arguments):
    """The device's cycles of one step, and how long all steps take alone."""
    arguments.cycles = 1 << 20
    for _ in range(3):
        torch.cuda.synchronize()
        began = time.time()
        sleep(arguments.cycles)
        torch.cuda.synchronize()
        arguments.cycles *= arguments.busy_ms / 1e3 / (time.time() - began)
    began = time.time()
    for _ in range(arguments.steps):
        sleep(arguments.cycles)
    torch.cuda.synchronize()
    arguments.alone = time.time() - began


parser = argparse.ArgumentParser()
parser.add_argument("what", choices=["check", "bench"])
parser.add_argument("data")
for option, default in (("--edge", 256), ("--patch", 128), ("--subjects", 8), ("--steps", 300)):
    parser.add_argument(option, type=int, default=default)
parser.add_argument("--busy-ms", type=float, default=10.0)

if __name__ == "__main__":
    arguments = parser.parse_args()
    try:
        import numpy
        import torch
    except ImportError as error:
        print("no PyTorch: %s" % error)
        sys.exit(77)
    if not torch.cuda.is_available():
        print("PyTorch %s finds no device that it can use" % torch.__version__)
        sys.exit(77)
    import voxfeed
    calibrate(arguments)
    {"check": check, "bench": bench}[arguments.what](arguments)
