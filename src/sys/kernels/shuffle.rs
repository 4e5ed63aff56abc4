//! Bytes of elements that a filter has parted, put together: all first bytes lie first, then all second ones.

use crate::error::{Error, Result};
use crate::sys::kernels::table::Kernels;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpackhi_epi32, _mm_unpacklo_epi8,
    _mm_unpacklo_epi16, _mm_unpacklo_epi32,
};

/// The elements that one step of the vector loop puts together: those whose first bytes fill a register.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 16;

/// Undoes the shuffle filter for a whole chunk of elements of so many bytes.
///
/// What is left where the length is no multiple of `element_bytes` is copied as it is: so the filter left it.
///
/// # Errors
/// `Argument` where the lengths differ, or elements have no bytes.
pub fn unshuffle(source: &[u8], element_bytes: usize, target: &mut [u8]) -> Result<()> {
    let (from, into) = (source.len(), target.len());
    if from != into || element_bytes == 0 {
        return Err(Error::argument(format!(
            "elements of {element_bytes} bytes: {from} shuffled bytes do not become {into}"
        )));
    }
    let count = from / element_bytes;
    let whole = count * element_bytes;
    let (Some((source, left)), Some((target, rest))) =
        (source.split_at_checked(whole), target.split_at_mut_checked(whole))
    else {
        return Ok(());
    };
    rest.copy_from_slice(left);
    let kernels = Kernels::of_this_machine();
    // SAFETY: the table is the one of this machine.
    unsafe { (kernels.unshuffle)(source, (count, element_bytes), target) };
    Ok(())
}

/// Puts elements of `size` bytes together: byte p of element k is at `p * distance + k` of the source.
#[inline(always)]
pub(super) fn unshuffle_row(source: &[u8], (distance, size): (usize, usize), target: &mut [u8]) {
    if size == 1 {
        let len = source.len().min(target.len());
        if let (Some(from), Some(into)) = (source.get(..len), target.get_mut(..len)) {
            into.copy_from_slice(from);
        }
        return;
    }
    #[cfg(target_arch = "x86_64")]
    match size {
        2 => return unshuffle_vectors::<2>(source, distance, target),
        4 => return unshuffle_vectors::<4>(source, distance, target),
        8 => return unshuffle_vectors::<8>(source, distance, target),
        _ => {}
    }
    unshuffle_spaced(source, (distance, size), (0, 1), target);
}

/// Puts elements together whose first bytes lie `step` bytes apart, from the one at `first` on.
#[inline(always)]
pub(super) fn unshuffle_spaced(
    source: &[u8],
    (distance, size): (usize, usize),
    (first, step): (usize, isize),
    target: &mut [u8],
) {
    let mut place = first;
    for element in target.chunks_exact_mut(size) {
        let mut from = place;
        for byte in element {
            *byte = source.get(from).copied().unwrap_or_default();
            from = from.wrapping_add(distance);
        }
        place = place.wrapping_add_signed(step);
    }
}

/// Puts elements together whose first bytes lie side by side, and whose size a register network exists for.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn unshuffle_vectors<const SIZE: usize>(source: &[u8], distance: usize, target: &mut [u8])
where
    [__m128i; SIZE]: Parted,
{
    let (elements, _) = target.as_chunks_mut::<SIZE>();
    let count = elements.len();
    let mut planes: [&[u8]; SIZE] = [&[]; SIZE];
    for (number, plane) in planes.iter_mut().enumerate() {
        let first = number.wrapping_mul(distance);
        let Some(part) = source.get(first..first.wrapping_add(count)) else { return };
        *plane = part;
    }
    let Some(last) = count.checked_sub(BLOCK) else {
        return unshuffle_spaced(source, (distance, SIZE), (0, 1), elements.as_flattened_mut());
    };
    let mut done = 0;
    while done < count {
        // The last block begins early enough to be whole: it writes some bytes once more.
        let start = done.min(last);
        let Some(into) = elements.get_mut(start..start.wrapping_add(BLOCK)) else { return };
        let parted: [__m128i; SIZE] = planes.map(|plane| {
            let bytes = plane.get(start..).and_then(|rest| rest.first_chunk::<BLOCK>());
            bytemuck::cast(bytes.copied().unwrap_or_default())
        });
        let (into, _) = into.as_flattened_mut().as_chunks_mut::<BLOCK>();
        for (into, part) in into.iter_mut().zip(parted.join()) {
            *into = bytemuck::cast(part);
        }
        done = done.wrapping_add(BLOCK);
    }
}

/// The registers that hold the first bytes of sixteen elements, their second bytes, and so on.
#[cfg(target_arch = "x86_64")]
trait Parted: IntoIterator<Item = __m128i> {
    /// The elements, in order.
    fn join(self) -> Self;
}

/// Interleaves units of two registers: those of the lower halves, then those of the upper ones.
#[cfg(target_arch = "x86_64")]
macro_rules! interleave {
    ($name:ident, $low:ident, $high:ident) => {
        #[inline(always)]
        fn $name(a: __m128i, b: __m128i) -> [__m128i; 2] {
            // SAFETY: every x86-64 processor has this instruction.
            let low = unsafe { $low(a, b) };
            // SAFETY: as above.
            let high = unsafe { $high(a, b) };
            [low, high]
        }
    };
}
#[cfg(target_arch = "x86_64")]
interleave!(bytes, _mm_unpacklo_epi8, _mm_unpackhi_epi8);
#[cfg(target_arch = "x86_64")]
interleave!(pairs, _mm_unpacklo_epi16, _mm_unpackhi_epi16);
#[cfg(target_arch = "x86_64")]
interleave!(fours, _mm_unpacklo_epi32, _mm_unpackhi_epi32);

#[cfg(target_arch = "x86_64")]
impl Parted for [__m128i; 2] {
    #[inline(always)]
    fn join(self) -> Self {
        let [a, b] = self;
        bytes(a, b)
    }
}

#[cfg(target_arch = "x86_64")]
impl Parted for [__m128i; 4] {
    #[inline(always)]
    fn join(self) -> Self {
        let [a, b, c, d] = self;
        let ([ab, ab_high], [cd, cd_high]) = (bytes(a, b), bytes(c, d));
        let ([p, q], [r, s]) = (pairs(ab, cd), pairs(ab_high, cd_high));
        [p, q, r, s]
    }
}

#[cfg(target_arch = "x86_64")]
impl Parted for [__m128i; 8] {
    #[inline(always)]
    fn join(self) -> Self {
        let [a, b, c, d, e, f, g, h] = self;
        let ([p, q, r, s], [t, u, v, w]) = ([a, b, c, d].join(), [e, f, g, h].join());
        let ([p, q], [r, s], [t, u], [v, w]) = (fours(p, t), fours(q, u), fours(r, v), fours(s, w));
        [p, q, r, s, t, u, v, w]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_size_comes_back_with_its_tail() {
        for size in [1, 2, 3, 4, 5, 8, 12, 16] {
            for len in 0..size * 70 {
                let plain: Vec<u8> = (0..len).map(|k| (k * 7 + k / 251) as u8).collect();
                let count = len / size;
                let mut parted = plain.clone();
                for k in 0..count {
                    for p in 0..size {
                        parted[p * count + k] = plain[k * size + p];
                    }
                }
                let mut into = vec![0; len];
                unshuffle(&parted, size, &mut into).unwrap();
                assert_eq!(into, plain, "{len} bytes of elements of {size}");
            }
        }
        assert!(unshuffle(&[0; 4], 2, &mut [0; 6]).is_err());
        assert!(unshuffle(&[0; 4], 0, &mut [0; 4]).is_err());
    }
}
