//! The files of a dataset: opened when they are read, a bounded number of them at a time.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::store::hdf5::Handles;
use crate::sys::{OpenFile, descriptor_limit, is_network_file};

/// How stored bytes are brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Io {
    /// Through maps for files on local file systems, by positional reads for others.
    #[default]
    Auto,
    /// By positional reads: slower, safe against files that shrink during a copy.
    Positional,
    /// Through maps.
    Map,
}

/// The fewest and the most files that a dataset keeps open, whatever the process may have.
///
/// Linux lets a process map 65530 areas.
const OPEN_FILES: (usize, usize) = (8, 4096);
/// The part of the process's descriptors that one dataset's open files take: 256 of the usual 1024, so that
/// a few datasets, a format's library and the host live beside each other.
const SHARE_OF_DESCRIPTORS: usize = 4;
/// The system's numbers for a process or a machine that has no descriptor left.
const OUT_OF_DESCRIPTORS: [i32; 2] = [libc::EMFILE, libc::ENFILE];

/// The files of a dataset.
#[derive(Debug)]
pub struct Files {
    io: Io,
    known: Mutex<HashMap<PathBuf, Weak<StoredFile>>>,
    residents: Arc<Residents>,
    /// The datasets that a format's library keeps open.
    pub(super) hdf5: Handles,
}

impl Files {
    /// Files that are read this way.
    pub fn new(io: Io) -> Self {
        let (fewest, most) = OPEN_FILES;
        let share = descriptor_limit().map_or(most, |all| all / SHARE_OF_DESCRIPTORS);
        Self::with_limit(io, share.clamp(fewest, most))
    }

    /// Files that are read this way, of which this many are open at a time.
    fn with_limit(io: Io, most: usize) -> Self {
        let residents = Residents { most, line: Mutex::default() };
        Self { io, known: Mutex::default(), residents: Arc::new(residents), hdf5: Handles::default() }
    }

