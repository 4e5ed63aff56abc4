//! A file that stays open: its bytes as memory or piece by piece, each time after a look at its size.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes that are asked for ahead in one call: of more, the system would take the first part only.
const MOST_AHEAD: u64 = 128 << 10;

/// An open file that must not become smaller than it was.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: PathBuf,
    byte_len: u64,
    map: OnceLock<Mmap>,
}

impl OpenFile {
    /// Opens a file that has had this many bytes.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened; `Format` where it has become smaller.
    pub fn open(path: &Path, byte_len: u64) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
        let open = Self { file, path: path.to_owned(), byte_len, map: OnceLock::new() };
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
        if now < self.byte_len {
            let text = format!("truncated to {now} bytes while in use, it had {}", self.byte_len);
            return Err(Error::format(text).in_file(&self.path));
        }
        Ok(())
    }

    /// The file as memory, mapped at the first use, after a check that it still has all its bytes.
    ///
    /// # Errors
    /// `Format` where it has become smaller; `Io` where it cannot be mapped.
    pub fn bytes(&self) -> Result<&[u8]> {
        self.check()?;
        if let Some(map) = self.map.get() {
            return Ok(map);
        }
        // SAFETY: the map is private and read-only. Another process may still truncate the file: its size is
        // asked for before every use, and the README tells of the window of one copy that is left.
        let map = unsafe { Mmap::map(&self.file) }.map_err(|cause| Error::io(&self.path, cause))?;
        Ok(self.map.get_or_init(|| map))
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
    ///
    /// The same for a mapped file: advice about a map would only lead back to its file.
    pub fn will_need(&self, place: u64, len: u64) {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let end = place.saturating_add(len).min(self.byte_len);
            let mut place = place;
            while place < end {
                let part = (end - place).min(MOST_AHEAD);
                let (from, len) = (place as libc::off_t, part as libc::off_t);
                // SAFETY: the descriptor is open as long as we are; the call changes no memory, and its
                // result does not matter, as advice may be refused.
                unsafe { libc::posix_fadvise(self.file.as_raw_fd(), from, len, libc::POSIX_FADV_WILLNEED) };
                place += part;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (place, len, MOST_AHEAD);
    }
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
        assert_eq!(file.bytes().unwrap().len(), 9000);
        let mut piece = [0u8; 10];
        file.read_at(8990, &mut piece).unwrap();
        assert_eq!(piece, [7; 10]);
        file.will_need(0, u64::MAX);
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        for error in [file.bytes().unwrap_err(), file.check().unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains("volume: truncated to 100 bytes"), "{error}");
        }
        assert_eq!(file.read_at(95, &mut piece).unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(OpenFile::open(&path, 9000).unwrap_err().kind(), ErrorKind::Format);
        assert_eq!(OpenFile::open(&path, 100).unwrap().bytes().unwrap(), [7; 100]);
    }

    #[test]
    fn a_missing_file_is_not_found() {
        assert_eq!(OpenFile::open(Path::new("no/such/file"), 0).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
