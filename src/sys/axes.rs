//! The axes of a gather: checked, and joined where they lie side by side.

use crate::error::{Error, Result};
use crate::voxel::{MAX_AXES, Run};

/// The most axes of a gather: rows, the channel and the spatial ones.
pub const MOST_GATHERED: usize = MAX_AXES + 2;

/// The most sources that are gathered side by side: more streams than that are more than a processor foresees.
pub const MOST_BESIDE: usize = 8;

/// One of the sources of a gather, which lie side by side along its last axis.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// The bytes that hold its voxels.
    pub(super) bytes: &'a [u8],
    /// The byte at which its position (0, 0, ...) begins.
    pub(super) first: usize,
    /// Its runs along the last axis.
    pub(super) along: &'a [Run],
}

/// The one run of an axis of one position.
const SINGLE: [Run; 1] = [Run { output: 0, len: 1, source: 0, step: 1 }];

/// One axis: its runs, its extent in the target, and the two strides in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis<'a> {
    runs: &'a [Run],
    /// What a position of the runs stands for: as many positions of the axes that were joined to this one.
    factor: usize,
    extent: usize,
    pub(super) source: isize,
    pub(super) target: usize,
}

impl Axis<'_> {
    /// An axis of one position, for a gather that has but one other.
    pub(super) const ONE: Axis<'static> = Axis { runs: &SINGLE, factor: 1, extent: 1, source: 0, target: 0 };

    /// The runs that are not empty, in positions of this axis.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        let factor = self.factor;
        self.runs.iter().filter(|run| run.len > 0).map(move |run| Run {
            output: run.output * factor,
            len: run.len * factor,
            source: run.source * factor,
            step: if factor == 1 { run.step } else { 1 },
        })
    }

    /// The same axis with the runs of a source.
    pub(super) fn of<'b>(&self, source: &Beside<'b>) -> Axis<'b> {
        Axis { runs: source.along, ..*self }
    }

    /// Makes sure that all runs lie within the axis.
    ///
    /// # Errors
    /// `Argument` where one does not.
    fn check_runs(&self) -> Result<()> {
        let inside = |run: &Run| run.output.checked_add(run.len).is_some_and(|end| end <= self.extent);
        if self.runs.iter().all(inside) {
            return Ok(());
        }
        Err(Error::argument("a run reaches beyond its axis"))
    }

    /// Whether the positions are all those of the source from its first on.
    fn is_whole(&self) -> bool {
        let mut runs = self.runs();
        matches!((runs.next(), runs.next()), (Some(run), None)
            if run.step == 1 && run.len == self.extent && run.source == 0)
    }
}

/// The axes of one gather, slowest first.
#[derive(Debug)]
pub(super) struct Axes<'a> {
    all: [Axis<'a>; MOST_GATHERED],
    count: usize,
    target_bytes: usize,
}

