//! One patient or scan: its categories, their entries and its attributes.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Header, Volume};
use crate::voxel::{Affine, DType, Orientation, Placement, Shape};

/// One volume in a category: some channels of a stored array, seen in the orientation that was asked for.
#[derive(Debug, Clone)]
pub struct Entry {
    name: String,
    volume: Arc<dyn Volume>,
    channel: usize,
    channels: usize,
    placement: Placement,
}

impl Entry {
    /// The entry of this name that is a whole stored array.
    pub fn new(name: impl Into<String>, volume: Arc<dyn Volume>) -> Self {
        let channels = volume.header().channels;
        Self { name: name.into(), volume, channel: 0, channels, placement: Placement::as_stored() }
    }

    /// The entry of this name that is one channel of a stored array.
    ///
    /// # Errors
    /// `Range` where the array has no such channel.
    pub fn channel(name: impl Into<String>, volume: Arc<dyn Volume>, channel: usize) -> Result<Self> {
        let header = volume.header();
        if channel >= header.channels {
            let text = format!("{}: channel {channel} of {}", header.origin, header.channels);
            return Err(Error::range(text));
        }
        Ok(Self { channel, channels: 1, ..Self::new(name, volume) })
    }

    /// The same entry seen in this orientation.
    ///
    /// # Errors
    /// `Unsupported` where the volume is not three-dimensional; `Argument` where it has no geometry.
    pub fn oriented(mut self, wanted: &Orientation) -> Result<Self> {
        let header = self.volume.header();
        if header.shape.ndim() != 3 {
            let text = format!("{}: orientation needs three axes, it has {}", header.origin, header.shape);
            return Err(Error::unsupported(text));
        }
        let Some(affine) = header.affine else {
            let text = format!("{}: no geometry in the file, so it cannot be oriented", header.origin);
            return Err(Error::argument(text));
        };
        self.placement = Orientation::nearest(&affine).placement_to(wanted);
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stored array.
    pub fn volume(&self) -> &Arc<dyn Volume> {
        &self.volume
    }

    /// What the file says of the stored array.
    pub fn header(&self) -> &Header {
        self.volume.header()
    }

    /// The first channel of the stored array that belongs to it.
    pub fn first_channel(&self) -> usize {
        self.channel
    }

    /// The number of its channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// How its axes lie to the stored ones.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Its spatial shape, as seen.
    ///
    /// # Errors
    /// None for an entry that was made by this module.
    pub fn shape(&self) -> Result<Shape> {
        self.placement.shape(&self.header().shape)
    }

    /// Its geometry, as seen.
    pub fn affine(&self) -> Option<Affine> {
        let header = self.header();
        header.affine.map(|affine| self.placement.affine(&affine, &header.shape))
    }
}

/// The volumes of one kind of data, on one grid.
#[derive(Debug, Clone)]
pub struct Category {
    /// Its name: "images", "labels".
    pub name: String,
    /// Its entries, in channel order.
    pub entries: Vec<Entry>,
}

impl Category {
    /// The channels of all entries.
    pub fn channels(&self) -> usize {
        self.entries.iter().map(Entry::channels).sum()
    }

    /// The smallest dtype that holds every entry's values.
    ///
    /// # Errors
    /// `NotFound` where there is no entry.
    pub fn value_dtype(&self) -> Result<DType> {
        let dtypes = self.entries.iter().map(|entry| entry.header().value_dtype());
        let dtype = dtypes.reduce(DType::promote);
        dtype.ok_or_else(|| Error::not_found(format!("category \"{}\" has no entry", self.name)))
    }

    /// The entries of these names, in the order given.
    ///
    /// # Errors
    /// `NotFound` where a name is not among them; the message lists those that are.
    pub fn select(&self, names: &[String]) -> Result<Category> {
        let find = |name: &String| {
            self.entries.iter().find(|entry| entry.name == *name).cloned().ok_or_else(|| {
                let known: Vec<_> = self.entries.iter().map(Entry::name).collect();
                Error::not_found(format!(
                    "category \"{}\" has no entry \"{name}\": it has {}",
                    self.name,
                    known.join(", ")
                ))
            })
        };
        let entries = names.iter().map(find).collect::<Result<_>>()?;
        Ok(Category { name: self.name.clone(), entries })
    }
}

/// How strictly the volumes of a subject must lie on one grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GeometryCheck {
    /// Shapes are equal, and no corner lies further off than a hundredth of a voxel.
    #[default]
    Strict,
    /// Shapes are equal; the affines may differ.
    Shape,
}

