//! From one element type to another: rounding, range checks, scale and byte order, row by row.
//!
//! Float to integer rounds half to even. A value that does not fit its new type is reported, and stored as
//! the nearest value that does (NaN as 0), so that the caller decides whether it is an error.

use crate::sys::kernels::{Job, Kernels, Order, Plane, Stores};
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

impl Scale {
    /// Slope and intercept.
    pub(super) fn numbers(self) -> [f64; 2] {
        [self.slope, self.intercept]
    }
}

/// Converts packed elements of one dtype to another; false where a value does not fit and is saturated.
///
/// Both slices hold the same number of elements; what is beyond the shorter one is left alone.
pub fn convert(source: &[u8], from: DType, target: &mut [u8], into: DType) -> bool {
    convert_stored(source, from, (target, into), Stores::Cached)
}

/// The same, with the stores that suit who reads the target next.
pub fn convert_stored(
    source: &[u8],
    from: DType,
    (target, into): (&mut [u8], DType),
    stores: Stores,
) -> bool {
    let len = (source.len() / from.byte_len()).min(target.len() / into.byte_len());
    let (step, row) = (from.byte_len() as isize, Plane::row(len * from.byte_len(), len * into.byte_len()));
    let job = Job::new(Kernels::of_this_machine(), (from, Order::default()), (into, None), stores);
    let fits = job.plane((source, &Plane { step, len, ..row }), target, &mut None).unwrap_or(true);
    job.finish();
    fits
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
    fn row(source: &[u8], (from, swapped): (DType, bool), step: isize, len: usize, into: Wanted) -> Vec<u8> {
        let mut target = vec![0u8; len * into.0.byte_len()];
        let plane = Plane { step, len, ..Plane::row(source.len(), target.len()) };
        for kernels in [Kernels::of_every_machine(), Kernels::of_this_machine()] {
            target.fill(0);
            let job = Job::new(kernels, (from, Order { swapped, shuffled: None }), into, Stores::Cached);
            assert_eq!(job.plane((source, &plane), &mut target, &mut None), Some(true));
        }
        target
    }

    type Wanted = (DType, Option<[f64; 2]>);

    #[test]
    fn spaced_and_swapped_elements_are_packed_first() {
        let source: Vec<u8> = [1i16, -2, 3, -4].iter().flat_map(|value| value.to_be_bytes()).collect();
        let form = (DType::I16, true);
        let target = row(&source[..6], form, 4, 2, (DType::F32, None));
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&target), [1.0, 3.0]);
        let target = row(&source, form, -2, 4, (DType::F32, None));
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
                    let form = (DType::F32, false);
                    let target = row(&all[channel * 4..end], form, step, count, (DType::F32, None));
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
        let target = row(&source, (DType::I32, false), 4, 1500, (DType::F32, Some(scale.numbers())));
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&target);
        assert!((0..1500).all(|k| values[k] == (k as f64 * 1_000_003.0 * 0.1 - 7.0) as f32));
    }
}
