//! Evenly spaced rows on both sides of a copy, and the walk along them.

/// How many rows ahead a source row is asked for.
const AHEAD: usize = 8;

/// Evenly spaced rows, counted in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sys) struct Plane {
    /// The lowest byte of the first source row.
    pub(in crate::sys) from: usize,
    /// From one source row to the next.
    pub(in crate::sys) from_step: isize,
    /// All that one source row touches.
    pub(in crate::sys) from_len: usize,
    /// The first byte of the first target row.
    pub(in crate::sys) into: usize,
    /// From one target row to the next.
    pub(in crate::sys) into_step: usize,
    /// One target row.
    pub(in crate::sys) into_len: usize,
    /// The number of rows.
    pub(in crate::sys) count: usize,
    /// The elements of a row.
    pub(in crate::sys) len: usize,
    /// From one source element to the next, within a row.
    pub(in crate::sys) step: isize,
    /// The first source byte of the plane that comes after this one, which is then asked for in time.
    pub(in crate::sys) next: Option<usize>,
    /// How many bytes of a row are asked for ahead: none of what is in the caches anyway.
    pub(in crate::sys) asked: usize,
    /// How many bytes of a target row are asked for ahead: none where rows follow each other, or are
    /// streamed.
    pub(in crate::sys) claimed: usize,
}

impl Plane {
    /// One row of so many bytes on either side.
    #[inline(always)]
    pub(in crate::sys) fn row(from_len: usize, into_len: usize) -> Self {
        Self { from_len, into_len, count: 1, ..Self::default() }
    }

    /// Whether every row lies within buffers of these lengths.
    pub(in crate::sys) fn lies_within(&self, source: usize, target: usize) -> bool {
        let Some(last) = self.count.checked_sub(1) else { return true };
        let end = isize::try_from(last).ok().and_then(|last| last.checked_mul(self.from_step));
        let end = end.and_then(|moved| self.from.checked_add_signed(moved));
        let from = end.and_then(|end| end.max(self.from).checked_add(self.from_len));
        let into = last.checked_mul(self.into_step).and_then(|moved| moved.checked_add(self.into));
        let into = into.and_then(|end| end.checked_add(self.into_len));
        from.is_some_and(|end| end <= source) && into.is_some_and(|end| end <= target)
    }
}

/// A plane and the bytes that its source rows lie in.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sys) struct Strand<'a> {
    /// Where the source rows lie.
    pub(in crate::sys) source: &'a [u8],
    /// The rows.
    pub(in crate::sys) plane: Plane,
}

/// Turns the first row of every strand, then the second of every one, and so on, as many as the first strand has; ends
/// at the first that lies outside.
///
/// The strands' rows lie side by side in the target, which so is written from one end to the other: that, and a source
/// of whole rows for each strand, is what a processor foresees without being asked.
#[inline(always)]
pub(super) fn each_row_in_turn(
    strands: &mut [Strand<'_>],
    target: &mut [u8],
    mut turn: impl FnMut(&[u8], &mut [u8]),
) {
    let count = strands.first().map_or(0, |strand| strand.plane.count);
    for _ in 0..count {
        for Strand { source, plane } in &mut *strands {
            let place = source.get(plane.from..plane.from.wrapping_add(plane.from_len));
            let into = target.get_mut(plane.into..plane.into.wrapping_add(plane.into_len));
            let (Some(place), Some(into)) = (place, into) else { return };
            turn(place, into);
            plane.from = plane.from.wrapping_add_signed(plane.from_step);
            plane.into = plane.into.wrapping_add(plane.into_step);
        }
    }
}

/// Turns one row after the other; ends at the first that lies outside.
#[inline(always)]
pub(super) fn each_row(
    source: &[u8],
    plane: &Plane,
    target: &mut [u8],
    mut turn: impl FnMut(&[u8], &mut [u8]),
) {
    let (mut from, mut into) = (plane.from, plane.into);
    for row in 0..plane.count {
        ask_ahead(source, plane, row, from);
        claim_ahead(target, plane, into);
        let place = source.get(from..from.wrapping_add(plane.from_len));
        let (Some(place), Some(target)) = (place, target.get_mut(into..into.wrapping_add(plane.into_len)))
        else {
            return;
        };
        turn(place, target);
        from = from.wrapping_add_signed(plane.from_step);
        into = into.wrapping_add(plane.into_step);
    }
}

/// The same with a row of each of `COUNT` channels in the target, which begin so many bytes apart.
#[inline(always)]
pub(super) fn each_row_of<const COUNT: usize>(
    source: &[u8],
    plane: &Plane,
    apart: usize,
    target: &mut [u8],
    mut turn: impl FnMut(&[u8], [&mut [u8]; COUNT]),
) {
    let (mut from, mut into) = (plane.from, plane.into);
    for row in 0..plane.count {
        ask_ahead(source, plane, row, from);
        let places: [_; COUNT] = std::array::from_fn(|channel| {
            let begin = into.wrapping_add(apart.wrapping_mul(channel));
            claim_ahead(target, plane, begin);
            begin..begin.wrapping_add(plane.into_len)
        });
        let place = source.get(from..from.wrapping_add(plane.from_len));
        let (Some(place), Ok(rows)) = (place, target.get_disjoint_mut(places)) else { return };
        turn(place, rows);
        from = from.wrapping_add_signed(plane.from_step);
        into = into.wrapping_add(plane.into_step);
    }
}

/// Asks for the row that is a few ahead, so that its cache lines are on the way: at the end of the plane for
/// one of the next plane, and for none where there is no next.
#[inline(always)]
pub(super) fn ask_ahead(source: &[u8], plane: &Plane, row: usize, from: usize) {
    let ahead = row.wrapping_add(AHEAD);
    let place = if ahead < plane.count {
        from.wrapping_add_signed(plane.from_step.wrapping_mul(AHEAD as isize))
    } else if let Some(next) = plane.next {
        next.wrapping_add_signed(plane.from_step.wrapping_mul(ahead.wrapping_sub(plane.count) as isize))
    } else {
        return;
    };
    #[cfg(target_arch = "x86_64")]
    for line in (0..plane.asked).step_by(64) {
        let address = source.as_ptr().wrapping_add(place.wrapping_add(line));
        // SAFETY: a prefetch reads nothing that a program sees and takes any address.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (source, place);
}

/// Asks for the first rows of what will be read soon, so that they are on the way: about as many bytes as
/// rows are asked for ahead.
pub fn ask_for(bytes: &[u8]) {
    const MOST: usize = 2048;
    #[cfg(target_arch = "x86_64")]
    for line in bytes.get(..bytes.len().min(MOST)).unwrap_or_default().chunks(64) {
        // SAFETY: a prefetch reads nothing that a program sees and takes any address.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast())
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, MOST);
}

/// Asks for the target row that is a few ahead. Between short rows lie gaps that the processor does not see
/// through, so that it would wait at every row for lines to write to.
#[inline(always)]
fn claim_ahead(target: &[u8], plane: &Plane, into: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..plane.claimed).step_by(64) {
        let ahead = into.wrapping_add(plane.into_step.wrapping_mul(AHEAD)).wrapping_add(line);
        let address = target.as_ptr().wrapping_add(ahead);
        // SAFETY: a prefetch changes nothing that a program sees and takes any address; processors that do
        // not know this one pass it over.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (target, plane, into);
}
