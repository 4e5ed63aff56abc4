//! Folders of volume files, in the three ways that people arrange them.
//!
//! * `<category>/<subject>.<ext>`, where a subfolder is called "images", "labels" or the like. Each other
//!   subfolder ("T1", "T2") is an entry of the images.
//! * `<subject>/<entry>.<ext>`, deeper folders included: BIDS, BraTS. Entries whose names contain the word
//!   label, labels, seg, mask, gt or dseg are labels, the others images.
//! * `<subject>.<ext>`: each file is a subject.
//!
//! Order is that of the names. Files that are no volumes, by content and by name, are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::hdf5::{self, Hdf5File};
use crate::store::open::{head, is_volume, is_volume_folder};
use crate::store::{Choice, Context, Dataset, Entry, Subject, medsegpy, volume};

/// The words that make an entry or a category one of labels.
const LABEL_WORDS: [&str; 12] = [
    "label",
    "labels",
    "labelstr",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "dseg",
    "mask",
    "masks",
    "gt",
    "annotations",
];
/// The words that make a folder a category of images.
const IMAGE_WORDS: [&str; 8] =
    ["image", "images", "imagestr", "img", "imgs", "volumes", "scans", "intensities"];
/// The folders of a BIDS data set that hold no subject.
const BIDS_OTHERS: [&str; 3] = ["code", "derivatives", "sourcedata"];
/// How deep below its own folder a subject's files may lie.
const MOST_DEPTH: usize = 4;

/// Opens a folder of volume files.
pub(super) fn open(path: &Path, context: Context) -> Result<Dataset> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for item in list(path)? {
        if is_volume_folder(&item) {
            files.push(item);
        } else if item.is_dir() {
            folders.push(item);
        } else if is_volume(&item)? {
            files.push(item);
        }
    }
    let mut dataset = Dataset::in_context(context);
    if folders.iter().any(|folder| has_word(&name(folder), &[&LABEL_WORDS[..], &IMAGE_WORDS[..]].concat())) {
        add_categories(&mut dataset, &folders)?;
    } else {
        add_folders(&mut dataset, &folders)?;
    }
    if dataset.subjects().is_empty() {
        for file in &files {
            let subject = single(file, dataset.context())?;
            dataset.add_subject(subject).map_err(|error| error.in_file(file))?;
        }
    }
    if dataset.subjects().is_empty() {
        let text = "the folder has no volumes: expected files of HDF5, npy, npz, b2nd, Zarr or NIfTI as <subject>.<ext>, \
                    <subject>/<entry>.<ext> or images/<subject>.<ext> beside labels/<subject>.<ext>, an \
                    nnU-Net data set, or a manifest.json";
        return Err(Error::not_found(text).in_file(path));
    }
    Ok(dataset)
}

/// The subject of one file.
pub(super) fn single(path: &Path, context: &Context) -> Result<Subject> {
    if !path.is_dir() && hdf5::knows(&head(path)?) {
        let file = Hdf5File::open(path)?;
        if medsegpy::knows_scan(&file) {
            return medsegpy::open_scan(&file, context);
        }
    }
    let name = stem(path);
    let volume = volume(path, &Choice::default(), context)?;
    let mut subject = Subject::new(name.clone());
    context.add(&mut subject, "images", Entry::new(name, volume))?;
    Ok(subject)
}

/// `<category>/<subject>.<ext>`.
fn add_categories(dataset: &mut Dataset, folders: &[PathBuf]) -> Result<()> {
    let mut subjects: BTreeMap<String, Vec<(String, String, PathBuf)>> = BTreeMap::new();
    let mut sets: Vec<(String, BTreeSet<String>)> = Vec::new();
    for folder in folders {
        let own = name(folder);
        let is_kind = has_word(&own, &LABEL_WORDS) || has_word(&own, &IMAGE_WORDS);
        let category = if is_kind { own.clone() } else { "images".to_owned() };
        let mut stems = BTreeSet::new();
        for file in volumes(folder, 0)? {
            let id = stem(&file);
            stems.insert(id.clone());
            subjects.entry(id).or_default().push((category.clone(), own.clone(), file));
        }
        if !stems.is_empty() {
            sets.push((own, stems));
        }
    }
    if let [(first, one), others @ ..] = sets.as_slice() {
        let apart = others.iter().find(|(_, other)| one.is_disjoint(other));
        if let Some((second, other)) = apart {
            let example = |set: &BTreeSet<String>| set.first().cloned().unwrap_or_default();
            return Err(Error::argument(format!(
                "the folders \"{first}\" and \"{second}\" share no file name, so their files cannot be \
                 joined: for instance \"{}\" and \"{}\"",
                example(one),
                example(other)
            ))
            .in_file(folders.first().and_then(|folder| folder.parent()).unwrap_or(Path::new(""))));
        }
    }
    for (id, volumes_of) in subjects {
        let mut subject = Subject::new(id);
        for (category, entry, path) in volumes_of {
            let volume = volume(&path, &Choice::default(), dataset.context())?;
            dataset.context().add(&mut subject, &category, Entry::new(entry, volume))?;
        }
        dataset.add_subject(subject)?;
    }
    Ok(())
}

