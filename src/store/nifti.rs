//! NIfTI-1 and NIfTI-2: `.nii`, `.nii.gz` and `.hdr` with `.img`, told by content.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::deflated::{DeflatedArray, Gunzip, Packed, damaged};
use crate::store::nifti_header::{HEADER_BYTES, NiftiHeader, is_header};
use crate::store::{ArrayLayout, ChannelPlace, Choice, Context, FileArray, Header, Origin, Volume};
use crate::sys::open_to_read;

/// The endings of the two files of a pair.
const HEADER_ENDINGS: [&str; 4] = ["hdr", "hdr.gz", "HDR", "HDR.GZ"];
const VOXEL_ENDINGS: [&str; 4] = ["img", "img.gz", "IMG", "IMG.GZ"];

/// Whether a file's first bytes are this format's, or another file holds the header to them.
pub(super) fn knows(path: &Path, head: &[u8]) -> bool {
    if is_gzip(head) {
        // What cannot be inflated is taken on, so that its error says so.
        return first_bytes(path).map_or(true, |head| is_header(&head)) || header_of(path).is_some();
    }
    is_header(head) || header_of(path).is_some()
}

/// Opens the file's volume.
pub(super) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let mut head = first_bytes(path)?;
    let mut header_path = path.to_owned();
    if !is_header(&head)
        && let Some(other) = header_of(path)
    {
        head = first_bytes(&other)?;
        header_path = other;
    }
    let nifti = NiftiHeader::parse(&head).map_err(|error| error.in_file(&header_path))?;
    if choice.channel != ChannelPlace::Unsaid && choice.channel != nifti.channel && nifti.channels > 1 {
        let text = "the channels' place is given by the format, leave it unsaid";
        return Err(Error::argument(text).in_file(&header_path));
    }
    let path = if nifti.single { header_path } else { voxels_of(&header_path)? };
    arrange(nifti, &path, context).map_err(|error| error.in_file(&path))
}

/// The volume whose voxels lie in this file.
fn arrange(nifti: NiftiHeader, path: &Path, context: &Context) -> Result<Arc<dyn Volume>> {
    let NiftiHeader { shape, channels, dtype, channel, scale, start, swapped, .. } = nifti;
    let origin = Origin { path: path.to_owned(), inner: String::new(), format: "nifti" };
    let header = Header { shape, channels, dtype, scale, affine: Some(nifti.affine), origin };
    header.byte_len().map_err(|error| Error::format(error.message()))?;
    let layout = ArrayLayout::dense(&shape, channels, dtype.byte_len(), channel);
    let mut file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
    let mut head = [0u8; 2];
    let gzip = file.read_exact(&mut head).is_ok() && is_gzip(&head);
    // A pair's voxels may begin like gzip by chance: its name must say so too.
    if gzip && (nifti.single || ends_in_gz(path)) {
        let packed = Packed::gzip(context.files.file(path)?);
        return DeflatedArray { header, start, layout, swapped, packed }.open(context);
    }
    let file = context.files.file(path)?;
    Ok(Arc::new(FileArray { header, start, layout, swapped, file }.checked()?))
}

fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
}

fn ends_in_gz(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"))
}

/// As many of a file's first bytes, inflated where it is gzip, as a header has.
fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
    let mut head = Vec::with_capacity(HEADER_BYTES);
    let limit = HEADER_BYTES as u64;
    file.by_ref().take(limit).read_to_end(&mut head).map_err(|cause| Error::io(path, cause))?;
    if is_gzip(&head) {
        head.clear();
        let inflated = Gunzip::open(path)?.take(limit).read_to_end(&mut head);
        inflated.map_err(|cause| damaged(&cause).in_file(path))?;
    }
    Ok(head)
}

/// The header file that belongs to a file of voxels, where there is one.
fn header_of(path: &Path) -> Option<PathBuf> {
    let found = sibling(path, &VOXEL_ENDINGS, &HEADER_ENDINGS)?;
    first_bytes(&found).is_ok_and(|head| is_header(&head)).then_some(found)
}

/// The file of voxels that belongs to a header file.
fn voxels_of(path: &Path) -> Result<PathBuf> {
    sibling(path, &HEADER_ENDINGS, &VOXEL_ENDINGS).ok_or_else(|| {
        let text = "a header without its voxels: no file of this name ends in .img or .img.gz beside it";
        Error::not_found(text).in_file(path)
    })
}

/// The file beside this one whose name ends in one of `others` where this one's ends in one of `own`.
fn sibling(path: &Path, own: &[&str], others: &[&str]) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let stem = own.iter().find_map(|ending| name.strip_suffix(ending)?.strip_suffix('.'))?;
    others.iter().map(|ending| path.with_file_name(format!("{stem}.{ending}"))).find(|path| path.is_file())
}
