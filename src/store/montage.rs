//! Volumes side by side as a picture, slice under slice: what people look at when a batch seems wrong.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::store::canvas::{Canvas, Colour, text_size};
use crate::store::pending::PendingFile;
use crate::store::save::write_error;
use crate::store::{DenseVolume, extents_of_three};
use crate::sys::convert;
use crate::voxel::{DType, Orientation, Placement};

/// How a column of a montage is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Look {
    /// Labels for an integer dtype with at most 64 different values of which none is below 0, else grey.
    #[default]
    Auto,
    /// Grey, from the 2nd to the 98th percentile of the voxels that are not zero.
    Grey,
    /// A colour for each label, over the first grey column where there is one; label 0 is clear.
    Labels,
}

/// One column of a montage.
#[derive(Debug, Clone, Copy)]
pub struct MontageColumn<'a> {
    /// The volume; all columns have the same spatial shape.
    pub volume: DenseVolume<'a>,
    /// Its channel that is drawn.
    pub channel: usize,
    /// How it is drawn.
    pub look: Look,
    /// What stands above it; nothing where empty.
    pub title: &'a str,
}

/// How a montage is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MontageOptions {
    /// The number of slices, one a row, spread evenly over what is not background.
    pub slices: usize,
    /// The axis across which is cut, slowest first; 0 axial, 1 coronal, 2 sagittal where an affine is known.
    pub axis: usize,
    /// The points of the longer side of a slice.
    pub tile_points: usize,
    /// How much of a label's colour covers the grey, 0 to 1.
    pub label_share: f64,
}

impl Default for MontageOptions {
    fn default() -> Self {
        Self { slices: 6, axis: 0, tile_points: 240, label_share: 0.55 }
    }
}

const BACKGROUND: Colour = [24, 24, 27];
const INK: Colour = [228, 228, 231];
const GAP: usize = 4;
/// From so many points a voxel on, voxels are drawn as they are, without smoothing.
const PLAIN_POINTS: f64 = 4.0;
/// A label map has no more labels, unless it is said to be one.
const MOST_LABELS: usize = 64;
/// The voxels that the window and the extent of the content are taken from.
const MOST_SAMPLES: usize = 1 << 21;

/// Saves a PNG of these volumes side by side, slices from top to bottom.
///
/// Where a volume has an affine, superior is up, else anterior is up, and right and anterior are to the
/// right; without one, axes run as they are stored. Voxels keep their proportions in millimetres.
///
/// # Errors
/// `Argument` for a name without the ending .png, no column, columns of unequal shape, an axis, a channel or a number of slices that makes no
/// sense; `Unsupported` for more than three spatial axes; `NotFound` or `Io` where the file cannot be written.
pub fn montage(path: &Path, columns: &[MontageColumn<'_>], options: &MontageOptions) -> Result<()> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png")) {
        return Err(Error::argument("a montage is a PNG: give it the ending .png").in_file(path));
    }
    let canvas = draw(columns, options).map_err(|error| error.in_file(path))?;
    let pending = PendingFile::beside(path)?;
    let file = File::options().write(true).create_new(true).open(pending.path());
    let written = file.map_err(write_error).and_then(|file| {
        let mut file = BufWriter::new(file);
        canvas.write_png(&mut file)?;
        file.flush().map_err(write_error)
    });
    written.map_err(|error| error.in_file(path))?;
    pending.keep()
}

