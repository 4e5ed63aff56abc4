//! The kernels for x86-64 processors with AVX2.

use std::arch::x86_64::{__m256i, _mm256_stream_si256};

use crate::sys::kernels::stream::LINE;
use crate::sys::kernels::table::kernels;

kernels!(#[target_feature(enable = "avx2")]);

/// Writes one line, which must be aligned as one, past the caches.
#[target_feature(enable = "avx2")]
fn stream_line(from: &[u8; LINE], into: &mut [u8; LINE]) {
    debug_assert!(into.as_ptr().align_offset(LINE) == 0);
    let [low, high]: [__m256i; 2] = bytemuck::cast(*from);
    let place = into.as_mut_ptr().cast::<__m256i>();
    // SAFETY: 32 bytes that may be written, at an address that the caller has aligned to a line.
    unsafe { _mm256_stream_si256(place, low) };
    // SAFETY: the other 32 bytes of the line.
    let place = unsafe { place.add(1) };
    // SAFETY: as above.
    unsafe { _mm256_stream_si256(place, high) };
}
