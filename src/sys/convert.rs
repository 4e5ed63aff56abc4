//! From one element type to another: rounding, range checks and byte order, row by row.
//!
//! Float to integer rounds half to even. A value that does not fit its new type is reported, and stored as
//! the nearest value that does (NaN as 0), so that the caller decides whether it is an error.

use half::f16;

use crate::sys::collect::collect;
use crate::sys::memory::copy;
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

/// A byte that is read as false where zero and true otherwise.
#[derive(Clone, Copy)]
struct Bool(u8);

/// An element as its bytes in this machine's order.
trait Element: Copy {
    type Bytes: for<'a> TryFrom<&'a [u8]>;
    const LEN: usize;
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self, bytes: &mut [u8]);
}

macro_rules! elements {
    ($($type:ty),*) => { $(
        impl Element for $type {
            type Bytes = [u8; size_of::<$type>()];
            const LEN: usize = size_of::<$type>();
            #[inline(always)]
            fn load(bytes: Self::Bytes) -> Self {
                <$type>::from_ne_bytes(bytes)
            }
            #[inline(always)]
            fn store(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )* };
}
elements!(u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64);

impl Element for Bool {
    type Bytes = [u8; 1];
    const LEN: usize = 1;
    #[inline(always)]
    fn load([byte]: [u8; 1]) -> Self {
        Bool(byte)
    }
    #[inline(always)]
    fn store(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[self.0]);
    }
}

/// The nearest value of another type, and whether it is the same value (but for rounding).
trait To<D> {
    fn to(self) -> (D, bool);
}

macro_rules! integers_to_integers {
    ($($from:ty => [$($into:ty),*]);* $(;)?) => { $($(
        impl To<$into> for $from {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
            fn to(self) -> ($into, bool) {
                let low = <$into>::MIN as i128;
                let high = <$into>::MAX as i128;
                // The comparison folds away where the new type is wider.
                let near = (self as i128).clamp(low, high);
                (near as $into, near == self as i128)
            }
        }
    )*)* };
}
integers_to_integers! {
    u8 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i8 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u16 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i16 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u32 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i32 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u64 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i64 => [u8, i8, u16, i16, u32, i32, u64, i64];
}

macro_rules! integers_to_floats {
    ($($from:ty),*) => { $(
        impl To<f32> for $from {
            #[inline(always)]
            fn to(self) -> (f32, bool) {
                (self as f32, true)
            }
        }
        impl To<f64> for $from {
            #[inline(always)]
            fn to(self) -> (f64, bool) {
                (self as f64, true)
            }
        }
        impl To<f16> for $from {
            #[inline(always)]
            fn to(self) -> (f16, bool) {
                To::<f16>::to(self as f64)
            }
        }
        impl To<Bool> for $from {
            #[inline(always)]
            fn to(self) -> (Bool, bool) {
                (Bool(u8::from(self != 0)), true)
            }
        }
        impl To<$from> for Bool {
            #[inline(always)]
            fn to(self) -> ($from, bool) {
                (<$from>::from(self.0 != 0), true)
            }
        }
    )* };
}
integers_to_floats!(u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! floats_to_integers {
    ($float:ty => $($into:ty),*) => { $(
        impl To<$into> for $float {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                let rounded = self.round_ties_even();
                // The upper bound is exact as a power of two, also where the largest integer is not.
                let low = <$into>::MIN as $float;
                let above = (<$into>::MAX / 2 + 1) as $float * 2.0;
                (rounded as $into, rounded >= low && rounded < above)
            }
        }
    )* };
}
floats_to_integers!(f32 => u8, i8, u16, i16, u32, i32, u64, i64);
floats_to_integers!(f64 => u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! halves_to_integers {
    ($($into:ty),*) => { $(
        impl To<$into> for f16 {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                self.to_f32().to()
            }
        }
    )* };
}
halves_to_integers!(u8, i8, u16, i16, u32, i32, u64, i64);

macro_rules! floats_to_floats {
    ($($from:ty, $into:ty, |$value:ident| $body:expr);* $(;)?) => { $(
        impl To<$into> for $from {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                let $value = self;
                $body
            }
        }
    )* };
}
floats_to_floats! {
    f16, f16, |x| (x, true);
    f32, f32, |x| (x, true);
    f64, f64, |x| (x, true);
    f16, f32, |x| (x.to_f32(), true);
    f16, f64, |x| (x.to_f64(), true);
    f32, f64, |x| (f64::from(x), true);
    f64, f32, |x| {
        let near = x as f32;
        let lost = near.is_infinite() && x.is_finite();
        (if lost { f32::MAX.copysign(near) } else { near }, !lost)
    };
    f64, f16, |x| half(f16::from_f64(x), x.is_finite());
    f32, f16, |x| half(f16::from_f32(x), x.is_finite());
    f16, Bool, |x| (Bool(u8::from(x.to_f32() != 0.0 && !x.is_nan())), !x.is_nan());
    f32, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    f64, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    Bool, f16, |x| (if x.0 != 0 { f16::ONE } else { f16::ZERO }, true);
    Bool, f32, |x| (f32::from(u8::from(x.0 != 0)), true);
    Bool, f64, |x| (f64::from(u8::from(x.0 != 0)), true);
    Bool, Bool, |x| (Bool(u8::from(x.0 != 0)), true);
}

