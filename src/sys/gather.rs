//! The one copy of a voxel: from where it is stored, in whatever order and type, to where it is wanted.
//!
//! A source is any strided view of bytes; the destination is dense, slowest axis first. The runs of each
//! axis say which source positions its output positions take, so padding by mirrored or repeated voxels,
//! axes that run backwards and channels that are interleaved all are the same loop. Neighbouring axes that
//! lie side by side in source and destination are joined first, so that a whole slice can be one row.

use crate::error::{Error, Result};
use crate::sys::collect::collect;
use crate::sys::convert::{Converter, Fit, Scale, Way};
use crate::sys::memory::copy;
use crate::voxel::{DType, MAX_AXES, Run};

/// The most axes of a gather: the channel and the spatial ones.
const MAX_GATHER: usize = MAX_AXES + 1;
/// How many rows ahead a source row is asked for, and how much of it.
const PREFETCH_ROWS: isize = 8;
#[cfg(target_arch = "x86_64")]
const PREFETCH_BYTES: usize = 512;

/// A strided view of stored voxels.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The bytes that hold the voxels.
    pub bytes: &'a [u8],
    /// The byte at which source position (0, 0, ...) begins.
    pub first: usize,
    /// The bytes from one position to the next along each axis, channel first.
    ///
    /// They are counted from the first byte of a voxel to the first byte of the other.
    pub strides: &'a [isize],
    /// The stored dtype.
    pub dtype: DType,
    /// Whether the bytes of each voxel are in the order of the other kind of machine.
    pub swapped: bool,
    /// The bytes from one byte of a voxel to its next, where a filter parted them.
    ///
    /// A shuffled chunk of N voxels holds the first bytes of all of them, then all second bytes, and so on: the
    /// distance is N, and neighbouring voxels lie one byte apart, so that the strides count voxels.
    pub shuffled: Option<usize>,
    /// The linear map from stored numbers to values.
    pub scale: Option<Scale>,
}

impl Stored<'_> {
    /// The bytes from the first byte of a voxel to behind its last.
    fn reach(&self) -> usize {
        let size = self.dtype.byte_len();
        self.shuffled.map_or(size, |distance| distance.saturating_mul(size - 1).saturating_add(1))
    }
}

/// Where the voxels go: dense, channel first, then the spatial axes, slowest first.
#[derive(Debug)]
pub struct Target<'a> {
    /// The destination.
    pub bytes: &'a mut [u8],
    /// The wanted dtype.
    pub dtype: DType,
    /// What happens to a value that does not fit.
    pub fit: Fit,
    /// Who reads the voxels next. Says nothing about what is written, only about how.
    pub stores: Stores,
}

/// Who reads what is written next, and so whether the caches should keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stores {
    /// Perhaps the processor: the stores go through its caches.
    #[default]
    Cached,
    /// A device, or nobody soon: whole cache lines go past the caches to memory.
    Streaming,
}

/// One axis of the gather: its runs, its extent in the destination, and the two strides in bytes.
#[derive(Clone, Default)]
struct Axis {
    runs: Vec<Run>,
    extent: usize,
    source: isize,
    target: usize,
}

impl Axis {
    /// An axis of one position, for a gather that has but one other.
    fn single() -> Self {
        Self { runs: vec![Run { output: 0, len: 1, source: 0, step: 1 }], extent: 1, source: 0, target: 0 }
    }
}

/// Copies and converts voxels: axis k of the destination has `extents[k]` positions, filled by `runs[k]`.
///
/// Positions that no run reaches keep what they hold: [`fill`] is for them.
///
/// # Errors
/// `Argument` where the axes do not match or the destination has the wrong size; `Format` where the source
/// is too small for what the runs ask; `Range` where a value does not fit and [`Fit::Exact`] is asked.
pub fn gather(
    stored: &Stored<'_>,
    runs: &[&[Run]],
    extents: &[usize],
    target: &mut Target<'_>,
) -> Result<()> {
    let mut axes = plan(stored, runs, extents, target)?;
    let covered: usize = axes.iter().map(|axis| axis.runs.iter().map(|run| run.len).sum::<usize>()).product();
    if covered == 0 {
        return Ok(());
    }
    check_bounds(stored, &axes)?;
    join(&mut axes);
    by_locality(&mut axes);
    let mut converter = Converter::new(stored.dtype, stored.swapped, stored.scale, target.dtype);
    converter.shuffled = stored.shuffled;
    let walk = Walk {
        bytes: stored.bytes,
        converter,
        voxel: stored.reach(),
        size: stored.dtype.byte_len(),
        into: target.dtype.byte_len(),
    };
    let fits = walk.axes(&axes, (stored.first, 0), target.bytes)?;
    if fits || target.fit == Fit::Saturate {
        return Ok(());
    }
    Err(Error::range(format!(
        "a {} value does not fit {}: ask for a wider dtype, or for saturation",
        if stored.scale.is_some() { "scaled" } else { stored.dtype.name() },
        target.dtype
    )))
}

