//! The files that the checks read, as pairs of path and text.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// One file of the repository; the path is relative to its top and uses `/`.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// A made-up file for trying a check.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The room that the file lies in: `feed` for `src/feed/ring.rs`, `random` for `src/random.rs`.
    pub(crate) fn room(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first)).filter(|room| *room != "lib")
    }

    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }
}

/// The top folder of the repository.
pub(crate) fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All text files below one folder of the repository, in the order of their paths.
pub(crate) fn files_below(folder: &str) -> Result<Vec<File>, Box<dyn Error>> {
    let mut files = Vec::new();
    if top().join(folder).is_dir() {
        walk(&top().join(folder), &mut files)?;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// All Rust files of the crate itself.
pub(crate) fn crate_files() -> Result<Vec<File>, Box<dyn Error>> {
    let files: Vec<File> =
        files_below("src")?.into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    if files.is_empty() { Err("no Rust file found below src".into()) } else { Ok(files) }
}

/// All files that people write by hand, in every folder that holds such.
pub(crate) fn written_files() -> Result<Vec<File>, Box<dyn Error>> {
    let mut files = Vec::new();
    for folder in ["src", "include", "bindings", "tests", "benches", ".ci"] {
        files.extend(files_below(folder)?);
    }
    for name in ["x", "build.rs", "CMakeLists.txt"] {
        files.push(File { path: name.to_owned(), text: fs::read_to_string(top().join(name))? });
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<File>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "__pycache__") {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(top())?.to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[test]
fn a_room_is_the_first_name_below_src() {
    assert_eq!(File::new("src/feed/ring.rs", "").room(), Some("feed"));
    assert_eq!(File::new("src/random.rs", "").room(), Some("random"));
    assert_eq!(File::new("src/lib.rs", "").room(), None);
    assert_eq!(File::new("tests/header.rs", "").room(), None);
}
