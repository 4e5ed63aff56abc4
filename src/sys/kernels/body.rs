//! The bodies of the kernels: plain loops, inlined into the functions of each instruction set.

use crate::sys::kernels::element::{Element, To};
use crate::sys::kernels::plane::{Plane, Strand, each_row, each_row_in_turn};
use crate::sys::kernels::stream::{LEAST, LINE, stream};
use crate::sys::memory::copy;

/// Copies rows; those of usual lengths in as few moves as the registers allow.
#[inline(always)]
pub(super) fn copy_rows(source: &[u8], plane: &Plane, target: &mut [u8]) {
    macro_rules! fixed {
        ($len:literal) => {{
            let plane = Plane { from_len: $len, into_len: $len, ..*plane };
            each_row(source, &plane, target, copy_fixed::<$len>)
        }};
    }
    match plane.into_len {
        16 => fixed!(16),
        32 => fixed!(32),
        64 => fixed!(64),
        128 => fixed!(128),
        256 => fixed!(256),
        8..16 => each_row(source, plane, target, copy_twice::<8>),
        17..32 => each_row(source, plane, target, copy_twice::<16>),
        33..64 => each_row(source, plane, target, copy_twice::<32>),
        65..128 => each_row(source, plane, target, copy_twice::<64>),
        129..256 => each_row(source, plane, target, copy_twice::<128>),
        _ => each_row(source, plane, target, copy),
    }
}

