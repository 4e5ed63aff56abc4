//! The data set on disk, and what its voxels have to be.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use memmap2::Mmap;
use serde_json::Value;

use crate::arguments::Options;

/// The Python files beside this one.
pub(crate) fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches").join(name)
}

pub(crate) struct Format {
    pub(crate) name: String,
    pub(crate) title: String,
    /// "raw", "chunks" or "whole".
    pub(crate) kind: String,
    pub(crate) folder: PathBuf,
    /// What the library opens.
    pub(crate) open: PathBuf,
    pub(crate) chunk: [usize; 3],
    /// Where the compressed pieces are listed.
    pub(crate) pieces: Option<PathBuf>,
    ratio: f64,
}

pub(crate) struct Data {
    pub(crate) path: PathBuf,
    pub(crate) subjects: usize,
    pub(crate) channels: usize,
    pub(crate) volume: [usize; 3],
    pub(crate) dtype: String,
    pub(crate) formats: Vec<Format>,
    /// The formats that could not be written, and why.
    pub(crate) missing: Vec<(String, String)>,
    images: Vec<Npy>,
    labels: Vec<Npy>,
}

/// A mapped .npy file.
struct Npy {
    map: Mmap,
    start: usize,
}

impl Npy {
    fn open(path: &str) -> Self {
        let map = unsafe { Mmap::map(&File::open(path).unwrap()).unwrap() };
        assert_eq!(map[..7], *b"\x93NUMPY\x01", "{path}");
        let start = 10 + usize::from(u16::from_le_bytes([map[8], map[9]]));
        // A first touch of every page is no part of any measurement.
        std::hint::black_box(map.chunks(4096).map(|page| u64::from(page[0])).sum::<u64>());
        Self { map, start }
    }

    fn voxels(&self) -> &[u8] {
        &self.map[self.start..]
    }
}

