//! The headers of NIfTI-1 and NIfTI-2, in either byte order.
//!
//! Source: nifti1.h and nifti2.h of the NIfTI data format working group. Where those leave a choice, it is
//! nibabel's, so that shapes, values and affines agree with it.

use crate::error::{Error, Result};
use crate::store::ChannelPlace;
use crate::sys::Scale;
use crate::voxel::{Affine, DType, Shape};

/// The length of a NIfTI-1 header, and of an Analyze 7.5 one.
const V1_BYTES: usize = 348;
/// The length of a NIfTI-2 header.
const V2_BYTES: usize = 540;

/// The bytes of a file's beginning that hold either header.
pub(super) const HEADER_BYTES: usize = V2_BYTES;

/// What a NIfTI header says of its voxels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NiftiHeader {
    pub(super) shape: Shape,
    pub(super) channels: usize,
    pub(super) dtype: DType,
    /// First, or Last where the components of a voxel lie side by side.
    pub(super) channel: ChannelPlace,
    pub(super) scale: Option<Scale>,
    pub(super) affine: Affine,
    /// Whether the voxels follow in the same file.
    pub(super) single: bool,
    /// The byte at which the voxels begin.
    pub(super) start: u64,
    /// Whether header and voxels are in the other kind of machine's byte order.
    pub(super) swapped: bool,
}

/// Version and byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    second: bool,
    big: bool,
}

impl Form {
    /// The form of a header, by its first number, which is its own length.
    fn of(head: &[u8]) -> Option<Self> {
        let length: [u8; 4] = head.get(..4)?.try_into().ok()?;
        let forms = [(false, V1_BYTES), (true, V2_BYTES)];
        forms.into_iter().find_map(|(second, bytes)| {
            let bytes = bytes as i32;
            if i32::from_le_bytes(length) == bytes {
                return Some(Form { second, big: false });
            }
            (i32::from_be_bytes(length) == bytes).then_some(Form { second, big: true })
        })
    }
}

/// Whether these are the first bytes of a NIfTI header, or of an Analyze one.
pub(super) fn is_header(head: &[u8]) -> bool {
    let first = matches!(head.get(344..348), Some(b"n+1\0" | b"ni1\0"));
    first || Form::of(head).is_some()
}

/// A header's numbers by their place.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    form: Form,
}

macro_rules! numbers {
    ($($name:ident),*) => { $(
        fn $name(&self, place: usize) -> $name {
            const LEN: usize = size_of::<$name>();
            let found = self.bytes.get(place..place + LEN).and_then(|bytes| bytes.try_into().ok());
            let bytes: [u8; LEN] = found.unwrap_or_default();
            if self.form.big { $name::from_be_bytes(bytes) } else { $name::from_le_bytes(bytes) }
        }
    )* };
}

impl Fields<'_> {
    numbers!(i16, i32, i64, f32, f64);

    /// Floats side by side: f32 in the first version, f64 in the second.
    fn floats<const N: usize>(&self, first: usize, second: usize) -> [f64; N] {
        std::array::from_fn(|k| match self.form.second {
            false => f64::from(self.f32(first + 4 * k)),
            true => self.f64(second + 8 * k),
        })
    }

    fn float(&self, first: usize, second: usize) -> f64 {
        let [value] = self.floats(first, second);
        value
    }

    fn dims(&self) -> [i64; 8] {
        std::array::from_fn(|k| match self.form.second {
            false => i64::from(self.i16(40 + 2 * k)),
            true => self.i64(16 + 8 * k),
        })
    }

    fn code(&self, first: usize, second: usize) -> i32 {
        if self.form.second { self.i32(second) } else { i32::from(self.i16(first)) }
    }

    /// `datatype` and `bitpix`.
    fn element(&self) -> (i16, i16) {
        let place = if self.form.second { 12 } else { 70 };
        (self.i16(place), self.i16(place + 2))
    }

    /// Millimetres in one unit of the spatial axes.
    fn unit_mm(&self) -> f64 {
        let units = match self.form.second {
            false => i32::from(self.bytes.get(123).copied().unwrap_or_default()),
            true => self.i32(500),
        };
        match units & 7 {
            1 => 1000.0,
            3 => 0.001,
            _ => 1.0,
        }
    }
}