/// Lines up the axes with their strides.
fn plan(stored: &Stored<'_>, runs: &[&[Run]], extents: &[usize], target: &Target<'_>) -> Result<Vec<Axis>> {
    let ndim = extents.len();
    if runs.len() != ndim || stored.strides.len() != ndim || ndim == 0 || ndim > MAX_GATHER {
        return Err(Error::argument(format!("{ndim} axes do not match their runs and strides")));
    }
    let mut stride = target.dtype.byte_len();
    let mut axes = vec![Axis::default(); ndim];
    let parts = axes.iter_mut().zip(runs).zip(extents.iter().zip(stored.strides)).rev();
    for ((axis, &runs), (&extent, &source)) in parts {
        let inside = runs.iter().all(|run| run.output.checked_add(run.len).is_some_and(|end| end <= extent));
        if !inside {
            return Err(Error::argument("a run reaches beyond its axis"));
        }
        *axis = Axis { runs: runs.to_vec(), extent, source, target: stride };
        stride =
            stride.checked_mul(extent).ok_or_else(|| Error::range("the destination's size overflows"))?;
    }
    if stride != target.bytes.len() {
        let given = target.bytes.len();
        return Err(Error::argument(format!("destination has {given} bytes, expected {stride}")));
    }
    Ok(axes)
}

/// Fills the whole destination with one value.
///
/// # Errors
/// `Range` where it does not fit the dtype and [`Fit::Exact`] is asked.
pub fn fill(target: &mut Target<'_>, value: f64) -> Result<()> {
    let mut voxel = [0u8; 8];
    let voxel = voxel.get_mut(..target.dtype.byte_len()).unwrap_or_default();
    let fits = super::convert(&value.to_ne_bytes(), DType::F64, voxel, target.dtype);
    if !fits && target.fit == Fit::Exact {
        let dtype = target.dtype;
        return Err(Error::range(format!("padding value {value} does not fit {dtype}")));
    }
    if voxel.iter().all(|&byte| byte == 0) {
        target.bytes.fill(0);
    } else {
        for into in target.bytes.chunks_exact_mut(voxel.len()) {
            into.copy_from_slice(voxel);
        }
    }
    Ok(())
}

/// Makes sure that every position that the runs ask for lies in the source.
fn check_bounds(stored: &Stored<'_>, axes: &[Axis]) -> Result<()> {
    let (mut low, mut high) = (stored.first as i128, stored.first as i128);
    for axis in axes {
        let bounds = axis.runs.iter().map(Run::bounds);
        let (near, far) = bounds.fold((usize::MAX, 0), |(near, far), (a, b)| (near.min(a), far.max(b)));
        let ends = [near as i128 * axis.source as i128, far as i128 * axis.source as i128];
        low += ends.iter().min().copied().unwrap_or_default();
        high += ends.iter().max().copied().unwrap_or_default();
    }
    let end = high + stored.reach() as i128;
    if low < 0 || end > stored.bytes.len() as i128 {
        let size = stored.bytes.len();
        return Err(Error::format(format!(
            "voxels at bytes {low} to {end} are wanted, but there are {size}"
        )));
    }
    Ok(())
}

/// Joins neighbouring axes that lie side by side in source and destination.
fn join(axes: &mut Vec<Axis>) {
    let mut inner = axes.len();
    while inner > 1 {
        inner -= 1;
        let (Some(outer), Some(last)) = (axes.get(inner - 1), axes.get(inner)) else { return };
        let whole = matches!(last.runs.as_slice(), [run] if run.step == 1 && run.len == last.extent && run.source == 0);
        let straight = outer.runs.iter().all(|run| run.step == 1 || run.len == 1);
        if !whole || !straight || outer.source != last.source * last.extent as isize {
            continue;
        }
        let factor = last.extent;
        let widen = |run: &Run| Run {
            output: run.output * factor,
            len: run.len * factor,
            source: run.source * factor,
            step: 1,
        };
        let joined = Axis {
            runs: outer.runs.iter().map(widen).collect(),
            extent: outer.extent * factor,
            source: last.source,
            target: last.target,
        };
        axes.remove(inner);
        if let Some(outer) = axes.get_mut(inner - 1) {
            *outer = joined;
        }
    }
}

