//! An index in a file of its own, so that the next process need not make it.
//!
//! All numbers are little-endian. Magic and version; what tells the compressed file and the slabs; the counts
//! of marks, windows and sums, and these; the CRC-32 of all bytes before. A file that does not hold just
//! this is as good as none.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::{Error, Result};
use crate::store::deflated::{Mark, Packed, Place, SeekIndex, SeekWindow, Slabs};
use crate::store::{IndexPlace, PendingFile};
use crate::sys::{crc32, read_file};

const MAGIC: &[u8; 8] = b"VXFSEEK\x01";
/// The ending of an index's name.
const ENDING: &str = "vxfindex";
/// The packed bytes at each end that tell one file from another of the same size and time.
const ENDS_BYTES: u64 = 4096;
/// More bytes than a slab takes in an index's file, but for marks, which are fewer than packed bytes.
const MOST_OF_A_SLAB: u64 = 48 << 10;

/// The file that keeps the index of these packed bytes, where one is to.
pub(super) fn path(packed: &Packed, place: &IndexPlace) -> Option<PathBuf> {
    let name = packed.path().file_name()?.to_string_lossy().into_owned();
    // Another member of the same archive has an index of its own.
    let member = if packed.start > 0 { format!(".{}", packed.start) } else { String::new() };
    match place {
        IndexPlace::Memory => None,
        IndexPlace::Beside => Some(packed.path().with_file_name(format!("{name}{member}.{ENDING}"))),
        IndexPlace::Folder(folder) => {
            let whole = std::path::absolute(packed.path()).ok()?;
            let hash = fnv(whole.as_os_str().as_encoded_bytes());
            Some(folder.join(format!("{name}{member}.{hash:016x}.{ENDING}")))
        }
    }
}

/// The index that a file keeps of these packed bytes as they are now.
pub(super) fn read(path: &Path, packed: &Packed, slabs: &Slabs) -> Option<SeekIndex> {
    let identity = identity(packed, slabs).ok()?;
    let most = packed.len.saturating_mul(4).saturating_add(slabs.count().saturating_mul(MOST_OF_A_SLAB));
    if std::fs::metadata(path).ok()?.len() > most.saturating_add(ENDS_BYTES) {
        return None;
    }
    let bytes = read_file(path).ok()?;
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if sum != crc32(0, content).to_le_bytes() {
        return None;
    }
    let mut rest = Rest(content.strip_prefix(identity.as_slice())?);
    let (marks, windows, sums) = (rest.count(20)?, rest.count(8)?, rest.count(4)?);
    let mut index = SeekIndex::default();
    for _ in 0..marks {
        let (plain, bit, kind) = (rest.u64()?, rest.u64()?, rest.u32()?);
        let place = match kind {
            0 => Place::Fresh,
            1 => Place::Block,
            2 => Place::End,
            3 => Place::Window(rest.u32()?),
            4 => Place::Inside(rest.u32()?, rest.u64()?),
            _ => return None,
        };
        index.marks.push(Mark { plain, bit, place });
    }
    for _ in 0..windows {
        let (len, byte_len) = (rest.u32()?, rest.u32()?);
        index.windows.push(SeekWindow { len, bytes: rest.take(byte_len as usize)?.to_vec() });
    }
    for _ in 0..sums {
        index.sums.push(rest.u32()?);
    }
    (rest.0.is_empty() && index.is_sound(packed.len, slabs.count())).then_some(index)
}

/// Writes an index; the file appears when it is complete.
///
/// # Errors
/// As the system says.
pub(super) fn write(path: &Path, packed: &Packed, slabs: &Slabs, index: &SeekIndex) -> Result<()> {
    let mut bytes = identity(packed, slabs)?;
    let counts = [index.marks.len(), index.windows.len(), index.sums.len()];
    counts.iter().for_each(|&count| put(&mut bytes, count as u64));
    for mark in &index.marks {
        put(&mut bytes, mark.plain);
        put(&mut bytes, mark.bit);
        let (kind, window, block) = match mark.place {
            Place::Fresh => (0u32, None, None),
            Place::Block => (1, None, None),
            Place::End => (2, None, None),
            Place::Window(window) => (3, Some(window), None),
            Place::Inside(window, block) => (4, Some(window), Some(block)),
        };
        bytes.extend(kind.to_le_bytes());
        bytes.extend(window.iter().flat_map(|window| window.to_le_bytes()));
        bytes.extend(block.iter().flat_map(|block| block.to_le_bytes()));
    }
    for window in &index.windows {
        bytes.extend(window.len.to_le_bytes());
        bytes.extend((window.bytes.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&window.bytes);
    }
    index.sums.iter().for_each(|sum| bytes.extend(sum.to_le_bytes()));
    bytes.extend(crc32(0, &bytes).to_le_bytes());
    let pending = PendingFile::beside(path)?;
    let io = |cause| Error::io(path, cause);
    let mut file = std::fs::File::options().write(true).create_new(true).open(pending.path()).map_err(io)?;
    file.write_all(&bytes).map_err(io)?;
    drop(file);
    pending.keep()
}

/// What an index's file begins with: the format, the compressed file as it is now, and the slabs.
fn identity(packed: &Packed, slabs: &Slabs) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(packed.path()).map_err(|cause| Error::io(packed.path(), cause))?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default();
    let len = ENDS_BYTES.min(packed.len);
    let mut ends = vec![0; len as usize];
    packed.read_at(0, &mut ends)?;
    let first = crc32(0, &ends);
    packed.read_at(packed.len - len, &mut ends)?;
    let mut bytes = MAGIC.to_vec();
    let numbers = [
        metadata.len(),
        modified.as_secs(),
        u64::from(modified.subsec_nanos()),
        packed.start,
        packed.len,
        u64::from(crc32(first, &ends)),
        slabs.start,
        slabs.inner,
        slabs.step,
        slabs.extent,
        slabs.outer,
    ];
    numbers.iter().for_each(|&number| put(&mut bytes, number));
    Ok(bytes)
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_le_bytes());
}

/// What is left of an index's file.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// A number of things that have at least this many bytes each.
    fn count(&mut self, each: usize) -> Option<u64> {
        let count = self.u64()?;
        (count <= (self.0.len() / each) as u64).then_some(count)
    }
}

/// The FNV-1a hash: the same in every process and version, which the standard library's is not.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