    /// A file, which is looked at but not opened yet; the same for every volume in it.
    ///
    /// # Errors
    /// `NotFound` or `Io` as the system says.
    pub fn file(&self, path: &Path) -> Result<Arc<StoredFile>> {
        let metadata = std::fs::metadata(path).map_err(|cause| Error::io(path, cause))?;
        let mut known = lock(&self.known);
        let found = known.get(path).and_then(Weak::upgrade);
        if let Some(file) = found.filter(|file| file.byte_len == metadata.len()) {
            return Ok(file);
        }
        let mapped = match self.io {
            Io::Auto => !is_network_file(path),
            Io::Positional => false,
            Io::Map => true,
        };
        let file = Arc::new(StoredFile {
            path: path.to_owned(),
            byte_len: metadata.len(),
            mapped,
            open: Mutex::default(),
            used: AtomicBool::new(false),
            residents: Arc::clone(&self.residents),
        });
        known.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

/// One file, opened when it is read, and closed when others need its descriptor.
#[derive(Debug)]
pub struct StoredFile {
    path: PathBuf,
    /// Its size when it was first looked at: below it, the file is truncated.
    byte_len: u64,
    mapped: bool,
    open: Mutex<Option<Arc<OpenFile>>>,
    /// Whether it was read since it was last looked at in line.
    used: AtomicBool,
    residents: Arc<Residents>,
}

impl StoredFile {
    /// The bytes that the file had when it was first looked at.
    pub fn byte_len(&self) -> u64 {
        self.byte_len
    }

    /// Whether its bytes come through a map.
    pub fn is_mapped(&self) -> bool {
        self.mapped
    }

    /// The open file, opened now or kept from before.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened; `Format` where it has become smaller.
    pub fn open(self: &Arc<Self>) -> Result<Arc<OpenFile>> {
        let mut open = lock(&self.open);
        if let Some(open) = open.as_ref() {
            if !self.used.load(Ordering::Relaxed) {
                self.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(open));
        }
        let opened = match OpenFile::open(&self.path, self.byte_len) {
            Err(error) if OUT_OF_DESCRIPTORS.contains(&error.details().os_error) => {
                self.residents.close_all();
                OpenFile::open(&self.path, self.byte_len)
            }
            result => result,
        };
        let opened = Arc::new(opened?);
        *open = Some(Arc::clone(&opened));
        // Whoever closes files locks the line first and a file then, so this file must be let go before.
        drop(open);
        self.residents.admit(self);
        Ok(opened)
    }

    /// Reads bytes from this place on, without a map.
    ///
    /// # Errors
    /// `Format` where the file ends before or has become smaller; `NotFound` or `Io` as the system says.
    pub fn read_at(self: &Arc<Self>, place: u64, into: &mut [u8]) -> Result<()> {
        self.read_pieces(into.len(), |_| place, into)
    }

    /// Fills `into` with pieces of `len` bytes, the k-th from `place(k)` on, without a map.
    ///
    /// # Errors
    /// Those of [`StoredFile::read_at`].
    pub fn read_pieces(
        self: &Arc<Self>,
        len: usize,
        place: impl Fn(usize) -> u64,
        into: &mut [u8],
    ) -> Result<()> {
        let open = self.open()?;
        open.check()?;
        let pieces = into.chunks_mut(len.max(1)).enumerate();
        pieces.map(|(number, piece)| open.read_at(place(number), piece)).collect()
    }
}

/// The open files in line: the first is closed next, unless it was read since it was last looked at.
///
/// This second chance keeps the files that are read again and again, as a list by last use would, while a
/// read of an open file touches nothing that all files share.
#[derive(Debug)]
struct Residents {
    most: usize,
    line: Mutex<VecDeque<Weak<StoredFile>>>,
}

impl Residents {
    /// Lines an open file up, closing others where there are too many.
    fn admit(&self, file: &Arc<StoredFile>) {
        let mut line = lock(&self.line);
        line.push_back(Arc::downgrade(file));
        while line.len() > self.most {
            let Some(first) = line.pop_front() else { return };
            let Some(known) = first.upgrade() else { continue };
            if known.used.swap(false, Ordering::Relaxed) {
                line.push_back(first);
            } else {
                lock(&known.open).take();
            }
        }
    }

    /// Closes all files that stand in line.
    fn close_all(&self) {
        // A file that is just being opened, perhaps by the very caller, does not stand in line yet.
        for file in lock(&self.line).drain(..) {
            if let Some(file) = file.upgrade() {
                lock(&file.open).take();
            }
        }
    }
}

fn lock<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn many(folder: &Path, count: usize) -> Vec<PathBuf> {
        let paths = (0..count).map(|number| {
            let path = folder.join(format!("{number}"));
            std::fs::write(&path, [number as u8; 100]).unwrap();
            path
        });
        paths.collect()
    }

    fn open_count(files: &[Arc<StoredFile>]) -> usize {
        files.iter().filter(|file| lock(&file.open).is_some()).count()
    }

    #[test]
    fn no_more_files_are_open_than_the_limit_and_each_still_reads() {
        let folder = tempfile::tempdir().unwrap();
        for io in [Io::Map, Io::Positional] {
            let files = Files::with_limit(io, 5);
            let all: Vec<_> = many(folder.path(), 40).iter().map(|path| files.file(path).unwrap()).collect();
            for round in 0..3 {
                for (number, file) in all.iter().enumerate() {
                    assert_eq!(file.is_mapped(), io == Io::Map);
                    let mut read = [0u8; 3];
                    if io == Io::Map {
                        read.copy_from_slice(&file.open().unwrap().bytes().unwrap()[97..]);
                    } else {
                        file.read_at(97, &mut read).unwrap();
                    }
                    assert_eq!(read, [number as u8; 3], "round {round}");
                    assert!(open_count(&all) <= 5);
                }
            }
            assert_eq!(open_count(&all), 5);
        }
    }

    #[test]
    fn a_file_that_is_read_again_and_again_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::with_limit(Io::Map, 4);
        let all: Vec<_> = many(folder.path(), 30).iter().map(|path| files.file(path).unwrap()).collect();
        let first = all[0].open().unwrap();
        for file in &all[1..] {
            assert!(Arc::ptr_eq(&first, &all[0].open().unwrap()));
            file.open().unwrap();
        }
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_closed_is_a_format_error_too() {
        let folder = tempfile::tempdir().unwrap();
        let paths = many(folder.path(), 3);
        let files = Files::with_limit(Io::Map, 1);
        let all: Vec<_> = paths.iter().map(|path| files.file(path).unwrap()).collect();
        all.iter().for_each(|file| drop(file.open().unwrap()));
        std::fs::File::options().write(true).open(&paths[0]).unwrap().set_len(99).unwrap();
        let error = all[0].open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.message().contains("truncated to 99 bytes while in use, it had 100"), "{error}");
        assert_eq!(files.file(&paths[0]).unwrap().open().unwrap().bytes().unwrap().len(), 99);
    }

    #[test]
    fn threads_that_open_and_close_each_others_files_neither_hang_nor_exceed_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::with_limit(Io::Map, 3);
        let all: Vec<_> = many(folder.path(), 12).iter().map(|path| files.file(path).unwrap()).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (all, residents) = (&all, &files.residents);
                scope.spawn(move || {
                    for step in 0..2000 {
                        let number = (step * (thread + 1)) % all.len();
                        let open = all[number].open().unwrap();
                        assert_eq!(open.bytes().unwrap()[0], number as u8);
                        if step % 500 == 0 {
                            residents.close_all();
                        }
                    }
                });
            }
        });
        assert!(open_count(&all) <= 3, "{}", open_count(&all));
    }

    #[test]
    fn all_volumes_of_a_file_share_it_and_it_is_forgotten_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let paths = many(folder.path(), 1);
        let files = Files::new(Io::Auto);
        let file = files.file(&paths[0]).unwrap();
        assert!(Arc::ptr_eq(&file, &files.file(&paths[0]).unwrap()));
        file.open().unwrap();
        let open = Arc::downgrade(&file.open().unwrap());
        drop(file);
        assert!(open.upgrade().is_none());
        assert_eq!(files.file(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
