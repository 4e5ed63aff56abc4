//! How fast the bare codec decodes what the samples need: libdeflate, for the formats that are deflated.
//!
//! A sample of T1 needs every piece that its patch touches, or the whole streams of its subject once for some
//! patches; T2 needs every piece once. Packed bytes are mapped, decoded ones thrown away.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::path::Path;

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_crc32, libdeflate_decompressor, libdeflate_deflate_decompress,
    libdeflate_free_decompressor, libdeflate_gzip_decompress, libdeflate_result_LIBDEFLATE_SUCCESS,
    libdeflate_zlib_decompress,
};
use memmap2::Mmap;
use serde_json::Value;

use crate::arguments::Options;
use crate::cases::{Case, PATCHES_OF_A_STREAM, Task};
use crate::data::{Data, extents, number, read_json, text};
use crate::limits::{Measure, Random, on_threads, timed};

/// One compressed piece: its file, where it begins, its bytes.
struct Piece {
    file: usize,
    begin: usize,
    len: usize,
}

/// An array of one subject and its pieces, in the order of the chunk grid.
struct Array {
    chunk: [usize; 3],
    grid: [usize; 3],
    raw_bytes: usize,
    pieces: Vec<Piece>,
}

/// libdeflate's decoder for one of its three wrappings.
struct Decoder {
    state: *mut libdeflate_decompressor,
    codec: Codec,
}

#[derive(Clone, Copy)]
enum Codec {
    Zlib,
    Gzip,
    Deflate,
}

impl Decoder {
    fn new(codec: Codec) -> Self {
        Self { state: unsafe { libdeflate_alloc_decompressor() }, codec }
    }

    /// Decodes a piece that fills all of `into`.
    fn decode(&mut self, packed: &[u8], into: &mut [u8]) {
        let decode = match self.codec {
            Codec::Zlib => libdeflate_zlib_decompress,
            Codec::Gzip => libdeflate_gzip_decompress,
            Codec::Deflate => libdeflate_deflate_decompress,
        };
        let (from, to) = (packed.as_ptr().cast(), into.as_mut_ptr().cast());
        // Without a place for the decoded length, libdeflate demands that it is the room's.
        let result = unsafe { decode(self.state, from, packed.len(), to, into.len(), std::ptr::null_mut()) };
        assert_eq!(result, libdeflate_result_LIBDEFLATE_SUCCESS);
        // The other wrappings hold their checksums; a zip archive's stands beside the data, and is as little optional.
        if let Codec::Deflate = self.codec {
            black_box(unsafe { libdeflate_crc32(0, into.as_ptr().cast(), into.len()) });
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        unsafe { libdeflate_free_decompressor(self.state) };
    }
}

struct Packed {
    codec: Codec,
    files: Vec<Mmap>,
    subjects: Vec<Vec<Array>>,
}

/// The limit of a case that decodes; nothing where the codec is another.
pub(crate) fn of<'a>(
    options: &'a Options,
    data: &'a Data,
    case: &'a Case,
) -> Option<(&'static str, Measure<'a>)> {
    let packed = Packed::open(case.format.pieces.as_deref()?, &case.format.folder)?;
    let streams = case.by_subject();
    Some((
        "inflate",
        Box::new(move |seconds| {
            on_threads(options, |thread| match (case.task, streams) {
                (Task::Patches, false) => packed.patches(options, data, thread, seconds),
                (Task::Patches, true) => packed.all(options, PATCHES_OF_A_STREAM, thread, seconds),
                _ => packed.all(options, data.volume[0], thread, seconds),
            })
        }),
    ))
}

impl Packed {
    fn open(path: &Path, folder: &Path) -> Option<Self> {
        let json = read_json(&path.to_owned());
        let codec = match text(&json["codec"]).as_str() {
            "zlib" => Codec::Zlib,
            "gzip" => Codec::Gzip,
            "deflate" => Codec::Deflate,
            _ => return None,
        };
        let (mut files, mut known) = (Vec::new(), HashMap::new());
        let mut file = |name: &Value| {
            *known.entry(text(name)).or_insert_with_key(|name| {
                files.push(unsafe { Mmap::map(&File::open(folder.join(name)).unwrap()).unwrap() });
                files.len() - 1
            })
        };
        let mut array = |json: &Value| {
            let (shape, chunk) = (extents(&json["shape"]), extents(&json["chunk"]));
            let piece =
                |json: &Value| Piece { file: file(&json[0]), begin: number(&json[1]), len: number(&json[2]) };
            Array {
                chunk,
                grid: [0, 1, 2].map(|axis| shape[axis].div_ceil(chunk[axis])),
                raw_bytes: number(&json["raw_bytes"]),
                pieces: json["pieces"].as_array().unwrap().iter().map(piece).collect(),
            }
        };
        let subjects = json["subjects"].as_array().unwrap().iter();
        let subjects =
            subjects.map(|arrays| arrays.as_array().unwrap().iter().map(&mut array).collect()).collect();
        Some(Self { codec, files, subjects })
    }

    /// Room for the largest piece.
    fn room(&self) -> Vec<u8> {
        vec![0; self.subjects.iter().flatten().map(|array| array.raw_bytes).max().unwrap()]
    }

    fn decode(&self, decoder: &mut Decoder, piece: &Piece, into: &mut [u8]) {
        decoder.decode(&self.files[piece.file][piece.begin..piece.begin + piece.len], into);
    }

    /// Decodes what random patches touch.
    fn patches(&self, options: &Options, data: &Data, thread: usize, seconds: f64) -> f64 {
        let (mut room, mut decoder, mut random) =
            (self.room(), Decoder::new(self.codec), Random::new(thread));
        timed(seconds, 1, || {
            let place = random.place(data, options.patch);
            for array in &self.subjects[place.subject] {
                for piece in array.touched(place.corner, options.patch) {
                    self.decode(&mut decoder, piece, &mut room[..array.raw_bytes]);
                }
            }
            1
        })
    }

    /// Decodes all pieces of subject after subject, each being worth so many samples.
    fn all(&self, options: &Options, samples: usize, thread: usize, seconds: f64) -> f64 {
        let (mut room, mut decoder, mut subject) = (self.room(), Decoder::new(self.codec), thread);
        timed(seconds, 1, || {
            for array in &self.subjects[subject % self.subjects.len()] {
                for piece in &array.pieces {
                    self.decode(&mut decoder, piece, &mut room[..array.raw_bytes]);
                }
            }
            subject += options.threads;
            samples
        })
    }
}

impl Array {
    /// The pieces that a patch touches.
    fn touched(&self, corner: [usize; 3], patch: [usize; 3]) -> impl Iterator<Item = &Piece> {
        let range = |axis: usize| {
            corner[axis] / self.chunk[axis]..(corner[axis] + patch[axis] - 1) / self.chunk[axis] + 1
        };
        let (heights, widths) = (range(1), range(2));
        range(0).flat_map(move |z| {
            let widths = widths.clone();
            heights.clone().flat_map(move |y| {
                widths.clone().map(move |x| &self.pieces[(z * self.grid[1] + y) * self.grid[2] + x])
            })
        })
    }
}
