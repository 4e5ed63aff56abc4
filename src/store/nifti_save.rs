//! The header that a NIfTI file of ours begins with.

use crate::error::{Error, Result};
use crate::store::DenseVolume;
use crate::voxel::{Affine, DType};

/// The largest extent of NIfTI-1.
const V1_MOST: usize = i16::MAX as usize;
/// How far from a right angle axes may be, as a cosine, for a quaternion to describe them.
const SQUARE: f64 = 1e-5;
/// The code of millimetres.
const MILLIMETRES: u8 = 2;

/// A header in this machine's byte order, for voxels that are stored as `stored` and follow at once.
///
/// Axes beyond the spatial ones: the fourth is the channel, where there are several.
pub(super) fn nifti_header(volume: &DenseVolume<'_>, stored: DType) -> Result<Vec<u8>> {
    let mut extents: Vec<usize> = volume.shape.extents().iter().rev().copied().collect();
    if extents.len() > 3 {
        let text = format!("NIfTI has three spatial axes, the volume has {}", volume.shape);
        return Err(Error::unsupported(text));
    }
    if volume.channels > 1 {
        extents.resize(3, 1);
        extents.push(volume.channels);
    }
    let second = extents.iter().any(|&extent| extent > V1_MOST);
    let mut dims = [1i64; 8];
    dims[0] = extents.len() as i64;
    for (dim, &extent) in dims.iter_mut().skip(1).zip(&extents) {
        *dim = i64::try_from(extent).map_err(|_| Error::range(format!("an axis of {extent} voxels")))?;
    }
    let geometry = Geometry::of(volume.affine.as_ref());
    let mut header = Fields { bytes: vec![0; if second { 544 } else { 352 }] };
    let (code, bits) = (datatype(stored)?, (stored.byte_len() * 8) as i16);
    if second {
        header.second(&dims, (code, bits), &geometry)
    } else {
        header.first(&dims, (code, bits), &geometry)
    }
    Ok(header.bytes)
}

fn datatype(stored: DType) -> Result<i16> {
    match stored {
        DType::U8 => Ok(2),
        DType::I16 => Ok(4),
        DType::I32 => Ok(8),
        DType::F32 => Ok(16),
        DType::F64 => Ok(64),
        DType::I8 => Ok(256),
        DType::U16 => Ok(512),
        DType::U32 => Ok(768),
        DType::I64 => Ok(1024),
        DType::U64 => Ok(1280),
        DType::Bool | DType::F16 => Err(Error::internal(format!("NIfTI has no {stored}"))),
    }
}

/// Bytes that numbers are put into by their place.
struct Fields {
    bytes: Vec<u8>,
}

impl Fields {
    fn put<const N: usize>(&mut self, place: usize, bytes: [u8; N]) {
        if let Some(slot) = self.bytes.get_mut(place..place + N) {
            slot.copy_from_slice(&bytes);
        }
    }

    fn put_f32s(&mut self, place: usize, values: &[f64]) {
        for (k, &value) in values.iter().enumerate() {
            self.put(place + 4 * k, (value as f32).to_ne_bytes());
        }
    }

    fn put_f64s(&mut self, place: usize, values: &[f64]) {
        for (k, &value) in values.iter().enumerate() {
            self.put(place + 8 * k, value.to_ne_bytes());
        }
    }

    /// NIfTI-1, by the places of nifti1.h.
    fn first(&mut self, dims: &[i64; 8], (code, bits): (i16, i16), geometry: &Geometry) {
        self.put(0, 348i32.to_ne_bytes());
        self.put(38, *b"r");
        for (k, &dim) in dims.iter().enumerate() {
            self.put(40 + 2 * k, (dim as i16).to_ne_bytes());
        }
        self.put(70, code.to_ne_bytes());
        self.put(72, bits.to_ne_bytes());
        self.put_f32s(76, &geometry.pixdim);
        self.put_f32s(108, &[352.0, 1.0, 0.0]);
        self.put(123, [MILLIMETRES]);
        self.put(252, geometry.qform_code.to_ne_bytes());
        self.put(254, geometry.sform_code.to_ne_bytes());
        self.put_f32s(256, &geometry.quaternion);
        self.put_f32s(268, &geometry.offset);
        self.put_f32s(280, geometry.rows.as_flattened());
        self.put(344, *b"n+1\0");
    }

