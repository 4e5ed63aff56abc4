//! The tables beside the arrays: who the subjects are, what their entries are called, where they lie.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::store::hdf5::Hdf5File;
use crate::voxel::{Affine, ItkGeometry};

/// What the file says of all subjects.
#[derive(Debug)]
pub(super) struct Tables {
    /// The subjects' ids, in order.
    pub subjects: Vec<String>,
    /// The categories.
    pub categories: Vec<Table>,
    /// The geometry of each subject, where the file has any.
    pub geometry: Option<Vec<Geometry>>,
    /// The folder that file names are relative to.
    pub root: Option<String>,
}

/// What the file says of one category.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    pub category: String,
    /// Whether its voxels are in the file.
    pub stored: bool,
    /// The names of its entries; nothing where the file has none.
    pub names: Option<Vec<String>>,
    /// The shapes of the arrays, one row a subject.
    pub shapes: Option<Vec<Vec<f64>>>,
    /// The files that the entries came from, one row a subject.
    pub files: Option<Vec<Vec<String>>>,
}

/// Where a subject's volumes lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// The extents x, y, z.
    pub shape: [f64; 3],
    /// The map to millimetres.
    pub affine: Affine,
}

impl Tables {
    /// Reads all tables.
    ///
    /// # Errors
    /// `Format` where a table has another number of rows than there are subjects.
    pub(super) fn read(file: &Hdf5File) -> Result<Self> {
        let subjects = file.strings("meta/subjects")?;
        let mut names = if file.has_group("data") { file.names("data")? } else { Vec::new() };
        if file.has_group("meta/files") {
            let listed = file.names("meta/files")?;
            let listed = listed.iter().filter_map(|name| name.strip_suffix("_files"));
            let more: Vec<_> =
                listed.filter(|name| !names.iter().any(|known| known == name)).map(str::to_owned).collect();
            names.extend(more);
        }
        let categories =
            names.into_iter().map(|name| Table::read(file, name, subjects.len())).collect::<Result<_>>()?;
        let geometry = geometry(file, subjects.len())?;
        let root = match file.has_dataset("meta/files/file_root") {
            true => file.strings("meta/files/file_root")?.into_iter().next(),
            false => None,
        };
        Ok(Self { subjects, categories, geometry, root })
    }
}

impl Table {
    fn read(file: &Hdf5File, category: String, subjects: usize) -> Result<Self> {
        let names = match format!("meta/names/{category}_names") {
            table if file.has_dataset(&table) => Some(file.strings(&table)?),
            _ => None,
        };
        let shapes = match format!("meta/shapes/{category}_shapes") {
            table if file.has_dataset(&table) => Some(rows(file, &table, subjects, None)?),
            _ => None,
        };
        let files = match format!("meta/files/{category}_files") {
            table if file.has_dataset(&table) => {
                let all = file.strings(&table)?;
                let columns = all.len().checked_div(subjects).unwrap_or_default();
                if columns == 0 || columns * subjects != all.len() {
                    return Err(
                        file.wrong(&table, &format!("has {} names for {subjects} subjects", all.len()))
                    );
                }
                Some(all.chunks(columns).map(<[_]>::to_vec).collect())
            }
            _ => None,
        };
        let stored = file.has_group(&format!("data/{category}"));
        Ok(Self { category, stored, names, shapes, files })
    }

    /// The names of a subject's files, as an attribute.
    pub(super) fn files_attribute(&self, number: usize) -> Option<Value> {
        self.files.as_ref().and_then(|files| files.get(number)).map(|row| json!(row))
    }
}

/// The rows of a table of numbers, one a subject.
fn rows(file: &Hdf5File, name: &str, subjects: usize, columns: Option<usize>) -> Result<Vec<Vec<f64>>> {
    let (shape, numbers) = file.numbers(name)?;
    let width = match (shape.as_slice(), columns) {
        ([rows, width], None) if *rows == subjects && *width > 0 => *width,
        ([rows, width], Some(columns)) if *rows == subjects && *width == columns => *width,
        _ => {
            let columns = columns.map_or_else(|| "any".to_owned(), |columns| columns.to_string());
            let text = format!("has shape {shape:?}, expected {subjects} rows of {columns} columns");
            return Err(file.wrong(name, &text));
        }
    };
    Ok(numbers.chunks(width).map(<[_]>::to_vec).collect())
}

fn geometry(file: &Hdf5File, subjects: usize) -> Result<Option<Vec<Geometry>>> {
    const GROUP: &str = "meta/image_props";
    if !file.has_group(GROUP) {
        return Ok(None);
    }
    let table = |name: &str, columns| rows(file, &format!("{GROUP}/{name}"), subjects, Some(columns));
    let (shapes, origins) = (table("shapes", 3)?, table("origins", 3)?);
    let (directions, spacings) = (table("directions", 9)?, table("spacing", 3)?);
    let parts = shapes.into_iter().zip(origins).zip(directions.into_iter().zip(spacings));
    let rows = parts.map(|((shape, origin), (direction, spacing))| {
        let itk = ItkGeometry {
            origin: origin.try_into().unwrap_or_default(),
            spacing_mm: spacing.try_into().unwrap_or_default(),
            direction: direction.try_into().unwrap_or_default(),
        };
        Geometry { shape: shape.try_into().unwrap_or_default(), affine: Affine::from_itk(&itk) }
    });
    Ok(Some(rows.collect()))
}

/// Compares an array's extents with its row in a table of 16-bit numbers.
///
/// # Errors
/// `Format` where they differ.
pub(super) fn check_shape(extents: &[usize], row: &[f64], place: &str) -> Result<()> {
    // pymia stores extents as 16-bit numbers, and larger ones wrap.
    let same = extents.len() == row.len()
        && extents.iter().zip(row).all(|(&extent, &listed)| f64::from(extent as u16) == listed);
    if same {
        return Ok(());
    }
    let listed: Vec<u64> = row.iter().map(|&extent| extent as u64).collect();
    Err(Error::format(format!("\"{place}\" has shape {extents:?}, but its table of shapes says {listed:?}")))
}

/// The digits of a subject's number in a file of this many subjects.
pub(super) fn digits(subjects: usize) -> usize {
    subjects.to_string().len()
}