impl<'a> Axes<'a> {
    /// Lines up the runs with the extents of the target and the strides of the source.
    ///
    /// The target is dense, but for its slowest axis where that has a pitch.
    ///
    /// # Errors
    /// `Argument` where they do not match; `Range` where the size of the target overflows.
    pub(super) fn new(
        (runs, extents): (&[&'a [Run]], &[usize]),
        strides: &[isize],
        (width, pitch): (usize, Option<usize>),
    ) -> Result<Self> {
        let count = extents.len();
        let mut all = [Axis::ONE; MOST_GATHERED];
        let Some(axes) = all.get_mut(..count).filter(|_| (runs.len(), strides.len()) == (count, count))
        else {
            return Err(Error::argument(format!("{count} axes do not match their runs and strides")));
        };
        if count == 0 {
            return Err(Error::argument("a gather needs an axis"));
        }
        let mut target = width;
        let parts = axes.iter_mut().zip(runs).zip(extents.iter().zip(strides)).rev();
        for ((axis, &runs), (&extent, &source)) in parts {
            *axis = Axis { runs, factor: 1, extent, source, target };
            axis.check_runs()?;
            target =
                target.checked_mul(extent).ok_or_else(|| Error::range("the destination's size overflows"))?;
        }
        if let (Some(pitch), Some(slowest)) = (pitch, axes.first_mut()) {
            let one = slowest.target;
            if pitch < one {
                return Err(Error::argument(format!("rows of {one} bytes do not fit a pitch of {pitch}")));
            }
            slowest.target = pitch;
            let before = slowest.extent.saturating_sub(1).checked_mul(pitch);
            let end = before.and_then(|before| before.checked_add(one));
            target = end.ok_or_else(|| Error::range("the destination's size overflows"))?;
        }
        Ok(Self { all, count, target_bytes: target })
    }

    /// The bytes that the target has to have.
    pub(super) fn target_bytes(&self) -> usize {
        self.target_bytes
    }

    /// Whether no position is covered, whatever the runs along the last axis.
    pub(super) fn is_empty(&self) -> bool {
        let (_, outer) = self.each().split_last().unwrap_or((&Axis::ONE, &[]));
        outer.iter().any(|axis| axis.runs().next().is_none())
    }

    /// All of them.
    pub(super) fn each(&self) -> &[Axis<'a>] {
        self.all.get(..self.count).unwrap_or_default()
    }

    /// Makes sure that every position that the runs ask for lies in the bytes of a source.
    ///
    /// # Errors
    /// `Format` where one does not; `Argument` where its runs reach beyond the last axis.
    pub(super) fn check_bounds(&self, source: &Beside<'_>, reach: usize) -> Result<()> {
        let bytes = source.bytes.len();
        let (mut low, mut high) = (source.first as i128, source.first as i128);
        let (last, outer) = self.each().split_last().unwrap_or((&Axis::ONE, &[]));
        let last = last.of(source);
        last.check_runs()?;
        if last.runs().next().is_none() {
            return Ok(());
        }
        for axis in outer.iter().chain([&last]) {
            let bounds = axis.runs().map(|run| run.bounds());
            let (near, far) = bounds.fold((usize::MAX, 0), |(near, far), (a, b)| (near.min(a), far.max(b)));
            let ends = [near, far].map(|end| (end as i128).saturating_mul(axis.source as i128));
            low = low.saturating_add(ends.iter().min().copied().unwrap_or_default());
            high = high.saturating_add(ends.iter().max().copied().unwrap_or_default());
        }
        let end = high.saturating_add(reach as i128);
        if low < 0 || end > bytes as i128 {
            return Err(Error::format(format!(
                "voxels at bytes {low} to {end} are wanted, but there are {bytes}"
            )));
        }
        Ok(())
    }

    /// Joins neighbouring axes that lie side by side in source and target; the last is joined to none where several
    /// sources lie along it.
    pub(super) fn join(&mut self, sources: usize) {
        let mut inner = self.count - usize::from(sources > 1);
        while inner > 1 {
            inner -= 1;
            let Some([outer, last]) = self.all.get_mut(inner - 1..=inner) else { return };
            let straight = outer.runs().all(|run| run.step == 1 || run.len == 1);
            let stretch = last.source.checked_mul(last.extent as isize);
            let dense = last.target.checked_mul(last.extent) == Some(outer.target);
            // A source that repeats itself has no order to keep.
            if last.source == 0 || stretch != Some(outer.source) || !dense || !straight || !last.is_whole() {
                continue;
            }
            *outer =
                Axis { runs: outer.runs, factor: last.extent, extent: outer.extent * last.extent, ..*last };
            self.all.copy_within(inner + 1.., inner);
            self.count -= 1;
        }
    }

    /// Puts axes whose source positions lie close together inside, so that interleaved channels are taken
    /// from lines that are in the cache. The last two axes stay: their rows are many and turned at once.
    pub(super) fn sort_by_locality(&mut self) {
        if let Some(outer) = self.all.get_mut(..self.count.saturating_sub(2)) {
            outer.sort_by_key(|axis| std::cmp::Reverse(axis.source.unsigned_abs()));
        }
    }
}