/// Puts axes whose source positions lie close together inside, so that interleaved channels are taken from
/// lines that are in the cache. The last two axes stay: their rows are many, evenly spaced and turned at once.
fn by_locality(axes: &mut [Axis]) {
    let outer = axes.len().saturating_sub(2);
    if let Some(outer) = axes.get_mut(..outer) {
        outer.sort_by_key(|axis| std::cmp::Reverse(axis.source.unsigned_abs()));
    }
}

/// What stays the same while the axes are walked.
struct Walk<'a> {
    bytes: &'a [u8],
    converter: Converter,
    /// The bytes from the first to behind the last byte of one voxel.
    voxel: usize,
    size: usize,
    into: usize,
}

/// Evenly spaced rows on both sides: those of one run of the last but one axis.
struct Rows {
    from: usize,
    from_step: isize,
    from_len: usize,
    into: usize,
    into_step: usize,
    into_len: usize,
    count: usize,
}

impl Walk<'_> {
    /// Walks the axes from the outermost on; `place` are the bytes of their position 0 on both sides.
    fn axes(&self, axes: &[Axis], place: (usize, usize), target: &mut [u8]) -> Result<bool> {
        let mut fits = true;
        match axes {
            [] => {}
            [last] => fits = self.plane(&Axis::single(), last, (place, target))?,
            [axis, last] => fits = self.plane(axis, last, (place, target))?,
            [axis, inner @ ..] => {
                for run in &axis.runs {
                    let from = offset(place.0, run.source as isize, axis.source)?;
                    for k in 0..run.len {
                        let from = offset(from, k as isize, run.step * axis.source)?;
                        let into = place.1 + (run.output + k) * axis.target;
                        fits &= self.axes(inner, (from, into), target)?;
                    }
                }
            }
        }
        Ok(fits)
    }

    /// The last two axes: every run of the one crossed with every run of the other.
    fn plane(&self, axis: &Axis, last: &Axis, (place, target): ((usize, usize), &mut [u8])) -> Result<bool> {
        let mut fits = true;
        for across in &axis.runs {
            let from = offset(place.0, across.source as isize, axis.source)?;
            for along in &last.runs {
                let step = along.step * last.source;
                let span = (along.len - 1) * step.unsigned_abs();
                let begin = offset(from, along.source as isize, last.source)?;
                let rows = Rows {
                    from: if step < 0 { begin.saturating_sub(span) } else { begin },
                    from_step: across.step * axis.source,
                    from_len: span + self.voxel,
                    into: place.1 + across.output * axis.target + along.output * self.into,
                    into_step: axis.target,
                    into_len: along.len * self.into,
                    count: across.len,
                };
                fits &= match self.converter.way(step) {
                    Way::Copy => self.rows(&rows, target, |from, into| {
                        copy(from, into);
                        true
                    }),
                    Way::Collect => {
                        self.rows(&rows, target, |from, into| collect(from, step, self.size, into))
                    }
                    Way::Convert => {
                        self.rows(&rows, target, |from, into| self.converter.row(from, step, into))
                    }
                }?;
            }
        }
        Ok(fits)
    }

    /// Turns one row after the other.
    #[inline(always)]
    fn rows(&self, rows: &Rows, target: &mut [u8], turn: impl Fn(&[u8], &mut [u8]) -> bool) -> Result<bool> {
        let (mut from, mut into) = (rows.from, rows.into);
        let mut fits = true;
        for _ in 0..rows.count {
            self.prefetch(from, rows);
            let source = self.bytes.get(from..from.wrapping_add(rows.from_len));
            let (Some(source), Some(target)) = (source, target.get_mut(into..into + rows.into_len)) else {
                return Err(Error::internal("a row lies outside its checked source"));
            };
            fits &= turn(source, target);
            from = from.wrapping_add_signed(rows.from_step);
            into += rows.into_step;
        }
        Ok(fits)
    }

    /// Asks for the row that is a few ahead, so that its cache lines are on the way.
    #[inline(always)]
    fn prefetch(&self, from: usize, rows: &Rows) {
        let ahead = from.wrapping_add_signed(rows.from_step.wrapping_mul(PREFETCH_ROWS));
        #[cfg(target_arch = "x86_64")]
        for line in (0..rows.from_len.min(PREFETCH_BYTES)).step_by(64) {
            let address = self.bytes.as_ptr().wrapping_add(ahead.wrapping_add(line));
            // SAFETY: a prefetch reads nothing that a program sees and takes any address.
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = ahead;
    }
}

