//! Opening what is to be read, where names may be those of pipes and devices.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opens a file to be read; it never waits for somebody to write to a pipe.
///
/// # Errors
/// The system's, and `InvalidInput` where it is a pipe, a socket or a device.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    // On a file the flag means nothing.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let kind = file.metadata()?.file_type();
    let special = [
        (kind.is_fifo(), "a pipe"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
        (kind.is_socket(), "a socket"),
    ];
    match special.into_iter().find(|(is_it, _)| *is_it) {
        Some((_, what)) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, expected a file")))
        }
        None => Ok(file),
    }
}

/// All bytes of a file.
///
/// # Errors
/// As [`open_to_read`].
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("x.nii");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for (path, what) in [(pipe.as_path(), "a pipe"), (Path::new("/dev/zero"), "a device")] {
            let error = open_to_read(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(what), "{error}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(read_file(&file).unwrap(), b"text");
        assert_eq!(open_to_read(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
