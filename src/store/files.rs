//! The files of a dataset: opened when they are read, a bounded number of them at a time.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::error::{Error, Result};
use crate::store::hdf5::Handles;
use crate::store::moment::{Looked, Moment};
use crate::store::slide::OpenSlides;
use crate::sys::{FileMap, OpenFile, descriptor_limit, is_network_file, lock};

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
const OPEN_FILES: (usize, usize) = (8, 4096);
/// The part of the process's descriptors that one dataset's open files take: 256 of the usual 1024, so that
/// a few datasets, a format's library and the host live beside each other.
const SHARE_OF_DESCRIPTORS: usize = 4;
/// The most files that a dataset keeps mapped, which takes no descriptor; Linux lets a process map 65530 areas.
///
/// So many, because a map that is made anew for a sample costs it three times its copy: page faults.
const MOST_MAPS: usize = 16384;
/// The system's numbers for a process or a machine that has no descriptor left.
const OUT_OF_DESCRIPTORS: [i32; 2] = [libc::EMFILE, libc::ENFILE];

/// The files of a dataset.
#[derive(Debug)]
pub struct Files {
    io: Io,
    known: Mutex<HashMap<PathBuf, Weak<StoredFile>>>,
    lines: Arc<Lines>,
    /// The datasets that a format's library keeps open.
    pub(super) hdf5: Handles,
    /// The open slides.
    pub(super) slides: OpenSlides,
}

impl Files {
    /// Files that are read this way.
    pub fn new(io: Io) -> Self {
        let (fewest, most) = OPEN_FILES;
        let share = descriptor_limit().map_or(most, |all| all / SHARE_OF_DESCRIPTORS);
        Self::with_limits(io, share.clamp(fewest, most), MOST_MAPS)
    }

    /// Files that are read this way, of which this many are open, and this many mapped, at a time.
    fn with_limits(io: Io, open: usize, mapped: usize) -> Self {
        let lines = Lines { open: Line::new(Kind::Open, open), mapped: Line::new(Kind::Mapped, mapped) };
        Self {
            io,
            known: Mutex::default(),
            lines: Arc::new(lines),
            hdf5: Handles::default(),
            slides: OpenSlides::default(),
        }
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
            resident: Mutex::default(),
            looked: Looked::default(),
            used: Default::default(),
            lines: Arc::clone(&self.lines),
        });
        known.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }
}

/// One file, opened or mapped when it is read, and closed or unmapped when there are too many.
#[derive(Debug)]
pub struct StoredFile {
    path: PathBuf,
    /// Its size when it was first looked at: below it, the file is truncated.
    byte_len: u64,
    mapped: bool,
    resident: Mutex<Resident>,
    /// When its size was looked at.
    looked: Looked,
    /// Whether it was used since it was last looked at in each line.
    used: [AtomicBool; 2],
    lines: Arc<Lines>,
}

/// What there is of a file.
#[derive(Debug, Default)]
struct Resident {
    open: Option<Arc<OpenFile>>,
    map: Option<Arc<FileMap>>,
}

impl StoredFile {
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes that the file had when it was first looked at.
    pub fn byte_len(&self) -> u64 {
        self.byte_len
    }

    /// Whether its bytes come through a map.
    pub fn is_mapped(&self) -> bool {
        self.mapped
    }

    /// The file as memory, mapped now or kept from before, after a check that it still has all its bytes,
    /// which is made once in a moment.
    ///
    /// # Errors
    /// `Format` where it has become smaller; `NotFound` or `Io` where it cannot be mapped.
    pub fn map(self: &Arc<Self>, moment: Moment) -> Result<Arc<FileMap>> {
        let resident = lock(&self.resident);
        if let Some(map) = resident.map.clone() {
            if self.looked.at(moment) {
                self.note_use();
                return Ok(map);
            }
            let open = resident.open.clone();
            drop(resident);
            let current = match open {
                Some(open) => open.check().map(|()| true)?,
                None => map.is_current()?,
            };
            if current {
                self.looked.note(moment);
                self.note_use();
                return Ok(map);
            }
            // Another file has taken the name, and the old one may lose its bytes unseen.
            lock(&self.resident).map.take_if(|known| Arc::ptr_eq(known, &map));
        } else {
            drop(resident);
        }
        let open = self.open()?;
        let mut resident = lock(&self.resident);
        if let Some(map) = &resident.map {
            return Ok(Arc::clone(map));
        }
        let map = Arc::new(open.map()?);
        resident.map = Some(Arc::clone(&map));
        drop(resident);
        self.lines.mapped.admit(self);
        Ok(map)
    }

