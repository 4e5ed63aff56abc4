//! Files as memory: a persistent read-only map with a size check, and the question where a file lies.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// A whole file, mapped for reading, with the file kept open so that its size can be asked again.
#[derive(Debug)]
pub struct FileMap {
    map: Mmap,
    file: File,
    path: PathBuf,
}

impl FileMap {
    /// Maps the file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened or mapped.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
        // SAFETY: the map is private and read-only. Another process may still truncate the file: `bytes`
        // asks for the size before every use, and the README tells of the window of one copy that is left.
        let map = unsafe { Mmap::map(&file) }.map_err(|cause| Error::io(path, cause))?;
        Ok(Self { map, file, path: path.to_owned() })
    }

    /// The bytes, after a check that the file still has them all.
    ///
    /// # Errors
    /// `Format` where the file has become smaller since it was mapped.
    pub fn bytes(&self) -> Result<&[u8]> {
        let now = self.file.metadata().map_err(|cause| Error::io(&self.path, cause))?.len();
        if now < self.map.len() as u64 {
            let then = self.map.len();
            let text = format!("truncated to {now} bytes while in use, it had {then}");
            return Err(Error::format(text).in_file(&self.path));
        }
        Ok(&self.map)
    }
}

/// Whether a file lies on a network or user-space file system, where maps are slow or unsafe.
pub fn is_network_file(path: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        // NFS, SMB, SMB2, CIFS, FUSE, Lustre, Ceph, 9P, GPFS, AFS: the numbers of statfs(2).
        const REMOTE: [u32; 10] = [
            0x6969,
            0x517B,
            0xFE53_4D42,
            0xFF53_4D42,
            0x6573_5546,
            0x0BD0_0BD0,
            0x00C3_6400,
            0x0102_1997,
            0x4750_4653,
            0x5346_414F,
        ];
        let Ok(name) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
        let mut status = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the name ends in NUL and the status has the size that the call writes.
        let result = unsafe { libc::statfs(name.as_ptr(), status.as_mut_ptr()) };
        if result != 0 {
            return false;
        }
        // SAFETY: the call succeeded, so it has written the whole status.
        let status = unsafe { status.assume_init() };
        REMOTE.contains(&(status.f_type as u32))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_truncated_map_is_a_format_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("volume");
        std::fs::write(&path, [7u8; 9000]).unwrap();
        let map = FileMap::open(&path).unwrap();
        assert_eq!(map.bytes().unwrap().len(), 9000);
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let error = map.bytes().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.message().contains("volume: truncated to 100 bytes"), "{error}");
    }

    #[test]
    fn a_missing_file_is_not_found() {
        let error = FileMap::open(Path::new("no/such/file")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!is_network_file(Path::new("no/such/file")));
    }
}
