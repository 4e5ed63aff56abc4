//! Where voxels lie in the patient: a map from voxel indices to millimetres, RAS+.

/// A map from voxel indices to millimetres, towards Right, Anterior and Superior.
///
/// Column k belongs to spatial axis k, slowest first (depth, height, width), as everywhere in voxfeed;
/// NIfTI and ITK list the same columns the other way round. Column 3 is the place of voxel (0, 0, 0).
/// A two-dimensional volume has an implied first axis of one voxel.
///
/// Two are equal where the maps are, whatever space they are said to lead to.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    rows: [[f64; 4]; 3],
    space: i16,
}

/// NIfTI's number of the scanner's own space.
const SCANNER: i16 = 1;

impl PartialEq for Affine {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

/// Geometry as ITK and pymia write it: axes x, y, z (fastest first), millimetres LPS+.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ItkGeometry {
    /// The place of the first voxel.
    pub origin: [f64; 3],
    /// The step of each axis.
    pub spacing_mm: [f64; 3],
    /// Row-major 3 x 3; column k is the direction of axis k.
    pub direction: [f64; 9],
}

impl Affine {
    /// The map with these three rows (R, A, S) of four columns (slowest axis, middle, fastest, offset).
    pub const fn new(rows: [[f64; 4]; 3]) -> Self {
        Self { rows, space: SCANNER }
    }

