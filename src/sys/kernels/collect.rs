//! Elements that lie apart, put side by side: interleaved channels, and axes that run backwards.

/// Collects elements of `len` bytes that lie `step` bytes apart, from the first on, or from the last back.
#[inline(always)]
pub(super) fn collect(source: &[u8], step: isize, len: usize, packed: &mut [u8]) {
    if step <= 0 || !interleaved(source, step.unsigned_abs(), len, packed) {
        spaced(source, step, len, packed);
    }
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

/// Collects one of two, three or four interleaved channels; false for any other spacing.
///
/// With the spacing known when it is compiled, the loop becomes a few shuffles.
#[inline(always)]
fn interleaved(source: &[u8], step: usize, len: usize, packed: &mut [u8]) -> bool {
    macro_rules! every {
        ($($len:literal of $step:literal),*) => {
            match (len, step) {
                $(($len, $step) => {
                    let (groups, last) = source.as_chunks::<$step>();
                    let (into, _) = packed.as_chunks_mut::<$len>();
                    let count = into.len();
                    for (voxel, group) in into.iter_mut().zip(groups) {
                        if let Some(first) = group.first_chunk() {
                            *voxel = *first;
                        }
                    }
                    // The last element need not be followed by the other channels' ones.
                    if let (true, Some(voxel), Some(first)) =
                        (groups.len() < count, into.last_mut(), last.first_chunk())
                    {
                        *voxel = *first;
                    }
                    true
                })*
                _ => false,
            }
        };
    }
    every!(
        1 of 2, 1 of 3, 1 of 4, 2 of 4, 2 of 6, 2 of 8, 4 of 8, 4 of 12, 4 of 16, 8 of 16, 8 of 24, 8 of 32
    )
}