    /// NIfTI-2, by the places of nifti2.h.
    fn second(&mut self, dims: &[i64; 8], (code, bits): (i16, i16), geometry: &Geometry) {
        self.put(0, 540i32.to_ne_bytes());
        self.put(4, *b"n+2\0\r\n\x1a\n");
        self.put(12, code.to_ne_bytes());
        self.put(14, bits.to_ne_bytes());
        for (k, &dim) in dims.iter().enumerate() {
            self.put(16 + 8 * k, dim.to_ne_bytes());
        }
        self.put_f64s(104, &geometry.pixdim);
        self.put(168, 544i64.to_ne_bytes());
        self.put_f64s(176, &[1.0, 0.0]);
        self.put(344, i32::from(geometry.qform_code).to_ne_bytes());
        self.put(348, i32::from(geometry.sform_code).to_ne_bytes());
        self.put_f64s(352, &geometry.quaternion);
        self.put_f64s(376, &geometry.offset);
        self.put_f64s(400, geometry.rows.as_flattened());
        self.put(500, i32::from(MILLIMETRES).to_ne_bytes());
    }
}

/// An affine as NIfTI writes it.
struct Geometry {
    /// qfac, then the steps.
    pixdim: [f64; 8],
    qform_code: i16,
    sform_code: i16,
    quaternion: [f64; 3],
    offset: [f64; 3],
    rows: [[f64; 4]; 3],
}

impl Geometry {
    /// The sform, and the qform too where the axes stand at right angles; neither without an affine.
    fn of(affine: Option<&Affine>) -> Self {
        let mut own = Self {
            pixdim: [1.0; 8],
            qform_code: 0,
            sform_code: 0,
            quaternion: [0.0; 3],
            offset: [0.0; 3],
            rows: [[0.0; 4]; 3],
        };
        let Some(affine) = affine else { return own };
        own.sform_code = affine.space();
        own.rows = affine.fastest_first();
        let [dz, dy, dx] = affine.spacing_mm();
        for (slot, step) in own.pixdim.iter_mut().skip(1).zip([dx, dy, dz]) {
            *slot = if step > 0.0 { step } else { 1.0 };
        }
        if let Some((quaternion, qfac)) = quaternion(affine) {
            own.qform_code = affine.space();
            own.pixdim[0] = qfac;
            own.quaternion = quaternion;
            own.offset = affine.offset();
        }
        own
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The last three parts of the rotation's quaternion, and -1 where the third axis is mirrored, else 1.
fn quaternion(affine: &Affine) -> Option<([f64; 3], f64)> {
    let [z, y, x] = affine.columns().map(|column| {
        let step = dot(column, column).sqrt();
        column.map(|value| value / step)
    });
    let finite = [x, y, z].iter().flatten().all(|value| value.is_finite());
    if !finite || [dot(x, y), dot(y, z), dot(z, x)].iter().any(|cosine| cosine.abs() > SQUARE) {
        return None;
    }
    let cross = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
    let qfac = if dot(cross, z) < 0.0 { -1.0 } else { 1.0 };
    let z = z.map(|value| value * qfac);
    // The largest part is found first, so that nothing is divided by a small number.
    let squares = [
        1.0 + x[0] + y[1] + z[2],
        1.0 + x[0] - y[1] - z[2],
        1.0 - x[0] + y[1] - z[2],
        1.0 - x[0] - y[1] + z[2],
    ];
    let largest = squares.iter().copied().fold(0.0, f64::max);
    let part = 0.5 * largest.sqrt();
    let other = |sum: f64| 0.25 * sum / part;
    let (yz, zx, xy) = (y[2] - z[1], z[0] - x[2], x[1] - y[0]);
    let (xy_sum, zx_sum, yz_sum) = (y[0] + x[1], z[0] + x[2], z[1] + y[2]);
    let [w, b, c, d] = if largest == squares[0] {
        [part, other(yz), other(zx), other(xy)]
    } else if largest == squares[1] {
        [other(yz), part, other(xy_sum), other(zx_sum)]
    } else if largest == squares[2] {
        [other(zx), other(xy_sum), part, other(yz_sum)]
    } else {
        [other(xy), other(zx_sum), other(yz_sum), part]
    };
    // The first part is not stored: it is taken to be positive.
    Some((if w < 0.0 { [-b, -c, -d] } else { [b, c, d] }, qfac))
}