    /// One millimetre a voxel, fastest axis to the Right, slowest to Superior, from the origin.
    pub const fn identity() -> Self {
        Self::new([[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    }

    /// The same map from rows whose columns are listed fastest axis first, as NIfTI does.
    pub fn from_fastest_first(rows: [[f64; 4]; 3]) -> Self {
        Self::new(rows.map(|[x, y, z, offset]| [z, y, x, offset]))
    }

    /// The rows with their columns fastest axis first, as NIfTI lists them.
    pub fn fastest_first(&self) -> [[f64; 4]; 3] {
        self.rows.map(|[z, y, x, offset]| [x, y, z, offset])
    }

    /// The map that ITK's origin, spacing and direction describe.
    pub fn from_itk(itk: &ItkGeometry) -> Self {
        let [ox, oy, oz] = itk.origin;
        let [sx, sy, sz] = itk.spacing_mm;
        let [xx, xy, xz, yx, yy, yz, zx, zy, zz] = itk.direction;
        Self::from_fastest_first([
            [-xx * sx, -xy * sy, -xz * sz, -ox],
            [-yx * sx, -yy * sy, -yz * sz, -oy],
            [zx * sx, zy * sy, zz * sz, oz],
        ])
    }

    /// The same map as ITK describes it; an axis without length is given spacing 1 and no direction.
    pub fn to_itk(&self) -> ItkGeometry {
        let [r, a, s] = self.fastest_first();
        let lps = [r.map(|value| 0.0 - value), a.map(|value| 0.0 - value), s];
        let [dz, dy, dx] = self.spacing_mm();
        let spacing_mm = [dx, dy, dz].map(|step| if step > 0.0 { step } else { 1.0 });
        let [sx, sy, sz] = spacing_mm;
        let [lx, ly, lz] = lps.map(|[x, y, z, _]| [x / sx, y / sy, z / sz]);
        let direction = [lx[0], lx[1], lx[2], ly[0], ly[1], ly[2], lz[0], lz[1], lz[2]];
        ItkGeometry { origin: lps.map(|[_, _, _, offset]| offset), spacing_mm, direction }
    }

    /// The same map into the space of this number of NIfTI's: 1 the scanner's, 2 another scan's, 3 Talairach's, 4 MNI's.
    #[must_use]
    pub fn in_space(self, space: i16) -> Self {
        Self { space, ..self }
    }

    /// NIfTI's number of the space that it leads to.
    pub fn space(&self) -> i16 {
        self.space
    }

    /// Whether the steps along the axes of more than one voxel lead nowhere, or into a plane or line where they should
    /// span more.
    pub fn is_flat(&self, extents: [usize; 3]) -> bool {
        // What is left of each step when its shares along those before are taken away.
        let mut before: Vec<[f64; 3]> = Vec::new();
        for (column, _) in self.columns().into_iter().zip(extents).filter(|(_, extent)| *extent > 1) {
            let length = |[x, y, z]: [f64; 3]| (x * x + y * y + z * z).sqrt();
            let whole = length(column);
            let rest = before.iter().fold(column, |[x, y, z], [p, q, r]| {
                let along = x * p + y * q + z * r;
                [x - along * p, y - along * q, z - along * r]
            });
            let left = length(rest);
            if left <= 1e-9 * whole {
                return true;
            }
            before.push(rest.map(|value| value / left));
        }
        false
    }

    /// The three rows, R, A and S, of four columns each.
    pub fn rows(&self) -> &[[f64; 4]; 3] {
        &self.rows
    }

    /// The step of each axis in millimetres, slowest axis first.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.columns().map(|[r, a, s]| (r * r + a * a + s * s).sqrt())
    }

    /// The three axis columns, each (R, A, S), slowest axis first.
    pub fn columns(&self) -> [[f64; 3]; 3] {
        let [r, a, s] = self.rows;
        [[r[0], a[0], s[0]], [r[1], a[1], s[1]], [r[2], a[2], s[2]]]
    }

    /// The place of voxel (0, 0, 0).
    pub fn offset(&self) -> [f64; 3] {
        self.rows.map(|[_, _, _, offset]| offset)
    }

    /// The map of these axis columns from this place of voxel (0, 0, 0).
    pub fn from_columns(columns: [[f64; 3]; 3], offset: [f64; 3]) -> Self {
        let [c0, c1, c2] = columns;
        Self::new([
            [c0[0], c1[0], c2[0], offset[0]],
            [c0[1], c1[1], c2[1], offset[1]],
            [c0[2], c1[2], c2[2], offset[2]],
        ])
    }

    /// The place in millimetres of a voxel index, slowest axis first.
    pub fn place(&self, index: [f64; 3]) -> [f64; 3] {
        let [z, y, x] = index;
        self.rows.map(|[c0, c1, c2, offset]| c0 * z + c1 * y + c2 * x + offset)
    }

    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.rows.iter().flatten().all(|value| value.is_finite())
    }

    /// The largest distance in millimetres between where this map and another put a corner of a volume.
    pub fn corner_distance_mm(&self, other: &Affine, extents: [usize; 3]) -> f64 {
        let far = extents.map(|extent| extent.saturating_sub(1) as f64);
        let mut largest = 0.0f64;
        for corner in 0..8u8 {
            let pick = |axis: u8, extent: f64| if corner >> axis & 1 == 1 { extent } else { 0.0 };
            let index = [pick(0, far[0]), pick(1, far[1]), pick(2, far[2])];
            let (here, there) = (self.place(index), other.place(index));
            let square: f64 = here.iter().zip(there).map(|(a, b)| (a - b) * (a - b)).sum();
            largest = largest.max(square.sqrt());
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_is_what_spans_less_than_its_axes() {
        let of = |columns| Affine::from_columns(columns, [1.0, 2.0, 3.0]);
        let (x, y, none) = ([1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0; 3]);
        assert!(of([none, y, x]).is_flat([2, 3, 4]));
        assert!(!of([none, y, x]).is_flat([1, 3, 4]), "one slice has no thickness");
        assert!(of([x, y, [3.0, -1.0, 0.0]]).is_flat([2, 3, 4]));
        assert!(!of([x, y, [3.0, -1.0, 1e-3]]).is_flat([2, 3, 4]));
        assert!(!of([x, y, [0.0, 0.0, 1e-12]]).is_flat([2, 3, 4]), "small steps are steps");
        assert!(of([x, x, x]).is_flat([1, 2, 2]) && !of([none, none, x]).is_flat([1, 1, 9]));
    }

    #[test]
    fn itk_geometry_comes_back_and_changes_two_signs() {
        let itk = ItkGeometry {
            origin: [4.0, 5.0, 6.0],
            spacing_mm: [1.0, 2.0, 3.0],
            direction: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        };
        let affine = Affine::from_itk(&itk);
        assert_eq!(
            affine.fastest_first(),
            [[-1.0, 0.0, 0.0, -4.0], [0.0, -2.0, 0.0, -5.0], [0.0, 0.0, 3.0, 6.0]]
        );
        assert_eq!(affine.to_itk(), itk);
        assert_eq!(affine.spacing_mm(), [3.0, 2.0, 1.0]);
    }

    #[test]
    fn corner_distance_is_that_of_the_farthest_corner() {
        let base = Affine::identity();
        let mut rows = *base.rows();
        rows[0][2] = 1.01;
        let stretched = Affine::new(rows);
        assert!((base.corner_distance_mm(&stretched, [1, 1, 101]) - 1.0).abs() < 1e-12);
        assert_eq!(base.corner_distance_mm(&base, [9, 9, 9]), 0.0);
    }
}