fn draw(columns: &[MontageColumn<'_>], options: &MontageOptions) -> Result<Canvas> {
    let grid = Grid::of(columns, options)?;
    let views = columns.iter().map(|column| View::of(column, &grid)).collect::<Result<Vec<_>>>()?;
    let windows: Vec<_> = views.iter().map(View::window).collect();
    let looks: Vec<_> = columns.iter().zip(&views).map(|(column, view)| view.look(column)).collect();
    let grey = looks.iter().position(|&look| look == Look::Grey);
    let ground = grey.and_then(|first| Some((views.get(first)?, *windows.get(first)?)));
    let slices = spread(content(&looks, &views, &windows), options.slices);

    let (width, height) = grid.tile;
    let titled = columns.iter().any(|column| !column.title.is_empty());
    let dot = (options.tile_points / 120).max(1);
    let head = if titled { text_size("", dot).1 + 2 * GAP } else { 0 };
    let across = columns.len() * (width + GAP) + GAP;
    let mut canvas = Canvas::new(across, head + slices.len() * (height + GAP) + GAP, BACKGROUND)?;
    for (number, (((column, look), view), window)) in
        columns.iter().zip(&looks).zip(&views).zip(&windows).enumerate()
    {
        let left = GAP + number * (width + GAP);
        let fitting = column.title.chars().take(width / text_size("x", dot).0.max(1));
        canvas.text(&fitting.collect::<String>(), (left, GAP), dot, INK);
        for (row, &slice) in slices.iter().enumerate() {
            let top = head + GAP + row * (height + GAP);
            for y in 0..height {
                for x in 0..width {
                    let place = grid.place(slice, x, y);
                    let colour = match look {
                        Look::Auto | Look::Grey => shade(view.smooth(place, &grid), *window),
                        Look::Labels => {
                            let under = ground
                                .map_or([0; 3], |(grey, window)| shade(grey.smooth(place, &grid), window));
                            tint(under, view.nearest(place), options.label_share)
                        }
                    };
                    canvas.set(left + x, top + y, colour);
                }
            }
        }
    }
    for (row, &slice) in slices.iter().enumerate() {
        let number = grid.stored_slice(slice).to_string();
        canvas.text(&number, (GAP + dot, head + GAP + dot + row * (height + GAP)), dot, INK);
    }
    Ok(canvas)
}

/// How slices lie: which stored axis is cut, and how points of a tile become voxels.
struct Grid {
    extents: [usize; 3],
    placement: Placement,
    /// The seen axes that are cut, run down and run across.
    axes: [usize; 3],
    /// Whether the axis that runs down is drawn from its end.
    upward: bool,
    /// Points across and down.
    tile: (usize, usize),
    /// Points of a voxel of the finer of the two axes.
    voxel_points: f64,
}

impl Grid {
    fn of(columns: &[MontageColumn<'_>], options: &MontageOptions) -> Result<Self> {
        let Some(first) = columns.first() else {
            return Err(Error::argument("a montage of no column"));
        };
        let shape = first.volume.shape;
        if let Some(other) = columns.iter().find(|column| column.volume.shape != shape) {
            let text = format!("columns of unequal shape: {shape} and {}", other.volume.shape);
            return Err(Error::argument(text));
        }
        if shape.ndim() > 3 {
            return Err(Error::unsupported(format!("a montage of shape {shape}, expected up to three axes")));
        }
        let axes = match options.axis {
            0 => [0, 1, 2],
            1 => [1, 0, 2],
            2 => [2, 0, 1],
            other => return Err(Error::argument(format!("axis {other} of a montage, expected 0 to 2"))),
        };
        if options.slices == 0 || options.tile_points == 0 {
            return Err(Error::argument("a montage without slices or points"));
        }
        let affine = columns.iter().find_map(|column| column.volume.affine);
        let mut placement = Placement::as_stored();
        let mut steps = [1.0; 3];
        if let Some(affine) = affine {
            placement = Orientation::nearest(&affine).placement_to(&Orientation::parse("RAS")?);
            steps = affine.spacing_mm().map(|step| if step > 0.0 { step } else { 1.0 });
        }
        let stored = extents_of_three(&shape);
        let seen = |axis: usize| placement.axes.get(axis).copied().unwrap_or(axis);
        let extents = [0, 1, 2].map(|axis| stored.get(seen(axis)).copied().unwrap_or(1));
        let steps = [0, 1, 2].map(|axis| steps.get(seen(axis)).copied().unwrap_or(1.0));
        let [_, down, across] = axes;
        let length =
            |axis: usize| (extents.get(axis).copied().unwrap_or(1), steps.get(axis).copied().unwrap_or(1.0));
        let ((rows, row_step), (voxels, step)) = (length(down), length(across));
        let (height, width) = (rows as f64 * row_step, voxels as f64 * step);
        let scale = options.tile_points as f64 / height.max(width);
        let points = |millimetres: f64| ((millimetres * scale).round() as usize).max(1);
        Ok(Self {
            extents,
            placement,
            axes,
            upward: affine.is_some(),
            tile: (points(width), points(height)),
            voxel_points: scale * step.min(row_step),
        })
    }

    fn extent(&self, axis: usize) -> usize {
        self.extents.get(axis).copied().unwrap_or(1)
    }

    /// The seen voxel index of a tile's point.
    fn place(&self, slice: usize, x: usize, y: usize) -> [f64; 3] {
        let [cut, down, across] = self.axes;
        let (width, height) = self.tile;
        let along = |point: usize, points: usize, axis: usize| {
            (point as f64 + 0.5) / points as f64 * self.extent(axis) as f64 - 0.5
        };
        let y = if self.upward { height - 1 - y } else { y };
        let mut place = [0.0; 3];
        let axes = [(cut, slice as f64), (down, along(y, height, down)), (across, along(x, width, across))];
        for (axis, value) in axes {
            if let Some(slot) = place.get_mut(axis) {
                *slot = value;
            }
        }
        place
    }

    /// The number that a slice has in the file.
    fn stored_slice(&self, slice: usize) -> usize {
        let [cut, ..] = self.axes;
        let reversed = self.placement.reversed.get(cut).copied().unwrap_or_default();
        if reversed { self.extent(cut) - 1 - slice } else { slice }
    }
}

/// One channel of a volume by seen voxel indices.
struct View<'a> {
    bytes: &'a [u8],
    dtype: DType,
    first: isize,
    strides: [isize; 3],
    extents: [usize; 3],
    cut: usize,
}

impl<'a> View<'a> {
    fn of(column: &MontageColumn<'a>, grid: &Grid) -> Result<Self> {
        let volume = &column.volume;
        volume.check()?;
        let voxel = volume.dtype.byte_len();
        let bytes = volume.shape.byte_len(1, voxel)?;
        let part = volume.bytes.chunks_exact(bytes).nth(column.channel);
        let part = part.ok_or_else(|| {
            Error::argument(format!("channel {} of a volume of {}", column.channel, volume.channels))
        })?;
        let [_, height, width] = extents_of_three(&volume.shape);
        let stored = [height * width * voxel, width * voxel, voxel].map(|stride| stride as isize);
        let (mut first, mut strides) = (0, [0; 3]);
        let seen = grid.placement.axes.iter().zip(&grid.placement.reversed);
        for ((slot, (&axis, &reversed)), &extent) in strides.iter_mut().zip(seen).zip(&grid.extents) {
            let stride = stored.get(axis).copied().unwrap_or_default();
            *slot = if reversed { -stride } else { stride };
            first += if reversed { stride * (extent as isize - 1) } else { 0 };
        }
        let [cut, ..] = grid.axes;
        Ok(Self { bytes: part, dtype: volume.dtype, first, strides, extents: grid.extents, cut })
    }

    /// The value of a voxel; the nearest one's beyond the border.
    fn value(&self, index: [isize; 3]) -> f64 {
        let mut place = self.first;
        for ((&k, &stride), &extent) in index.iter().zip(&self.strides).zip(&self.extents) {
            place += k.clamp(0, extent as isize - 1) * stride;
        }
        let place = usize::try_from(place).unwrap_or_default();
        let bytes = self.bytes.get(place..place + self.dtype.byte_len()).unwrap_or_default();
        let mut value = [0u8; 8];
        convert(bytes, self.dtype, &mut value, DType::F64);
        f64::from_ne_bytes(value)
    }

    fn nearest(&self, place: [f64; 3]) -> f64 {
        self.value(place.map(|along| along.round() as isize))
    }

    /// The value between voxels; the nearest voxel's where each is drawn large.
    fn smooth(&self, place: [f64; 3], grid: &Grid) -> f64 {
        if grid.voxel_points >= PLAIN_POINTS {
            return self.nearest(place);
        }
        let low = place.map(f64::floor);
        let mut sum = 0.0;
        for corner in 0..8u8 {
            let (mut weight, mut index) = (1.0, [0; 3]);
            let axes = index.iter_mut().zip(low.iter().zip(&place)).enumerate();
            for (axis, (slot, (&low, &along))) in axes {
                let up = corner >> axis & 1 == 1;
                weight *= if up { along - low } else { 1.0 - (along - low) };
                *slot = low as isize + isize::from(up);
            }
            if weight > 0.0 {
                sum += weight * self.value(index);
            }
        }
        sum
    }

    /// Visits voxels of the whole volume, not more than are needed to judge it, with their slice.
    fn sample(&self, mut visit: impl FnMut(usize, f64)) {
        let [depth, height, width] = self.extents;
        // The axis that is cut is looked at without gaps.
        let stride = |axis: usize, step: usize| if axis == self.cut { 1 } else { step };
        let count = |step: usize| -> usize {
            let axes = self.extents.iter().enumerate();
            axes.map(|(axis, extent)| extent.div_ceil(stride(axis, step))).product()
        };
        let most = depth.max(height).max(width);
        let step = (1..most).find(|&step| count(step) <= MOST_SAMPLES).unwrap_or(most);
        let stride = |axis: usize| stride(axis, step);
        for z in (0..depth).step_by(stride(0)) {
            for y in (0..height).step_by(stride(1)) {
                for x in (0..width).step_by(stride(2)) {
                    let slice = [z, y, x].get(self.cut).copied().unwrap_or_default();
                    visit(slice, self.value([z as isize, y as isize, x as isize]));
                }
            }
        }
    }

    /// How it is drawn where that is not said: images of integers have more values than label maps have labels.
    fn look(&self, column: &MontageColumn<'_>) -> Look {
        match column.look {
            Look::Auto if column.volume.dtype.is_float() => return Look::Grey,
            Look::Auto => {}
            given => return given,
        }
        let (mut labels, mut lowest) = (BTreeSet::new(), 0.0f64);
        self.sample(|_, value| {
            lowest = lowest.min(value);
            if labels.len() <= MOST_LABELS {
                labels.insert(value.to_bits());
            }
        });
        if lowest >= 0.0 && labels.len() <= MOST_LABELS { Look::Labels } else { Look::Grey }
    }

    /// The values that are drawn black and white.
    fn window(&self) -> (f64, f64) {
        let mut values = Vec::new();
        self.sample(|_, value| {
            if value != 0.0 && value.is_finite() {
                values.push(value);
            }
        });
        let last = values.len().saturating_sub(1);
        let mut percentile = |share: f64| {
            let place = (last as f64 * share).round() as usize;
            if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(place, f64::total_cmp).1 }
        };
        let (low, high) = (percentile(0.02), percentile(0.98));
        if high > low {
            return (low, high);
        }
        if low == 0.0 { (0.0, 1.0) } else { (low.min(0.0), high.max(0.0)) }
    }
}