/// The tolerated distance of two corners, in voxels of the smallest spacing.
const CORNER_TOLERANCE: f64 = 0.01;

/// One patient or scan, with all its volumes and attributes.
#[derive(Debug, Clone)]
pub struct Subject {
    id: String,
    categories: Vec<Category>,
    attributes: serde_json::Map<String, serde_json::Value>,
}

impl Subject {
    /// A subject without volumes.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), categories: Vec::new(), attributes: serde_json::Map::new() }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its categories, in the order they were added.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The category of this name.
    ///
    /// # Errors
    /// `NotFound` where it has none; the message lists those that it has.
    pub fn category(&self, name: &str) -> Result<&Category> {
        self.categories.iter().find(|category| category.name == name).ok_or_else(|| {
            let known: Vec<_> = self.categories.iter().map(|category| category.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::not_found(format!("subject \"{}\" has no category \"{name}\": it has {known}", self.id))
        })
    }

    /// The first entry of the first category: what the subject's grid is taken from.
    ///
    /// # Errors
    /// `NotFound` where the subject has no volume.
    pub fn first_entry(&self) -> Result<&Entry> {
        let entry = self.categories.iter().find_map(|category| category.entries.first());
        entry.ok_or_else(|| Error::not_found(format!("subject \"{}\" has no volume", self.id)))
    }

    /// Its attributes: names to JSON values.
    pub fn attributes(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.attributes
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: impl Into<String>, value: serde_json::Value) {
        self.attributes.insert(name.into(), value);
    }

    /// Adds a volume to a category, which is made where it is new.
    ///
    /// # Errors
    /// `Argument` where the name is taken, or where shape or geometry differ from the subject's first volume.
    pub fn add(&mut self, category: &str, entry: Entry, check: GeometryCheck) -> Result<()> {
        self.check_grid(&entry, check)?;
        if let Some(known) = self.categories.iter_mut().find(|known| known.name == category) {
            if known.entries.iter().any(|other| other.name == entry.name) {
                let (id, name) = (&self.id, &entry.name);
                let text =
                    format!("subject \"{id}\" has an entry \"{name}\" in category \"{category}\" already");
                return Err(Error::argument(text));
            }
            known.entries.push(entry);
        } else {
            self.categories.push(Category { name: category.to_owned(), entries: vec![entry] });
        }
        Ok(())
    }

    /// Compares a new volume with the subject's first.
    fn check_grid(&self, entry: &Entry, check: GeometryCheck) -> Result<()> {
        let Ok(first) = self.first_entry() else { return Ok(()) };
        let (here, there) = (place(entry), place(first));
        let (shape, expected) = (entry.shape()?, first.shape()?);
        if shape != expected {
            return Err(Error::argument(format!(
                "subject \"{}\": {here} has shape {shape}, but {there} has {expected}",
                self.id
            )));
        }
        if let (GeometryCheck::Strict, Some(own), Some(other)) = (check, entry.affine(), first.affine()) {
            let extents = extents_of_three(&shape);
            let distance = own.corner_distance_mm(&other, extents);
            let spacing = other.spacing_mm().into_iter().filter(|&step| step > 0.0).fold(f64::MAX, f64::min);
            if distance > CORNER_TOLERANCE * spacing {
                return Err(Error::argument(format!(
                    "subject \"{}\": {here} and {there} have the same shape but lie {distance:.3} mm apart: \
                     resample one, or open the dataset with geometry = shape",
                    self.id
                )));
            }
        }
        Ok(())
    }
}

/// Where an entry lies, for messages: its file or its place, or its name where it has neither.
fn place(entry: &Entry) -> String {
    let origin = &entry.header().origin;
    if origin.path.as_os_str().is_empty() && origin.inner.is_empty() {
        format!("entry \"{}\" in memory", entry.name)
    } else {
        origin.to_string()
    }
}

/// The extents as three axes, missing ones in front being 1.
pub fn extents_of_three(shape: &Shape) -> [usize; 3] {
    match shape.extents() {
        [width] => [1, 1, *width],
        [height, width] => [1, *height, *width],
        [depth, height, width] => [*depth, *height, *width],
        _ => [1, 1, 1],
    }
}
