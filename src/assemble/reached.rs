//! Which voxels the rows of a subject have reached: the memory of its sums is zeroed there and nowhere else.

use std::ops::Range;

use crate::assemble::piece::Axes;
use crate::error::{Error, Result};
use crate::sys::{Number, Sheet};
use crate::voxel::MAX_AXES;

/// The stretches take at most one byte for so many bytes of sums: shorter lines are zeroed beforehand.
const SHARE: usize = 8;

/// One stretch of every line of every channel; elsewhere the sums hold what lay there before.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The voxels of a line.
    width: usize,
    /// The stretches line by line; none at all where every voxel holds a sum.
    lines: Vec<Stretch>,
}

/// The stretches of some lines.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    width: usize,
    lines: &'a mut [Stretch],
}

/// The voxels of a line from one to another.
#[derive(Debug, Clone, Copy, Default)]
struct Stretch {
    begin: u32,
    end: u32,
}

impl Stretch {
    /// What it lacks of a stretch that joins it and these voxels.
    fn missing(self, first: usize, last: usize) -> [Range<usize>; 2] {
        let (begin, end) = (self.begin as usize, self.end as usize);
        if begin == end {
            return [first..last, last..last];
        }
        [first.min(begin)..begin, end..end.max(last)]
    }

    /// The stretch that joins it and these voxels.
    fn joined(self, first: u32, last: u32) -> Self {
        if self.begin == self.end {
            return Self { begin: first, end: last };
        }
        Self { begin: self.begin.min(first), end: self.end.max(last) }
    }
}

impl Reached {
    /// Nothing of channels whose sums have so many bytes; none where their lines are too short to be told apart.
    ///
    /// # Errors
    /// `Memory` where there is not enough for the stretches.
    pub(super) fn nothing(extents: &Axes, channels: usize, bytes: usize) -> Result<Option<Self>> {
        let width = extents[MAX_AXES - 1];
        let count = extents.iter().take(MAX_AXES - 1).product::<usize>() * channels;
        if count.saturating_mul(SHARE * size_of::<Stretch>()) > bytes || u32::try_from(width).is_err() {
            return Ok(None);
        }
        let mut lines = Vec::new();
        let refused = |_| Error::memory(format!("no memory for what was reached of {count} lines"));
        lines.try_reserve_exact(count).map_err(refused)?;
        lines.resize(count, Stretch::default());
        Ok(Some(Self { width, lines }))
    }

    /// All lines, from which some are [split off](Lines::split_off).
    pub(super) fn lines(&mut self) -> Lines<'_> {
        Lines { width: self.width, lines: &mut self.lines }
    }

    /// Zeroes all that no row has reached.
    pub(super) fn complete<T: Number>(&mut self, sums: &mut [T]) {
        for (line, stretch) in self.lines.iter().enumerate() {
            zero(sums, line * self.width, stretch.missing(0, self.width));
        }
        self.lines = Vec::new();
    }
}

impl<'a> Lines<'a> {
    /// The first lines, as many as have so many voxels.
    pub(super) fn split_off(&mut self, voxels: usize) -> Lines<'a> {
        let count = if self.lines.is_empty() { 0 } else { (voxels / self.width).min(self.lines.len()) };
        let (first, rest) = std::mem::take(&mut self.lines).split_at_mut(count);
        self.lines = rest;
        Lines { width: self.width, lines: first }
    }

    /// Zeroes the sums of these lines that rows of a sheet are the first to reach, and what lies between them and
    /// the others, and notes that they are reached.
    pub(super) fn reach<T: Number>(&mut self, sums: &mut [T], sheet: &Sheet) {
        if self.lines.is_empty() {
            return;
        }
        let (line, first) = (sheet.target / self.width, sheet.target % self.width);
        let last = first + sheet.width;
        let lines = self.lines.get_mut(line..line + sheet.rows).unwrap_or_default();
        for (number, stretch) in lines.iter_mut().enumerate() {
            if (stretch.begin as usize) > first || (stretch.end as usize) < last {
                zero(sums, (line + number) * self.width, stretch.missing(first, last));
                *stretch = stretch.joined(first as u32, last as u32);
            }
        }
    }
}

/// Zeroes parts of the line that begins at an element.
fn zero<T: Number>(sums: &mut [T], start: usize, parts: [Range<usize>; 2]) {
    for part in parts {
        sums.get_mut(start + part.start..start + part.end).unwrap_or_default().fill(T::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assemble::piece::aligned;

    #[test]
    fn what_rows_reach_and_what_lies_between_them_is_zeroed_once() {
        let mut reached = Reached::nothing(&aligned(&[2, 8], 1), 1, 1024).unwrap().unwrap();
        let mut sums = vec![9.0f32; 16];
        let mut add = |first: usize, width: usize, expected: &[f32; 8]| {
            let (rows, target, target_stride) = (1, first, 8);
            let sheet = Sheet { rows, width, target, target_stride, source: 0, source_stride: 0 };
            let mut lines = reached.lines();
            assert_eq!(lines.split_off(8).lines.len(), 1);
            lines.split_off(8).reach(&mut sums[8..], &sheet);
            assert_eq!(sums[..8], [9.0; 8]);
            assert_eq!(sums[8..], expected[..]);
            sums[8 + first..8 + first + width].fill(1.0);
        };
        add(2, 1, &[9.0, 9.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
        add(2, 2, &[9.0, 9.0, 1.0, 0.0, 9.0, 9.0, 9.0, 9.0]);
        add(6, 1, &[9.0, 9.0, 1.0, 1.0, 0.0, 0.0, 0.0, 9.0]);
        add(1, 2, &[9.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 9.0]);
        reached.complete(&mut sums);
        assert_eq!(sums[..], [&[0.0; 9][..], &[1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]].concat());
        sums.fill(3.0);
        reached.complete(&mut sums);
        assert_eq!(sums, [3.0; 16]);
    }

    #[test]
    fn short_lines_are_not_told_apart() {
        assert!(Reached::nothing(&aligned(&[100, 4], 1), 2, 2 * 100 * 4 * 4).unwrap().is_none());
        assert!(Reached::nothing(&aligned(&[100, 16], 1), 2, 2 * 100 * 16 * 4).unwrap().is_some());
    }
}
