//! The JSON manifest: which files, which subjects, which splits.
//!
//! ```json
//! {
//!   "voxfeed_manifest": 1,
//!   "subjects": [
//!     {
//!       "id": "sub-01",
//!       "categories": {
//!         "images": {"T1": "sub-01/t1.nii.gz", "T2": {"file": "all.h5", "dataset": "/sub-01/t2"}},
//!         "labels": {"tumour": {"file": "sub-01/seg.npy", "channel": "first", "index": 0}}
//!       },
//!       "attributes": {"age": 61}
//!     }
//!   ],
//!   "splits": {"train": ["sub-01"]}
//! }
//! ```
//!
//! Files are relative to the manifest's folder. `dataset` names the array in a file of several, or a slide's
//! level, `channel` is where the array keeps its channels ("first", "last", "none"), and `index` takes one of
//! them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::store::nnunet::read_json;
use crate::store::{ChannelPlace, Choice, Context, Dataset, Entry, PendingFile, Subject, volume};
use crate::sys::read_file;

/// The version of the format.
const VERSION: u64 = 1;
/// The key that marks a manifest.
const MARK: &str = "voxfeed_manifest";
/// The names of channel places.
const CHANNELS: [(&str, ChannelPlace); 3] =
    [("first", ChannelPlace::First), ("last", ChannelPlace::Last), ("none", ChannelPlace::None)];

/// Whether a file's first bytes may be a manifest's.
pub(super) fn knows(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    text.trim_ascii_start().starts_with(b"{")
}

/// Whether a file of any JSON means to be a manifest, sound or not.
pub(super) fn is_meant(path: &Path) -> bool {
    let has_mark = |text: &[u8]| text.windows(MARK.len()).any(|part| part == MARK.as_bytes());
    read_file(path).is_ok_and(|text| has_mark(&text))
}

/// Opens a manifest: headers of all its files only.
pub(super) fn open(path: &Path, context: Context) -> Result<Dataset> {
    let json = read_json(path)?;
    let root = path.parent().unwrap_or(Path::new(""));
    read(&json, root, context).map_err(|error| match error.details().path.is_empty() {
        true => error.in_file(path),
        false => error.at(path.display()),
    })
}

fn read(json: &Value, root: &Path, context: Context) -> Result<Dataset> {
    match json.get(MARK) {
        Some(version) if *version == json!(VERSION) => {}
        Some(version) => {
            return Err(Error::unsupported(format!("manifest version {version}, expected {VERSION}")));
        }
        None => return Err(Error::unsupported(format!("JSON, but no manifest: it has no \"{MARK}\""))),
    }
    let whole = object(json, "the manifest", &[MARK, "subjects", "splits"])?;
    let mut dataset = Dataset::in_context(context);
    let subjects = whole.get("subjects").and_then(Value::as_array);
    for (number, item) in subjects.ok_or_else(|| missing("the manifest", "subjects"))?.iter().enumerate() {
        let subject = subject(item, &format!("subjects[{number}]"), root, dataset.context())?;
        dataset.add_subject(subject).map_err(|error| Error::format(error.message()))?;
    }
    if let Some(splits) = whole.get("splits") {
        for (name, ids) in splits.as_object().ok_or_else(|| missing("splits", "names"))? {
            let place = format!("splits: \"{name}\"");
            let ids = ids.as_array().ok_or_else(|| Error::format(format!("{place} is no list of ids")))?;
            let find = |id: &Value| {
                let found = id.as_str().and_then(|id| dataset.find(id).ok());
                found.ok_or_else(|| Error::format(format!("{place}: {id} is no subject's id")))
            };
            let members = ids.iter().map(find).collect::<Result<Vec<_>>>()?;
            dataset.set_split(name, &members).map_err(|error| Error::format(error.message()))?;
        }
    }
    Ok(dataset)
}

fn subject(item: &Value, place: &str, root: &Path, context: &Context) -> Result<Subject> {
    let item = object(item, place, &["id", "categories", "attributes"])?;
    let id = item.get("id").and_then(Value::as_str).ok_or_else(|| missing(place, "id"))?;
    let mut subject = Subject::new(id);
    let categories = item.get("categories").and_then(Value::as_object);
    for (category, entries) in categories.ok_or_else(|| missing(place, "categories"))? {
        let place = format!("{place}: \"{category}\"");
        let entries = entries.as_object();
        let entries = entries.ok_or_else(|| Error::format(format!("{place} is no object of entries")))?;
        for (name, value) in entries {
            let place = format!("{place}: \"{name}\"");
            let entry = entry(name, value, &place, root, context)?;
            context.add(&mut subject, category, entry)?;
        }
    }
    match item.get("attributes") {
        None => {}
        Some(Value::Object(attributes)) => {
            attributes.iter().for_each(|(name, value)| subject.set_attribute(name, value.clone()));
        }
        Some(other) => return Err(Error::format(format!("{place}: attributes are {other}, no object"))),
    }
    Ok(subject)
}