impl Data {
    /// Makes the data set where it is not there yet.
    pub(crate) fn make(options: &Options) -> Result<Self, String> {
        let joined = |extents: [usize; 3]| extents.map(|extent| extent.to_string()).join("x");
        let mut command = Command::new(&options.python);
        command.arg(script("data/make.py")).arg("--root").arg(&options.data);
        command.args(["--subjects", &options.subjects.to_string(), "--volume", &joined(options.volume)]);
        command.args([
            "--dtype",
            &options.dtype,
            "--chunk",
            &options.chunk,
            "--patch",
            &joined(options.patch),
        ]);
        if !options.formats.is_empty() {
            command.args(["--formats", &options.formats.join(",")]);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let said = command.stderr(Stdio::inherit()).output();
        let said = said.map_err(|cause| format!("{} does not start: {cause}", options.python))?;
        if !said.status.success() {
            return Err("the data set was not made".to_owned());
        }
        let text = String::from_utf8_lossy(&said.stdout);
        Ok(Self::open(PathBuf::from(text.trim_end().lines().last().unwrap_or_default())))
    }

    fn open(path: PathBuf) -> Self {
        let json = read_json(&path);
        let maps = |name: &str| strings(&json[name]).iter().map(|path| Npy::open(path)).collect();
        let missing = json["missing"].as_object().unwrap().iter();
        Self {
            subjects: number(&json["subjects"]),
            channels: number(&json["channels"]),
            volume: extents(&json["volume"]),
            dtype: text(&json["dtype"]),
            formats: json["formats"].as_array().unwrap().iter().map(Format::read).collect(),
            missing: missing.map(|(name, why)| (name.clone(), text(why))).collect(),
            images: maps("images"),
            labels: maps("labels"),
            path,
        }
    }

    pub(crate) fn describe(&self, options: &Options) -> String {
        let ratios = self.formats.iter().filter(|format| format.kind != "raw");
        let ratios: Vec<String> =
            ratios.map(|format| format!("{} {:.2}", format.name, format.ratio)).collect();
        format!(
            "{} subjects of {} x {} + u8, {:?} voxels; patches {:?}, batches of {}, {} threads, page cache warm\n\
             smaller than the voxels by: {}",
            self.subjects,
            self.channels,
            self.dtype,
            self.volume,
            options.patch,
            options.batch,
            options.threads,
            ratios.join(", "),
        )
    }

    /// The bytes of a subject's voxels.
    pub(crate) fn subject_bytes(&self) -> u64 {
        (self.voxels() * (self.channels * self.voxel_bytes() + 1)) as u64
    }

    /// The voxels of one channel.
    pub(crate) fn voxels(&self) -> usize {
        self.volume.iter().product()
    }

    pub(crate) fn voxel_bytes(&self) -> usize {
        match self.dtype.as_str() {
            "u8" => 1,
            "i16" => 2,
            _ => 4,
        }
    }

    /// The stored image (channel, z, y, x) of a subject.
    pub(crate) fn image(&self, subject: usize) -> &[u8] {
        self.images[subject].voxels()
    }

    /// The stored label of a subject.
    pub(crate) fn label(&self, subject: usize) -> &[u8] {
        self.labels[subject].voxels()
    }

    /// One stored value of an image as f32.
    fn value(&self, subject: usize, index: usize) -> f32 {
        let bytes = &self.image(subject)[index * self.voxel_bytes()..];
        match self.voxel_bytes() {
            1 => f32::from(bytes[0]),
            2 => f32::from(i16::from_le_bytes([bytes[0], bytes[1]])),
            _ => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        }
    }

    /// Whether a row of a batch has a region's voxels; `same` compares a found value with the stored one.
    pub(crate) fn check_image(&self, place: &Place, row: &[f32], same: fn(f32, f32) -> bool) {
        let [depth, height, width] = place.extents;
        assert_eq!(row.len(), self.channels * depth * height * width);
        for (at, &found) in row.iter().enumerate() {
            let [channel, inside] = [at / (depth * height * width), at % (depth * height * width)];
            let stored = self.value(place.subject, channel * self.voxels() + self.index(place, inside));
            assert!(same(found, stored), "{place:?}, channel {channel}, {inside}: {found} is not {stored}");
        }
    }

    pub(crate) fn check_label(&self, place: &Place, row: &[u8]) {
        assert_eq!(row.len(), place.extents.iter().product::<usize>());
        for (at, &found) in row.iter().enumerate() {
            let stored = self.label(place.subject)[self.index(place, at)];
            assert_eq!(found, stored, "label of {place:?} at {at}");
        }
    }

    /// Where a voxel of a region lies in its volume.
    fn index(&self, place: &Place, at: usize) -> usize {
        let [_, height, width] = place.extents;
        let (z, y, x) = (at / (height * width), at / width % height, at % width);
        let [z0, y0, x0] = place.corner;
        ((z0 + z) * self.volume[1] + y0 + y) * self.volume[2] + x0 + x
    }
}

/// A region of a subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) subject: usize,
    pub(crate) corner: [usize; 3],
    pub(crate) extents: [usize; 3],
}

impl Format {
    fn read(json: &Value) -> Self {
        Self {
            name: text(&json["name"]),
            title: text(&json["title"]),
            kind: text(&json["kind"]),
            folder: text(&json["folder"]).into(),
            open: text(&json["open"]).into(),
            chunk: extents(&json["chunk"]),
            pieces: json["pieces"].as_str().map(PathBuf::from),
            ratio: json["ratio"].as_f64().unwrap(),
        }
    }
}

pub(crate) fn read_json(path: &PathBuf) -> Value {
    let file = File::open(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
    serde_json::from_reader(std::io::BufReader::new(file)).unwrap()
}

pub(crate) fn number(json: &Value) -> usize {
    json.as_u64().unwrap() as usize
}

pub(crate) fn text(json: &Value) -> String {
    json.as_str().unwrap().to_owned()
}

fn strings(json: &Value) -> Vec<String> {
    json.as_array().unwrap().iter().map(text).collect()
}

pub(crate) fn extents(json: &Value) -> [usize; 3] {
    [number(&json[0]), number(&json[1]), number(&json[2])]
}
