//! The Gaussian weights of a prediction row, one list for each axis.

use crate::assemble::piece::{Axes, OUTER, Piece};
use crate::sys::{Number, Weights};
use crate::voxel::MAX_AXES;

/// The least weight along an axis, so that no voxel that a sample reaches is left without weight: the
/// product of six of them is still a normal f32.
const LEAST: f64 = 1.0 / (1 << 20) as f64;

/// The weights of a row of some extents: the product of one number from each axis.
#[derive(Debug)]
pub(super) struct Profile<T> {
    row: Axes,
    axes: [Vec<T>; MAX_AXES],
}

impl<T: Number> Profile<T> {
    /// The Gaussian around the centre of a row, `sigma` times its extent wide along each axis.
    pub(super) fn gaussian(row: Axes, sigma: f64) -> Self {
        let axes = row.map(|extent| {
            let centre = (extent as f64 - 1.0) / 2.0;
            let width = extent as f64 * sigma;
            let weight = |place: usize| {
                let distance = (place as f64 - centre) / width;
                T::from_f64((-0.5 * distance * distance).exp().max(LEAST))
            };
            (0..extent).map(weight).collect()
        });
        Self { row, axes }
    }

    /// The extents of the rows that it belongs to.
    pub(super) fn row(&self) -> Axes {
        self.row
    }

    /// The weights along the last three axes, one list behind the other.
    pub(super) fn last_axes(&self) -> Vec<T> {
        let [.., planes, rows, columns] = &self.axes;
        [planes.as_slice(), rows, columns].concat()
    }

    /// Whether it belongs to rows of these extents.
    pub(super) fn is_of(&self, row: &Axes) -> bool {
        self.row == *row
    }

    /// The weights of one sheet of a piece.
    pub(super) fn sheet(&self, piece: &Piece, position: &[usize; OUTER]) -> Weights<'_, T> {
        let mut factor = T::from_f64(1.0);
        for ((axis, &first), &place) in self.axes.iter().zip(&piece.source).zip(position) {
            factor = factor * axis.get(first + place).copied().unwrap_or(T::ZERO);
        }
        let [.., rows, columns] = &self.axes;
        let [.., y, x] = piece.source;
        let [.., height, width] = piece.extent;
        Weights {
            factor,
            rows: rows.get(y..y + height).unwrap_or_default(),
            columns: columns.get(x..x + width).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_symmetric_and_never_vanish() {
        let profile = Profile::<f32>::gaussian([1, 1, 1, 1, 4, 5], 0.01);
        assert!(profile.axes.iter().flatten().all(|&weight| weight > 0.0 && weight <= 1.0));
        let row = &profile.axes[5];
        assert!((0..5).all(|k| row[k] == row[4 - k]));
        assert_eq!(row[2], 1.0);
        assert_eq!(row[0], LEAST as f32);
        let wide = Profile::<f64>::gaussian([1, 1, 1, 1, 1, 8], 0.125);
        assert_eq!(wide.axes[5][0], (-0.5 * 3.5f64 * 3.5).exp());
    }

    #[test]
    fn a_piece_that_begins_inside_its_row_has_the_weights_from_there_on() {
        let profile = Profile::<f64>::gaussian([1, 1, 1, 5, 4, 6], 0.3);
        let source = [0, 0, 0, 1, 1, 2];
        let piece = Piece { start: [0; MAX_AXES], source, extent: [1, 1, 1, 2, 3, 4], row: profile.row };
        let weights = profile.sheet(&piece, &[0, 0, 0, 1]);
        assert_eq!(weights.factor, profile.axes[3][2]);
        assert_eq!(weights.rows, &profile.axes[4][1..4]);
        assert_eq!(weights.columns, &profile.axes[5][2..6]);
    }
}