fn entry(name: &str, value: &Value, place: &str, root: &Path, context: &Context) -> Result<Entry> {
    let mut choice = Choice::default();
    let (file, index) = match value {
        Value::String(file) => (file.as_str(), None),
        _ => {
            let value = object(value, place, &["file", "dataset", "channel", "index"])?;
            let text = |key: &str| match value.get(key) {
                None => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(other) => Err(Error::format(format!("{place}: \"{key}\" is {other}, expected a text"))),
            };
            choice.inner = text("dataset")?.map(str::to_owned);
            choice.channel =
                text("channel")?.map_or(Ok(ChannelPlace::Unsaid), |name| channel(name, place))?;
            let index = value.get("index").map(|index| {
                let number = index.as_u64().and_then(|number| usize::try_from(number).ok());
                number
                    .ok_or_else(|| Error::format(format!("{place}: \"index\" is {index}, expected a number")))
            });
            (text("file")?.ok_or_else(|| missing(place, "file"))?, index.transpose()?)
        }
    };
    let volume = volume(&root.join(file), &choice, context)?;
    match index {
        Some(index) => Entry::channel(name, volume, index).map_err(|error| error.at(place)),
        None => Ok(Entry::new(name, volume)),
    }
}

fn channel(name: &str, place: &str) -> Result<ChannelPlace> {
    let found = CHANNELS.iter().find(|(known, _)| *known == name).map(|&(_, place)| place);
    found.ok_or_else(|| {
        Error::format(format!("{place}: \"channel\" is \"{name}\", expected \"first\", \"last\" or \"none\""))
    })
}

/// The members of an object, of which only these are known.
fn object<'a>(value: &'a Value, place: &str, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let members = value.as_object().ok_or_else(|| Error::format(format!("{place} is no object")))?;
    match members.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let known = known.join(", ");
            Err(Error::format(format!("{place}: unknown key \"{key}\", expected one of {known}")))
        }
        None => Ok(members),
    }
}

fn missing(place: &str, key: &str) -> Error {
    Error::format(format!("{place}: \"{key}\" is missing or of the wrong type"))
}

/// Writes a dataset's subjects, files, attributes and splits as a manifest, over an old file of this name.
///
/// Files below the manifest's folder are written relative to it, others with their whole path.
///
/// # Errors
/// `Unsupported` where a volume is in memory or made of several files; `Io` where the file cannot be
/// written.
pub fn save(path: &Path, dataset: &Dataset) -> Result<()> {
    let whole = std::path::absolute(path).map_err(|cause| Error::io(path, cause))?;
    let root = whole.parent().unwrap_or(Path::new("/"));
    let mut subjects = Vec::new();
    for subject in dataset.subjects() {
        let mut categories = Map::new();
        for category in subject.categories() {
            let mut entries = Map::new();
            for entry in &category.entries {
                entries.insert(entry.name().to_owned(), describe(entry, root, dataset.context())?);
            }
            categories.insert(category.name.clone(), entries.into());
        }
        let mut item = Map::new();
        item.insert("id".to_owned(), json!(subject.id()));
        item.insert("categories".to_owned(), categories.into());
        if !subject.attributes().is_empty() {
            item.insert("attributes".to_owned(), subject.attributes().clone().into());
        }
        subjects.push(Value::from(item));
    }
    let id = |&number: &usize| dataset.subject(number).map(|subject| json!(subject.id()));
    let mut splits = Map::new();
    for (name, members) in dataset.splits() {
        splits.insert(name.clone(), members.iter().map(id).collect::<Result<Vec<_>>>()?.into());
    }
    let json = json!({ MARK: VERSION, "subjects": subjects, "splits": splits });
    let pending = PendingFile::beside(path)?;
    std::fs::write(pending.path(), format!("{json:#}\n")).map_err(|cause| Error::io(path, cause))?;
    pending.keep()
}

/// What a manifest says of an entry so that opening gives the same volume again.
fn describe(entry: &Entry, root: &Path, context: &Context) -> Result<Value> {
    let header = entry.header();
    let origin = &header.origin;
    let inner = Some(origin.inner.clone()).filter(|inner| !inner.is_empty());
    // A volume does not keep how it was asked for; the first way that gives the same header is as good.
    let places = [ChannelPlace::Unsaid, ChannelPlace::None, ChannelPlace::First, ChannelPlace::Last];
    let place = places.into_iter().find(|&channel| {
        let again = volume(&origin.path, &Choice { inner: inner.clone(), channel }, context);
        again.is_ok_and(|again| {
            let again = again.header();
            (again.shape, again.channels, again.dtype) == (header.shape, header.channels, header.dtype)
        })
    });
    let Some(place) = place else {
        let text = format!("{origin}: entry \"{}\" is not one array of one file", entry.name());
        return Err(Error::unsupported(text));
    };
    let absolute = std::path::absolute(&origin.path).map_err(|cause| Error::io(&origin.path, cause))?;
    let file: PathBuf = absolute.strip_prefix(root).map_or_else(|_| absolute.clone(), Path::to_owned);
    let Some(file) = file.to_str() else {
        return Err(Error::unsupported("a file name that is no UTF-8 has no place in JSON").in_file(&file));
    };
    let one_of_many = entry.channels() != header.channels;
    if inner.is_none() && place == ChannelPlace::Unsaid && !one_of_many {
        return Ok(json!(file));
    }
    let mut value = Map::new();
    value.insert("file".to_owned(), json!(file));
    if let Some(inner) = inner {
        value.insert("dataset".to_owned(), json!(inner));
    }
    if let Some((name, _)) = CHANNELS.iter().find(|&&(_, known)| known == place) {
        value.insert("channel".to_owned(), json!(name));
    }
    if one_of_many {
        value.insert("index".to_owned(), json!(entry.first_channel()));
    }
    Ok(value.into())
}
