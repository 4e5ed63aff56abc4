//! Which way the axes of a volume run, and how to run them another way.

use crate::error::{Error, Result};
use crate::voxel::{Affine, MAX_AXES, Shape};

/// The directions of the three axes, named fastest axis first, as NIfTI and ITK do.
///
/// "RAS": width runs to the Right, height to Anterior, depth to Superior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// For each axis, slowest first: the world axis (0 = R, 1 = A, 2 = S) and whether it runs towards it.
    axes: [(usize, bool); 3],
}

/// How stored axes become the axes that a caller sees: an order and a direction for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// For each axis seen, the stored axis that it is.
    pub axes: [usize; MAX_AXES],
    /// For each axis seen, whether it runs against the stored one.
    pub reversed: [bool; MAX_AXES],
}

impl Placement {
    /// Every axis as it is stored.
    pub fn as_stored() -> Self {
        Self { axes: std::array::from_fn(|axis| axis), reversed: [false; MAX_AXES] }
    }

    /// Whether nothing changes.
    pub fn is_as_stored(&self) -> bool {
        *self == Self::as_stored()
    }

    /// The shape that a caller sees.
    ///
    /// # Errors
    /// `Internal` where the placement names an axis that the shape lacks.
    pub fn shape(&self, stored: &Shape) -> Result<Shape> {
        let extents: Vec<usize> =
            self.axes.iter().take(stored.ndim()).map(|&axis| stored.extent(axis)).collect();
        Shape::new(&extents)
    }

    /// The geometry that a caller sees, of a three-dimensional volume of this stored shape.
    pub fn affine(&self, stored: &Affine, shape: &Shape) -> Affine {
        let columns = stored.columns();
        let mut offset = stored.offset();
        let mut placed = [[0.0; 3]; 3];
        let seen = self.axes.iter().zip(&self.reversed).zip(&mut placed);
        for ((&axis, &reversed), column) in seen {
            let Some(&source) = columns.get(axis) else { continue };
            *column = source;
            if reversed {
                let last = shape.extent(axis).saturating_sub(1) as f64;
                *column = source.map(|value| 0.0 - value);
                for (place, step) in offset.iter_mut().zip(source) {
                    *place += step * last;
                }
            }
        }
        Affine::from_columns(placed, offset).in_space(stored.space())
    }
}

const LETTERS: [(char, char); 3] = [('L', 'R'), ('P', 'A'), ('I', 'S')];

impl Orientation {
    /// The orientation of this name, three letters, fastest axis first: "RAS", "LPS" and so on.
    ///
    /// # Errors
    /// `Argument` where the letters do not name each of the three directions once.
    pub fn parse(name: &str) -> Result<Self> {
        let mut axes = Vec::with_capacity(3);
        for letter in name.chars() {
            let upper = letter.to_ascii_uppercase();
            let found = LETTERS.iter().enumerate().find_map(|(world, &(negative, positive))| {
                (upper == negative || upper == positive).then_some((world, upper == positive))
            });
            axes.extend(found);
        }
        axes.reverse();
        let mut worlds: Vec<usize> = axes.iter().map(|&(world, _)| world).collect();
        worlds.sort_unstable();
        match (<[(usize, bool); 3]>::try_from(axes), worlds == [0, 1, 2] && name.chars().count() == 3) {
            (Ok(axes), true) => Ok(Self { axes }),
            _ => Err(Error::argument(format!(
                "orientation \"{name}\" is unknown: expected one letter each of R or L, A or P, S or I, \
                 such as \"RAS\" or \"LPS\""
            ))),
        }
    }

    /// The orientation nearest to this geometry: each axis goes to the world axis it runs along most.
    pub fn nearest(affine: &Affine) -> Self {
        let columns = affine.columns();
        let spacing = affine.spacing_mm();
        let mut axes = [(0, true); 3];
        let (mut used_axis, mut used_world) = ([false; 3], [false; 3]);
        for _ in 0..3 {
            let mut best: Option<(f64, usize, usize, bool)> = None;
            for (axis, (column, &step)) in columns.iter().zip(&spacing).enumerate() {
                for (world, &value) in column.iter().enumerate() {
                    let taken = used_axis.get(axis).copied().unwrap_or(true)
                        || used_world.get(world).copied().unwrap_or(true);
                    let share = if step > 0.0 { (value / step).abs() } else { 0.0 };
                    if !taken && best.is_none_or(|(most, ..)| share > most) {
                        best = Some((share, axis, world, value >= 0.0));
                    }
                }
            }
            let Some((_, axis, world, positive)) = best else { break };
            for (slot, used) in [(axis, &mut used_axis), (world, &mut used_world)] {
                if let Some(flag) = used.get_mut(slot) {
                    *flag = true;
                }
            }
            if let Some(slot) = axes.get_mut(axis) {
                *slot = (world, positive);
            }
        }
        Self { axes }
    }

    /// The name, three letters, fastest axis first.
    pub fn name(&self) -> String {
        let letter = |&(world, positive): &(usize, bool)| {
            LETTERS.get(world).map_or('?', |&(negative, plus)| if positive { plus } else { negative })
        };
        self.axes.iter().rev().map(letter).collect()
    }

    /// How axes stored this way become axes of the wanted orientation.
    pub fn placement_to(&self, wanted: &Orientation) -> Placement {
        let mut placement = Placement::as_stored();
        let seen = placement.axes.iter_mut().zip(&mut placement.reversed).zip(&wanted.axes);
        for ((axis, reversed), &(world, positive)) in seen {
            let stored = self.axes.iter().position(|&(own, _)| own == world).unwrap_or_default();
            *axis = stored;
            *reversed = self.axes.get(stored).is_some_and(|&(_, own)| own != positive);
        }
        placement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_fastest_axis_first() {
        assert_eq!(Orientation::parse("RAS").unwrap(), Orientation::nearest(&Affine::identity()));
        assert_eq!(Orientation::parse("lps").unwrap().name(), "LPS");
        for bad in ["", "RA", "RASS", "RRS", "XYZ", "RLS"] {
            assert!(Orientation::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn placing_moves_axes_and_keeps_every_voxel_in_its_place() {
        // Stored (depth, height, width) runs to Right, Superior, Posterior: named from the fastest, "PSR".
        let stored =
            Affine::from_columns([[2.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, -4.0, 0.0]], [10.0, 20.0, 30.0]);
        let shape = Shape::new(&[5, 6, 7]).unwrap();
        let own = Orientation::nearest(&stored);
        assert_eq!(own.name(), "PSR");
        let placement = own.placement_to(&Orientation::parse("RAS").unwrap());
        assert_eq!(placement.shape(&shape).unwrap().extents(), [6, 7, 5]);
        let seen = placement.affine(&stored, &shape);
        assert_eq!(Orientation::nearest(&seen).name(), "RAS");
        // The stored voxel (1, 2, 3) is seen at (S, A, R) = (2, 7 - 1 - 3, 1).
        assert_eq!(stored.place([1.0, 2.0, 3.0]), seen.place([2.0, 3.0, 1.0]));
    }

    #[test]
    fn the_own_orientation_changes_nothing() {
        let own = Orientation::parse("LAS").unwrap();
        assert!(own.placement_to(&own).is_as_stored());
    }
}
