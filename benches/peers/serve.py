"""Measures peers on request: a line of JSON in, a line of JSON out.

    {"do": "open", "data": "…/data.json", "patch": [64, 64, 64], "batch": 8}
    {"do": "list", "task": "T1", "format": "npy", "state": "plain"}         -> {"peers": [...], "limit": null}
    {"do": "measure", "peer": "numpy maps", "seconds": 0.5}                 -> {"rate": 1831.2}
    {"do": "close"}                                                         the jobs of this list are done

state is "plain" or "device" for formats that are read in place, else "cold" (nothing decoded is kept from one epoch to the
next), "half" (half of everything may be kept) or "cached" (all of it). A peer that cannot do it answers {"error": "..."}.
"""

import json
import os
import sys
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import own_loops  # noqa: E402
import readers  # noqa: E402
from decoding import Decoding  # noqa: E402
from tasks import Assembly, Batches, Data, Loads  # noqa: E402
from workers import Processes  # noqa: E402

#: The dataset-wide chunk cache of HDF5 in a subject's dataset, enough for all of it.
CHUNK_CACHE = 256 << 20
TENSORSTORE_CACHE = 2 << 30


class Peers:
    """What can be measured on one data set."""

    def __init__(self, path, patch, batch):
        self.path, self.data = path, Data(path, patch, batch)

    def read_by(self, name, open_reader, task, threads=(1, 2)):
        """A reader's jobs, by numbers of threads."""
        data = self.data
        if task == "T3":
            return {"%s + numpy sums%s" % (name, ", 2 threads" if count > 1 else ""):
                    lambda count=count: Assembly(data, open_reader(data), count) for count in threads}
        return {name + (", 2 threads" if count > 1 else ""):
                lambda count=count: Batches(data, open_reader(data), task, count) for count in threads}

    def processes(self, name, open_reader, task):
        return {name + ", 2 processes": lambda: Processes(self.path, self.data, open_reader, task)}

    def in_memory(self, task):
        return self.read_by("numpy, preloaded", readers.preloaded, task)

    def npy(self, task, state):
        found = self.read_by("numpy maps", readers.memory_maps, task)
        if task == "T1":
            data, maps = self.data, readers.memory_maps
            found.update(self.read_by("map a sample (batchgenerators)", readers.Reopened, task, (1,)))
            found.update({"grain": lambda: own_loops.grain(data, maps(data)),
                          "spdl": lambda: own_loops.spdl(data, maps(data)),
                          "MONAI, cached": lambda: own_loops.monai(data),
                          "torchio, cached": lambda: own_loops.torchio(data),
                          "DALI, CPU": lambda: own_loops.dali(data)})
        return found

    def nii(self, task, state):
        found = self.read_by("nibabel maps", lambda data: readers.Nifti(data, True), task)
        found.update(self.read_by("nibabel proxies", lambda data: readers.Nifti(data, False), task, (1,)))
        return found

    def whole(self, name, load, task, state):
        if state == "cached" or task == "T3":
            return self.in_memory(task)
        data = self.data
        return {name + (", 2 threads" if count > 1 else ""):
                lambda count=count: Loads(data, load(data), task, count) for count in (1, 2)}

    def hdf5(self, format, task, state):
        # Half of a dataset's chunks in its own cache serve nobody, as they are gone when the next epoch comes to them.
        cache = CHUNK_CACHE if state == "cached" else 0
        name = "h5py, whole chunk cache" if cache else "h5py"
        found = self.read_by(name, lambda data: readers.Hdf5(data, format, cache), task, (1,))
        if task == "T3":
            found["pymia"] = lambda: own_loops.PymiaAssembly(self.data, format)
            return found
        found.update(self.processes(name, (readers.Hdf5, format, cache), task))
        if not cache:
            found.update(self.read_by("pymia", lambda data: own_loops.PymiaReader(data, format), task, (1,)))
            found.update(self.processes("pymia", (own_loops.PymiaReader, format), task))
        if state != "cold" and "zarr3" in self.data.formats:
            # HDF5's chunk cache belongs to one dataset; this is the best cache over all of them.
            found.update(self.tensorstore("zarr3", task, state))
        return found

    def tensorstore(self, format, task, state):
        cache = TENSORSTORE_CACHE if state == "cached" else 0
        if state == "cold" and task == "T2":
            cache = 256 << 20
        if state == "half":
            cache = self.data.byte_len() // 2
        name = {"cached": "tensorstore, 2 GiB cache", "half": "tensorstore, cache of half"}.get(state, "tensorstore")
        return {name: lambda: own_loops.Tensorstore(self.data, format, task, cache)}

    def zarr(self, format, task, state):
        found = {} if task == "T3" else self.tensorstore(format, task, state)
        found.update(self.read_by("zarr-python", lambda data: readers.zarr_arrays(data, format), task, (1,)))
        return found

    def b2nd(self, task, state):
        found = self.read_by("blosc2", lambda data: readers.Blosc2(data, 1), task)
        if task != "T3":
            found["blosc2, nthreads=2"] = lambda: Batches(self.data, readers.Blosc2(self.data, 2), task)
            found.update(self.processes("blosc2", (readers.Blosc2, 1), task))
        return found

    def of(self, format, task, state):
        """The peers by name, each a function that makes its job."""
        if format in ("npy", "npz"):
            # numpy cannot map the members of an archive: who wants speed unpacks it, or loads it whole.
            return self.npy(task, state) if format == "npy" else self.in_memory(task)
        if format == "nii":
            return self.nii(task, state)
        if format == "nii.gz":
            return self.whole("nibabel, a subject at a time", readers.nifti_whole, task, state)
        if format == "npz-deflated":
            return self.whole("numpy, a subject at a time", readers.npz_whole(format), task, state)
        if format.startswith("h5"):
            return self.hdf5(format, task, state)
        if format.startswith("zarr"):
            return self.zarr(format, task, state)
        if format == "b2nd":
            return self.b2nd(task, state)
        return {}

    def limit(self, format, task, state):
        """The codec alone, or next to alone, where this process has it and the bench has not."""
        if state != "cold" or task == "T3":
            return {}
        if format == "b2nd":
            return self.processes("blosc2", (readers.Blosc2, 1), task)
        if format.startswith("zarr"):
            return {"c-blosc": lambda: Decoding(self.data, format, task)}
        return {}


