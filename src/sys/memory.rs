//! Memory with an alignment that vector loads, huge pages and device copies like.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::sys::control_group::memory_limit;

const PAGE: usize = 4096;
const HUGE_PAGE: usize = 2 << 20;

/// The bytes of memory that this machine has; none where the system does not say.
fn physical_memory() -> Option<u128> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call only looks a number up.
        let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
        // SAFETY: as above.
        let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u128::try_from(pages).ok()?.checked_mul(u128::try_from(page_bytes).ok()?).filter(|&bytes| bytes > 0)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Refuses more bytes than the machine has, or than this process's control group may use.
///
/// Linux promises memory that it does not have, and ends the process that uses it; so an absurd request
/// must be noticed before it is made.
///
/// # Errors
/// `Memory` where `bytes` is more than that.
pub fn check_memory(bytes: u128) -> Result<()> {
    match physical_memory() {
        Some(all) if bytes > all => {
            return Err(Error::memory(format!("no memory for {bytes} bytes: the machine has {all}")));
        }
        _ => {}
    }
    match memory_limit() {
        Some(most) if bytes > most => {
            let text = format!("no memory for {bytes} bytes: this process's control group may use {most}");
            Err(Error::memory(text))
        }
        _ => Ok(()),
    }
}

/// This many zero bytes.
///
/// # Errors
/// `Memory` where the system has not that many.
pub fn zeroed_bytes(len: usize) -> Result<Vec<u8>> {
    check_memory(len as u128)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::memory(format!("no memory for {len} bytes")))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Zeroed bytes, aligned to a page, or to a huge page where they fill one.
///
/// On Linux large buffers are mapped and not allocated: an allocator would write the zeros, and so touch
/// every small page before the advice to use huge ones.
#[derive(Debug)]
pub struct AlignedBuffer {
    start: NonNull<u8>,
    len: usize,
    origin: Origin,
}

/// Where the bytes came from, and go back to.
#[derive(Debug)]
enum Origin {
    Allocated(Layout),
    #[cfg(target_os = "linux")]
    Mapped {
        base: NonNull<u8>,
        len: usize,
    },
}

