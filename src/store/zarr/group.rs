//! Which array of a folder is meant.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::folder::{list, name};
use crate::store::nnunet::read_json;
use crate::store::numpy::NAME_IT;
use crate::store::zarr::array::{Place, volume};
use crate::store::zarr::metadata::Metadata;
use crate::store::zarr::scales::Multiscale;
use crate::store::{ChannelPlace, Choice, Context, Origin, Volume};

/// How deep in a group its arrays are looked for.
const MOST_DEPTH: usize = 8;
/// The arrays that an error lists.
const MOST_LISTED: usize = 20;

/// What a folder is.
enum Node {
    Array(Metadata),
    /// A group, with its attributes.
    Group(Value),
    Neither,
}

/// Opens an array: the folder's own, the one that is named in it, or its only one.
pub(in crate::store) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    describe(path, choice, context).map_err(|error| error.in_file(path))
}

fn describe(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let inner =
        choice.inner.as_deref().map(|inner| inner.trim_matches('/')).filter(|inner| !inner.is_empty());
    let root = node(path)?;
    let (inner, metadata) = match (inner, root) {
        (None, Node::Array(metadata)) => (String::new(), metadata),
        (Some(inner), _) => {
            let parts = inner.split('/');
            let outside = |part: &str| matches!(part, "" | "." | "..");
            let found = if parts.into_iter().any(outside) { Node::Neither } else { node(&path.join(inner))? };
            match found {
                Node::Array(metadata) => (inner.to_owned(), metadata),
                Node::Group(_) => {
                    // A group in the group: its own choice, named from here.
                    let (within, metadata) = only(&path.join(inner))?;
                    (format!("{inner}/{within}"), metadata)
                }
                Node::Neither => {
                    let text = format!("no array \"{inner}\": there are {}", shown(&arrays(path)?));
                    return Err(Error::not_found(text));
                }
            }
        }
        (None, _) => only(path)?,
    };
    let above = inner.rsplit_once('/').map_or("", |(above, _)| above);
    let own = inner.rsplit('/').next().unwrap_or_default();
    let scales = match node(&path.join(above))? {
        Node::Group(attributes) if !inner.is_empty() => Multiscale::of(&attributes),
        _ => None,
    };
    let channel = match (choice.channel, &scales) {
        (ChannelPlace::Unsaid, Some(scales)) => scales.channel().unwrap_or_default(),
        (ChannelPlace::Unsaid, None) => channel_of(&metadata.names).unwrap_or_default(),
        (said, _) => said,
    };
    let affine = scales.and_then(|scales| scales.affine(own));
    let origin = Origin { path: path.to_owned(), inner: inner.clone(), format: "zarr" };
    let folder = if inner.is_empty() { path.to_owned() } else { path.join(&inner) };
    let place = Place { folder, origin, channel, affine };
    volume(metadata, place, context)
}

/// The one array of a group, or the finest of a multiscale image.
fn only(path: &Path) -> Result<(String, Metadata)> {
    if let Node::Group(attributes) = node(path)?
        && let Some(finest) =
            Multiscale::of(&attributes).and_then(|scales| scales.finest().map(str::to_owned))
        && let Node::Array(metadata) = node(&path.join(&finest))?
    {
        return Ok((finest, metadata));
    }
    let found = arrays(path)?;
    match found.as_slice() {
        [one] => match node(&path.join(one))? {
            Node::Array(metadata) => Ok((one.clone(), metadata)),
            _ => Err(Error::not_found("the group has no array")),
        },
        [] => Err(Error::not_found("the group has no array")),
        _ => Err(Error::argument(format!("several arrays: {}", shown(&found))).with_advice(NAME_IT)),
    }
}

/// What a folder's metadata say that it is.
fn node(path: &Path) -> Result<Node> {
    let third = path.join("zarr.json");
    if third.is_file() {
        let json = read_json(&third)?;
        return match json.get("node_type").and_then(Value::as_str) {
            Some("array") => Metadata::third(&json).map(Node::Array).map_err(|error| error.in_file(&third)),
            Some("group") => Ok(Node::Group(json.get("attributes").cloned().unwrap_or_default())),
            _ => Err(Error::format("\"node_type\" is neither \"array\" nor \"group\"").in_file(&third)),
        };
    }
    let second = path.join(".zarray");
    if second.is_file() {
        let json = read_json(&second)?;
        return Metadata::second(&json).map(Node::Array).map_err(|error| error.in_file(&second));
    }
    if path.join(".zgroup").is_file() {
        let attributes = path.join(".zattrs");
        let json = if attributes.is_file() { read_json(&attributes)? } else { Value::Null };
        return Ok(Node::Group(json));
    }
    Ok(Node::Neither)
}

/// The arrays of a group and of the groups in it, sorted.
fn arrays(path: &Path) -> Result<Vec<String>> {
    fn walk(folder: &Path, above: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
        for item in list(folder)?.into_iter().filter(|item| item.is_dir()) {
            let whole = format!("{above}{}", name(&item));
            if is_array(&item) {
                found.push(whole);
            } else if depth < MOST_DEPTH && is_group(&item) {
                walk(&item, &format!("{whole}/"), depth + 1, found)?;
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(path, "", 0, &mut found)?;
    Ok(found)
}

fn is_array(path: &Path) -> bool {
    path.join(".zarray").is_file() || node_type(path).as_deref() == Some("array")
}

fn is_group(path: &Path) -> bool {
    path.join(".zgroup").is_file() || node_type(path).as_deref() == Some("group")
}

fn node_type(path: &Path) -> Option<String> {
    let metadata: PathBuf = path.join("zarr.json");
    let json = if metadata.is_file() { read_json(&metadata).ok()? } else { return None };
    json.get("node_type").and_then(Value::as_str).map(str::to_owned)
}

fn shown(names: &[String]) -> String {
    let mut shown = names.iter().take(MOST_LISTED).cloned().collect::<Vec<_>>();
    match names.len().checked_sub(MOST_LISTED) {
        None if names.is_empty() => return "none".to_owned(),
        Some(more) if more > 0 => shown.push(format!("and {more} more")),
        _ => {}
    }
    shown.join(", ")
}

/// Where the names of the axes say that the channels are; nothing where no axis is theirs.
fn channel_of(names: &[String]) -> Option<ChannelPlace> {
    let is_channel = |name: &String| matches!(name.as_str(), "c" | "channel" | "channels");
    match names {
        [first, ..] if is_channel(first) => Some(ChannelPlace::First),
        [.., last] if is_channel(last) => Some(ChannelPlace::Last),
        _ => None,
    }
}