/// A half that became infinite although its source was finite is the largest half instead.
#[inline(always)]
fn half(near: f16, was_finite: bool) -> (f16, bool) {
    let lost = near.is_infinite() && was_finite;
    let most = if near.is_sign_negative() { f16::MIN } else { f16::MAX };
    (if lost { most } else { near }, !lost)
}

/// Converts packed elements of one type to packed elements of another; true where all fit.
fn row<S: Element + To<D>, D: Element>(source: &[u8], target: &mut [u8]) -> bool {
    let mut fits = true;
    for (from, into) in source.chunks_exact(S::LEN).zip(target.chunks_exact_mut(D::LEN)) {
        if let Ok(bytes) = S::Bytes::try_from(from) {
            let (value, fit) = S::load(bytes).to();
            fits &= fit;
            value.store(into);
        }
    }
    fits
}

/// A conversion of packed rows.
type Row = fn(&[u8], &mut [u8]) -> bool;

fn row_from<S>(into: DType) -> Row
where
    S: Element + To<Bool> + To<u8> + To<i8> + To<u16> + To<i16> + To<u32> + To<i32>,
    S: To<u64> + To<i64> + To<f16> + To<f32> + To<f64>,
{
    match into {
        DType::Bool => row::<S, Bool>,
        DType::U8 => row::<S, u8>,
        DType::I8 => row::<S, i8>,
        DType::U16 => row::<S, u16>,
        DType::I16 => row::<S, i16>,
        DType::U32 => row::<S, u32>,
        DType::I32 => row::<S, i32>,
        DType::U64 => row::<S, u64>,
        DType::I64 => row::<S, i64>,
        DType::F16 => row::<S, f16>,
        DType::F32 => row::<S, f32>,
        DType::F64 => row::<S, f64>,
    }
}

fn row_between(from: DType, into: DType) -> Row {
    match from {
        DType::Bool => row_from::<Bool>(into),
        DType::U8 => row_from::<u8>(into),
        DType::I8 => row_from::<i8>(into),
        DType::U16 => row_from::<u16>(into),
        DType::I16 => row_from::<i16>(into),
        DType::U32 => row_from::<u32>(into),
        DType::I32 => row_from::<i32>(into),
        DType::U64 => row_from::<u64>(into),
        DType::I64 => row_from::<i64>(into),
        DType::F16 => row_from::<f16>(into),
        DType::F32 => row_from::<f32>(into),
        DType::F64 => row_from::<f64>(into),
    }
}

/// The elements that are turned at once where they must be packed or scaled first.
const CHUNK: usize = 512;

/// How rows of one stored form become rows of one dtype.
#[derive(Clone, Copy)]
pub(super) struct Converter {
    source: usize,
    target: usize,
    swapped: bool,
    plain: Option<Row>,
    scaled: Option<(Scale, Row, Row)>,
    pub(super) shuffled: Option<usize>,
}

impl Converter {
    /// The converter from a dtype in this or the other byte order, scaled or not, into a dtype.
    pub(super) fn new(from: DType, swapped: bool, scale: Option<Scale>, into: DType) -> Self {
        let same = from == into && from != DType::Bool;
        let scaled = scale.map(|scale| (scale, row_between(from, DType::F64), row_between(DType::F64, into)));
        let plain = (!same && scaled.is_none()).then(|| row_between(from, into));
        let swapped = swapped && from.byte_len() > 1;
        Self { source: from.byte_len(), target: into.byte_len(), swapped, plain, scaled, shuffled: None }
    }

    /// What it takes to turn a row whose elements lie `step` bytes apart.
    pub(super) fn way(&self, step: isize) -> Way {
        if self.shuffled.is_some() || self.swapped || self.plain.is_some() || self.scaled.is_some() {
            Way::Convert
        } else if step == self.source as isize {
            Way::Copy
        } else {
            Way::Collect
        }
    }

    /// Converts a row whose elements lie `step` bytes apart in `source`, from its first byte on (or, for a
    /// negative step, from its last element back); true where all fit.
    pub(super) fn row(&self, source: &[u8], step: isize, target: &mut [u8]) -> bool {
        if step == self.source as isize && !self.swapped && self.shuffled.is_none() {
            return self.packed(source, target);
        }
        let mut chunk = [0u8; CHUNK * 8];
        let mut fits = true;
        for (index, into) in target.chunks_mut(CHUNK * self.target).enumerate() {
            let count = into.len() / self.target;
            let packed = chunk.get_mut(..count * self.source).unwrap_or_default();
            self.pack(source, step, index * CHUNK, packed);
            fits &= self.packed(packed, into);
        }
        fits
    }

