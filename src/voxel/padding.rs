//! What stands where a region reaches outside its volume.

use crate::error::{Error, Result};

/// How voxels outside a volume are made up; the names and meanings are those of numpy's `pad`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Zero.
    #[default]
    Zero,
    /// The value that the caller gives.
    Constant,
    /// The nearest voxel of the border.
    Edge,
    /// Mirrored at the border voxel, which is not repeated.
    Reflect,
    /// Mirrored at the border, whose voxel is repeated.
    Symmetric,
    /// From the other side again.
    Wrap,
}

/// A stretch of one axis: neighbouring output positions that take evenly spaced source positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first output position.
    pub output: usize,
    /// The number of positions.
    pub len: usize,
    /// The source position of the first.
    pub source: usize,
    /// The step from one source position to the next: 1, 0 or -1.
    pub step: isize,
}

impl Run {
    /// The smallest and the largest source position.
    pub fn bounds(&self) -> (usize, usize) {
        let last = self.source.saturating_add_signed(self.step * (self.len.max(1) as isize - 1));
        (self.source.min(last), self.source.max(last))
    }

    /// The same stretch of an axis of this extent that is read backwards.
    #[must_use]
    pub fn reversed(&self, extent: usize) -> Run {
        Run { source: extent - 1 - self.source, step: -self.step, ..*self }
    }
}

/// The runs of one axis of a region; positions in none of them are constant padding.
#[derive(Debug, Clone, Default)]
pub struct AxisRuns {
    runs: Vec<Run>,
    covered: usize,
}

impl AxisRuns {
    /// Works out the runs of `len` positions from `start` on, over a source axis of `extent` voxels.
    ///
    /// # Errors
    /// `Argument` where the padding needs voxels and the axis has none.
    pub fn plan(&mut self, (start, len): (i64, usize), extent: usize, padding: Padding) -> Result<()> {
        self.runs.clear();
        self.covered = 0;
        if start >= 0 && (start as usize).checked_add(len).is_some_and(|end| end <= extent) {
            self.push(Run { output: 0, len, source: start as usize, step: 1 });
            return Ok(());
        }
        if matches!(padding, Padding::Zero | Padding::Constant) {
            let low = start.clamp(0, extent as i64);
            let high = (start + len as i64).clamp(low, extent as i64);
            self.push(Run {
                output: (low - start) as usize,
                len: (high - low) as usize,
                source: low as usize,
                step: 1,
            });
            return Ok(());
        }
        if extent == 0 {
            return Err(Error::argument("an empty axis can only be padded with a constant"));
        }
        for output in 0..len {
            let source = padding.source(start + output as i64, extent as i64) as usize;
            self.extend(output, source);
        }
        Ok(())
    }

    /// Adds one position to the last run, or begins another.
    fn extend(&mut self, output: usize, source: usize) {
        self.covered += 1;
        if let Some(last) = self.runs.last_mut() {
            let step = source as isize - last.source as isize;
            let fits = if last.len == 1 { step.abs() <= 1 } else { step == last.step * last.len as isize };
            if fits {
                if last.len == 1 {
                    last.step = step;
                }
                last.len += 1;
                return;
            }
        }
        self.runs.push(Run { output, len: 1, source, step: 1 });
    }

    fn push(&mut self, run: Run) {
        if run.len > 0 {
            self.covered = run.len;
            self.runs.push(run);
        }
    }

    /// The runs, in output order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The number of positions that have a source.
    pub fn covered(&self) -> usize {
        self.covered
    }

    /// The smallest source position and one past the largest; none where nothing is covered.
    pub fn hull(&self) -> Option<(usize, usize)> {
        let low = self.runs.iter().map(|run| run.bounds().0).min()?;
        let high = self.runs.iter().map(|run| run.bounds().1).max()?;
        Some((low, high + 1))
    }