    /// The open file, opened now or kept from before.
    fn open(self: &Arc<Self>) -> Result<Arc<OpenFile>> {
        let mut resident = lock(&self.resident);
        if let Some(open) = &resident.open {
            self.note_use();
            return Ok(Arc::clone(open));
        }
        let opened = match OpenFile::open(&self.path, self.byte_len) {
            Err(error) if OUT_OF_DESCRIPTORS.contains(&error.details().os_error) => {
                self.lines.open.dismiss_all();
                OpenFile::open(&self.path, self.byte_len)
            }
            result => result,
        };
        let opened = Arc::new(opened?);
        resident.open = Some(Arc::clone(&opened));
        // Whoever dismisses files locks the line first and a file then, so this one must be let go before.
        drop(resident);
        self.lines.open.admit(self);
        Ok(opened)
    }

    fn note_use(&self) {
        for used in &self.used {
            if !used.load(Ordering::Relaxed) {
                used.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Asks the system to read `len` bytes at each of these places ahead; nothing depends on it but time.
    pub fn will_need(self: &Arc<Self>, len: u64, places: impl Iterator<Item = u64>) {
        if self.mapped {
            if let Ok(map) = self.map(Moment::default()) {
                places.for_each(|place| map.will_need(place, len));
            }
        } else if let Ok(open) = self.open() {
            places.for_each(|place| open.will_need(place, len));
        }
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
        let mut pieces = into.chunks_mut(len.max(1)).enumerate();
        pieces.try_for_each(|(number, piece)| open.read_at(place(number), piece))
    }
}

/// The open files in line, and the mapped ones.
#[derive(Debug)]
struct Lines {
    open: Line,
    mapped: Line,
}

/// What a line's files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Mapped,
}

/// Files in line: the first is dismissed next, unless it was used since it was last looked at.
///
/// This second chance keeps the files that are read again and again, as a list by last use would, while a
/// read touches nothing that all files share. A file stands in line as long as it holds what the line is
/// about.
#[derive(Debug)]
struct Line {
    kind: Kind,
    most: usize,
    files: Mutex<VecDeque<Weak<StoredFile>>>,
}

impl Line {
    fn new(kind: Kind, most: usize) -> Self {
        Self { kind, most, files: Mutex::default() }
    }

    /// Lines a file up, dismissing others where there are too many.
    fn admit(&self, file: &Arc<StoredFile>) {
        let mut files = lock(&self.files);
        files.push_back(Arc::downgrade(file));
        while files.len() > self.most {
            let Some(first) = files.pop_front() else { return };
            let Some(known) = first.upgrade() else { continue };
            let [open, mapped] = &known.used;
            let used = if self.kind == Kind::Open { open } else { mapped };
            if used.swap(false, Ordering::Relaxed) {
                files.push_back(first);
            } else {
                self.dismiss(&known);
            }
        }
    }

    /// Dismisses all files that stand in line.
    fn dismiss_all(&self) {
        // A file that is just being opened, perhaps by the very caller, does not stand in line yet.
        lock(&self.files).drain(..).filter_map(|file| file.upgrade()).for_each(|file| self.dismiss(&file));
    }

    fn dismiss(&self, file: &StoredFile) {
        let mut resident = lock(&file.resident);
        match self.kind {
            Kind::Open => drop(resident.open.take()),
            Kind::Mapped => drop(resident.map.take()),
        }
    }
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

    fn counts(files: &[Arc<StoredFile>]) -> (usize, usize) {
        let count =
            |of: &dyn Fn(&Resident) -> bool| files.iter().filter(|file| of(&lock(&file.resident))).count();
        (count(&|resident| resident.open.is_some()), count(&|resident| resident.map.is_some()))
    }

    fn read(file: &Arc<StoredFile>) -> [u8; 3] {
        let mut bytes = [0u8; 3];
        if file.is_mapped() {
            bytes.copy_from_slice(&file.map(Moment::default()).unwrap().bytes()[97..]);
        } else {
            file.read_at(97, &mut bytes).unwrap();
        }
        bytes
    }

    #[test]
    fn no_more_files_are_open_or_mapped_than_the_limits_and_each_still_reads() {
        let folder = tempfile::tempdir().unwrap();
        let paths = many(folder.path(), 40);
        for (io, expected) in [(Io::Map, (5, 12)), (Io::Positional, (5, 0))] {
            let files = Files::with_limits(io, 5, 12);
            let all: Vec<_> = paths.iter().map(|path| files.file(path).unwrap()).collect();
            for _ in 0..3 {
                for (number, file) in all.iter().enumerate() {
                    assert_eq!(file.is_mapped(), io == Io::Map);
                    file.will_need(50, [0, 50].into_iter());
                    assert_eq!(read(file), [number as u8; 3]);
                    let (open, mapped) = counts(&all);
                    assert!(open <= 5 && mapped <= 12, "{open} {mapped}");
                }
            }
            assert_eq!(counts(&all), expected);
        }
    }

    #[test]
    fn a_file_that_is_read_again_and_again_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::with_limits(Io::Map, 4, 4);
        let all: Vec<_> = many(folder.path(), 30).iter().map(|path| files.file(path).unwrap()).collect();
        let (open, map) = (all[0].open().unwrap(), all[0].map(Moment::default()).unwrap());
        for file in &all[1..] {
            assert!(Arc::ptr_eq(&map, &all[0].map(Moment::default()).unwrap()));
            assert!(Arc::ptr_eq(&open, &all[0].open().unwrap()));
            file.map(Moment::default()).unwrap();
        }
    }

    #[test]
    fn a_file_that_shrinks_is_a_format_error_whether_it_is_open_mapped_or_neither() {
        for (open, mapped) in [(8, 8), (1, 8), (1, 1)] {
            let folder = tempfile::tempdir().unwrap();
            let paths = many(folder.path(), 3);
            let files = Files::with_limits(Io::Map, open, mapped);
            let all: Vec<_> = paths.iter().map(|path| files.file(path).unwrap()).collect();
            all.iter().for_each(|file| drop(file.map(Moment::default()).unwrap()));
            assert_eq!(counts(&all), (open.min(3), mapped.min(3)));
            std::fs::File::options().write(true).open(&paths[0]).unwrap().set_len(99).unwrap();
            let error = all[0].map(Moment::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains("truncated to 99 bytes while in use, it had 100"), "{error}");
            assert_eq!(files.file(&paths[0]).unwrap().map(Moment::default()).unwrap().bytes().len(), 99);
        }
    }

    #[test]
    fn a_map_without_its_descriptor_is_made_anew_where_another_file_takes_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let paths = many(folder.path(), 2);
        let files = Files::with_limits(Io::Map, 1, 8);
        let all: Vec<_> = paths.iter().map(|path| files.file(path).unwrap()).collect();
        all.iter().for_each(|file| drop(file.map(Moment::default()).unwrap()));
        std::fs::write(folder.path().join("new"), [77u8; 100]).unwrap();
        std::fs::rename(folder.path().join("new"), &paths[0]).unwrap();
        assert_eq!(read(&all[0]), [77; 3]);
    }

    #[test]
    fn threads_that_dismiss_each_others_files_neither_hang_nor_exceed_the_limits() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::with_limits(Io::Map, 3, 5);
        let all: Vec<_> = many(folder.path(), 12).iter().map(|path| files.file(path).unwrap()).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (all, lines) = (&all, &files.lines);
                scope.spawn(move || {
                    for step in 0..2000 {
                        let number = (step * (thread + 1)) % all.len();
                        assert_eq!(read(&all[number])[0], number as u8);
                        if step % 500 == 0 {
                            lines.open.dismiss_all();
                        }
                    }
                });
            }
        });
        let (open, mapped) = counts(&all);
        assert!(open <= 3 && mapped <= 5, "{open} {mapped}");
    }

    #[test]
    fn all_volumes_of_a_file_share_it_and_it_is_forgotten_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let paths = many(folder.path(), 1);
        let files = Files::new(Io::Auto);
        let file = files.file(&paths[0]).unwrap();
        assert!(Arc::ptr_eq(&file, &files.file(&paths[0]).unwrap()));
        let map = Arc::downgrade(&file.map(Moment::default()).unwrap());
        drop(file);
        assert!(map.upgrade().is_none());
        assert_eq!(files.file(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
