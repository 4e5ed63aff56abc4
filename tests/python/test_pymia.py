#!/usr/bin/env python3
"""Checks with pymia itself that a file of ours is one of pymia's.

    test_pymia.py OURS.h5 [THEIRS.h5]

Reads OURS slice by slice through pymia's own datasource, and compares every sample with the arrays as h5py
reads them; with THEIRS, a file of the same subjects that pymia wrote, compares the samples of both. Needs
pymia 0.3.4 (installed without its own requirements), SimpleITK, h5py, and numpy < 1.24.
"""
import sys

import h5py
import numpy as np

for name in "object float int bool".split():
    if name not in vars(np):
        setattr(np, name, {"object": object, "float": float, "int": int, "bool": bool}[name])

import pymia.data.extraction as extraction  # noqa: E402


def samples(path):
    """All slices of all subjects, as pymia gives them."""
    with h5py.File(path, "r", libver="latest") as h5:
        categories = tuple(c for c in h5["data"] if h5["meta/shapes/%s_shapes" % c].shape[1] > 3)
        has_geometry = "meta/image_props" in h5
    extractors = [
        extraction.NamesExtractor(categories=categories),
        extraction.SubjectExtractor(),
        extraction.IndexingExtractor(),
        extraction.DataExtractor(categories=categories),
    ]
    if has_geometry:
        extractors += [extraction.ImagePropertiesExtractor(), extraction.ImagePropertyShapeExtractor()]
    source = extraction.PymiaDatasource(
        path, extraction.SliceIndexing(), extraction.ComposeExtractor(extractors)
    )
    return categories, [source[number] for number in range(len(source))]


def check_against_arrays(path, categories, found):
    with h5py.File(path, "r", libver="latest") as h5:
        ids = [name.decode() for name in h5["meta/subjects"][()]]
        width = len(str(len(ids)))
        place = 0
        for number, name in enumerate(ids):
            inner = str(number).zfill(width)
            for depth in range(h5["data/%s/%s" % (categories[0], inner)].shape[0]):
                sample = found[place]
                assert sample["subject"] == name, (sample["subject"], name)
                for category in categories:
                    stored = h5["data/%s/%s" % (category, inner)]
                    assert np.array_equal(sample[category], stored[depth]), (category, inner, depth)
                    assert len(sample[category + "_names"]) == stored.shape[-1]
                place += 1
        assert place == len(found), (place, len(found))
        assert not any(dataset.chunks for dataset in h5["data/" + categories[0]].values())
        assert h5["meta/subjects"].dtype.metadata["vlen"] is str


def check_alike(categories, ours, theirs):
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    for here, there in zip(ours, theirs):
        assert here["subject"] == there["subject"]
        for category in categories:
            assert here[category].dtype == there[category].dtype, category
            assert np.array_equal(here[category], there[category]), category
            assert here[category + "_names"] == there[category + "_names"], category
        if "properties" in there:
            own, other = here["properties"], there["properties"]
            assert tuple(own.size) == tuple(other.size)
            for part in ("origin", "spacing", "direction"):
                assert np.allclose(getattr(own, part), getattr(other, part), atol=1e-9), part
            assert tuple(here["shape"]) == tuple(there["shape"])


def main():
    categories, ours = samples(sys.argv[1])
    check_against_arrays(sys.argv[1], categories, ours)
    if len(sys.argv) > 2:
        _, theirs = samples(sys.argv[2])
        check_alike(categories, ours, theirs)
    print("%s: %d samples of %s are pymia's" % (sys.argv[1], len(ours), ", ".join(categories)))


main()