    /// The runs whose source lies in `low..high`, counted from `low` on.
    pub fn within(&self, (low, high): (usize, usize), into: &mut AxisRuns) {
        into.runs.clear();
        into.covered = 0;
        for run in &self.runs {
            let (near, far) = run.bounds();
            if far < low || near >= high {
                continue;
            }
            let (before, after) = match run.step {
                0 => (0, 0),
                step if step > 0 => (low.saturating_sub(near), (far + 1).saturating_sub(high)),
                _ => ((far + 1).saturating_sub(high), low.saturating_sub(near)),
            };
            let len = run.len - before - after;
            let source = run.source.saturating_add_signed(run.step * before as isize) - low;
            into.runs.push(Run { output: run.output + before, len, source, step: run.step });
            into.covered += len;
        }
    }

    /// Counts source positions from this one on.
    pub fn shift(&mut self, first: usize) {
        for run in &mut self.runs {
            run.source -= first;
        }
    }

    /// Turns every run around, for an axis of this extent that is stored the other way.
    pub fn reverse(&mut self, extent: usize) {
        for run in &mut self.runs {
            *run = run.reversed(extent);
        }
    }
}

impl Padding {
    /// The source position of a position that may lie outside `0..extent`; `extent` is at least 1.
    fn source(self, position: i64, extent: i64) -> i64 {
        match self {
            Padding::Zero | Padding::Constant | Padding::Edge => position.clamp(0, extent - 1),
            Padding::Wrap => position.rem_euclid(extent),
            Padding::Symmetric => {
                let folded = position.rem_euclid(2 * extent);
                folded.min(2 * extent - 1 - folded)
            }
            Padding::Reflect if extent == 1 => 0,
            Padding::Reflect => {
                let folded = position.rem_euclid(2 * (extent - 1));
                folded.min(2 * (extent - 1) - folded)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source of every output position, -1 where it is constant padding.
    fn sources(start: i64, len: usize, extent: usize, padding: Padding) -> Vec<i64> {
        let mut axis = AxisRuns::default();
        axis.plan((start, len), extent, padding).unwrap();
        let mut all = vec![-1; len];
        for run in axis.runs() {
            for k in 0..run.len {
                all[run.output + k] = run.source as i64 + run.step as i64 * k as i64;
            }
        }
        assert_eq!(axis.covered(), all.iter().filter(|&&source| source >= 0).count());
        if let Some((low, high)) = axis.hull() {
            assert_eq!(low as i64, *all.iter().filter(|&&source| source >= 0).min().unwrap());
            assert_eq!(high as i64, all.iter().max().unwrap() + 1);
        }
        all
    }

    /// What numpy.pad gives for arange(extent), padded by 5 on both sides.
    #[test]
    fn every_mode_equals_numpy_pad() {
        let reflect3 = [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1];
        assert_eq!(sources(-5, 13, 3, Padding::Reflect), reflect3);
        let symmetric3 = [1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1];
        assert_eq!(sources(-5, 13, 3, Padding::Symmetric), symmetric3);
        let wrap3 = [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1];
        assert_eq!(sources(-5, 13, 3, Padding::Wrap), wrap3);
        let edge3 = [0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2];
        assert_eq!(sources(-5, 13, 3, Padding::Edge), edge3);
        assert_eq!(sources(-2, 6, 3, Padding::Zero), [-1, -1, 0, 1, 2, -1]);
        assert_eq!(sources(-2, 3, 1, Padding::Reflect), [0, 0, 0]);
    }

    #[test]
    fn a_region_wholly_outside_has_no_runs_or_only_padding() {
        assert_eq!(sources(7, 2, 3, Padding::Zero), [-1, -1]);
        assert_eq!(sources(-7, 2, 3, Padding::Constant), [-1, -1]);
        assert_eq!(sources(7, 2, 3, Padding::Edge), [2, 2]);
        assert_eq!(sources(0, 0, 3, Padding::Edge), Vec::<i64>::new());
        assert!(AxisRuns::default().plan((0, 1), 0, Padding::Edge).is_err());
    }

    #[test]
    fn reversing_mirrors_the_axis() {
        let mut axis = AxisRuns::default();
        axis.plan((2, 3), 10, Padding::Zero).unwrap();
        axis.reverse(10);
        assert_eq!(axis.runs(), [Run { output: 0, len: 3, source: 7, step: -1 }]);
        assert_eq!(axis.hull(), Some((5, 8)));
    }
}
