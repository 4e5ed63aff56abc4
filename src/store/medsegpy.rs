//! MedSegPy's three layouts: slice files, one file a scan, and one file of all scans.
//!
//! Slices are `{id}_V{visit}-Aug{augmentation}_{slice}.im` and `.seg`, each with a dataset `data`; scans are
//! files or groups with the datasets `volume` (height, width, depth) and `seg` (height, width, depth,
//! class), or `rms`, `echo1` and `echo2` in place of `volume`. The files carry no geometry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, json};

use crate::error::{Error, Result};
use crate::store::folder::{list, stem};
use crate::store::hdf5::{Hdf5File, Place};
use crate::store::stack::Stack;
use crate::store::{ChannelPlace, Choice, Context, Dataset, Entry, Subject, Volume, volume};

/// The datasets that hold images, of which a scan has some.
const IMAGES: [&str; 4] = ["volume", "rms", "echo1", "echo2"];

/// The slices of one scan by number: image file and label file.
type Slices = BTreeMap<u64, (Option<PathBuf>, Option<PathBuf>)>;

/// Whether a folder has slice files.
pub(super) fn knows_folder(path: &Path) -> Result<bool> {
    Ok(list(path)?.iter().any(|path| slice_of(path).is_some()))
}

/// Whether a file is one scan.
pub(super) fn knows_scan(file: &Hdf5File) -> bool {
    file.has_dataset("seg") && IMAGES.iter().any(|name| file.has_dataset(name))
}

/// Whether all that a file has is scans, each in a group.
pub(super) fn knows_scans(file: &Hdf5File) -> bool {
    let is_scan = |group: &String| IMAGES.iter().any(|name| file.has_dataset(&format!("{group}/{name}")));
    file.names("/").is_ok_and(|names| !names.is_empty() && names.iter().all(is_scan))
}

/// Opens a file of scans in groups.
pub(super) fn open_scans(file: &Hdf5File, context: Context) -> Result<Dataset> {
    let mut dataset = Dataset::in_context(context);
    for group in file.names("/")? {
        let mut subject = named(&group);
        add_scan(file, &format!("{group}/"), &mut subject, dataset.context())?;
        dataset.add_subject(subject)?;
    }
    Ok(dataset)
}

/// The subject of a file that is one scan.
pub(super) fn open_scan(file: &Hdf5File, context: &Context) -> Result<Subject> {
    let mut subject = named(&stem(file.path()));
    add_scan(file, "", &mut subject, context)?;
    Ok(subject)
}

/// Opens a folder of slice files.
pub(super) fn open_folder(path: &Path, context: Context) -> Result<Dataset> {
    let mut scans: BTreeMap<String, Slices> = BTreeMap::new();
    for file in list(path)? {
        let Some((scan, number)) = slice_of(&file) else { continue };
        let pair = scans.entry(scan).or_default().entry(number).or_default();
        match file.extension().is_some_and(|extension| extension == "seg") {
            true => pair.1 = Some(file),
            false => pair.0 = Some(file),
        }
    }
    let mut dataset = Dataset::in_context(context);
    for (scan, slices) in scans {
        let mut subject = named(&scan);
        let about = |error: Error| error.at(format!("scan \"{scan}\"")).in_file(path);
        let (images, labels) = complete(&slices).map_err(about)?;
        if !images.is_empty() {
            let volume = stack(images, dataset.context())?;
            add_channels(&mut subject, ("images", "volume"), &volume, dataset.context())?;
        }
        if !labels.is_empty() {
            let volume = stack(labels, dataset.context())?;
            add_channels(&mut subject, ("labels", "class"), &volume, dataset.context())?;
        }
        dataset.add_subject(subject)?;
    }
    Ok(dataset)
}

/// The files of all slices in order, none of which may be missing.
fn complete(slices: &Slices) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let first = slices.keys().next().copied().unwrap_or_default();
    if let Some((missing, number)) =
        (first..).zip(slices.keys()).find(|(expected, number)| expected != *number)
    {
        return Err(Error::format(format!("slice {missing} is missing, though there is slice {number}")));
    }
    let images: Vec<_> = slices.values().filter_map(|(image, _)| image.clone()).collect();
    let labels: Vec<_> = slices.values().filter_map(|(_, label)| label.clone()).collect();
    for (kind, found) in [("image", images.len()), ("label", labels.len())] {
        if found != 0 && found != slices.len() {
            let all = slices.len();
            return Err(Error::format(format!("{found} of {all} slices have an {kind} file")));
        }
    }
    Ok((images, labels))
}