/// `<subject>/<entry>.<ext>`.
fn add_folders(dataset: &mut Dataset, folders: &[PathBuf]) -> Result<()> {
    let is_bids = folders.iter().any(|folder| name(folder).starts_with("sub-"));
    for folder in folders {
        let id = name(folder);
        if is_bids && BIDS_OTHERS.contains(&id.as_str()) {
            continue;
        }
        let files = volumes(folder, 0)?;
        if files.is_empty() {
            continue;
        }
        let mut subject = Subject::new(id.clone());
        let short = |file: &PathBuf| {
            let stem = stem(file);
            let rest = stem.strip_prefix(&id).map(|rest| rest.trim_start_matches(['_', '-', '.', ' ']));
            rest.filter(|rest| !rest.is_empty()).unwrap_or(&stem).to_owned()
        };
        let named = files.into_iter().map(|file| (short(&file), file));
        // Images come first whatever their names, as the first volume gives the subject its grid.
        let (labels, images): (Vec<_>, Vec<_>) = named.partition(|(name, _)| has_word(name, &LABEL_WORDS));
        for (category, files) in [("images", images), ("labels", labels)] {
            for (short, file) in files {
                let known = subject
                    .category(category)
                    .is_ok_and(|category| category.entries.iter().any(|entry| entry.name() == short));
                // The same name in two deeper folders: the folder's name tells them apart.
                let entry = match file.parent().map(name) {
                    Some(parent) if known => format!("{parent}_{short}"),
                    _ => short,
                };
                let volume = volume(&file, &Choice::default(), dataset.context())?;
                dataset.context().add(&mut subject, category, Entry::new(entry, volume))?;
            }
        }
        dataset.add_subject(subject)?;
    }
    Ok(())
}

/// The volume files in a folder and below it, in order.
fn volumes(folder: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for item in list(folder)? {
        if is_volume_folder(&item) {
            found.push(item);
        } else if item.is_dir() {
            if depth < MOST_DEPTH {
                found.extend(volumes(&item, depth + 1)?);
            }
        } else if is_volume(&item)? {
            found.push(item);
        }
    }
    Ok(found)
}

/// What is in a folder, sorted by name, without what is hidden.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |cause| Error::io(folder, cause);
    let mut items = Vec::new();
    for item in std::fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        if !name(&path).starts_with('.') {
            items.push(path);
        }
    }
    items.sort();
    Ok(items)
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The name of a file without the ending of its format, ".nii.gz" being one.
pub(super) fn stem(path: &Path) -> String {
    let name = name(path);
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    match plain.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => plain.to_owned(),
    }
}

/// Whether one of these words stands in a name, by itself.
fn has_word(name: &str, words: &[&str]) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_lose_the_ending_of_the_format_only() {
        for (path, wanted) in [
            ("a/sub-01_T1w.nii.gz", "sub-01_T1w"),
            ("case.1.npy", "case.1"),
            ("x.h5", "x"),
            ("plain", "plain"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(stem(Path::new(path)), wanted);
        }
    }

    #[test]
    fn words_stand_by_themselves() {
        assert!(has_word("BraTS20_seg", &LABEL_WORDS));
        assert!(has_word("space-T1w_desc-lesion_dseg", &LABEL_WORDS));
        assert!(has_word("GT", &LABEL_WORDS));
        assert!(!has_word("unmasked_segway", &LABEL_WORDS));
    }
}
