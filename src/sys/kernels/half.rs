//! Half precision by integer arithmetic without branches: the same on every machine, and vectorised.
//!
//! Numbers are rounded once, half to even; NaNs stay NaNs of the same sign and the upper part of their
//! payload, made quiet: what the processors' own instructions do. The crate `half` goes from f64 by way of
//! f32 on some machines, which rounds twice, and elsewhere cuts the lower bits off.

use half::f16;

/// The value of a half, which a single holds exactly.
#[inline(always)]
pub(super) fn single_from_half(value: f16) -> f32 {
    let bits = u32::from(value.to_bits());
    let (sign, size) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
    let (usual, is_usual) = usual_single_from_half(value);
    // Infinite and not a number: the exponent has to grow to its end.
    let quiet = u32::from(size > 0x1f << 23) << 22;
    let special = size.wrapping_add(224 << 23) | quiet | sign;
    f32::from_bits(if is_usual { usual.to_bits() } else { special })
}

/// The value of a half, and whether it is that: not where it is infinite or no number.
#[inline(always)]
pub(super) fn usual_single_from_half(value: f16) -> (f32, bool) {
    let bits = u32::from(value.to_bits());
    let (sign, size) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
    // Numbers with the exponent of a half, moved to where a single has it: 112 = 127 - 15 more.
    let normal = size.wrapping_add(112 << 23);
    // Subnormal ones are multiples of 2^-24: put behind the point of a half's smallest normal number, which is
    // taken away again.
    let small = f32::from_bits(size.wrapping_add(113 << 23)) - f32::from_bits(113 << 23);
    let near = if size < 1 << 23 { small.to_bits() } else { normal };
    (f32::from_bits(near | sign), size < 0x1f << 23)
}

/// Half a step above the largest half: singles from here on would become infinite.
const ABOVE: u32 = 0x477f_f000;

/// The nearest half, and whether it is near: the largest stands for finite values that are beyond it.
#[inline(always)]
pub(super) fn half_from_single(value: f32) -> (f16, bool) {
    let size = value.to_bits() & 0x7fff_ffff;
    let sign = (value.to_bits() >> 16) & 0x8000;
    let (usual, is_usual) = usual_half_from_single(value);
    let quiet = u32::from(size > 0xff << 23) << 9;
    let special = 0x7c00 | quiet | ((size >> 13) & 0x3ff);
    let beyond = if size < 0xff << 23 { 0x7bff } else { special } | sign;
    let near = if is_usual { u32::from(usual.to_bits()) } else { beyond };
    (f16::from_bits(near as u16), is_usual | (size >= 0xff << 23))
}

/// The nearest half, and whether it is that: not for values that are too large, infinite or no number.
#[inline(always)]
pub(super) fn usual_half_from_single(value: f32) -> (f16, bool) {
    let bits = value.to_bits();
    let (sign, size) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
    // Below 2^-14 a half counts in steps of 2^-24: those of a single at 0.5, where adding rounds.
    let small = (f32::from_bits(size) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    // Else 13 bits are rounded off, half to even; a carry goes rightly into the exponent.
    let odd = (size >> 13) & 1;
    let normal = size.wrapping_add(odd).wrapping_sub((112 << 23) - 0xfff) >> 13;
    let near = if size < 113 << 23 { small } else { normal };
    (f16::from_bits((near | sign) as u16), size < ABOVE)
}

/// A single that has the same nearest half: one rounding after the other would not always be one rounding.
#[inline(always)]
pub(super) fn single_for_half(value: f64) -> f32 {
    let quiet = f64::from_bits((value.to_bits() & !CUT) | (1 << 51)) as f32;
    // What is finite stays so: too much for a half is too much, however much.
    let bounded = if value.is_finite() { value.clamp(-1e6, 1e6) } else { value };
    if value.is_nan() { quiet } else { usual_single_for_half(bounded) }
}

/// The bits that a single has no room for.
const CUT: u64 = (1 << 29) - 1;

/// The same; another NaN for some.
#[inline(always)]
pub(super) fn usual_single_for_half(value: f64) -> f32 {
    let bits = value.to_bits();
    // What is cut off leaves a mark in the last bit, so that what is beside a tie stays there.
    f64::from_bits((bits & !CUT) | (u64::from(bits & CUT != 0) << 29)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest half, or an infinite one instead of the largest where that is not near.
    fn half(value: f32) -> u16 {
        let (near, fits) = half_from_single(value);
        near.to_bits() + u16::from(!fits)
    }

    #[test]
    fn every_half_becomes_the_single_that_it_is() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            let expected = half.to_f32_const().to_bits() | if half.is_nan() { 1 << 22 } else { 0 };
            assert_eq!(single_from_half(half).to_bits(), expected, "{bits:#x}");
        }
    }

    #[test]
    fn singles_and_their_neighbours_become_the_nearest_half() {
        for bits in 0..=u16::MAX {
            let single = single_from_half(f16::from_bits(bits));
            // The half itself, the tie with the next one, and what lies beside both.
            for place in [0u32, 0x1000] {
                for near in [0u32, 1, u32::MAX] {
                    let value = f32::from_bits(single.to_bits().wrapping_add(place).wrapping_add(near));
                    let expected = f16::from_f32_const(value);
                    assert_eq!(half(value), expected.to_bits(), "{value:e}");
                    if !value.is_nan() {
                        assert_eq!(half(single_for_half(f64::from(value))), expected.to_bits());
                    }
                }
            }
        }
        for k in 0..1 << 20 {
            let value = f32::from_bits((k as u32).wrapping_mul(0x9e37_79b9));
            assert_eq!(half(value), f16::from_f32_const(value).to_bits(), "{value:e}");
        }
    }

    #[test]
    fn doubles_beside_a_tie_are_rounded_once() {
        for bits in (0..0x7c00).chain(0x8000..0xfc00) {
            let low = f64::from(single_from_half(f16::from_bits(bits)));
            let high = f64::from(single_from_half(f16::from_bits(bits + 1)));
            let tie = if high.is_finite() { (low + high) / 2.0 } else { low + 16.0f64.copysign(low) };
            let even = bits + (bits & 1);
            assert_eq!(half(single_for_half(tie)), even, "{tie:e}");
            let [toward, away] = [tie.to_bits() - 1, tie.to_bits() + 1].map(f64::from_bits);
            assert_eq!(half(single_for_half(toward)), bits, "{toward:e}");
            assert_eq!(half(single_for_half(away)), bits + 1, "{away:e}");
        }
    }

    #[test]
    fn what_is_finite_does_not_become_infinite_on_the_way() {
        for value in [65520.0, 1e5, 1e40, f64::MAX] {
            assert_eq!(half_from_single(single_for_half(value)), (f16::MAX, false));
            assert_eq!(half_from_single(single_for_half(-value)), (f16::MIN, false));
        }
        assert_eq!(half_from_single(single_for_half(f64::INFINITY)), (f16::INFINITY, true));
    }

    #[test]
    fn no_number_stays_none() {
        for sign in [0u64, 1 << 63] {
            let value = f16::from_bits(half(single_for_half(f64::from_bits(sign | 0x7ff0_0000_0000_0001))));
            assert!(value.is_nan() && value.is_sign_negative() == (sign != 0));
        }
    }
}