class Server:
    def __init__(self):
        self.peers, self.makers, self.jobs = None, {}, {}

    def open(self, data, patch, batch):
        self.close()
        self.peers = Peers(data, patch, batch)
        return {}

    def list(self, task, format, state):
        self.close()
        makers, limit = self.peers.of(format, task, state), self.peers.limit(format, task, state)
        self.makers = dict(limit, **makers)
        return {"peers": list(makers), "limit": next(iter(limit), None)}

    def measure(self, peer, seconds):
        if peer not in self.jobs:
            self.jobs[peer] = self.makers[peer]()
        return {"rate": self.jobs[peer].measure(seconds)}

    def close(self):
        for job in self.jobs.values():
            job.close()
        self.jobs = {}
        return {}

    def answer(self, request):
        do = request.pop("do")
        try:
            return {"open": self.open, "list": self.list, "measure": self.measure, "close": self.close}[do](**request)
        except ImportError as error:
            return {"missing": str(error)}
        except Exception as error:  # Whatever a peer raises is its result.
            return {"error": "%s: %s" % (type(error).__name__, str(error).split("\n")[0][:300])}


def main():
    warnings.simplefilter("ignore")
    # What libraries print must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server()
    for line in sys.stdin:
        answers.write(json.dumps(server.answer(json.loads(line))) + "\n")
        answers.flush()
    server.close()


if __name__ == "__main__":
    main()
