//! Random regions of random arrays, read in one pass and by the obviously right extractor beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::io::Write;
use std::sync::Arc;

use half::f16;
use proptest::prelude::*;
use voxfeed::store::{ArrayLayout, Entry, Extraction, FileArray, Files, Header, Io, Origin, Reader, Volume};
use voxfeed::sys::Scale;
use voxfeed::voxel::{Affine, DType, MAX_AXES, Orientation, Padding, Region, Shape};

const PADDINGS: [Padding; 6] =
    [Padding::Zero, Padding::Constant, Padding::Edge, Padding::Reflect, Padding::Symmetric, Padding::Wrap];

/// An array, how it lies in its file, and what is asked of it.
#[derive(Debug, Clone)]
struct Case {
    /// Channels, then spatial axes.
    extents: Vec<usize>,
    /// The axes by their place in the file, outermost first.
    nesting: Vec<usize>,
    dtype: DType,
    swapped: bool,
    scaled: bool,
    skip: usize,
    io: Io,
    /// Where it has three axes: the orientation it is stored in and the one that is asked for.
    orientations: Option<(String, String)>,
    /// The channels that are asked for.
    wanted: Vec<usize>,
    offset: Vec<i64>,
    shape: Vec<usize>,
    padding: Padding,
    into: DType,
}

