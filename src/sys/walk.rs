//! The axes of a gather: checked, joined where they lie side by side, and walked plane by plane.

use crate::error::{Error, Result};
use crate::sys::kernels::{Channels, Job, Plane, Scratch};
use crate::voxel::{MAX_AXES, Run};

/// The most axes of a gather: rows, the channel and the spatial ones.
pub const MOST_GATHERED: usize = MAX_AXES + 2;

/// The one run of an axis of one position.
const SINGLE: [Run; 1] = [Run { output: 0, len: 1, source: 0, step: 1 }];

/// One axis: its runs, its extent in the target, and the two strides in bytes.
#[derive(Debug, Clone, Copy)]
struct Axis<'a> {
    runs: &'a [Run],
    /// What a position of the runs stands for: as many positions of the axes that were joined to this one.
    factor: usize,
    extent: usize,
    source: isize,
    target: usize,
}

impl Axis<'_> {
    /// An axis of one position, for a gather that has but one other.
    const ONE: Axis<'static> = Axis { runs: &SINGLE, factor: 1, extent: 1, source: 0, target: 0 };

    /// The runs that are not empty, in positions of this axis.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let factor = self.factor;
        self.runs.iter().filter(|run| run.len > 0).map(move |run| Run {
            output: run.output * factor,
            len: run.len * factor,
            source: run.source * factor,
            step: if factor == 1 { run.step } else { 1 },
        })
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
            let inside =
                runs.iter().all(|run| run.output.checked_add(run.len).is_some_and(|end| end <= extent));
            if !inside {
                return Err(Error::argument("a run reaches beyond its axis"));
            }
            *axis = Axis { runs, factor: 1, extent, source, target };
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

    /// Whether no position is covered.
    pub(super) fn is_empty(&self) -> bool {
        self.each().iter().any(|axis| axis.runs.iter().all(|run| run.len == 0))
    }

    fn each(&self) -> &[Axis<'a>] {
        self.all.get(..self.count).unwrap_or_default()
    }

    /// Makes sure that every position that the runs ask for lies in `bytes` bytes of source.
    ///
    /// # Errors
    /// `Format` where one does not.
    pub(super) fn check_bounds(&self, first: usize, reach: usize, bytes: usize) -> Result<()> {
        let (mut low, mut high) = (first as i128, first as i128);
        for axis in self.each() {
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

    /// Joins neighbouring axes that lie side by side in source and target.
    pub(super) fn join(&mut self) {
        let mut inner = self.count;
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

    /// Turns everything, the bounds of which were checked; true where all values fit.
    ///
    /// # Errors
    /// `Internal` where a row lies outside all the same.
    pub(super) fn walk(&self, first: usize, job: &Job<'_>, target: &mut [u8]) -> Result<bool> {
        Walk { job, target, scratch: None }.axes(self.each(), (first, 0), None)
    }
}

/// A walk under way.
struct Walk<'a, 'b> {
    job: &'a Job<'b>,
    target: &'a mut [u8],
    scratch: Option<Scratch>,
}

impl Walk<'_, '_> {
    /// Walks the axes from the outermost on; `place` are the bytes of their position 0 on both sides, and
    /// `next` is the source's place when it comes to these axes again.
    fn axes(&mut self, axes: &[Axis<'_>], place: (usize, usize), next: Option<usize>) -> Result<bool> {
        let (axis, inner) = match axes {
            [] => return Ok(true),
            [last] => return self.planes((&Axis::ONE, last), None, place, next),
            [channel, last] | [channel, _, last] if let Some(channels) = self.beside(channel, last) => {
                let across = if let [_, across, _] = axes { across } else { &Axis::ONE };
                let output = channel.runs().next().map_or(0, |run| run.output);
                let place = (place.0, place.1 + output * channel.target);
                return self.planes((across, last), Some(&channels), place, next);
            }
            [axis, last] => return self.planes((axis, last), None, place, next),
            [axis, inner @ ..] => (axis, inner),
        };
        let mut fits = true;
        for run in axis.runs() {
            let step = run.step.wrapping_mul(axis.source);
            let mut from = offset(place.0, run.source as isize, axis.source)?;
            for k in 0..run.len {
                let following = from.wrapping_add_signed(step);
                let into = place.1 + (run.output + k) * axis.target;
                let next = if k + 1 < run.len { Some(following) } else { next };
                fits &= self.axes(inner, (from, into), next)?;
                from = following;
            }
        }
        Ok(fits)
    }

    /// The channels of an axis, where they are all those of each voxel of the last one and can be parted at once.
    fn beside(&self, channel: &Axis<'_>, last: &Axis<'_>) -> Option<Channels> {
        // This is asked for every plane, and a division would show.
        if channel.source != self.job.reach() as isize {
            return None;
        }
        let count = last.source.checked_div(channel.source).filter(|&count| count > 1)? as usize;
        let mut runs = channel.runs();
        let (run, None) = (runs.next()?, runs.next()) else { return None };
        let channels = self.job.parted((count, channel.target))?;
        let beside = last.source == channel.source * count as isize;
        let whole = (run.source, run.len, run.step) == (0, count, 1);
        (beside && whole && last.runs().all(|run| run.step == 1)).then_some(channels)
    }

    /// The last two axes: every run of the one crossed with every run of the other; of every channel at once
    /// where there are some to be parted.
    fn planes(
        &mut self,
        (axis, last): (&Axis<'_>, &Axis<'_>),
        channels: Option<&Channels>,
        (from, into): (usize, usize),
        next: Option<usize>,
    ) -> Result<bool> {
        let width = self.job.width();
        let reach = self.job.reach() * channels.map_or(1, |channels| channels.count);
        let mut fits = true;
        for across in axis.runs() {
            let row = offset(from, across.source as isize, axis.source)?;
            for along in last.runs() {
                let step = along.step.wrapping_mul(last.source);
                let span = (along.len - 1) * step.unsigned_abs();
                let begin = offset(row, along.source as isize, last.source)?;
                let lowest = if step < 0 { begin.saturating_sub(span) } else { begin };
                let plane = Plane {
                    from: lowest,
                    from_step: across.step.wrapping_mul(axis.source),
                    from_len: span.saturating_add(reach),
                    into: into + across.output * axis.target + along.output * width,
                    into_step: axis.target,
                    into_len: along.len * width,
                    count: across.len,
                    len: along.len,
                    step,
                    asked: self.job.asked(span),
                    claimed: self.job.claimed(along.len * width, axis.target),
                    next: next.map(|next| next.wrapping_add(lowest.wrapping_sub(from))),
                };
                let done = match channels {
                    Some(channels) => self.job.part(&plane, channels, self.target, &mut self.scratch),
                    None => self.job.plane(&plane, self.target, &mut self.scratch),
                };
                let Some(fit) = done else {
                    return Err(Error::internal("a row lies outside its checked source"));
                };
                fits &= fit;
            }
        }
        Ok(fits)
    }
}

/// `place + count * stride`, which the bounds check has shown to be a byte of the source.
fn offset(place: usize, count: isize, stride: isize) -> Result<usize> {
    let moved = count.checked_mul(stride).and_then(|bytes| place.checked_add_signed(bytes));
    moved.ok_or_else(|| Error::internal("a row begins outside its checked source"))
}
