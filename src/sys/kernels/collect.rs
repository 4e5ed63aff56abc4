//! Elements that lie apart, put side by side: interleaved channels, and axes that run backwards.

use crate::sys::kernels::plane::{Plane, each_row};

/// The elements that are collected at a time, so that the compiler makes a few shuffles of them.
const BLOCK: usize = 8;

/// Does `$do` with the collector of the spacing `$step` of elements of `$len` bytes.
///
/// With the spacing of two, three or four interleaved channels known when it is compiled, the loop becomes
/// a few shuffles.
macro_rules! with_collector {
    ($len:expr, $step:expr, $collect:ident => $do:expr) => {
        with_collector!(@ $len, $step, $collect => $do,
            1 of 2, 1 of 3, 1 of 4, 2 of 4, 2 of 6, 2 of 8, 4 of 8, 4 of 12, 4 of 16, 8 of 16, 8 of 24, 8 of 32)
    };
    (@ $len:expr, $step:expr, $collect:ident => $do:expr, $($known:literal of $group:literal),*) => {
        match ($len, $step) {
            $(($known, $group) => {
                let $collect = interleaved::<$known, $group>;
                $do
            })*
            (len, step) => {
                let $collect = |source: &[u8], packed: &mut [u8]| spaced(source, step, len, packed);
                $do
            }
        }
    };
}

/// Collects elements of `len` bytes that lie `step` bytes apart, from the first on, or from the last back.
#[inline(always)]
pub(super) fn collect(source: &[u8], step: isize, len: usize, packed: &mut [u8]) {
    with_collector!(len, step, collect => collect(source, packed));
}

/// The same for every row of a plane.
#[inline(always)]
pub(super) fn collect_rows(source: &[u8], plane: &Plane, len: usize, target: &mut [u8]) {
    with_collector!(len, plane.step, collect => each_row(source, plane, target, collect));
}

/// Collects elements of `len` bytes that lie `step` bytes apart, backwards from the end for a negative step.
#[inline(always)]
fn spaced(source: &[u8], step: isize, len: usize, packed: &mut [u8]) {
    match len {
        1 => spaced_bytes::<1>(source, step, packed),
        2 => spaced_bytes::<2>(source, step, packed),
        4 => spaced_bytes::<4>(source, step, packed),
        _ => spaced_bytes::<8>(source, step, packed),
    }
}

/// The same for elements of a size that is known when it is compiled.
#[inline(always)]
fn spaced_bytes<const LEN: usize>(source: &[u8], step: isize, packed: &mut [u8]) {
    let mut place = if step < 0 { source.len().saturating_sub(LEN) } else { 0 };
    for into in packed.as_chunks_mut::<LEN>().0 {
        if let Some(from) = source.get(place..).and_then(|rest| rest.first_chunk::<LEN>()) {
            *into = *from;
        }
        place = place.wrapping_add_signed(step);
    }
}

/// Collects the first `LEN` bytes of each group of `STEP`.
#[inline(always)]
fn interleaved<const LEN: usize, const STEP: usize>(source: &[u8], packed: &mut [u8]) {
    let (groups, rest) = source.as_chunks::<STEP>();
    let voxels = packed.as_chunks_mut::<LEN>().0;
    let count = voxels.len();
    let groups = groups.get(..groups.len().min(count)).unwrap_or_default();
    let whole = groups.len();
    // The last element need not be followed by the other channels' ones.
    if whole < count
        && let (Some(voxel), Some(first)) = (voxels.last_mut(), rest.first_chunk())
    {
        *voxel = *first;
    }
    if let Some(last) = whole.checked_sub(BLOCK) {
        for start in (0..whole).step_by(BLOCK) {
            // The last block overlaps the one before: it writes the same bytes once more.
            let start = start.min(last);
            let from = groups.get(start..).and_then(|groups| groups.first_chunk::<BLOCK>());
            let into = voxels.get_mut(start..).and_then(|voxels| voxels.first_chunk_mut::<BLOCK>());
            if let (Some(from), Some(into)) = (from, into) {
                firsts(from, into);
            }
        }
    } else {
        firsts(groups, voxels);
    }
}

/// The first `LEN` bytes of each group.
#[inline(always)]
fn firsts<const LEN: usize, const STEP: usize>(groups: &[[u8; STEP]], voxels: &mut [[u8; LEN]]) {
    for (voxel, group) in voxels.iter_mut().zip(groups) {
        if let Some(first) = group.first_chunk() {
            *voxel = *first;
        }
    }
}
