//! From one element type to another: rounding, range checks, scale and byte order, row by row.
//!
//! Float to integer rounds half to even. A value that does not fit its new type is reported, and stored as
//! the nearest value that does (NaN as 0), so that the caller decides whether it is an error.

use crate::sys::kernels::{Job, Kernels, Plane, Scratch, Turning, fence};
use crate::voxel::DType;

/// What happens to a value that does not fit the new dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// It is a `Range` error.
    #[default]
    Exact,
    /// It becomes the nearest value that fits; NaN becomes 0.
    Saturate,
}

/// A linear map of stored numbers to values: `value = stored * slope + intercept`, computed in f64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Multiplies the stored number.
    pub slope: f64,
    /// Is added to the product.
    pub intercept: f64,
}

/// How the rows of one gather become rows of another dtype.
pub(super) struct Converter<'a> {
    kernels: &'static Kernels,
    job: Job<'a>,
    way: Way,
}

/// The most bytes of a row that are asked for ahead; what follows comes by itself.
const MOST_ASKED: usize = 512;

/// What it takes to turn rows whose elements lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A copy.
    Copy,
    /// A conversion from source to target.
    Turn,
    /// A piece of a row after the other, in more than one step.
    Pieces,
}

/// The form of packed elements: their dtype, and the scale that they are to be read with.
pub(super) type Form = (DType, Option<Scale>);

impl<'a> Converter<'a> {
    /// The converter of elements of these bytes, whose order and places are as the machine's own.
    pub(super) fn new(kernels: &'static Kernels, source: &'a [u8], (from, scale): Form, into: DType) -> Self {
        let turning = match scale {
            None if from == into && from != DType::Bool => Turning::None,
            None => Turning::Once((kernels.turn)(from, into)),
            Some(_) if into == DType::F64 => Turning::Once((kernels.widened)(from)),
            Some(_) => match (kernels.scaled)(from, into) {
                Some(once) => Turning::Once(once),
                None => Turning::Twice((kernels.widened)(from), (kernels.turn)(DType::F64, into)),
            },
        };
        let scale = scale.map_or([1.0, 0.0], |scale| [scale.slope, scale.intercept]);
        let (size, width) = (from.byte_len(), into.byte_len());
        let (swapped, shuffled, streams) = (false, None, false);
        let job = Job { source, size, width, swapped, shuffled, turning, scale, streams };
        Self { kernels, job, way: Way::Pieces }.settled()
    }

    /// The same for elements whose bytes are in the other order, or parted by a filter.
    pub(super) fn stored(mut self, swapped: bool, shuffled: Option<usize>) -> Self {
        self.job.swapped = swapped && self.job.size > 1;
        self.job.shuffled = shuffled.filter(|_| self.job.size > 1);
        self.settled()
    }

    /// The same, with whole lines of the target written past the caches.
    pub(super) fn streaming(mut self) -> Self {
        self.job.streams = true;
        self.settled()
    }

    /// The same with its way chosen.
    fn settled(mut self) -> Self {
        let Job { swapped, shuffled, turning, streams, .. } = &self.job;
        self.way = match turning {
            _ if *swapped || shuffled.is_some() => Way::Pieces,
            Turning::None => Way::Copy,
            Turning::Once(_) if !streams => Way::Turn,
            _ => Way::Pieces,
        };
        self
    }

    /// The bytes from the first to behind the last of one stored element.
    pub(super) fn reach(&self) -> usize {
        let size = self.job.size;
        self.job.shuffled.map_or(size, |distance| distance.saturating_mul(size - 1).saturating_add(1))
    }

    /// The bytes that a row of this span is to be asked for ahead: nothing where a chunk was just decoded.
    pub(super) fn asked(&self, span: usize) -> usize {
        if self.job.shuffled.is_some() { 0 } else { span.saturating_add(self.job.size).min(MOST_ASKED) }
    }

    /// The bytes of an element of the target.
    pub(super) fn width(&self) -> usize {
        self.job.width
    }

    /// Turns the rows of a plane; true where all fit, none where a row lies outside its buffer.
    pub(super) fn plane(
        &self,
        plane: &Plane,
        target: &mut [u8],
        scratch: &mut Option<Scratch>,
    ) -> Option<bool> {
        let Self { kernels, job, way } = self;
        if !plane.lies_within(job.source.len(), target.len()) {
            return None;
        }
        let side_by_side = plane.step == job.size as isize;
        let fits = match (*way, job.turning) {
            (Way::Copy, _) if side_by_side => {
                let copy = if job.streams { kernels.stream } else { kernels.copy };
                // SAFETY: the kernels are those of this machine.
                unsafe { copy(job.source, plane, target) };
                true
            }
            (Way::Turn, Turning::Once(turn)) if side_by_side => {
                // SAFETY: as above.
                unsafe { turn(job.source, plane, target, job.scale) }
            }
            _ => {
                let scratch = scratch.get_or_insert_with(Scratch::new);
                // SAFETY: as above.
                unsafe { (kernels.pieces)(job, plane, target, scratch) }
            }
        };
        Some(fits)
    }

    /// Orders what was written with whatever this thread writes later.
    pub(super) fn finish(&self) {
        if self.job.streams {
            fence();
        }
    }
}

