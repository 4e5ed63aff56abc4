//! Dense volumes into files, the format told by the name's ending.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};
use crate::store::hdf5;
use crate::store::nifti_save::nifti_header;
use crate::store::pending::PendingFile;
use crate::sys::convert;
use crate::voxel::{Affine, DType, Shape};

/// A volume in memory: channels first, then the spatial axes slowest first, without gaps.
#[derive(Debug, Clone, Copy)]
pub struct DenseVolume<'a> {
    /// The spatial axes, slowest first.
    pub shape: Shape,
    /// The number of channels.
    pub channels: usize,
    /// The dtype of the voxels.
    pub dtype: DType,
    /// The voxels, in this machine's byte order.
    pub bytes: &'a [u8],
    /// Where the voxels lie in the patient, where that is known.
    pub affine: Option<Affine>,
}

impl DenseVolume<'_> {
    /// Makes sure that shape, channels and dtype describe the bytes.
    ///
    /// # Errors
    /// `Argument` where they describe more or fewer, or none.
    pub fn check(&self) -> Result<()> {
        let (needed, given) = (self.shape.byte_len(self.channels, self.dtype.byte_len())?, self.bytes.len());
        if needed == given && needed > 0 {
            return Ok(());
        }
        let (channels, shape, dtype) = (self.channels, self.shape, self.dtype);
        let text = format!("{channels} channels of {shape} {dtype} are {needed} bytes, given are {given}");
        Err(Error::argument(text))
    }
}

/// The formats that volumes are saved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SaveFormat {
    Nifti,
    NiftiGzip,
    Npy,
    Hdf5,
}

/// The endings that tell the format.
const ENDINGS: [(&str, SaveFormat); 5] = [
    (".nii", SaveFormat::Nifti),
    (".nii.gz", SaveFormat::NiftiGzip),
    (".npy", SaveFormat::Npy),
    (".h5", SaveFormat::Hdf5),
    (".hdf5", SaveFormat::Hdf5),
];

/// The bytes that are converted at a time.
const CHUNK_VOXELS: usize = 1 << 16;

/// Saves a volume as `.nii`, `.nii.gz`, `.npy`, `.h5` or `.hdf5`, as the name's ending says.
///
/// NIfTI keeps geometry, in f32 (f64 where an axis has more than 32767 voxels and NIfTI-2 is written);
/// channels become its fourth axis; bool is stored as u8 and f16 as f32. An `.npy` keeps no geometry; its
/// first axis is the channel where there are several. The file appears when it is complete, and replaces
/// an old one only then.
///
/// # Errors
/// `Argument` for another ending or bytes that do not fit the shape; `Unsupported` where the format has no
/// place for so many axes; `NotFound` where the folder does not exist, `Io` where it cannot be written.
pub fn save(path: &Path, volume: &DenseVolume<'_>) -> Result<()> {
    let format = format_of(path)?;
    volume.check().map_err(|error| error.in_file(path))?;
    let pending = PendingFile::beside(path)?;
    let part = pending.path();
    let written = match format {
        SaveFormat::Nifti => write(part, |file| write_nifti(file, volume)),
        SaveFormat::NiftiGzip => write(part, |file| {
            let mut gzip = GzEncoder::new(file, Compression::fast());
            write_nifti(&mut gzip, volume)?;
            gzip.finish().map(|_| ()).map_err(write_error)
        }),
        SaveFormat::Npy => write(part, |file| write_npy(file, volume)),
        SaveFormat::Hdf5 => hdf5::save(part, volume),
    };
    written.map_err(|error| error.in_file(path))?;
    pending.keep()
}

fn format_of(path: &Path) -> Result<SaveFormat> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let found = ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending));
    found.map(|(_, format)| format).ok_or_else(|| {
        let known: Vec<_> = ENDINGS.iter().map(|(ending, _)| *ending).collect();
        let text = format!("{}: unknown ending, expected one of {}", path.display(), known.join(", "));
        Error::argument(text)
    })
}

/// Makes the file and hands it out for writing.
fn write(part: &Path, content: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let file = File::options().write(true).create_new(true).open(part).map_err(write_error)?;
    let mut file = BufWriter::new(file);
    content(&mut file)?;
    file.flush().map_err(write_error)
}

/// The system's error without a file, whose final name is added by the caller.
pub(super) fn write_error(cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::NotFound => crate::error::ErrorKind::NotFound,
        _ => crate::error::ErrorKind::Io,
    };
    Error::new(kind, format!("cannot be written: {cause}")).caused_by(cause)
}

fn write_nifti(file: &mut impl Write, volume: &DenseVolume<'_>) -> Result<()> {
    let stored = match volume.dtype {
        DType::Bool => DType::U8,
        DType::F16 => DType::F32,
        other => other,
    };
    file.write_all(&nifti_header(volume, stored)?).map_err(write_error)?;
    if stored == volume.dtype {
        return file.write_all(volume.bytes).map_err(write_error);
    }
    let mut converted = vec![0u8; CHUNK_VOXELS * stored.byte_len()];
    for voxels in volume.bytes.chunks(CHUNK_VOXELS * volume.dtype.byte_len()) {
        let len = voxels.len() / volume.dtype.byte_len() * stored.byte_len();
        let into = converted.get_mut(..len).unwrap_or_default();
        convert(voxels, volume.dtype, into, stored);
        file.write_all(into).map_err(write_error)?;
    }
    Ok(())
}

fn write_npy(file: &mut impl Write, volume: &DenseVolume<'_>) -> Result<()> {
    let order = match (volume.dtype.byte_len(), cfg!(target_endian = "little")) {
        (1, _) => '|',
        (_, true) => '<',
        (_, false) => '>',
    };
    let letter = match volume.dtype {
        DType::Bool => 'b',
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => 'u',
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => 'i',
        DType::F16 | DType::F32 | DType::F64 => 'f',
    };
    let channels = (volume.channels > 1).then_some(&volume.channels);
    let extents = channels.into_iter().chain(volume.shape.extents());
    let extents: Vec<String> = extents.map(ToString::to_string).collect();
    // Just as numpy writes it: other readers, such as DALI's, take no other form.
    let comma = if extents.len() == 1 { "," } else { "" };
    let extents = extents.join(", ") + comma;
    let width = volume.dtype.byte_len();
    let mut text =
        format!("{{'descr': '{order}{letter}{width}', 'fortran_order': False, 'shape': ({extents}), }}");
    // Voxels begin at a multiple of 64 bytes, as numpy has it, for whoever maps the file.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).map_err(|_| Error::internal("an npy header that is too long"))?;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(length.to_le_bytes());
    header.extend(text.as_bytes());
    file.write_all(&header).map_err(write_error)?;
    file.write_all(volume.bytes).map_err(write_error)
}
