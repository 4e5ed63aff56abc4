//! nnU-Net's folders: raw data sets, and those that its preprocessing has made.
//!
//! Source: nnU-Net v2, `documentation/dataset_format.md`; the Medical Segmentation Decathlon's folders are
//! of the same kind. Of preprocessed folders `.b2nd`, `.npz` and `.npy` are read; `.pkl` is code and never
//! opened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::folder::{list, name};
use crate::store::{ChannelPlace, Choice, Context, Dataset, Entry, Subject, Volume, volume};
use crate::sys::read_file;

/// What `dataset.json` says.
#[derive(Debug, Default)]
struct Description {
    channels: BTreeMap<usize, String>,
    labels: Option<Value>,
    ending: Option<String>,
    cases: Option<serde_json::Map<String, Value>>,
}

/// The endings of preprocessed cases whose labels have a file of their own, the first one found being read.
const PAIRED: [&str; 2] = ["npy", "b2nd"];

/// The image files of each case by channel; a file without a channel number holds them all.
type Cases = BTreeMap<String, BTreeMap<Option<usize>, PathBuf>>;

/// Whether a folder is one of nnU-Net's.
pub(super) fn knows(path: &Path) -> Result<bool> {
    Ok(description(path)?.is_some() || !preprocessed_ids(path)?.is_empty())
}

/// Opens a raw or a preprocessed folder.
pub(super) fn open(path: &Path, context: Context) -> Result<Dataset> {
    let has = |folder: &str| path.join(folder).is_dir();
    let own = description(path)?;
    let mut dataset = Dataset::in_context(context);
    match own {
        Some(own) if has("imagesTr") || has("imagesTs") || own.cases.is_some() => {
            add_raw(path, &own, &mut dataset)?;
        }
        own => {
            let folder = preprocessed_folder(path)?;
            let above = folder.parent().unwrap_or(path);
            let description = match own {
                Some(own) => own,
                None => description(above)?.unwrap_or_default(),
            };
            add_preprocessed(&folder, &description, &mut dataset)?;
            for place in [&folder, above] {
                add_folds(place, &mut dataset)?;
            }
        }
    }
    add_folds(path, &mut dataset)?;
    if dataset.subjects().is_empty() {
        return Err(Error::not_found("the nnU-Net folder has no case").in_file(path));
    }
    Ok(dataset)
}

/// `imagesTr`, `labelsTr`, `imagesTs` and, where there is one, `labelsTs`.
fn add_raw(path: &Path, about: &Description, dataset: &mut Dataset) -> Result<()> {
    let ending = about.ending.as_deref().unwrap_or(".nii.gz");
    for (part, split) in [("Tr", "train"), ("Ts", "test")] {
        let (images, labels) = (path.join(format!("images{part}")), path.join(format!("labels{part}")));
        let mut members = Vec::new();
        let cases = match (&about.cases, part) {
            (Some(cases), "Tr") => listed_cases(path, cases),
            _ if images.is_dir() => found_cases(&images, ending)?,
            _ => continue,
        };
        for (id, files) in cases {
            let mut subject = Subject::new(id.clone());
            let expected = about.channels.len();
            if !files.contains_key(&None) && expected != 0 && files.len() != expected {
                let found = files.len();
                let text = format!("case \"{id}\" has {found} channel files, dataset.json names {expected}");
                return Err(Error::format(text).in_file(path));
            }
            for (channel, file) in files {
                let volume = volume(&file, &Choice::default(), dataset.context())?;
                add_image(&mut subject, about, (channel, &volume), dataset.context())?;
            }
            let listed = about.cases.as_ref().filter(|_| part == "Tr").and_then(|cases| cases.get(&id));
            let listed = listed.and_then(|case| case.get("label")).and_then(Value::as_str);
            let label = listed.map_or_else(|| labels.join(format!("{id}{ending}")), |name| path.join(name));
            if part == "Tr" && (labels.is_dir() || listed.is_some()) || label.exists() {
                let volume = volume(&label, &Choice::default(), dataset.context())?;
                dataset.context().add(&mut subject, "labels", Entry::new("seg", volume))?;
            }
            if let Some(names) = &about.labels {
                subject.set_attribute("labels", names.clone());
            }
            members.push(dataset.add_subject(subject).map_err(|error| error.in_file(&images))?);
        }
        if !members.is_empty() {
            dataset.set_split(split, &members)?;
        }
    }
    Ok(())
}

