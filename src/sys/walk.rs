//! The walk along the axes of a gather, plane by plane.

use crate::error::{Error, Result};
use crate::sys::axes::{Axes, Axis, Beside, MOST_BESIDE};
use crate::sys::kernels::{Channels, Job, Plane, Scratch, Strand};
use crate::voxel::Run;

/// Turns everything, the bounds of which were checked; true where all values fit.
///
/// # Errors
/// `Internal` where a row lies outside all the same.
pub(super) fn walk(axes: &Axes<'_>, sources: &[Beside<'_>], job: &Job, target: &mut [u8]) -> Result<bool> {
    let first = sources.first().map_or(0, |source| source.first);
    Walk { job, sources, first, target, scratch: None }.axes(axes.each(), (first, 0), None)
}

/// A walk under way.
struct Walk<'a> {
    job: &'a Job,
    sources: &'a [Beside<'a>],
    /// The byte at which the first source's position (0, 0, ...) begins.
    first: usize,
    target: &'a mut [u8],
    scratch: Option<Scratch>,
}

impl Walk<'_> {
    /// Walks the axes from the outermost on; `place` are the bytes of their position 0 on both sides, those of the
    /// first source, and `next` is its place when it comes to these axes again.
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
        if channel.source != self.job.step() as isize {
            return None;
        }
        let count = last.source.checked_div(channel.source).filter(|&count| count > 1)? as usize;
        let mut runs = channel.runs();
        let (run, None) = (runs.next()?, runs.next()) else { return None };
        let channels = self.job.parted((count, channel.target))?;
        let beside = last.source == channel.source * count as isize;
        let whole = (run.source, run.len, run.step) == (0, count, 1);
        let forward = match self.sources {
            [_] => last.runs().all(|run| run.step == 1),
            all => all.iter().flat_map(|source| source.along).all(|run| run.step == 1),
        };
        (beside && whole && forward).then_some(channels)
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
        let sources = self.sources;
        let mut fits = true;
        for across in axis.runs() {
            if let [source] = sources {
                for along in last.runs() {
                    let plane = self.plane((axis, &across), (last, &along), channels, (from, into, next))?;
                    fits &= self.turn(source.bytes, &plane, channels)?;
                }
                continue;
            }
            let mut strands = [Strand::default(); MOST_BESIDE];
            let mut count = 0;
            for source in sources {
                let from = from.wrapping_sub(self.first).wrapping_add(source.first);
                for along in last.of(source).runs() {
                    let plane = self.plane((axis, &across), (last, &along), channels, (from, into, None))?;
                    let strand = Strand { source: source.bytes, plane };
                    if count == MOST_BESIDE {
                        fits &= self.turn_all(&mut strands, channels)?;
                        count = 0;
                    }
                    if let Some(slot) = strands.get_mut(count) {
                        *slot = strand;
                    }
                    count += 1;
                }
            }
            fits &= self.turn_all(strands.get_mut(..count).unwrap_or_default(), channels)?;
        }
        Ok(fits)
    }

    /// The rows of one run crossed with those of another.
    #[inline(always)]
    fn plane(
        &self,
        (axis, across): (&Axis<'_>, &Run),
        (last, along): (&Axis<'_>, &Run),
        channels: Option<&Channels>,
        (from, into, next): (usize, usize, Option<usize>),
    ) -> Result<Plane> {
        let width = self.job.width();
        let others = channels.map_or(0, |channels| channels.count - 1);
        let reach = self.job.reach().saturating_add(others * self.job.step());
        let step = along.step.wrapping_mul(last.source);
        let span = (along.len - 1) * step.unsigned_abs();
        let row = offset(from, across.source as isize, axis.source)?;
        let begin = offset(row, along.source as isize, last.source)?;
        let lowest = if step < 0 { begin.saturating_sub(span) } else { begin };
        Ok(Plane {
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
        })
    }

    /// Turns planes that lie side by side, or parts the channels of each.
    fn turn_all(&mut self, strands: &mut [Strand<'_>], channels: Option<&Channels>) -> Result<bool> {
        if channels.is_none()
            && let Some(fits) = self.job.weave(strands, self.target)
        {
            return Ok(fits);
        }
        strands
            .iter()
            .try_fold(true, |fits, Strand { source, plane }| Ok(self.turn(source, plane, channels)? & fits))
    }

    /// Turns a plane, or parts its channels where there are some to be parted.
    fn turn(&mut self, source: &[u8], plane: &Plane, channels: Option<&Channels>) -> Result<bool> {
        let Self { job, target, scratch, .. } = self;
        let done = match channels {
            Some(channels) => job.part((source, plane), channels, target, scratch),
            None => job.plane((source, plane), target, scratch),
        };
        done.ok_or_else(|| Error::internal("a row lies outside its checked source"))
    }
}

/// `place + count * stride`, which the bounds check has shown to be a byte of the source.
fn offset(place: usize, count: isize, stride: isize) -> Result<usize> {
    let moved = count.checked_mul(stride).and_then(|bytes| place.checked_add_signed(bytes));
    moved.ok_or_else(|| Error::internal("a row begins outside its checked source"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;
    use crate::sys::gather::gather_by;
    use crate::sys::kernels::Kernels;
    use crate::sys::{Fit, Stored, Stores, Target, gather_beside};
    use crate::voxel::DType;

    fn run(output: usize, len: usize, source: usize) -> Run {
        Run { output, len, source, step: 1 }
    }

    /// How columns are cut into sources, each with a margin that nobody wants, and what becomes of them.
    #[derive(Debug, Clone)]
    struct Cut {
        dtypes: (DType, DType),
        rows: usize,
        channels: usize,
        widths: Vec<usize>,
        margin: usize,
        interleaved: bool,
        swapped: bool,
        backward: bool,
        gap: usize,
        stores: Stores,
    }

    fn cut() -> impl Strategy<Value = Cut> {
        let dtype = || prop_oneof![Just(DType::U8), Just(DType::I16), Just(DType::F32), Just(DType::F64)];
        let widths = prop::collection::vec(prop_oneof![1usize..80, Just(32), Just(64)], 1..=MOST_BESIDE);
        let stores = prop_oneof![Just(Stores::Cached), Just(Stores::Streaming)];
        let order = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
        let sizes = (1usize..6, 1usize..4, widths, 0usize..3, 0usize..9);
        ((dtype(), dtype()), sizes, order, stores).prop_map(|(dtypes, sizes, order, stores)| {
            let (rows, channels, widths, margin, gap) = sizes;
            let (interleaved, swapped, backward) = order;
            Cut { dtypes, rows, channels, widths, margin, interleaved, swapped, backward, gap, stores }
        })
    }

    /// The value of a voxel, which every dtype holds.
    fn value(row: usize, channel: usize, column: usize) -> u8 {
        (row * 31 + channel * 97 + column * 7) as u8
    }

    fn voxel(dtype: DType, value: u8, swapped: bool) -> Vec<u8> {
        let mut bytes = match dtype {
            DType::U8 => vec![value],
            DType::I16 => i16::from(value).to_ne_bytes().to_vec(),
            DType::F32 => f32::from(value).to_ne_bytes().to_vec(),
            _ => f64::from(value).to_ne_bytes().to_vec(),
        };
        if swapped {
            bytes.reverse();
        }
        bytes
    }

    impl Cut {
        /// The bytes of a source whose columns begin at this one of the target.
        fn source(&self, begin: usize, width: usize, room: usize) -> Vec<u8> {
            let mut bytes = Vec::new();
            let [outer, inner] = if self.interleaved { [1, self.channels] } else { [self.channels, 1] };
            for row in 0..self.rows {
                for first in 0..outer {
                    for column in 0..room {
                        let column = column.min(width - 1);
                        let column = if self.backward { width - 1 - column } else { column };
                        for second in 0..inner {
                            let value = value(row, first.max(second), begin + column);
                            bytes.extend(voxel(self.dtypes.0, value, self.swapped));
                        }
                    }
                }
            }
            bytes
        }

        fn gather(&self, kernels: &'static Kernels) -> Vec<u8> {
            let (from, into) = self.dtypes;
            let (size, room) = (from.byte_len() as isize, self.widths.iter().max().unwrap() + self.margin);
            let mut begin = 0;
            let (mut sources, mut along) = (Vec::new(), Vec::new());
            for &width in &self.widths {
                sources.push(self.source(begin, width, room));
                let whole = run(begin, width, 0);
                along.push([if self.backward {
                    Run { source: width - 1, step: -1, ..whole }
                } else {
                    whole
                }]);
                begin += width;
            }
            let (channels, room) = (self.channels as isize, room as isize);
            let (channel, column) =
                if self.interleaved { (size, size * channels) } else { (size * room, size) };
            let strides = [size * room * channels, channel, column];
            let stored = |bytes| Stored {
                bytes,
                first: 0,
                strides: &strides,
                dtype: from,
                swapped: self.swapped,
                shuffled: None,
                scale: None,
            };
            let stored: Vec<_> = sources.iter().map(|bytes| stored(bytes.as_slice())).collect();
            let pitch = (self.channels * begin) * into.byte_len() + self.gap;
            let mut bytes = vec![99; (self.rows - 1) * pitch + self.channels * begin * into.byte_len()];
            let mut target = Target { bytes: &mut bytes, dtype: into, fit: Fit::Exact, stores: self.stores };
            let along: Vec<&[Run]> = along.iter().map(<[Run; 1]>::as_slice).collect();
            let runs: [&[Run]; 3] = [&[run(0, self.rows, 0)], &[run(0, self.channels, 0)], along[0]];
            let extents = [self.rows, self.channels, begin];
            gather_by(kernels, (&stored, &along), (&runs, &extents, Some(pitch)), &mut target).unwrap();
            bytes
        }
    }

    proptest! {
        #[test]
        fn sources_that_lie_side_by_side_are_one(cut in cut()) {
            let columns: usize = cut.widths.iter().sum();
            let mut expected = Vec::new();
            for row in 0..cut.rows {
                for channel in 0..cut.channels {
                    for column in 0..columns {
                        expected.extend(voxel(cut.dtypes.1, value(row, channel, column), false));
                    }
                }
                if row + 1 < cut.rows {
                    expected.extend(vec![99; cut.gap]);
                }
            }
            for kernels in [Kernels::of_every_machine(), Kernels::of_this_machine()] {
                prop_assert_eq!(cut.gather(kernels), expected.clone());
            }
        }
    }

    #[test]
    fn sources_that_differ_or_are_too_short_or_too_many_are_refused() {
        let bytes: Vec<u8> = (0..12).collect();
        let (dtype, swapped, shuffled, scale) = (DType::U8, false, None, None);
        let left = Stored { bytes: &bytes, first: 0, strides: &[4, 1], dtype, swapped, shuffled, scale };
        let gathered = |stored: &[Stored<'_>], along: &[&[Run]]| {
            let mut into = [99u8; 12];
            let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
            let rows = [run(0, 2, 0)];
            let runs: [&[Run]; 2] = [&rows, along.first().copied().unwrap_or_default()];
            let done = gather_beside(stored, along, (&runs, &[2, 6], None), &mut target);
            done.map(|()| into).map_err(|error| error.kind())
        };
        let (first, second): (&[Run], &[Run]) = (&[run(0, 4, 0)], &[run(4, 2, 1)]);
        let (both, right) = ([first, second], Stored { first: 4, ..left });
        assert_eq!(gathered(&[left, right], &both), Ok([0, 1, 2, 3, 5, 6, 4, 5, 6, 7, 9, 10]));
        assert_eq!(gathered(&[left, right], &[first, &[]]), Ok([0, 1, 2, 3, 99, 99, 4, 5, 6, 7, 99, 99]));
        assert_eq!(
            gathered(&[left, right], &[&[], second]),
            Ok([99, 99, 99, 99, 5, 6, 99, 99, 99, 99, 9, 10])
        );
        let short = Stored { bytes: &bytes[..10], ..right };
        assert_eq!(gathered(&[left, short], &both), Err(ErrorKind::Format));
        let beyond = [first, &[run(5, 2, 1)]];
        assert_eq!(gathered(&[left, right], &beyond), Err(ErrorKind::Argument));
        for other in [Stored { strides: &[2, 1], ..right }, Stored { dtype: DType::I8, ..right }] {
            assert_eq!(gathered(&[left, other], &both), Err(ErrorKind::Argument));
        }
        assert_eq!(gathered(&[left, right], &[first]), Err(ErrorKind::Argument));
        assert_eq!(gathered(&[], &[]), Err(ErrorKind::Argument));
        assert_eq!(gathered(&[left; MOST_BESIDE + 1], &[first; MOST_BESIDE + 1]), Err(ErrorKind::Argument));
    }
}
