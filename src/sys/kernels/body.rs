//! The bodies of the kernels: plain loops, inlined into the functions of each instruction set.

use crate::sys::kernels::collect::collect;
use crate::sys::kernels::element::{Element, To};
use crate::sys::kernels::plane::{Plane, each_row};
use crate::sys::kernels::shuffle::{unshuffle_row, unshuffle_spaced};
use crate::sys::kernels::stream::{LINE, stream};
use crate::sys::kernels::table::{CHUNK, Job, Scratch, Turn, Turning};
use crate::sys::memory::copy;

/// Copies rows; those of usual lengths in as few moves as the registers allow.
#[inline(always)]
pub(super) fn copy_rows(source: &[u8], plane: &Plane, target: &mut [u8]) {
    match plane.into_len {
        16 => copy_fixed::<16>(source, plane, target),
        32 => copy_fixed::<32>(source, plane, target),
        64 => copy_fixed::<64>(source, plane, target),
        128 => copy_fixed::<128>(source, plane, target),
        256 => copy_fixed::<256>(source, plane, target),
        _ => each_row(source, plane, target, copy),
    }
}

/// Copies rows of a length that is known when it is compiled.
#[inline(always)]
fn copy_fixed<const LEN: usize>(source: &[u8], plane: &Plane, target: &mut [u8]) {
    let plane = Plane { from_len: LEN, into_len: LEN, ..*plane };
    each_row(source, &plane, target, |from, into| {
        if let (Some(from), Some(into)) = (from.first_chunk::<LEN>(), into.first_chunk_mut::<LEN>()) {
            *into = *from;
        }
    });
}

/// Copies rows past the caches.
#[inline(always)]
pub(super) fn stream_rows(source: &[u8], plane: &Plane, target: &mut [u8]) {
    each_row(source, plane, target, stream);
}

/// Converts packed elements; true where all fit.
#[inline(always)]
pub(super) fn turn_rows<S: Element + To<D>, D: Element>(
    source: &[u8],
    plane: &Plane,
    target: &mut [u8],
) -> bool {
    let mut fits = true;
    each_row(source, plane, target, |from, into| {
        fits &= each(from, into, S::usual) || each_alone(from, into, S::to);
    });
    fits
}

/// Scales packed elements: `stored * slope + intercept` in f64, rounded once; true where all fit.
#[inline(always)]
pub(super) fn scale_rows<S: Element + To<f64>, D: Element>(
    source: &[u8],
    plane: &Plane,
    target: &mut [u8],
    [slope, intercept]: [f64; 2],
) -> bool
where
    f64: To<D>,
{
    let usual = |stored: S| {
        let (stored, sure): (f64, bool) = stored.usual();
        let (value, usual): (D, bool) = (stored * slope + intercept).usual();
        (value, sure & usual)
    };
    let any = |stored: S| {
        let (stored, _): (f64, bool) = stored.to();
        (stored * slope + intercept).to()
    };
    let mut fits = true;
    each_row(source, plane, target, |from, into| {
        fits &= each(from, into, usual) || each_alone(from, into, any);
    });
    fits
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
    if count < BLOCK || count >= 8 * BLOCK {
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

/// Rows in pieces: elements are put side by side, then in order, then converted, then stored or streamed.
#[inline(always)]
pub(super) fn piece_rows(job: &Job<'_>, plane: &Plane, target: &mut [u8], scratch: &mut Scratch) -> bool {
    let mut fits = true;
    each_row(job.source, plane, target, |from, into| {
        let mut done = 0;
        while done < plane.len {
            let count = CHUNK.min(plane.len - done);
            let part = into.get_mut(done * job.width..(done + count) * job.width);
            fits &= piece(job, (from, plane.step, done), (part.unwrap_or_default(), count), scratch);
            done += count;
        }
    });
    fits
}

/// One piece of a row: from element `skip` on, as many as there is room for.
#[inline(always)]
fn piece(
    job: &Job<'_>,
    (from, step, skip): (&[u8], isize, usize),
    (into, count): (&mut [u8], usize),
    scratch: &mut Scratch,
) -> bool {
    let Scratch { packed, wide, turned } = scratch;
    let streams = job.streams && into.len() >= 2 * LINE;
    let (Some(packed), Some(wide), Some(turned)) =
        (packed.get_mut(..count * job.size), wide.get_mut(..count * 8), turned.get_mut(..count * job.width))
    else {
        return true;
    };
    let out = if streams { &mut *turned } else { &mut *into };
    let fits = match job.turning {
        Turning::None => {
            pack(job, (from, step, skip), out);
            true
        }
        Turning::Once(turn) => {
            let packed = packed_or_there(job, (from, step, skip), packed);
            one(turn, packed, out, job.scale)
        }
        Turning::Twice(widen, narrow) => {
            let packed = packed_or_there(job, (from, step, skip), packed);
            one(widen, packed, wide, job.scale);
            one(narrow, wide, out, job.scale)
        }
    };
    if streams {
        stream(turned, into);
    }
    fits
}

/// Turns one packed row.
#[inline(always)]
fn one(turn: Turn, from: &[u8], into: &mut [u8], scale: [f64; 2]) -> bool {
    let plane = Plane::row(from.len(), into.len());
    // SAFETY: the job's conversions are of the table whose function this is inlined into.
    unsafe { turn(from, &plane, into, scale) }
}

/// The elements where they are, if they lie side by side there and in order; else packed.
#[inline(always)]
fn packed_or_there<'a>(
    job: &Job<'_>,
    (from, step, skip): (&'a [u8], isize, usize),
    packed: &'a mut [u8],
) -> &'a [u8] {
    if job.shuffled.is_none() && !job.swapped && step == job.size as isize {
        let first = skip * job.size;
        return from.get(first..first + packed.len()).unwrap_or_default();
    }
    pack(job, (from, step, skip), packed);
    packed
}

/// Puts elements side by side and in this machine's byte order.
#[inline(always)]
fn pack(job: &Job<'_>, (from, step, skip): (&[u8], isize, usize), packed: &mut [u8]) {
    let size = job.size;
    let skipped = skip.wrapping_mul(step.unsigned_abs());
    if let Some(distance) = job.shuffled {
        let from = from.get(if step < 0 { 0 } else { skipped }..).unwrap_or_default();
        if step == 1 {
            unshuffle_row(from, (distance, size), packed);
        } else {
            // Read backwards, the row begins at the last of its first bytes.
            let reach = distance.wrapping_mul(size.wrapping_sub(1)).wrapping_add(1);
            let last = from.len().saturating_sub(reach).saturating_sub(skipped);
            unshuffle_spaced(from, (distance, size), (if step < 0 { last } else { 0 }, step), packed);
        }
    } else {
        let rest =
            if step < 0 { from.get(..from.len().saturating_sub(skipped)) } else { from.get(skipped..) };
        let rest = rest.unwrap_or_default();
        if step == size as isize {
            let side_by_side = rest.get(..packed.len()).unwrap_or_default();
            if job.swapped {
                return swap_into(side_by_side, size, packed);
            }
            return copy(side_by_side, packed);
        }
        collect(rest, step, size, packed);
    }
    if job.swapped {
        swap(packed, size);
    }
}

/// Reverses the bytes of each element on the way.
#[inline(always)]
fn swap_into(from: &[u8], size: usize, into: &mut [u8]) {
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
fn swap(elements: &mut [u8], size: usize) {
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