// SAFETY: the buffer owns its bytes and hands out references by Rust's own rules only.
unsafe impl Send for AlignedBuffer {}
// SAFETY: as above; a shared buffer can only be read.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// This many zero bytes.
    ///
    /// # Errors
    /// `Memory` where the system has not that many.
    pub fn zeroed(len: usize) -> Result<Self> {
        check_memory(len as u128)?;
        let refused = || Error::memory(format!("no memory for {len} bytes"));
        #[cfg(target_os = "linux")]
        if len >= HUGE_PAGE {
            return Self::mapped(len).ok_or_else(refused);
        }
        let layout = Layout::from_size_align(len.max(1), PAGE).map_err(|_| refused())?;
        // SAFETY: the layout's size is at least 1.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or_else(refused)?;
        Ok(Self { start, len, origin: Origin::Allocated(layout) })
    }

    /// Bytes that the system maps when they are first touched, a huge page at a time where it can.
    #[cfg(target_os = "linux")]
    fn mapped(len: usize) -> Option<Self> {
        let total = len.checked_add(HUGE_PAGE)?;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of no file, at a place of the system's choice, overlaps nothing.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), total, access, kind, -1, 0) };
        let base = NonNull::new(base.cast::<u8>()).filter(|_| base != libc::MAP_FAILED)?;
        let skip = base.as_ptr().align_offset(HUGE_PAGE);
        // SAFETY: `skip` is less than the huge page by which the mapping is longer than `len`.
        let start = unsafe { base.add(skip) };
        // SAFETY: the range is ours and page-aligned; the advice changes no byte, and may be refused.
        unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
        Some(Self { start, len, origin: Origin::Mapped { base, len: total } })
    }

    /// Whether it can serve for so many bytes with little of it to be given up.
    pub fn fits(&self, len: usize) -> bool {
        match self.origin {
            Origin::Allocated(_) => len == self.len,
            #[cfg(target_os = "linux")]
            Origin::Mapped { .. } => len <= self.len && self.len - len <= self.len / 4,
        }
    }

    /// The first bytes of it; what lies behind them goes back to the system, page by page.
    ///
    /// All of it stays where it does not [fit](Self::fits).
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        if len == self.len || !self.fits(len) {
            return self;
        }
        #[cfg(target_os = "linux")]
        if let Origin::Mapped { base, len: total } = &mut self.origin {
            let kept = (self.start.as_ptr() as usize - base.as_ptr() as usize + len).next_multiple_of(PAGE);
            if kept < *total {
                // SAFETY: `kept` is less than the length of the mapping.
                let end = unsafe { base.add(kept) };
                // SAFETY: the pages from there on are ours, hold none of the bytes that stay, and are given up once.
                if unsafe { libc::munmap(end.as_ptr().cast(), *total - kept) } == 0 {
                    *total = kept;
                }
            }
        }
        self.len = len;
        self
    }

    /// The address of the first byte.
    pub fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The number of bytes.
    pub fn byte_len(&self) -> usize {
        self.len
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes from `start` on are ours, and a shared borrow of us is held.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` initialised bytes from `start` on are ours, and a unique borrow of us is held.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        match self.origin {
            // SAFETY: allocated by `zeroed` with this very layout, and dropped once.
            Origin::Allocated(layout) => unsafe { dealloc(self.start.as_ptr(), layout) },
            #[cfg(target_os = "linux")]
            Origin::Mapped { base, len } => {
                // SAFETY: mapped by `mapped` with this very length, and dropped once.
                unsafe { libc::munmap(base.as_ptr().cast(), len) };
            }
        }
    }
}

/// Fills bytes with one element after the other; the last one is cut off where it does not fit.
pub fn repeat(element: &[u8], into: &mut [u8]) {
    let Some(&first) = element.first() else { return };
    if element.iter().all(|&byte| byte == first) {
        return into.fill(first);
    }
    let start = element.len().min(into.len());
    if let (Some(place), Some(element)) = (into.get_mut(..start), element.get(..start)) {
        place.copy_from_slice(element);
    }
    let mut done = start;
    // What is there already, twice as much each time: an element at a time takes a call for each.
    while let Some((ready, rest)) = into.split_at_mut_checked(done).filter(|(_, rest)| !rest.is_empty()) {
        let len = ready.len().min(rest.len());
        copy(ready, rest);
        done += len;
    }
}

/// The bytes that one step of the loop over a long row copies, and those of one move of it.
const STEP: usize = 4 * MOVE;
const MOVE: usize = 32;

/// The parts of a very long row that are copied side by side, and the least bytes of such a row: several lanes keep
/// more cache lines on their way than one.
const LANES: usize = 4;
const LEAST_IN_LANES: usize = 32 << 10;

/// Copies bytes, as many as the shorter side has.
///
/// Short rows take a few moves instead of a call. Long ones are copied by a loop: C libraries turn to string
/// instructions, which some processors run at a third of the speed where the two sides lie unluckily.
#[inline(always)]
pub(super) fn copy(from: &[u8], into: &mut [u8]) {
    let len = from.len().min(into.len());
    let (Some(from), Some(into)) = (from.get(..len), into.get_mut(..len)) else { return };
    if len > STEP {
        return if len < LEAST_IN_LANES { copy_long(from, into) } else { copy_side_by_side(from, into) };
    }
    if !(copy_short::<MOVE>(from, into) || copy_short::<8>(from, into) || copy_short::<2>(from, into)) {
        into.copy_from_slice(from);
    }
}

/// Copies at most four parts of a fixed length, the last of which overlaps the one before; false for lengths
/// that are less than one of them, or more than all.
#[inline(always)]
fn copy_short<const PART: usize>(from: &[u8], into: &mut [u8]) -> bool {
    if from.len() > 4 * PART {
        return false;
    }
    let (Some(last), Some(last_into)) = (from.last_chunk::<PART>().copied(), into.last_chunk_mut::<PART>())
    else {
        return false;
    };
    *last_into = last;
    for place in [0, PART, 2 * PART] {
        if place + PART < from.len() {
            copy_part::<PART>(from, into, place);
        }
    }
    true
}

/// Copies a part that may reach beyond the end, where nothing happens.
#[inline(always)]
fn copy_part<const PART: usize>(from: &[u8], into: &mut [u8], place: usize) {
    if let (Some(from), Some(into)) = (
        from.get(place..).and_then(|rest| rest.first_chunk::<PART>()),
        into.get_mut(place..).and_then(|rest| rest.first_chunk_mut::<PART>()),
    ) {
        *into = *from;
    }
}

/// Copies a very long row, its parts in turn.
#[inline(always)]
fn copy_side_by_side(from: &[u8], into: &mut [u8]) {
    let part = from.len() / LANES / STEP * STEP;
    if let Some(rest) = from.get(part * LANES..)
        && let Some(into) = into.get_mut(part * LANES..)
    {
        into.copy_from_slice(rest);
    }
    let mut froms = from.chunks_exact(part).map(|part| part.as_chunks::<{ 2 * MOVE }>().0.iter());
    let mut intos = into.chunks_exact_mut(part).map(|part| part.as_chunks_mut::<{ 2 * MOVE }>().0.iter_mut());
    let mut lanes: [_; LANES] =
        std::array::from_fn(|_| froms.next().unwrap_or_default().zip(intos.next().unwrap_or_default()));
    for _ in 0..part / (2 * MOVE) {
        for lane in &mut lanes {
            if let Some((from, into)) = lane.next() {
                *into = *from;
            }
        }
    }
}

/// Copies more than a step: aligned in the target, but for the ends, which overlap the rest.
#[inline(always)]
fn copy_long(from: &[u8], into: &mut [u8]) {
    copy_part::<MOVE>(from, into, 0);
    copy_part::<STEP>(from, into, from.len().saturating_sub(STEP));
    let head = into.as_ptr().align_offset(MOVE);
    let (Some(from), Some(into)) = (from.get(head..), into.get_mut(head..)) else { return };
    let (from, into) = (from.as_chunks::<STEP>().0, into.as_chunks_mut::<STEP>().0);
    for (from, into) in from.iter().zip(into) {
        // Apart from each other, so that the loop is not recognised as the call that it stands for.
        let [a, b, c, d] = *from.as_chunks::<MOVE>().0 else { continue };
        if let [p, q, r, s] = into.as_chunks_mut::<MOVE>().0 {
            (*p, *q, *r, *s) = (a, b, c, d);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zero_and_aligned() {
        for len in [0, 1, 5000, HUGE_PAGE, HUGE_PAGE + 1] {
            let mut buffer = AlignedBuffer::zeroed(len).unwrap();
            assert_eq!(buffer.byte_len(), len);
            assert!(buffer.iter().all(|&byte| byte == 0));
            let align = if cfg!(target_os = "linux") && len >= HUGE_PAGE { HUGE_PAGE } else { PAGE };
            assert_eq!(buffer.address() as usize % align, 0);
            buffer.fill(7);
            assert!(buffer.iter().all(|&byte| byte == 7));
        }
        assert!(AlignedBuffer::zeroed(usize::MAX).is_err());
    }

    #[test]
    fn rows_of_every_length_are_copied() {
        let from: Vec<u8> =
            (0..200_000u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let around = |len: usize| (len - 3..len + 3).chain([len + 129]);
        let long =
            [STEP, 4096, LEAST_IN_LANES, 3 * LEAST_IN_LANES + 77, 150_000].into_iter().flat_map(around);
        for len in (0..300).chain(long) {
            for (skip, place) in [(0, 0), (1, 3), (64, 5)] {
                let mut into = vec![0u8; place + len + 9];
                copy(&from[skip..skip + len], &mut into[place..place + len]);
                assert_eq!(into[place..place + len], from[skip..skip + len]);
                assert!(into[..place].iter().chain(&into[place + len..]).all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn a_buffer_that_is_cut_keeps_its_first_bytes() {
        let (large, small) = (3 * HUGE_PAGE + 5, 3 * HUGE_PAGE - 7000);
        let mut buffer = AlignedBuffer::zeroed(large).unwrap();
        buffer.iter_mut().enumerate().for_each(|(place, byte)| *byte = (place % 251) as u8);
        assert!(buffer.fits(small) && !buffer.fits(large + 1) && !buffer.fits(HUGE_PAGE));
        let cut = buffer.cut(small);
        assert_eq!(cut.byte_len(), small);
        assert!(cut.iter().enumerate().all(|(place, &byte)| byte == (place % 251) as u8));
        let cut = cut.cut(small - 1).cut(small);
        assert_eq!(cut.byte_len(), small - 1, "it does not grow");
        let page = AlignedBuffer::zeroed(PAGE).unwrap();
        assert!(page.fits(PAGE) && !page.fits(PAGE - 1));
        assert_eq!(page.cut(PAGE - 1).byte_len(), PAGE);
    }

    #[test]
    fn an_element_is_repeated_to_the_last_byte() {
        for element in [&[7u8][..], &[3, 3, 3, 3], &[1, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8]] {
            for len in [0, 1, 2, 7, 8, 9, 100, 4096, 4099] {
                let mut bytes = vec![0u8; len];
                repeat(element, &mut bytes);
                assert!(
                    bytes.iter().enumerate().all(|(index, &byte)| byte == element[index % element.len()])
                );
            }
        }
        repeat(&[], &mut [1, 2]);
    }

    #[test]
    fn copies_of_every_length_are_whole() {
        for (from, into) in
            (0..400).map(|len| (len, len)).chain([(5, 9), (9, 5), (2048, 2048), (4103, 6144), (9000, 2049)])
        {
            let source: Vec<u8> = (0..from).map(|k| (k % 251) as u8 + 1).collect();
            for skip in [0, 1, 17] {
                let mut target = vec![0u8; skip + into];
                copy(&source, &mut target[skip..]);
                let (len, target) = (from.min(into), &target[skip..]);
                assert!(target[..len] == source[..len] && target[len..].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn more_than_the_machine_has_is_refused_before_it_is_asked_for() {
        assert!(zeroed_bytes(1 << 50).is_err());
        assert!(AlignedBuffer::zeroed(1 << 50).is_err());
        assert!(check_memory(1 << 20).is_ok());
        assert_eq!(zeroed_bytes(3).unwrap(), [0, 0, 0]);
    }
}