/// `place + count * stride`, which the bounds check has shown to be a byte of the source.
fn offset(place: usize, count: isize, stride: isize) -> Result<usize> {
    let moved = count.checked_mul(stride).and_then(|bytes| place.checked_add_signed(bytes));
    moved.ok_or_else(|| Error::internal("a row begins outside its checked source"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn run(output: usize, len: usize, source: usize, step: isize) -> Run {
        Run { output, len, source, step }
    }

    /// Gathers from a (3, 4) volume of i16 that counts from 0.
    fn gathered(rows: &[Run], columns: &[Run], extents: [usize; 2], value: f64) -> Result<Vec<f32>> {
        let bytes: Vec<u8> = (0..12i16).flat_map(i16::to_ne_bytes).collect();
        let stored = Stored {
            bytes: &bytes,
            first: 0,
            strides: &[24, 8, 2],
            dtype: DType::I16,
            swapped: false,
            shuffled: None,
            scale: None,
        };
        let mut into = vec![0u8; extents[0] * extents[1] * 4];
        let mut target =
            Target { bytes: &mut into, dtype: DType::F32, fit: Fit::Exact, stores: Stores::Cached };
        fill(&mut target, value)?;
        gather(&stored, &[&[run(0, 1, 0, 1)], rows, columns], &[1, extents[0], extents[1]], &mut target)?;
        Ok(bytemuck::pod_collect_to_vec(&into))
    }

    #[test]
    fn whole_rows_are_joined_and_partial_ones_are_not() {
        let all: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(gathered(&[run(0, 3, 0, 1)], &[run(0, 4, 0, 1)], [3, 4], 0.0).unwrap(), all);
        let part = gathered(&[run(0, 2, 1, 1)], &[run(0, 2, 1, 1)], [2, 2], 0.0).unwrap();
        assert_eq!(part, [5.0, 6.0, 9.0, 10.0]);
        let rows = gathered(&[run(0, 2, 1, 1)], &[run(0, 4, 0, 1)], [2, 4], 0.0).unwrap();
        assert_eq!(rows, all[4..]);
    }

    #[test]
    fn uncovered_positions_hold_the_fill_value() {
        let padded = gathered(&[run(1, 1, 0, 1)], &[run(0, 1, 3, 1)], [2, 2], -1.5).unwrap();
        assert_eq!(padded, [-1.5, -1.5, 3.0, -1.5]);
        assert_eq!(gathered(&[], &[], [1, 2], 4.0).unwrap(), [4.0, 4.0]);
    }

    #[test]
    fn backward_and_repeating_runs_read_what_they_say() {
        let mirrored = gathered(&[run(0, 3, 2, -1)], &[run(0, 4, 3, -1)], [3, 4], 0.0).unwrap();
        assert_eq!(mirrored, (0..12).rev().map(|value| value as f32).collect::<Vec<_>>());
        let edge = gathered(&[run(0, 2, 0, 0)], &[run(0, 2, 1, 1), run(2, 2, 2, 0)], [2, 4], 0.0).unwrap();
        assert_eq!(edge, [1.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn shuffled_voxels_are_put_together() {
        let values: Vec<i32> = (0..24).map(|k| k * 16_843_009 - 3).collect();
        let bytes: Vec<u8> =
            (0..4).flat_map(|p| values.iter().map(move |value| value.to_ne_bytes()[p])).collect();
        let (strides, shuffled) = ([6, 1], Some(24));
        let (dtype, swapped, scale) = (DType::I32, false, None);
        let stored = Stored { bytes: &bytes, first: 1, strides: &strides, dtype, swapped, shuffled, scale };
        for (columns, expected) in
            [(run(0, 3, 0, 1), [7, 8, 9, 19, 20, 21]), (run(0, 3, 4, -1), [11, 10, 9, 23, 22, 21])]
        {
            let mut into = [0u8; 24];
            let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
            gather(&stored, &[&[run(0, 1, 1, 1), run(1, 1, 3, 1)], &[columns]], &[2, 3], &mut target)
                .unwrap();
            assert_eq!(bytemuck::pod_collect_to_vec::<u8, i32>(&into), expected.map(|k| values[k]));
        }
        let wide = Stored { shuffled: Some(25), ..stored };
        let mut into = [0u8; 4];
        let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
        let error =
            gather(&wide, &[&[run(0, 1, 3, 1)], &[run(0, 1, 3, 1)]], &[1, 1], &mut target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }

    #[test]
    fn a_source_that_is_too_small_is_a_format_error() {
        let error = gathered(&[run(0, 2, 2, 1)], &[run(0, 4, 0, 1)], [2, 4], 0.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }
}
