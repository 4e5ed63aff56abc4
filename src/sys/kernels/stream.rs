//! Copies whose destination the processor does not read next: whole cache lines, past the caches.

use crate::sys::memory::copy;

/// Who reads what is written next, and so whether the caches should keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Stores {
    /// Perhaps the processor: the stores go through its caches.
    #[default]
    Cached,
    /// A device, or nobody soon: whole cache lines go past the caches to memory.
    Streaming,
}

/// A cache line, which is written as a whole or not past the caches at all.
pub(super) const LINE: usize = 64;

/// The least bytes of a row that are streamed: a line alone takes longer to memory than through the caches.
pub(super) const LEAST: usize = 2 * LINE;

/// Copies bytes, as many as the shorter side has; what fills whole lines goes past the caches.
///
/// The stores are ordered with later ones of this thread only after a [`fence`].
#[inline(always)]
pub(super) fn stream(from: &[u8], into: &mut [u8], write: impl Fn(&[u8; LINE], &mut [u8; LINE])) {
    let len = from.len().min(into.len());
    let (Some(from), Some(into)) = (from.get(..len), into.get_mut(..len)) else { return };
    #[cfg(target_arch = "x86_64")]
    if let head = into.as_ptr().align_offset(LINE)
        && head.saturating_add(LEAST) <= len
    {
        let ((into, into_lines), (from, from_lines)) = (into.split_at_mut(head), from.split_at(head));
        copy(from, into);
        let (from_lines, from_tail) = from_lines.as_chunks::<LINE>();
        let (into_lines, into_tail) = into_lines.as_chunks_mut::<LINE>();
        for (from, into) in from_lines.iter().zip(into_lines) {
            write(from, into);
        }
        copy(from_tail, into_tail);
        return;
    }
    let _ = &write;
    copy(from, into);
}

/// Writes one line, which must be aligned as one, past the caches.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn stream_line(from: &[u8; LINE], into: &mut [u8; LINE]) {
    *into = *from;
}

/// Writes one line, which must be aligned as one, past the caches.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn stream_line(from: &[u8; LINE], into: &mut [u8; LINE]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    debug_assert!(into.as_ptr().align_offset(LINE) == 0);
    let (from, _) = from.as_chunks::<16>();
    let (into, _) = into.as_chunks_mut::<16>();
    for (from, into) in from.iter().zip(into) {
        // SAFETY: 16 bytes that may be read, at any address.
        let part = unsafe { _mm_loadu_si128(from.as_ptr().cast::<__m128i>()) };
        // SAFETY: 16 bytes that may be written, at an address that the caller has aligned to a line.
        unsafe { _mm_stream_si128(into.as_mut_ptr().cast::<__m128i>(), part) };
    }
}

/// Orders everything that was streamed before whatever this thread writes later.
pub(in crate::sys) fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has this instruction, which takes nothing.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