/// The slices as one volume.
fn stack(paths: Vec<PathBuf>, context: &Context) -> Result<Arc<dyn Volume>> {
    let mut choice = Choice { inner: Some("data".to_owned()), channel: ChannelPlace::Unsaid };
    if let Some(first) = paths.first() {
        // (height, width, channel) is three axes, too, and only the last extent tells.
        let shape = volume(first, &choice, context)?.header().shape;
        if shape.ndim() == 3 && shape.extent(2) != 1 {
            choice.channel = ChannelPlace::Last;
        }
    }
    Ok(Arc::new(Stack::open(paths, choice, context)?))
}

/// Adds the datasets of one scan.
fn add_scan(file: &Hdf5File, group: &str, subject: &mut Subject, context: &Context) -> Result<()> {
    for name in IMAGES {
        let inner = format!("{group}{name}");
        if file.has_dataset(&inner) {
            let place = Place { inner: &inner, channel: ChannelPlace::Unsaid, affine: None };
            let volume = file.volume(place, context)?;
            add_channels(subject, ("images", name), &volume, context)?;
        }
    }
    let inner = format!("{group}seg");
    if file.has_dataset(&inner) {
        let place = Place { inner: &inner, channel: ChannelPlace::Unsaid, affine: None };
        let volume = file.volume(place, context)?;
        add_channels(subject, ("labels", "class"), &volume, context)?;
    }
    let stats = format!("{group}stats");
    if file.has_group(&stats) {
        let mut all = Map::new();
        for key in file.names(&stats)? {
            let mut values = Map::new();
            for name in file.names(&format!("{stats}/{key}"))? {
                let (_, numbers) = file.numbers(&format!("{stats}/{key}/{name}"))?;
                values.insert(name, json!(numbers.first()));
            }
            all.insert(key, values.into());
        }
        subject.set_attribute("stats", all.into());
    }
    Ok(())
}

/// Adds a volume's channels: one bears the name, several are numbered; classes are numbered always.
fn add_channels(
    subject: &mut Subject,
    (category, name): (&str, &str),
    volume: &Arc<dyn Volume>,
    context: &Context,
) -> Result<()> {
    let channels = volume.header().channels;
    for number in 0..channels {
        let numbered = channels > 1 || name == "class";
        let entry = if numbered { format!("{name}_{number}") } else { name.to_owned() };
        context.add(subject, category, Entry::channel(entry, Arc::clone(volume), number)?)?;
    }
    Ok(())
}

/// A subject of this scan, with what the scan's name says.
fn named(scan: &str) -> Subject {
    let mut subject = Subject::new(scan);
    subject.set_attribute("scan_id", json!(scan));
    let (id, rest) = digits(scan);
    let Some(rest) = rest.strip_prefix("_V").filter(|_| !id.is_empty()) else { return subject };
    let (visit, rest) = digits(rest);
    subject.set_attribute("subject_id", json!(id));
    if let Ok(visit) = visit.parse::<u64>() {
        subject.set_attribute("time_point", json!(visit));
    }
    if let Some(Ok(augmentation)) = rest.strip_prefix("-Aug").map(|rest| digits(rest).0.parse::<u64>()) {
        subject.set_attribute("augmentation", json!(augmentation));
    }
    subject
}

/// The scan and the number of a slice file, told by its name.
fn slice_of(path: &Path) -> Option<(String, u64)> {
    if !path.extension().is_some_and(|extension| extension == "im" || extension == "seg") {
        return None;
    }
    let name = path.file_stem()?.to_str()?;
    let mut rest = name;
    for (place, separator) in ["_V", "-Aug", "_", ""].into_iter().enumerate() {
        let (number, after) = digits(rest);
        if number.is_empty() {
            return None;
        }
        if place == 3 {
            let scan = name.get(..name.len() - rest.len() - 1)?;
            return after.is_empty().then(|| number.parse().ok().map(|slice| (scan.to_owned(), slice)))?;
        }
        rest = after.strip_prefix(separator)?;
    }
    None
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_names_are_scan_and_number() {
        let slice = |name: &str| slice_of(Path::new(name));
        assert_eq!(slice("a/0000001_V02-Aug03_017.im"), Some(("0000001_V02-Aug03".into(), 17)));
        assert_eq!(slice("0000001_V02-Aug03_017.seg").unwrap().1, 17);
        for other in ["0000001_V02-Aug03.im", "x_V1-Aug1_1.im", "1_V1-Aug1_1.h5", "1_V1-Aug1_1b.im", "1_V.im"]
        {
            assert_eq!(slice(other), None, "{other}");
        }
        let subject = named("0000001_V02-Aug03");
        assert_eq!(subject.attributes()["time_point"], 2);
        assert_eq!(subject.attributes()["augmentation"], 3);
    }
}