/// The cases of a folder, `{case}_{channel}{ending}`.
fn found_cases(folder: &Path, ending: &str) -> Result<Cases> {
    let mut cases = Cases::new();
    for file in list(folder)? {
        let name = name(&file);
        let Some(base) = name.strip_suffix(ending) else { continue };
        let numbered = base.rsplit_once('_').filter(|(case, number)| {
            !case.is_empty() && number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let (case, channel) = numbered.map_or((base, None), |(case, number)| (case, number.parse().ok()));
        cases.entry(case.to_owned()).or_default().insert(channel, file);
    }
    Ok(cases)
}

/// The cases that dataset.json lists itself.
fn listed_cases(path: &Path, cases: &serde_json::Map<String, Value>) -> Cases {
    let files = |case: &Value| {
        let images = case.get("images").and_then(Value::as_array).into_iter().flatten();
        let paths = images.filter_map(Value::as_str).map(|image| path.join(image));
        paths.enumerate().map(|(channel, path)| (Some(channel), path)).collect()
    };
    cases.iter().map(|(id, case)| (id.clone(), files(case))).collect()
}

/// Adds an image under its channel's name; a file of all channels under all their names.
fn add_image(
    subject: &mut Subject,
    about: &Description,
    (channel, volume): (Option<usize>, &Arc<dyn Volume>),
    context: &Context,
) -> Result<()> {
    let all = volume.header().channels;
    let spread = channel.is_none() && all > 1;
    for number in 0..if spread { all } else { 1 } {
        let place = channel.unwrap_or(number);
        let named = about.channels.get(&place).filter(|name| {
            // Two channels of one name, as in "CT" and "CT", keep their numbers.
            about.channels.values().filter(|other| other == name).count() == 1
        });
        let name = named.cloned().unwrap_or_else(|| format!("channel_{place}"));
        let entry = match spread {
            true => Entry::channel(name, Arc::clone(volume), number)?,
            false => Entry::new(name, Arc::clone(volume)),
        };
        context.add(subject, "images", entry)?;
    }
    Ok(())
}

/// The folder of preprocessed arrays: this one, or the only such one in it.
fn preprocessed_folder(path: &Path) -> Result<PathBuf> {
    if !preprocessed_ids(path)?.is_empty() {
        return Ok(path.to_owned());
    }
    let mut found = Vec::new();
    for item in list(path)? {
        if item.is_dir() && !preprocessed_ids(&item)?.is_empty() {
            found.push(item);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let text = "dataset.json is there, but neither imagesTr nor a folder of preprocessed cases";
            Err(Error::not_found(text).in_file(path))
        }
        _ => {
            let names: Vec<_> = found.iter().map(|path| name(path)).collect();
            let text = format!("open one of the preprocessed configurations: {}", names.join(", "));
            Err(Error::argument(text).in_file(path))
        }
    }
}

/// `<id>.b2nd` with `<id>_seg.b2nd`, `<id>.npy` with `<id>_seg.npy`, or `<id>.npz` with the arrays "data" and
/// "seg".
fn add_preprocessed(folder: &Path, about: &Description, dataset: &mut Dataset) -> Result<()> {
    for id in preprocessed_ids(folder)? {
        let choice =
            |inner: Option<&str>| Choice { inner: inner.map(str::to_owned), channel: ChannelPlace::First };
        let context = dataset.context();
        let pair = PAIRED.into_iter().find_map(|ending| {
            let (images, labels) = (format!("{id}.{ending}"), format!("{id}_seg.{ending}"));
            let (images, labels) = (folder.join(images), folder.join(labels));
            (images.exists() && labels.exists()).then_some((images, labels))
        });
        let (images, labels) = match pair {
            Some((images, labels)) => {
                (volume(&images, &choice(None), context)?, volume(&labels, &choice(None), context)?)
            }
            None => {
                let packed = folder.join(format!("{id}.npz"));
                let open = |member| volume(&packed, &choice(Some(member)), context);
                (open("data")?, open("seg")?)
            }
        };
        let mut subject = Subject::new(id);
        add_image(&mut subject, about, (None, &images), context)?;
        context.add(&mut subject, "labels", Entry::channel("seg", labels, 0)?)?;
        if let Some(names) = &about.labels {
            subject.set_attribute("labels", names.clone());
        }
        dataset.add_subject(subject)?;
    }
    Ok(())
}

/// The ids of a folder's preprocessed cases, sorted.
fn preprocessed_ids(folder: &Path) -> Result<BTreeSet<String>> {
    let names: BTreeSet<String> = list(folder)?.iter().map(|path| name(path)).collect();
    let ids = names.iter().filter_map(|name| {
        let (id, ending) = name.rsplit_once('.')?;
        let whole = match ending {
            paired if PAIRED.contains(&paired) => names.contains(&format!("{id}_seg.{paired}")),
            "npz" => names.contains(&format!("{id}.pkl")),
            _ => false,
        };
        whole.then(|| id.to_owned())
    });
    Ok(ids.collect())
}

/// What a folder's dataset.json says, where it is nnU-Net's.
fn description(folder: &Path) -> Result<Option<Description>> {
    let path = folder.join("dataset.json");
    if !path.is_file() {
        return Ok(None);
    }
    let json = read_json(&path)?;
    let channels = json.get("channel_names").or_else(|| json.get("modality"));
    let labels = json.get("labels").cloned();
    if channels.is_none() && labels.is_none() {
        return Ok(None);
    }
    let mut names = BTreeMap::new();
    for (number, value) in channels.and_then(Value::as_object).into_iter().flatten() {
        if let (Ok(number), Some(value)) = (number.parse(), value.as_str()) {
            names.insert(number, value.to_owned());
        }
    }
    let ending = json.get("file_ending").and_then(Value::as_str).map(str::to_owned);
    let cases = json.get("dataset").and_then(Value::as_object).cloned();
    Ok(Some(Description { channels: names, labels, ending, cases }))
}

/// Reads the folds of a folder's splits_final.json as splits "fold_0/train", "fold_0/validation".
fn add_folds(folder: &Path, dataset: &mut Dataset) -> Result<()> {
    let path = folder.join("splits_final.json");
    if !path.is_file() {
        return Ok(());
    }
    let json = read_json(&path)?;
    let broken = |what: String| Error::format(what).in_file(&path);
    let folds = json.as_array().ok_or_else(|| broken("expected a list of folds".to_owned()))?;
    for (number, fold) in folds.iter().enumerate() {
        for (key, split) in [("train", "train"), ("val", "validation")] {
            let ids = fold.get(key).and_then(Value::as_array);
            let ids = ids.ok_or_else(|| broken(format!("fold {number} has no list \"{key}\"")))?;
            let mut members = Vec::with_capacity(ids.len());
            for id in ids {
                let id = id.as_str().ok_or_else(|| broken(format!("fold {number}: {id} is no case id")))?;
                let place = format!("fold {number}: \"{id}\" is no case of the folder");
                members.push(dataset.find(id).map_err(|_| broken(place))?);
            }
            let name = format!("fold_{number}/{split}");
            dataset.set_split(&name, &members).map_err(|error| broken(error.message().to_owned()))?;
        }
    }
    Ok(())
}

/// Reads a JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value> {
    let text = read_file(path).map_err(|cause| Error::io(path, cause))?;
    let broken = |cause: serde_json::Error| Error::format(format!("no sound JSON: {cause}")).in_file(path);
    serde_json::from_slice(&text).map_err(broken)
}
