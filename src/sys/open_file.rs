//! A file that stays open: its bytes piece by piece, or as memory that needs no open file any more.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap};

use crate::error::{Error, Result};
use crate::sys::open_to_read;

/// The bytes that are asked for ahead in one call: of more, the system would take the first part only.
const MOST_AHEAD: u64 = 128 << 10;

/// An open file that must not become smaller than it was.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: PathBuf,
    byte_len: u64,
}

/// A file's bytes as memory.
#[derive(Debug)]
pub struct FileMap {
    map: Mmap,
    path: PathBuf,
    byte_len: u64,
    identity: (u64, u64),
}

impl OpenFile {
    /// Opens a file that has had this many bytes.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened; `Format` where it has become smaller.
    pub fn open(path: &Path, byte_len: u64) -> Result<Self> {
        let file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
        let open = Self { file, path: path.to_owned(), byte_len };
        open.check()?;
        Ok(open)
    }

    /// Makes sure that the file still has all its bytes.
    ///
    /// # Errors
    /// `Format` where it has become smaller.
    pub fn check(&self) -> Result<()> {
        // The end's place costs less than half of what asking for all that the system knows of a file does.
        // Nobody reads from the place where this leaves the descriptor.
        let now = (&self.file).seek(SeekFrom::End(0)).map_err(|cause| Error::io(&self.path, cause))?;
        if now < self.byte_len { Err(truncated(&self.path, now, self.byte_len)) } else { Ok(()) }
    }

    /// The file as memory, which stays when the file is closed.
    ///
    /// # Errors
    /// `Format` where it has become smaller; `Io` where it cannot be mapped.
    pub fn map(&self) -> Result<FileMap> {
        let failed = |cause| Error::io(&self.path, cause);
        let identity = identity(&self.file.metadata().map_err(failed)?);
        // SAFETY: the map is private and read-only. Another process may still truncate the file: its size is
        // asked for in every batch, and the README tells of the window that is left.
        let map = unsafe { Mmap::map(&self.file) }.map_err(failed)?;
        if (map.len() as u64) < self.byte_len {
            return Err(truncated(&self.path, map.len() as u64, self.byte_len));
        }
        Ok(FileMap { map, path: self.path.clone(), byte_len: self.byte_len, identity })
    }

    /// Reads bytes from this place on, without a map.
    ///
    /// # Errors
    /// `Format` where the file ends before; `Io` as the system says.
    pub fn read_at(&self, place: u64, into: &mut [u8]) -> Result<()> {
        use std::os::unix::fs::FileExt;
        self.file.read_exact_at(into, place).map_err(|cause| match cause.kind() {
            ErrorKind::UnexpectedEof => {
                let end = place.saturating_add(into.len() as u64);
                let text = format!("truncated: bytes {place} to {end} are wanted");
                Error::format(text).in_file(&self.path)
            }
            _ => Error::io(&self.path, cause),
        })
    }

    /// Asks the system to read these bytes ahead; nothing depends on it but time.
    pub fn will_need(&self, place: u64, len: u64) {
        #[cfg(target_os = "linux")]
        for (place, len) in pieces(place, len, self.byte_len) {
            use std::os::fd::AsRawFd;
            let (from, len) = (place as libc::off_t, len as libc::off_t);
            // SAFETY: the descriptor is open as long as we are; the call changes no memory, and its result
            // does not matter, as advice may be refused.
            unsafe { libc::posix_fadvise(self.file.as_raw_fd(), from, len, libc::POSIX_FADV_WILLNEED) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (place, len);
    }
}

impl FileMap {
    /// The bytes. Whoever reads them makes sure before that the file still has them all.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Whether the file's name still leads to what is mapped, after a check that it still has all its bytes.
    ///
    /// Costs a walk along its path: with the file open, [`OpenFile::check`] is quicker.
    ///
    /// # Errors
    /// `Format` where it has become smaller; `NotFound` or `Io` as the system says.
    pub fn is_current(&self) -> Result<bool> {
        let metadata = std::fs::metadata(&self.path).map_err(|cause| Error::io(&self.path, cause))?;
        if metadata.len() < self.byte_len {
            return Err(truncated(&self.path, metadata.len(), self.byte_len));
        }
        Ok(identity(&metadata) == self.identity)
    }

    /// Asks the system to read these bytes ahead; nothing depends on it but time.
    pub fn will_need(&self, place: u64, len: u64) {
        for (place, len) in pieces(place, len, self.map.len() as u64) {
            // Advice may be refused.
            let _ = self.map.advise_range(Advice::WillNeed, place as usize, len as usize);
        }
    }
}

/// What tells a file from another of the same name.
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// The pieces in which bytes of a file of this size are asked for ahead.
fn pieces(place: u64, len: u64, byte_len: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = place.saturating_add(len).min(byte_len);
    let count = end.saturating_sub(place).div_ceil(MOST_AHEAD);
    (0..count).map(move |number| {
        let from = place + number * MOST_AHEAD;
        (from, (end - from).min(MOST_AHEAD))
    })
}

fn truncated(path: &Path, now: u64, then: u64) -> Error {
    Error::format(format!("truncated to {now} bytes while in use, it had {then}")).in_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_truncated_file_is_a_format_error_by_every_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume");
        std::fs::write(&path, [7u8; 9000]).unwrap();
        let file = OpenFile::open(&path, 9000).unwrap();
        let map = file.map().unwrap();
        assert_eq!(map.bytes(), [7; 9000]);
        assert!(map.is_current().unwrap());
        let mut piece = [0u8; 10];
        file.read_at(8990, &mut piece).unwrap();
        assert_eq!(piece, [7; 10]);
        file.will_need(0, u64::MAX);
        map.will_need(5000, u64::MAX);
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        for error in [file.check().unwrap_err(), map.is_current().unwrap_err(), file.map().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains("volume: truncated to 100 bytes"), "{error}");
        }
        assert_eq!(file.read_at(95, &mut piece).unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(OpenFile::open(&path, 9000).unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(OpenFile::open(&path, 100).unwrap().map().unwrap().bytes(), [7; 100]);
    }

    #[test]
    fn another_file_under_the_name_is_not_the_one_that_is_mapped() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("volume"), folder.path().join("other"));
        std::fs::write(&path, [1u8; 50]).unwrap();
        std::fs::write(&other, [2u8; 50]).unwrap();
        let map = OpenFile::open(&path, 50).unwrap().map().unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(!map.is_current().unwrap());
    }

    #[test]
    fn what_is_asked_for_ahead_is_cut_into_pieces_that_the_system_takes() {
        let all: Vec<_> = pieces(10, 2 * MOST_AHEAD + 5, u64::MAX).collect();
        assert_eq!(all, [(10, MOST_AHEAD), (10 + MOST_AHEAD, MOST_AHEAD), (10 + 2 * MOST_AHEAD, 5)]);
        assert_eq!(pieces(90, u64::MAX, 100).collect::<Vec<_>>(), [(90, 10)]);
        assert_eq!(pieces(100, 1, 100).count(), 0);
    }

    #[test]
    fn a_missing_file_is_not_found() {
        assert_eq!(OpenFile::open(Path::new("no/such/file"), 0).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
