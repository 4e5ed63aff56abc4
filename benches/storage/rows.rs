//! The bare loops: rows of a patch copied or widened, and added up.

use crate::data::Place;

/// How many rows ahead the next one is asked for; the fastest of those tried.
const AHEAD: usize = 8;

/// What a row is copied to from its stored bytes, one voxel after the other.
pub(crate) trait Value: Copy + bytemuck::Pod {
    /// Converts a row of voxels of so many bytes.
    fn row(voxel: usize, from: &[u8], into: &mut [Self]);
}

impl Value for u8 {
    #[inline(always)]
    fn row(_: usize, from: &[u8], into: &mut [Self]) {
        into.copy_from_slice(from);
    }
}

impl Value for f32 {
    #[inline(always)]
    fn row(voxel: usize, from: &[u8], into: &mut [Self]) {
        match voxel {
            1 => into.iter_mut().zip(from).for_each(|(into, &from)| *into = f32::from(from)),
            2 => {
                let from = from.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
                into.iter_mut().zip(from).for_each(|(into, from)| *into = f32::from(from));
            }
            _ => bytemuck::cast_slice_mut(into).copy_from_slice(from),
        }
    }
}

/// How a row is written.
pub(crate) trait Store {
    /// Writes a row of voxels of so many bytes; there is room for a converted row.
    fn store<T: Value>(voxel: usize, from: &[u8], into: &mut [T], room: &mut [T]);

    /// Waits until what was written can be seen.
    fn finish();
}

/// Into the processor's caches, for a processor that reads it soon.
pub(crate) struct Cached;

impl Store for Cached {
    #[inline(always)]
    fn store<T: Value>(voxel: usize, from: &[u8], into: &mut [T], _: &mut [T]) {
        T::row(voxel, from, into);
    }

    fn finish() {}
}

/// Past the caches, for a device.
pub(crate) struct Streaming;

impl Store for Streaming {
    #[inline(always)]
    fn store<T: Value>(voxel: usize, from: &[u8], into: &mut [T], room: &mut [T]) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
            let into: &mut [u8] = bytemuck::cast_slice_mut(&mut *into);
            if into.len().is_multiple_of(16) && into.as_ptr().addr().is_multiple_of(16) {
                let from = if voxel == size_of::<T>() {
                    from
                } else {
                    T::row(voxel, from, room);
                    bytemuck::cast_slice(room)
                };
                for (into, from) in into.chunks_exact_mut(16).zip(from.chunks_exact(16)) {
                    unsafe {
                        let value = _mm_loadu_si128(from.as_ptr().cast());
                        _mm_stream_si128(into.as_mut_ptr().cast::<__m128i>(), value);
                    }
                }
                return;
            }
        }
        T::row(voxel, from, into);
    }

    fn finish() {
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

/// Converts stored voxels of so many bytes, one block.
pub(crate) fn widen(voxel: usize, from: &[u8], into: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide(voxel: usize, from: &[u8], into: &mut [f32]) {
            f32::row(voxel, from, into);
        }
        if is_x86_feature_detected!("avx2") {
            return unsafe { wide(voxel, from, into) };
        }
    }
    f32::row(voxel, from, into);
}

/// Gathers one channel of a patch from a volume of voxels of so many bytes.
pub(crate) fn gather_rows<const VOXEL: usize, T: Value, S: Store>(
    volume: &[u8],
    shape: [usize; 3],
    place: &Place,
    into: &mut [T],
) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<const VOXEL: usize, T: Value, S: Store>(
            volume: &[u8],
            shape: [usize; 3],
            place: &Place,
            into: &mut [T],
        ) {
            gather_any::<VOXEL, T, S>(volume, shape, place, into);
        }
        if is_x86_feature_detected!("avx2") {
            return unsafe { wide::<VOXEL, T, S>(volume, shape, place, into) };
        }
    }
    gather_any::<VOXEL, T, S>(volume, shape, place, into);
}

/// Copies every row, having asked for the one some rows ahead.
#[inline(always)]
fn gather_any<const VOXEL: usize, T: Value, S: Store>(
    volume: &[u8],
    [_, height, width]: [usize; 3],
    place: &Place,
    into: &mut [T],
) {
    let ([z0, y0, x0], [_, rows, length]) = (place.corner, place.extents);
    let mut room = vec![T::zeroed(); length];
    for (number, into) in into.chunks_exact_mut(length).enumerate() {
        let (z, y) = (z0 + number / rows, y0 + number % rows);
        let begin = ((z * height + y) * width + x0) * VOXEL;
        #[cfg(target_arch = "x86_64")]
        for line in (0..length * VOXEL).step_by(64) {
            let ahead = volume.as_ptr().wrapping_add(begin + AHEAD * width * VOXEL + line);
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(ahead.cast()) };
        }
        S::store(VOXEL, &volume[begin..begin + length * VOXEL], into, &mut room);
    }
    S::finish();
}

/// Adds the rows of a patch (channel, z, y, x) where they belong in sums (channel, z, y, x).
pub(crate) fn add_rows(shape: [usize; 3], place: &Place, patch: &[f32], sums: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide(shape: [usize; 3], place: &Place, patch: &[f32], sums: &mut [f32]) {
            add_any(shape, place, patch, sums);
        }
        if is_x86_feature_detected!("avx2") {
            return unsafe { wide(shape, place, patch, sums) };
        }
    }
    add_any(shape, place, patch, sums);
}

#[inline(always)]
fn add_any([depth, height, width]: [usize; 3], place: &Place, patch: &[f32], sums: &mut [f32]) {
    let ([z0, y0, x0], [planes, rows, length]) = (place.corner, place.extents);
    for (number, from) in patch.chunks_exact(length).enumerate() {
        let (channel, z, y) = (number / rows / planes, number / rows % planes, number % rows);
        let begin = ((channel * depth + z0 + z) * height + y0 + y) * width + x0;
        let into = &mut sums[begin..begin + length];
        into.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
    }
}
