"""Makes the benches' data set, once: python make.py --root FOLDER [--subjects 16] [--volume 128x160x160] …

Each format has a folder and, but for pymia's layout, a manifest that voxfeed opens; data.json says what there
is. Its path is the only line on the standard output. What is there already is not made again.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import shutil
import sys
import time

import numpy

import formats
import pieces
from plan import DTYPES, Place, Plan, extents, subject


def say(text):
    print(text, file=sys.stderr, flush=True)


def _write(format, place, folder, number):
    """Writes one subject in one format, from the npy files where they are not what is to be written."""
    plan = place.plan
    arrays = subject(plan, number) if format.name == "npy" else loaded(place, number)
    format.write(folder, plan.ids()[number], arrays[0], arrays[1], plan)


def _write_all(format, place, folder):
    format.write_all(folder, (loaded(place, number) for number in range(place.plan.subjects)), place.plan)


def loaded(place, number):
    return numpy.load(place.image(number)), numpy.load(place.label(number))


def _manifest(format, folder, plan):
    """Writes the manifest and names it, or the file that opens without one."""
    subjects = [{"id": id, "categories": format.entries(id)} for id in plan.ids()]
    if subjects[0]["categories"] is None:
        return os.path.join(folder, "data.h5")
    path = os.path.join(folder, "manifest.json")
    with open(path, "w") as file:
        json.dump({"voxfeed_manifest": 1, "subjects": subjects}, file, indent=1)
    return path


def make_format(format, place, pool):
    """Makes one format if it is not there yet, and describes it."""
    plan, folder = place.plan, place.of(format.key(place.plan))
    done = os.path.join(folder, "done.json")
    if os.path.exists(done):
        with open(done) as file:
            return json.load(file)
    begun = time.time()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if format.per_subject:
        jobs = [pool.submit(_write, format, place, folder, number) for number in range(plan.subjects)]
    else:
        jobs = [pool.submit(_write_all, format, place, folder)]
    for job in jobs:
        job.result()
    about = {"name": format.name, "title": format.title, "kind": format.kind, "folder": folder,
             "open": _manifest(format, folder, plan), "chunk": list(format.chunk(plan)), "pieces": None}
    listed = pieces.pieces(format.name, folder, plan)
    if listed is not None:
        about["pieces"] = os.path.join(folder, "pieces.json")
        with open(about["pieces"], "w") as file:
            json.dump(listed, file)
    size = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)
    about["ratio"] = round(plan.subjects * plan.subject_bytes() / size, 2)
    with open(done, "w") as file:
        json.dump(about, file, indent=1)
    say("  made %-14s %7.1f MB, %.2f times smaller than its voxels, in %.0f s"
        % (format.name, size / 1e6, about["ratio"], time.time() - begun))
    return about


def make(root, plan, names=None):
    """Makes the formats of these names, all by default, and gives the path of the description."""
    known = [format.name for format in formats.FORMATS]
    strange = [name for name in names or () if name not in known]
    if strange:
        raise ValueError("no format %s: there are %s" % (", ".join(strange), ", ".join(known)))
    place, made, missing = Place(os.path.abspath(root), plan), [], {}
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for format in formats.FORMATS:
            # Everything is compared with the npy files, so they are always made.
            if names and format.name not in names and format.name != "npy":
                continue
            try:
                made.append(make_format(format, place, pool))
            except ImportError as error:
                missing[format.name] = str(error)
    about = {"subjects": plan.subjects, "channels": plan.channels, "volume": list(plan.volume),
             "dtype": plan.dtype_name, "chunk": list(plan.chunk), "patch": list(plan.patch),
             "images": [place.image(number) for number in range(plan.subjects)],
             "labels": [place.label(number) for number in range(plan.subjects)],
             "formats": made, "missing": missing}
    path = place.of("data.json")
    with open(path, "w") as file:
        json.dump(about, file, indent=1)
    return path


def main(arguments):
    parser = argparse.ArgumentParser(description="Makes the data set of the benches.")
    parser.add_argument("--root", required=True, help="the folder for all data sets")
    parser.add_argument("--subjects", type=int, default=16)
    parser.add_argument("--volume", type=extents, default=extents("128x160x160"))
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="f32")
    parser.add_argument("--chunk", type=extents, default=extents("32"))
    parser.add_argument("--patch", type=extents, default=extents("64"), help="what chunks of .b2nd files suit")
    parser.add_argument("--formats", help="names with commas between them; all by default")
    given = parser.parse_args(arguments)
    plan = Plan(given.subjects, given.volume, given.dtype, given.chunk, given.patch)
    try:
        print(make(given.root, plan, given.formats.split(",") if given.formats else None))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