    /// Converts packed elements.
    fn packed(&self, source: &[u8], target: &mut [u8]) -> bool {
        match (&self.scaled, self.plain) {
            (Some(scaled), _) => self.scale(scaled, source, target),
            (None, Some(plain)) => plain(source, target),
            (None, None) => {
                copy(source, target);
                true
            }
        }
    }

    /// Converts packed elements by way of f64.
    fn scale(&self, (scale, widen, narrow): &(Scale, Row, Row), source: &[u8], target: &mut [u8]) -> bool {
        let mut wide = [0f64; CHUNK];
        let mut fits = true;
        let chunks = source.chunks(CHUNK * self.source).zip(target.chunks_mut(CHUNK * self.target));
        for (from, into) in chunks {
            let values = wide.get_mut(..from.len() / self.source).unwrap_or_default();
            widen(from, bytemuck::cast_slice_mut(values));
            for value in values.iter_mut() {
                *value = *value * scale.slope + scale.intercept;
            }
            fits &= narrow(bytemuck::cast_slice(values), into);
        }
        fits
    }

    /// Collects spaced or byte-swapped elements, from element `skip` on, side by side.
    fn pack(&self, source: &[u8], step: isize, skip: usize, packed: &mut [u8]) {
        let skipped = skip * step.unsigned_abs();
        if let Some(distance) = self.shuffled {
            let reach = distance * (self.source - 1) + 1;
            let first = if step < 0 { source.len() - reach - skipped } else { skipped };
            for (k, voxel) in packed.chunks_exact_mut(self.source).enumerate() {
                let place = first.wrapping_add_signed(k as isize * step);
                for (p, byte) in voxel.iter_mut().enumerate() {
                    *byte = source.get(place + p * distance).copied().unwrap_or_default();
                }
            }
            if self.swapped {
                packed.chunks_exact_mut(self.source).for_each(<[u8]>::reverse);
            }
            return;
        }
        let rest =
            if step < 0 { source.get(..source.len().saturating_sub(skipped)) } else { source.get(skipped..) };
        collect(rest.unwrap_or_default(), step, self.source, packed);
        if self.swapped {
            packed.chunks_exact_mut(self.source).for_each(<[u8]>::reverse);
        }
    }
}

/// What it takes to turn a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A copy.
    Copy,
    /// Spaced elements side by side, each as it is.
    Collect,
    /// Another dtype, scale or byte order.
    Convert,
}

/// Converts packed elements of one dtype to another; false where a value does not fit and is saturated.
///
/// Both slices hold the same number of elements; what is beyond the shorter one is left alone.
pub fn convert(source: &[u8], from: DType, target: &mut [u8], into: DType) -> bool {
    let count = (source.len() / from.byte_len()).min(target.len() / into.byte_len());
    let source = source.get(..count * from.byte_len()).unwrap_or_default();
    let target = target.get_mut(..count * into.byte_len()).unwrap_or_default();
    Converter::new(from, false, None, into).packed(source, target)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn spaced_and_swapped_elements_are_packed_first() {
        let source: Vec<u8> = [1i16, -2, 3, -4].iter().flat_map(|value| value.to_be_bytes()).collect();
        let converter = Converter::new(DType::I16, true, None, DType::F32);
        let mut target = [0u8; 8];
        assert!(converter.row(&source[..6], 4, &mut target));
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&target), [1.0, 3.0]);
        let mut target = [0u8; 16];
        assert!(converter.row(&source, -2, &mut target));
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&target), [-4.0, 3.0, -2.0, 1.0]);
    }

    #[test]
    fn interleaved_channels_are_told_apart_with_any_tail() {
        for channels in 1..6usize {
            for count in 1..40usize {
                let all: Vec<u8> = (0..count * channels).flat_map(|k| (k as f32).to_ne_bytes()).collect();
                for channel in 0..channels {
                    let end = ((count - 1) * channels + channel + 1) * 4;
                    let converter = Converter::new(DType::F32, false, None, DType::F32);
                    let mut target = vec![0u8; count * 4];
                    assert!(converter.row(&all[channel * 4..end], channels as isize * 4, &mut target));
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
        let converter = Converter::new(DType::I32, false, Some(scale), DType::F32);
        let mut target = vec![0u8; 1500 * 4];
        assert!(converter.row(&source, 4, &mut target));
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&target);
        assert!((0..1500).all(|k| values[k] == (k as f64 * 1_000_003.0 * 0.1 - 7.0) as f32));
    }
}