/// Converts packed elements of one dtype to another; false where a value does not fit and is saturated.
///
/// Both slices hold the same number of elements; what is beyond the shorter one is left alone.
pub fn convert(source: &[u8], from: DType, target: &mut [u8], into: DType) -> bool {
    let count = (source.len() / from.byte_len()).min(target.len() / into.byte_len());
    let mut plane = Plane::row(count * from.byte_len(), count * into.byte_len());
    (plane.step, plane.len) = (from.byte_len() as isize, count);
    let converter = Converter::new(Kernels::of_this_machine(), source, (from, None), into);
    converter.plane(&plane, target, &mut None).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn one<S: bytemuck::NoUninit, D: bytemuck::AnyBitPattern>(
        from: DType,
        value: S,
        into: DType,
    ) -> (D, bool) {
        let mut target = vec![0u8; into.byte_len()];
        let fits = convert(bytemuck::bytes_of(&value), from, &mut target, into);
        (bytemuck::pod_read_unaligned(&target), fits)
    }

    #[test]
    fn floats_round_half_to_even() {
        for (value, expected) in [(0.5f32, 0i32), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (7.49, 7)] {
            assert_eq!(one::<_, i32>(DType::F32, value, DType::I32), (expected, true));
        }
    }

    #[test]
    fn values_that_do_not_fit_are_told_and_saturated() {
        assert_eq!(one::<_, u8>(DType::I16, -1i16, DType::U8), (0, false));
        assert_eq!(one::<_, u8>(DType::I16, 256i16, DType::U8), (255, false));
        assert_eq!(one::<_, u8>(DType::F32, f32::NAN, DType::U8), (0, false));
        assert_eq!(one::<_, u8>(DType::F32, 255.4f32, DType::U8), (255, true));
        assert_eq!(one::<_, u8>(DType::F32, 255.5f32, DType::U8), (255, false));
        assert_eq!(one::<_, i64>(DType::F64, 9.3e18f64, DType::I64), (i64::MAX, false));
        assert_eq!(one::<_, i64>(DType::F64, -9_223_372_036_854_775_808f64, DType::I64), (i64::MIN, true));
        assert_eq!(one::<_, i64>(DType::U64, u64::MAX, DType::I64), (i64::MAX, false));
        assert_eq!(one::<_, f32>(DType::F64, 1e300f64, DType::F32), (f32::MAX, false));
        assert_eq!(one::<_, f32>(DType::F64, f64::INFINITY, DType::F32), (f32::INFINITY, true));
        assert_eq!(one::<_, f16>(DType::F32, 70_000f32, DType::F16), (f16::MAX, false));
        assert_eq!(one::<_, f16>(DType::I32, -70_000i32, DType::F16), (f16::MIN, false));
        assert_eq!(one::<_, u8>(DType::F32, -0.25f32, DType::Bool), (1, true));
    }

    #[test]
    fn integers_keep_every_bit_that_fits() {
        assert_eq!(one::<_, u64>(DType::I64, i64::MAX, DType::U64), (i64::MAX as u64, true));
        assert_eq!(one::<_, i32>(DType::U64, 7u64, DType::I32), (7, true));
        assert_eq!(one::<_, i64>(DType::Bool, 5u8, DType::I64), (1, true));
    }

    /// Turns one row of a source through the kernels of both kinds.
    fn row(source: &[u8], (form, swapped): (Form, bool), step: isize, count: usize, into: DType) -> Vec<u8> {
        let mut target = vec![0u8; count * into.byte_len()];
        let mut plane = Plane::row(source.len(), target.len());
        (plane.step, plane.len) = (step, count);
        for kernels in [Kernels::of_every_machine(), Kernels::of_this_machine()] {
            target.fill(0);
            let converter = Converter::new(kernels, source, form, into).stored(swapped, None);
            assert_eq!(converter.plane(&plane, &mut target, &mut None), Some(true));
        }
        target
    }

    #[test]
    fn spaced_and_swapped_elements_are_packed_first() {
        let source: Vec<u8> = [1i16, -2, 3, -4].iter().flat_map(|value| value.to_be_bytes()).collect();
        let form = ((DType::I16, None), true);
        let target = row(&source[..6], form, 4, 2, DType::F32);
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&target), [1.0, 3.0]);
        let target = row(&source, form, -2, 4, DType::F32);
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&target), [-4.0, 3.0, -2.0, 1.0]);
    }

    #[test]
    fn interleaved_channels_are_told_apart_with_any_tail() {
        for channels in 1..6usize {
            for count in 1..40usize {
                let all: Vec<u8> = (0..count * channels).flat_map(|k| (k as f32).to_ne_bytes()).collect();
                for channel in 0..channels {
                    let end = ((count - 1) * channels + channel + 1) * 4;
                    let step = channels as isize * 4;
                    let form = ((DType::F32, None), false);
                    let target = row(&all[channel * 4..end], form, step, count, DType::F32);
                    let seen: Vec<f32> = bytemuck::pod_collect_to_vec(&target);
                    let expected: Vec<f32> = (0..count).map(|k| (k * channels + channel) as f32).collect();
                    assert_eq!(seen, expected);
                }
            }
        }
    }

    #[test]
    fn scaling_happens_in_f64() {
        let source: Vec<u8> = (0..1500i32).flat_map(|value| (value * 1_000_003).to_ne_bytes()).collect();
        let scale = Scale { slope: 0.1, intercept: -7.0 };
        let target = row(&source, ((DType::I32, Some(scale)), false), 4, 1500, DType::F32);
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&target);
        assert!((0..1500).all(|k| values[k] == (k as f64 * 1_000_003.0 * 0.1 - 7.0) as f32));
    }
}