fn orientation() -> impl Strategy<Value = String> {
    let axes = Just(vec![['R', 'L'], ['A', 'P'], ['S', 'I']]).prop_shuffle();
    (axes, any::<[bool; 3]>()).prop_map(|(axes, signs)| {
        axes.iter().zip(signs).map(|(pair, sign)| pair[usize::from(sign)]).collect()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let array = (1usize..=4).prop_flat_map(|ndim| {
        let extents = proptest::collection::vec(1usize..6, ndim + 1);
        let nesting = Just((0..=ndim).collect::<Vec<_>>()).prop_shuffle();
        let asked = (proptest::collection::vec(-9i64..9, ndim), proptest::collection::vec(1usize..9, ndim));
        (extents, nesting, asked)
    });
    let form = (0usize..12, any::<bool>(), any::<bool>(), 0usize..7, any::<bool>());
    let asked = (0usize..6, 1usize..12, proptest::collection::vec(0usize..5, 1..4));
    let orientations = proptest::option::of((orientation(), orientation()));
    (array, form, asked, orientations).prop_map(|(array, form, asked, orientations)| {
        let (extents, nesting, (offset, shape)) = array;
        let (dtype, swapped, scaled, skip, map) = form;
        let (padding, into, wanted) = asked;
        Case {
            wanted: wanted.iter().map(|channel| channel % extents[0]).collect(),
            orientations: orientations.filter(|_| extents.len() == 4),
            extents,
            nesting,
            dtype: DType::ALL[dtype],
            swapped: swapped && DType::ALL[dtype].byte_len() > 1,
            scaled,
            skip,
            io: if map { Io::Map } else { Io::Positional },
            offset,
            shape,
            padding: PADDINGS[padding],
            into: if scaled { DType::F64 } else { DType::ALL[into] },
        }
    })
}

/// A small number that every dtype holds.
fn number(dtype: DType, count: usize) -> f64 {
    if dtype == DType::Bool { (count * 7 % 5 / 3) as f64 } else { (count * 37 % 101) as f64 }
}

fn encode(value: f64, dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Bool | DType::U8 => vec![value as u8],
        DType::I8 => (value as i8).to_ne_bytes().to_vec(),
        DType::U16 => (value as u16).to_ne_bytes().to_vec(),
        DType::I16 => (value as i16).to_ne_bytes().to_vec(),
        DType::U32 => (value as u32).to_ne_bytes().to_vec(),
        DType::I32 => (value as i32).to_ne_bytes().to_vec(),
        DType::U64 => (value as u64).to_ne_bytes().to_vec(),
        DType::I64 => (value as i64).to_ne_bytes().to_vec(),
        DType::F16 => f16::from_f64(value).to_ne_bytes().to_vec(),
        DType::F32 => (value as f32).to_ne_bytes().to_vec(),
        DType::F64 => value.to_ne_bytes().to_vec(),
    }
}

/// The next index of these extents, slowest axis first; false after the last.
fn advance(index: &mut [usize], extents: &[usize]) -> bool {
    for (place, &extent) in index.iter_mut().zip(extents).rev() {
        *place += 1;
        if *place < extent {
            return true;
        }
        *place = 0;
    }
    false
}

/// The voxel that stands at a position, by stepping back inside as the padding says.
fn inside(mut at: i64, extent: i64, padding: Padding) -> Option<i64> {
    while at < 0 || at >= extent {
        at = match (padding, at < 0) {
            (Padding::Zero | Padding::Constant, _) => return None,
            (Padding::Edge, low) => return Some(if low { 0 } else { extent - 1 }),
            (Padding::Wrap, low) => at + if low { extent } else { -extent },
            (Padding::Symmetric, low) => {
                if low {
                    -1 - at
                } else {
                    2 * extent - 1 - at
                }
            }
            (Padding::Reflect, _) if extent == 1 => 0,
            (Padding::Reflect, low) => {
                if low {
                    -at
                } else {
                    2 * (extent - 1) - at
                }
            }
        };
    }
    Some(at)
}

impl Case {
    /// The stride of each axis, channel first.
    fn strides(&self) -> Vec<usize> {
        let mut strides = vec![0; self.extents.len()];
        let mut stride = self.dtype.byte_len();
        for &axis in self.nesting.iter().rev() {
            strides[axis] = stride;
            stride *= self.extents[axis];
        }
        strides
    }

    /// The stored number at an index, channel first.
    fn stored(&self, index: &[usize]) -> f64 {
        let flat = index.iter().zip(&self.extents).fold(0, |flat, (place, extent)| flat * extent + place);
        number(self.dtype, flat)
    }

    /// The stored axis and direction of each seen axis, by the letters of the two orientations.
    fn seen_axes(&self) -> Vec<(usize, bool)> {
        let Some((stored, seen)) = &self.orientations else {
            return (0..self.extents.len() - 1).map(|axis| (axis, false)).collect();
        };
        let opposite = |letter| "RLAPSI".chars().nth("RLAPSI".find(letter).unwrap() ^ 1).unwrap();
        let axis_of = |letter| stored.chars().rev().position(|own| own == letter);
        seen.chars()
            .rev()
            .map(|letter| match axis_of(letter) {
                Some(axis) => (axis, false),
                None => (axis_of(opposite(letter)).unwrap(), true),
            })
            .collect()
    }

    /// What the region holds, voxel by voxel.
    fn expected(&self) -> Vec<f64> {
        let axes = self.seen_axes();
        let mut values = Vec::new();
        for &channel in &self.wanted {
            let mut at = vec![0usize; self.shape.len()];
            loop {
                let mut index = vec![channel; self.extents.len()];
                let mut padded = false;
                for (k, &(axis, reversed)) in axes.iter().enumerate() {
                    let extent = self.extents[axis + 1] as i64;
                    match inside(self.offset[k] + at[k] as i64, extent, self.padding) {
                        Some(place) if reversed => index[axis + 1] = (extent - 1 - place) as usize,
                        Some(place) => index[axis + 1] = place as usize,
                        None => padded = true,
                    }
                }
                values.push(match (padded, self.scaled) {
                    (true, _) => {
                        if self.padding == Padding::Constant {
                            3.0
                        } else {
                            0.0
                        }
                    }
                    (false, true) => self.stored(&index) * 0.3 - 7.5,
                    (false, false) => self.stored(&index),
                });
                if !advance(&mut at, &self.shape) {
                    break;
                }
            }
        }
        values
    }

    /// The file's bytes.
    fn file(&self) -> Vec<u8> {
        let strides = self.strides();
        let size = self.extents.iter().product::<usize>() * self.dtype.byte_len();
        let mut bytes = vec![0xa5; self.skip + size];
        let mut index = vec![0; self.extents.len()];
        loop {
            let mut voxel = encode(self.stored(&index), self.dtype);
            if self.swapped {
                voxel.reverse();
            }
            let place: usize = index.iter().zip(&strides).map(|(place, stride)| place * stride).sum();
            bytes[self.skip + place..][..voxel.len()].copy_from_slice(&voxel);
            if !advance(&mut index, &self.extents) {
                return bytes;
            }
        }
    }

    /// An affine of the stored orientation.
    fn affine(&self) -> Option<Affine> {
        let (stored, _) = self.orientations.as_ref()?;
        let mut columns = [[0.0; 3]; 3];
        for (column, letter) in columns.iter_mut().zip(stored.chars().rev()) {
            let place = "RLAPSI".find(letter).unwrap();
            column[place / 2] = if place % 2 == 0 { 1.5 } else { -1.5 };
        }
        Some(Affine::from_columns(columns, [10.0, -20.0, 30.0]))
    }

    /// What the reader makes of the region.
    fn read(&self) -> Vec<f64> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&self.file()).unwrap();
        let mut strides = [0isize; MAX_AXES + 1];
        for (slot, stride) in strides.iter_mut().zip(self.strides()) {
            *slot = stride as isize;
        }
        let array = FileArray {
            header: Header {
                shape: Shape::new(&self.extents[1..]).unwrap(),
                channels: self.extents[0],
                dtype: self.dtype,
                scale: self.scaled.then_some(Scale { slope: 0.3, intercept: -7.5 }),
                affine: self.affine(),
                origin: Origin { path: file.path().to_owned(), ..Origin::default() },
            },
            start: self.skip as u64,
            layout: ArrayLayout { strides },
            swapped: self.swapped,
            file: Files::new(self.io).file(file.path()).unwrap(),
        };
        let volume: Arc<dyn Volume> = Arc::new(array.checked().unwrap());
        let entry = |&channel: &usize| {
            let entry = Entry::channel("one", Arc::clone(&volume), channel).unwrap();
            match &self.orientations {
                Some((_, seen)) => entry.oriented(&Orientation::parse(seen).unwrap()).unwrap(),
                None => entry,
            }
        };
        let entries: Vec<Entry> = self.wanted.iter().map(entry).collect();
        let shape = Shape::new(&self.shape).unwrap();
        let region = Region::new(&self.offset, shape).unwrap();
        let how = Extraction { padding: self.padding, pad_value: 3.0, ..Extraction::exact(self.into) };
        let mut voxels = vec![0x5a; shape.byte_len(self.wanted.len(), self.into.byte_len()).unwrap()];
        Reader::default().read(&entries, &region, &how, &mut voxels).unwrap();
        voxels.chunks(self.into.byte_len()).map(|voxel| decode(voxel, self.into)).collect()
    }
}

fn decode(voxel: &[u8], dtype: DType) -> f64 {
    match dtype {
        DType::Bool | DType::U8 => f64::from(voxel[0]),
        DType::I8 => f64::from(voxel[0] as i8),
        DType::U16 => f64::from(u16::from_ne_bytes(voxel.try_into().unwrap())),
        DType::I16 => f64::from(i16::from_ne_bytes(voxel.try_into().unwrap())),
        DType::U32 => f64::from(u32::from_ne_bytes(voxel.try_into().unwrap())),
        DType::I32 => f64::from(i32::from_ne_bytes(voxel.try_into().unwrap())),
        DType::U64 => u64::from_ne_bytes(voxel.try_into().unwrap()) as f64,
        DType::I64 => i64::from_ne_bytes(voxel.try_into().unwrap()) as f64,
        DType::F16 => f16::from_ne_bytes(voxel.try_into().unwrap()).to_f64(),
        DType::F32 => f64::from(f32::from_ne_bytes(voxel.try_into().unwrap())),
        DType::F64 => f64::from_ne_bytes(voxel.try_into().unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_region_of_any_array_equals_the_naive_extraction(case in cases()) {
        prop_assert_eq!(case.read(), case.expected());
    }
}