impl NiftiHeader {
    /// Reads the header at a file's beginning.
    pub(super) fn parse(head: &[u8]) -> Result<Self> {
        let form = Form::of(head).ok_or_else(|| {
            let found: [u8; 4] = head.get(..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            let found = i32::from_le_bytes(found);
            Error::format(format!("sizeof_hdr is {found}, expected {V1_BYTES} or {V2_BYTES}"))
        })?;
        let needed = if form.second { V2_BYTES } else { V1_BYTES };
        if head.len() < needed {
            return Err(Error::format(format!("truncated: {} of {needed} header bytes", head.len())));
        }
        let fields = Fields { bytes: head, form };
        let single = magic(head, form)?;
        let (code, bitpix) = fields.element();
        let (dtype, components) = element(code, bitpix)?;
        let (shape, volumes) = extents(&fields.dims())?;
        let (channels, channel) = match (components, volumes) {
            (1, volumes) => (volumes, ChannelPlace::First),
            (components, 1) => (components, ChannelPlace::Last),
            (_, volumes) => {
                return Err(Error::unsupported(format!("{volumes} volumes of colours in one file")));
            }
        };
        Ok(Self {
            shape,
            channels,
            dtype,
            channel,
            scale: if components == 1 { scale(&fields)? } else { None },
            affine: affine(&fields, &shape)?,
            single,
            start: start(&fields, single)?,
            swapped: form.big == cfg!(target_endian = "little"),
        })
    }
}

/// Whether the magic says that header and voxels share a file.
fn magic(head: &[u8], form: Form) -> Result<bool> {
    if form.second {
        return match head.get(4..12) {
            Some(b"n+2\0\r\n\x1a\n") => Ok(true),
            Some(b"ni2\0\r\n\x1a\n") => Ok(false),
            _ => Err(Error::format("magic is neither \"n+2\" nor \"ni2\" of NIfTI-2")),
        };
    }
    match head.get(344..348) {
        Some(b"n+1\0") => Ok(true),
        Some(b"ni1\0") => Ok(false),
        Some([b'n', ..]) => Err(Error::format("magic is neither \"n+1\" nor \"ni1\" of NIfTI-1")),
        _ => Err(Error::unsupported(
            "an Analyze 7.5 header without NIfTI magic: it does not say which side is left; convert it to NIfTI",
        )),
    }
}

/// The dtype of a component and the components of a voxel.
fn element(code: i16, bitpix: i16) -> Result<(DType, usize)> {
    let (dtype, components) = match code {
        2 => (DType::U8, 1),
        4 => (DType::I16, 1),
        8 => (DType::I32, 1),
        16 => (DType::F32, 1),
        64 => (DType::F64, 1),
        128 => (DType::U8, 3),
        256 => (DType::I8, 1),
        512 => (DType::U16, 1),
        768 => (DType::U32, 1),
        1024 => (DType::I64, 1),
        1280 => (DType::U64, 1),
        2304 => (DType::U8, 4),
        other => {
            let name = match other {
                1 => "binary",
                32 => "complex64",
                1536 => "float128",
                1792 => "complex128",
                2048 => "complex256",
                _ => return Err(Error::format(format!("datatype {other} is none of NIfTI's"))),
            };
            let advice = "convert it to integers or floats of at most 64 bits";
            return Err(Error::unsupported(format!("datatype {other} ({name}) is not read: {advice}")));
        }
    };
    let expected = dtype.byte_len() * components * 8;
    if usize::try_from(bitpix) != Ok(expected) {
        return Err(Error::format(format!("bitpix is {bitpix}, expected {expected} for datatype {code}")));
    }
    Ok((dtype, components))
}

/// The spatial shape, slowest axis first, and the number of volumes on the axes beyond the third.
fn extents(dims: &[i64; 8]) -> Result<(Shape, usize)> {
    let [ndim, extents @ ..] = dims;
    if !(1..=7).contains(ndim) {
        return Err(Error::format(format!("dim[0] is {ndim}, expected 1 to 7")));
    }
    let used = extents.get(..*ndim as usize).unwrap_or_default();
    let mut own = Vec::with_capacity(used.len());
    for (axis, &extent) in used.iter().enumerate() {
        let positive = usize::try_from(extent).ok().filter(|&extent| extent > 0);
        let place = axis + 1;
        own.push(
            positive.ok_or_else(|| Error::format(format!("dim[{place}] is {extent}, expected 1 or more")))?,
        );
    }
    let (spatial, beyond) = own.split_at(own.len().min(3));
    let volumes = beyond.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    let volumes = volumes.ok_or_else(|| Error::format(format!("dim {used:?} overflows")))?;
    let spatial: Vec<usize> = spatial.iter().rev().copied().collect();
    Ok((Shape::new(&spatial)?, volumes))
}

/// The map from stored numbers to values, where it changes them.
fn scale(fields: &Fields<'_>) -> Result<Option<Scale>> {
    let (slope, intercept) = (fields.float(112, 176), fields.float(116, 184));
    if slope == 0.0 || !slope.is_finite() || (slope == 1.0 && intercept == 0.0) {
        return Ok(None);
    }
    if !intercept.is_finite() {
        return Err(Error::format(format!("scl_inter is {intercept} where scl_slope is {slope}")));
    }
    Ok(Some(Scale { slope, intercept }))
}

/// The byte at which the voxels begin.
fn start(fields: &Fields<'_>, single: bool) -> Result<u64> {
    let least = match (single, fields.form.second) {
        (false, _) => 0,
        (true, false) => V1_BYTES as u64 + 4,
        (true, true) => V2_BYTES as u64 + 4,
    };
    let found = match fields.form.second {
        true => u64::try_from(fields.i64(168)).ok(),
        false => {
            let offset = f64::from(fields.f32(108));
            (offset >= 0.0 && offset.fract() == 0.0 && offset < 9e15).then_some(offset as u64)
        }
    };
    found.filter(|&offset| offset >= least).ok_or_else(|| {
        let shown = if fields.form.second { fields.i64(168) as f64 } else { f64::from(fields.f32(108)) };
        Error::format(format!("vox_offset is {shown}, expected a whole number, at least {least}"))
    })
}

/// The geometry: by sform, else by qform, else centred with x running to the left, as nibabel has it.
fn affine(fields: &Fields<'_>, shape: &Shape) -> Result<Affine> {
    let [qfac, steps @ ..] = fields.floats::<4>(76, 104);
    let (sform, qform_code) = (fields.code(254, 348), fields.code(252, 344));
    let rows = if sform > 0 {
        [fields.floats(280, 400), fields.floats(296, 432), fields.floats(312, 464)]
    } else if qform_code > 0 {
        let steps = steps.map(|step| if step == 0.0 { 1.0 } else { step.abs() });
        let qfac = if qfac == -1.0 { -1.0 } else { 1.0 };
        qform(fields.floats(256, 352), fields.floats(268, 376), steps, qfac)
    } else {
        centred(shape, steps)
    };
    let unit = fields.unit_mm();
    let affine = Affine::from_fastest_first(rows.map(|row| row.map(|value| value * unit)));
    let affine = match [sform, qform_code].into_iter().find(|&code| code > 0).map(i16::try_from) {
        Some(Ok(code)) => affine.in_space(code),
        _ => affine,
    };
    if affine.is_finite() { Ok(affine) } else { Err(Error::format("sform or qform holds no finite numbers")) }
}

/// The map that a quaternion's last three parts, an offset and steps describe.
fn qform([x, y, z]: [f64; 3], offset: [f64; 3], [dx, dy, dz]: [f64; 3], qfac: f64) -> [[f64; 4]; 3] {
    let square = x * x + y * y + z * z;
    let rest = 1.0 - square;
    // f32 parts of a half turn sum to a little more or less than one.
    let w = if rest.abs() < 3.0 * f64::from(f32::EPSILON) { 0.0 } else { rest.max(0.0).sqrt() };
    let twice = 2.0 / (w * w + square).max(f64::MIN_POSITIVE);
    let rotation = [
        [1.0 - twice * (y * y + z * z), twice * (x * y - w * z), twice * (x * z + w * y)],
        [twice * (x * y + w * z), 1.0 - twice * (x * x + z * z), twice * (y * z - w * x)],
        [twice * (x * z - w * y), twice * (y * z + w * x), 1.0 - twice * (x * x + y * y)],
    ];
    let [ox, oy, oz] = offset;
    let row = |[a, b, c]: [f64; 3], offset: f64| [a * dx, b * dy, c * dz * qfac, offset];
    let [r, a, s] = rotation;
    [row(r, ox), row(a, oy), row(s, oz)]
}

/// The map without sform and qform: the volume's middle is the origin, and x runs to the left.
fn centred(shape: &Shape, steps: [f64; 3]) -> [[f64; 4]; 3] {
    let extents = shape.extents().iter().rev();
    let mut rows = [[0.0; 4]; 3];
    let axes = rows.iter_mut().enumerate().zip(steps.iter().zip(extents.map(Some).chain([None; 2])));
    for ((axis, row), (&step, extent)) in axes {
        let step = if step == 0.0 || extent.is_none() { 1.0 } else { step.abs() };
        let step = if axis == 0 { -step } else { step };
        let middle = (extent.copied().unwrap_or(1) as f64 - 1.0) / 2.0;
        if let Some(slot) = row.get_mut(axis) {
            *slot = step;
        }
        row[3] = 0.0 - middle * step;
    }
    rows
}
