//! The twelve element types, and the nearest value of one for a value of another.
//!
//! Everything is plain arithmetic without branches, so that loops over it vectorise.

use half::f16;

use crate::sys::kernels::half::{half_from_double, half_from_single, single_from_half};

/// A byte that is read as false where zero and true otherwise.
#[derive(Clone, Copy)]
pub(super) struct Bool(pub(super) u8);

/// An element as its bytes in this machine's order.
pub(super) trait Element: Copy {
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
pub(super) trait To<D> {
    fn to(self) -> (D, bool);
}

macro_rules! integers_to_integers {
    ($($from:ty => [$($into:ty),*]);* $(;)?) => { $($(
        impl To<$into> for $from {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
            fn to(self) -> ($into, bool) {
                // What both types hold, in the type at hand: vectors have no wider one.
                const LOW: $from = if (<$into>::MIN as i128) < <$from>::MIN as i128 {
                    <$from>::MIN
                } else {
                    <$into>::MIN as $from
                };
                const HIGH: $from = if (<$into>::MAX as i128) > <$from>::MAX as i128 {
                    <$from>::MAX
                } else {
                    <$into>::MAX as $from
                };
                let near = self.clamp(LOW, HIGH);
                (near as $into, near == self)
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
                // 16 bits are exact in an f32, so that what follows rounds once.
                if size_of::<$from>() <= 2 { To::<f16>::to(self as f32) } else { To::<f16>::to(self as f64) }
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
                single_from_half(self).to()
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
    f16, f32, |x| (single_from_half(x), true);
    f16, f64, |x| (f64::from(single_from_half(x)), true);
    f32, f64, |x| (f64::from(x), true);
    f64, f32, |x| {
        let near = x as f32;
        let lost = near.is_infinite() && x.is_finite();
        (if lost { f32::MAX.copysign(near) } else { near }, !lost)
    };
    f64, f16, |x| most(half_from_double(x), x.is_finite());
    f32, f16, |x| most(half_from_single(x), x.is_finite());
    f16, Bool, |x| single_from_half(x).to();
    f32, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    f64, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    Bool, f16, |x| (if x.0 != 0 { f16::ONE } else { f16::ZERO }, true);
    Bool, f32, |x| (f32::from(u8::from(x.0 != 0)), true);
    Bool, f64, |x| (f64::from(u8::from(x.0 != 0)), true);
    Bool, Bool, |x| (Bool(u8::from(x.0 != 0)), true);
}

/// A half that became infinite although its source was finite is the largest half instead.
#[inline(always)]
fn most(near: f16, was_finite: bool) -> (f16, bool) {
    let lost = near.to_bits() & 0x7fff == 0x7c00 && was_finite;
    // The largest half comes just before infinity.
    (f16::from_bits(near.to_bits().wrapping_sub(u16::from(lost))), !lost)
}