/// Copies a row of each strand in turn, whatever their lengths.
#[inline(always)]
pub(super) fn weave_rows(strands: &mut [Strand<'_>], target: &mut [u8]) {
    each_row_in_turn(strands, target, |from, into| match into.len() {
        16 => copy_fixed::<16>(from, into),
        32 => copy_fixed::<32>(from, into),
        64 => copy_fixed::<64>(from, into),
        128 => copy_fixed::<128>(from, into),
        256 => copy_fixed::<256>(from, into),
        8..16 => copy_twice::<8>(from, into),
        17..32 => copy_twice::<16>(from, into),
        33..64 => copy_twice::<32>(from, into),
        65..128 => copy_twice::<64>(from, into),
        129..256 => copy_twice::<128>(from, into),
        _ => copy(from, into),
    });
}

/// Copies a row of a length that is known when it is compiled.
#[inline(always)]
fn copy_fixed<const LEN: usize>(from: &[u8], into: &mut [u8]) {
    if let (Some(from), Some(into)) = (from.first_chunk::<LEN>(), into.first_chunk_mut::<LEN>()) {
        *into = *from;
    }
}

/// Copies a row of one to two times a length that is known when it is compiled: its beginning and its end, which
/// overlap. Pieces of rows that end at a chunk's border are of any length.
#[inline(always)]
fn copy_twice<const LEN: usize>(from: &[u8], into: &mut [u8]) {
    let ends = (from.first_chunk::<LEN>(), from.last_chunk::<LEN>());
    if let (Some(first), Some(last)) = ends
        && from.len() == into.len()
    {
        if let Some(into) = into.first_chunk_mut::<LEN>() {
            *into = *first;
        }
        if let Some(into) = into.last_chunk_mut::<LEN>() {
            *into = *last;
        }
    }
}

/// Copies rows past the caches.
#[inline(always)]
pub(super) fn stream_rows(
    source: &[u8],
    plane: &Plane,
    target: &mut [u8],
    write: impl Fn(&[u8; LINE], &mut [u8; LINE]) + Copy,
) {
    each_row(source, plane, target, |from, into| stream(from, into, write));
}

/// Copies a row of each strand in turn past the caches.
#[inline(always)]
pub(super) fn stream_woven(
    strands: &mut [Strand<'_>],
    target: &mut [u8],
    write: impl Fn(&[u8; LINE], &mut [u8; LINE]) + Copy,
) {
    each_row_in_turn(strands, target, |from, into| stream(from, into, write));
}

/// Converts packed elements; true where all fit.
#[inline(always)]
pub(super) fn turn_row<S: Element + To<D>, D: Element>(source: &[u8], target: &mut [u8]) -> bool {
    each(source, target, S::usual) || each_alone(source, target, S::to)
}

/// The same, with whole lines of the target going past the caches.
#[inline(always)]
pub(super) fn turn_row_streamed<S: Element + To<D>, D: Element>(
    source: &[u8],
    target: &mut [u8],
    write: impl Fn(&[u8; LINE], &mut [u8; LINE]),
) -> bool {
    each_line(source, target, S::usual, write) || each_alone(source, target, S::to)
}

/// Scales packed elements: `stored * slope + intercept` in f64, rounded once; true where all fit.
#[inline(always)]
pub(super) fn scale_row<S: Element + To<f64>, D: Element>(
    source: &[u8],
    target: &mut [u8],
    scale: [f64; 2],
) -> bool
where
    f64: To<D>,
{
    each(source, target, |stored: S| scaled_usual(stored, scale))
        || each_alone(source, target, |stored: S| scaled_any(stored, scale))
}

/// The same, with whole lines of the target going past the caches.
#[inline(always)]
pub(super) fn scale_row_streamed<S: Element + To<f64>, D: Element>(
    source: &[u8],
    target: &mut [u8],
    scale: [f64; 2],
    write: impl Fn(&[u8; LINE], &mut [u8; LINE]),
) -> bool
where
    f64: To<D>,
{
    each_line(source, target, |stored: S| scaled_usual(stored, scale), write)
        || each_alone(source, target, |stored: S| scaled_any(stored, scale))
}

#[inline(always)]
fn scaled_usual<S: To<f64>, D>(stored: S, [slope, intercept]: [f64; 2]) -> (D, bool)
where
    f64: To<D>,
{
    let (stored, sure): (f64, bool) = stored.usual();
    let (value, usual): (D, bool) = (stored * slope + intercept).usual();
    (value, sure & usual)
}

#[inline(always)]
fn scaled_any<S: To<f64>, D>(stored: S, [slope, intercept]: [f64; 2]) -> (D, bool)
where
    f64: To<D>,
{
    let (stored, _): (f64, bool) = stored.to();
    (stored * slope + intercept).to()
}

/// Turns packed elements, a line of the target at a time where it is aligned as one; true where all fit.
#[inline(always)]
fn each_line<S: Element, D: Element>(
    source: &[u8],
    target: &mut [u8],
    turn: impl Fn(S) -> (D, bool) + Copy,
    write: impl Fn(&[u8; LINE], &mut [u8; LINE]),
) -> bool {
    let head = target.as_ptr().align_offset(LINE);
    let first = head / D::LEN;
    if !head.is_multiple_of(D::LEN)
        || head.saturating_add(LEAST) > target.len()
        || first * S::LEN > source.len()
    {
        return each(source, target, turn);
    }
    let ((from, rest), (into, lines)) = (source.split_at(first * S::LEN), target.split_at_mut(head));
    let mut fits = each_alone(from, into, turn);
    let mut from = rest.chunks_exact(LINE / D::LEN * S::LEN);
    let (lines, tail) = lines.as_chunks_mut::<LINE>();
    for (into, from) in lines.iter_mut().zip(&mut from) {
        let mut line = [0u8; LINE];
        fits &= each_alone(from, &mut line, turn);
        write(&line, into);
    }
    fits & each_alone(from.remainder(), tail, turn)
}

/// The elements that are turned at once in rows that are too short for a loop with a rest.
const BLOCK: usize = 16;

/// Turns packed elements; true where all fit.
///
/// Short rows come in blocks of a fixed length, the last of which overlaps the one before, so that they have
/// no end that vectors do not reach.
#[inline(always)]
fn each<S: Element, D: Element>(
    source: &[u8],
    target: &mut [u8],
    turn: impl Fn(S) -> (D, bool) + Copy,
) -> bool {
    let count = (source.len() / S::LEN).min(target.len() / D::LEN);
    if !(BLOCK..8 * BLOCK).contains(&count) {
        return each_alone(source, target, turn);
    }
    let (mut fits, mut done) = (true, 0);
    while done < count {
        let start = done.min(count.wrapping_sub(BLOCK));
        let from = source.get(start.wrapping_mul(S::LEN)..).and_then(|rest| rest.get(..BLOCK * S::LEN));
        let into =
            target.get_mut(start.wrapping_mul(D::LEN)..).and_then(|rest| rest.get_mut(..BLOCK * D::LEN));
        if let (Some(from), Some(into)) = (from, into) {
            fits &= each_alone(from, into, turn);
        }
        done = done.wrapping_add(BLOCK);
    }
    fits
}

/// Turns one element after the other.
#[inline(always)]
fn each_alone<S: Element, D: Element>(
    source: &[u8],
    target: &mut [u8],
    turn: impl Fn(S) -> (D, bool),
) -> bool {
    let mut fits = true;
    for (from, into) in source.chunks_exact(S::LEN).zip(target.chunks_exact_mut(D::LEN)) {
        if let Ok(bytes) = S::Bytes::try_from(from) {
            let (value, fit) = turn(S::load(bytes));
            fits &= fit;
            value.store(into);
        }
    }
    fits
}

/// Reverses the bytes of each element on the way.
#[inline(always)]
pub(super) fn swap_into(from: &[u8], size: usize, into: &mut [u8]) {
    macro_rules! by_size {
        ($($size:literal: $type:ty),*) => {
            match size {
                $($size => {
                    let (from, into) = (from.as_chunks::<$size>().0, into.as_chunks_mut::<$size>().0);
                    for (from, into) in from.iter().zip(into) {
                        *into = <$type>::from_ne_bytes(*from).swap_bytes().to_ne_bytes();
                    }
                })*
                _ => copy(from, into),
            }
        };
    }
    by_size!(2: u16, 4: u32, 8: u64);
}

/// Reverses the bytes of each element in its place.
#[inline(always)]
pub(super) fn swap(elements: &mut [u8], size: usize) {
    macro_rules! by_size {
        ($($size:literal: $type:ty),*) => {
            match size {
                $($size => {
                    for element in elements.as_chunks_mut::<$size>().0 {
                        *element = <$type>::from_ne_bytes(*element).swap_bytes().to_ne_bytes();
                    }
                })*
                _ => {}
            }
        };
    }
    by_size!(2: u16, 4: u32, 8: u64);
}
