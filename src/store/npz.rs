//! NumPy's `.npz`: a zip archive of `.npy` arrays, stored or deflated.
//!
//! A stored member is read where it lies, like an `.npy` file of its own; a deflated one is inflated whole.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};
use crate::store::deflated::{DeflatedArray, Packed, damaged};
use crate::store::npy::NpyHeader;
use crate::store::numpy::NAME_IT;
use crate::store::{Choice, Context, FileArray, Origin, Volume};
use crate::sys::open_to_read;

/// The member that is meant where several are and none is named; nnU-Net writes it.
const USUAL_MEMBER: &str = "data";

type Archive = ZipArchive<BufReader<File>>;

/// Whether a file's first bytes are this format's.
pub(super) fn knows(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// Opens the array of a member.
pub(super) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let mut archive = open_archive(path)?;
    open_member(&mut archive, path, choice, context).map_err(|error| error.in_file(path))
}

fn open_member(
    archive: &mut Archive,
    path: &Path,
    choice: &Choice,
    context: &Context,
) -> Result<Arc<dyn Volume>> {
    let (index, name) = find(archive, choice.inner.as_deref())?;
    let named = |error: Error| error.at(format!("member \"{name}\""));
    let mut member = archive.by_index(index).map_err(|error| named(zip_error(error)))?;
    if member.encrypted() {
        return Err(named(Error::unsupported("it is encrypted")));
    }
    let (method, size, packed) = (member.compression(), member.size(), member.compressed_size());
    let sum = member.crc32();
    if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        return Err(named(Error::unsupported(format!("zip compression {method}"))));
    }
    let npy = NpyHeader::read(&mut member).map_err(named)?;
    let begin = member.data_start();
    let origin = Origin { path: path.to_owned(), inner: name.clone(), format: "npz" };
    let (header, layout) = npy.describe(choice.channel, origin).map_err(named)?;
    let end = npy.byte_len.checked_add(header.byte_len()? as u64);
    if end != Some(size) {
        let text = format!("its array needs {} bytes behind the header, it has {size}", header.byte_len()?);
        return Err(named(Error::format(text)));
    }
    let begin = begin.ok_or_else(|| named(Error::format("the zip archive does not say where it begins")))?;
    let file = context.files.file(path)?;
    if method == CompressionMethod::Stored {
        let start = begin.saturating_add(npy.byte_len);
        let array = FileArray { header, start, layout, swapped: npy.swapped, file };
        return Ok(Arc::new(array.checked()?));
    }
    let packed = Packed::member(file, (begin, packed), sum);
    let array = DeflatedArray { header, start: npy.byte_len, layout, swapped: npy.swapped, packed };
    array.open(context).map_err(named)
}

/// The zip archive in a file.
fn open_archive(path: &Path) -> Result<Archive> {
    let file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| zip_error(error).in_file(path))
}

/// What the zip reader's error means here.
fn zip_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(cause) => damaged(&cause),
        ZipError::InvalidArchive(what) if what.contains("EOCD") => {
            Error::format("truncated, or no zip archive: the list of members at its end is missing")
        }
        ZipError::UnsupportedArchive(what) => Error::unsupported(format!("zip archive: {what}")),
        other => Error::format(format!("zip archive: {other}")),
    }
}

/// The number and the name, without `.npy`, of the member that is meant.
fn find(archive: &Archive, wanted: Option<&str>) -> Result<(usize, String)> {
    let names = archive.file_names().map(|name| name.map(|name| name.into_owned()).map_err(zip_error));
    let names = names.collect::<Result<Vec<_>>>()?;
    let members: Vec<(usize, &str)> = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| name.strip_suffix(".npy").map(|name| (index, name)))
        .collect();
    let known = || members.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    let named = |wanted: &str| {
        let found = members.iter().find(|(_, name)| *name == wanted);
        found.map(|&(index, name)| (index, name.to_owned()))
    };
    match (wanted, members.as_slice()) {
        (_, []) if names.iter().any(|name| is_zarr(name)) => {
            Err(Error::unsupported("a Zarr store in a zip archive: unpack it into a folder"))
        }
        (_, []) => Err(Error::not_found("a zip archive without an npy array")),
        (Some(wanted), _) => named(wanted.strip_suffix(".npy").unwrap_or(wanted))
            .ok_or_else(|| Error::not_found(format!("no array \"{wanted}\": there are {}", known()))),
        (None, [(index, name)]) => Ok((*index, (*name).to_owned())),
        (None, _) => named(USUAL_MEMBER)
            .ok_or_else(|| Error::argument(format!("several arrays: {}", known())).with_advice(NAME_IT)),
    }
}

/// Whether a member is the metadata of a Zarr array or group.
fn is_zarr(name: &str) -> bool {
    let own = name.rsplit('/').next().unwrap_or_default();
    ["zarr.json", ".zarray", ".zgroup"].contains(&own)
}
