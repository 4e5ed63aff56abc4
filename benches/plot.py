"""Draws the figures of the storage bench: python plot.py storage.json storage.png

Bars of ours, the best peer of each format and the limit, per task and format; sizes are MB/s of samples in
batches, so that the tasks can be seen beside each other.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot  # noqa: E402

TITLES = {"T1": "T1: random patches", "T2": "T2: all slices in order", "T3": "T3: overlapping patches, put back"}
OURS, PEER, LIMIT = "#1f6fb4", "#e08a2e", "#b9bec4"


def best(row):
    return max(row["peers"], key=lambda peer: peer["rate"], default=None)


def text(number):
    """A number with about three digits."""
    return "%.0f" % number if number >= 100 else "%.3g" % number


def panel(axes, rows, title):
    """One task: a group of three bars for each format."""
    height = 0.27
    most = max(max(row["ours"]["rate"], row["limit"]["rate"] or 0, (best(row) or {"rate": 0})["rate"])
               * row["sample_bytes"] / 1e6 for row in rows)
    for number, row in enumerate(rows):
        megabytes, peer = row["sample_bytes"] / 1e6, best(row)
        bars = [(-height, row["limit"]["rate"], LIMIT, row["limit"]["name"] or ""),
                (0, row["ours"]["rate"], OURS, ""),
                (height, peer and peer["rate"], PEER, peer["name"] if peer else "")]
        for shift, rate, colour, name in bars:
            if rate is None:
                continue
            axes.barh(number + shift, rate * megabytes, height, color=colour, zorder=2)
            said = "%s/s" % text(rate)
            if shift == 0:
                ratios = [("%.2f of the limit" % row["limit"]["ratio"]) if row["limit"]["ratio"] else "",
                          ("%.1f x the peer" % peer["ratio"]) if peer else ""]
                said += ", " + ", ".join(part for part in ratios if part) if any(ratios) else ""
            elif name:
                said += "  " + name
            axes.text(rate * megabytes + most * 0.008, number + shift, said, va="center", fontsize=7, zorder=3)
    axes.set_yticks(range(len(rows)), [row["format"] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(0, most * 1.45)
    axes.set_xlabel("MB/s of samples in batches; the numbers at the bars are samples per second", fontsize=8)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.grid(axis="x", color="#e5e7ea", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def draw(figures, path):
    tasks = [task for task in TITLES if any(row["task"] == task for row in figures["rows"])]
    groups = [[row for row in figures["rows"] if row["task"] == task] for task in tasks]
    heights = [0.62 * len(rows) + 0.9 for rows in groups]
    figure, panels = pyplot.subplots(len(tasks), 1, figsize=(11, sum(heights) + 1.1), squeeze=False,
                                     gridspec_kw={"height_ratios": heights}, layout="constrained")
    for axes, rows, task in zip(panels[:, 0], groups, tasks):
        panel(axes, rows, TITLES[task])
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in (LIMIT, OURS, PEER)]
    panels[0, 0].legend(handles, ["limit of this machine", "voxfeed", "best peer"], loc="lower right", ncols=3,
                        bbox_to_anchor=(1, 0.995), frameon=False, fontsize=9)
    figure.suptitle("Batches of voxfeed beside limits and other readers, medians of %d\n%s"
                    % (figures["rounds"], figures["about"]), x=0.01, ha="left", fontsize=9)
    figure.savefig(path, dpi=110)


def main(arguments):
    source, target = arguments
    with open(source) as file:
        draw(json.load(file), target)


if __name__ == "__main__":
    main(sys.argv[1:])
