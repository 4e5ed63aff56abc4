//! A file that takes its name only when it is complete, so that a failed write loses nothing old.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file beside its target, which it replaces when it is kept, and which is removed when it is not.
#[derive(Debug)]
pub(crate) struct PendingFile {
    part: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl PendingFile {
    /// A name beside the target that no other writer uses; the file itself is the writer's to make.
    ///
    /// # Errors
    /// `Argument` where the target names no file; `NotFound` where its folder does not exist.
    pub(crate) fn beside(target: &Path) -> Result<Self> {
        let name = target.file_name().filter(|_| !target.is_dir());
        let what = if target.is_dir() { "is a folder, expected a file's name" } else { "no file's name" };
        let name = name.ok_or_else(|| Error::argument(what).in_file(target))?;
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.exists()) {
            return Err(Error::not_found("the folder does not exist").in_file(target));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = format!(".{}.{}-{number}.part", name.to_string_lossy(), std::process::id());
        Ok(Self { part: target.with_file_name(part), target: target.to_owned(), kept: false })
    }

    /// The name to write to.
    pub(crate) fn path(&self) -> &Path {
        &self.part
    }

    /// Gives the file its name, after all of it has reached the disk.
    ///
    /// # Errors
    /// `Io` as the system says; the target is then what it was.
    pub(crate) fn keep(mut self) -> Result<()> {
        let kept = File::open(&self.part)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.part, &self.target));
        kept.map_err(|cause| Error::io(&self.target, cause))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        if !self.kept {
            // The writer may have failed before it made the file.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