/// The slices that hold something: labels where there are any, else what is not black.
fn content(looks: &[Look], views: &[View<'_>], windows: &[(f64, f64)]) -> (usize, usize) {
    let mut order: Vec<_> = looks.iter().zip(views).zip(windows).collect();
    order.sort_by_key(|((look, _), _)| **look != Look::Labels);
    for ((look, view), &(low, high)) in order {
        let threshold = if *look == Look::Labels { 0.5 } else { low + 0.1 * (high - low) };
        let (mut from, mut to) = (usize::MAX, 0);
        view.sample(|slice, value| {
            if value >= threshold {
                (from, to) = (from.min(slice), to.max(slice + 1));
            }
        });
        if from < to {
            return (from, to);
        }
    }
    (0, views.first().and_then(|view| view.extents.get(view.cut)).copied().unwrap_or(1))
}

/// Slices in the middles of equal parts of a range, the far end first.
fn spread((from, to): (usize, usize), slices: usize) -> Vec<usize> {
    let count = slices.min(to - from);
    (0..count).rev().map(|k| from + (2 * k + 1) * (to - from) / (2 * count)).collect()
}

fn shade(value: f64, (low, high): (f64, f64)) -> Colour {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    // A value that is no number is drawn black.
    [(share * 255.0).round() as u8; 3]
}

/// A colour over another, by the label's number.
fn tint(under: Colour, label: f64, share: f64) -> Colour {
    let label = label.round();
    if label == 0.0 || !label.is_finite() {
        return under;
    }
    // Steps of the golden ratio keep the hues of neighbouring labels far apart.
    let hue = (label.abs() * 0.618_033_988_749_895 + 0.4).fract() * 6.0;
    let channel = |shift: f64| {
        let distance = ((hue + shift) % 6.0 - 3.0).abs();
        (distance - 1.0).clamp(0.0, 1.0) * 215.0 + 40.0
    };
    let over = [channel(0.0), channel(4.0), channel(2.0)];
    let share = share.clamp(0.0, 1.0);
    let mut mixed = under;
    for (slot, over) in mixed.iter_mut().zip(over) {
        *slot = (f64::from(*slot) * (1.0 - share) + over * share).round() as u8;
    }
    mixed
}
