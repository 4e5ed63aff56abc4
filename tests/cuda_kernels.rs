//! The kernels against the host's own code, bit for bit: their source runs as C in the stand-in driver.
#![expect(unsafe_code, reason = "the stand-in driver is opened before the library looks for one")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::OnceLock;

use voxfeed::sys::cuda::{
    Adding, Context, Converter, Current, DeviceBuffer, LentMemory, Mirrored, Part, PinnedBuffer, Statistics,
    Stream, Voxels, add_part,
};
use voxfeed::sys::{
    Conversion, Fit, FloatStep, LabelTable, Scale, Sheet, Stored, Stores, Target, Weights, add, add_weighted,
    assign, convert, gather,
};
use voxfeed::transform::{Chain, Program};
use voxfeed::voxel::{DType, Run};

mod programs;
mod standin;

const KNOWN: [DType; 10] = [
    DType::Bool,
    DType::U8,
    DType::I8,
    DType::U16,
    DType::I16,
    DType::U32,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::F32,
];

/// The stand-in, opened by its path: who looks for the driver by its name finds it.
fn device() -> &'static Context {
    static OPENED: OnceLock<libloading::Library> = OnceLock::new();
    OPENED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        standin::put_into(folder.path());
        // SAFETY: it is our own, and has no initialiser but one that reads the environment.
        unsafe { libloading::Library::new(folder.path().join("libcuda.so.1")) }.unwrap()
    });
    Context::of(0).unwrap()
}

/// Bytes of any values, many of them small, special or in between.
fn voxels_of(dtype: DType, count: usize, seed: u64) -> Vec<u8> {
    const SPECIAL: [f64; 12] = [
        0.0,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        65519.0,
        65520.0,
        3.4028234e38,
        5e-8,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let (mut bytes, mut state) = (vec![0; count * dtype.byte_len()], seed * 2 + 1);
    for voxel in bytes.chunks_exact_mut(dtype.byte_len()) {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let bits = state >> 20;
        let value = match bits % 4 {
            0 => (bits >> 8) as f64 % 700.0 / 2.0 - 150.0,
            1 => SPECIAL[(bits >> 8) as usize % SPECIAL.len()],
            2 => f64::from((bits >> 8) as i32),
            _ => {
                voxel.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes()[..dtype.byte_len()]);
                if dtype == DType::Bool {
                    voxel[0] &= 1;
                }
                continue;
            }
        };
        convert(&value.to_ne_bytes(), DType::F64, voxel, dtype);
    }
    bytes
}

/// The bits, with one NaN for all.
fn plain(bytes: &[u8], dtype: DType) -> Vec<u64> {
    let voxels = bytes.chunks_exact(dtype.byte_len()).map(|voxel| {
        let mut wide = [0; 8];
        wide[..voxel.len()].copy_from_slice(voxel);
        u64::from_le_bytes(wide)
    });
    let nan = |bits: u64| match dtype {
        DType::F16 => bits & 0x7fff > 0x7c00,
        DType::F32 => bits & 0x7fff_ffff > 0x7f80_0000,
        _ => false,
    };
    voxels.map(|bits| if nan(bits) { u64::MAX } else { bits }).collect()
}

/// What is in a buffer.
fn downloaded(current: &Current, buffer: &DeviceBuffer, len: usize) -> Vec<u8> {
    let stream = Stream::new(current).unwrap();
    let mut pinned = PinnedBuffer::zeroed(current, len, None).unwrap();
    stream.download_and_wait(current, (buffer, 0), (&mut pinned, len)).unwrap();
    pinned.bytes()[..len].to_vec()
}

/// What the device makes of voxels: rows of channels.
fn converted(conversion: &Conversion, bytes: &[u8], counts: [usize; 2], extents: [usize; 3]) -> Vec<u8> {
    converted_as(conversion, bytes, (counts, extents), (Mirrored::All(0), Statistics::None))
}

fn converted_as(
    conversion: &Conversion,
    bytes: &[u8],
    (counts, extents): ([usize; 2], [usize; 3]),
    (mirrored, statistics): (Mirrored<'_>, Statistics<'_>),
) -> Vec<u8> {
    let current = device().enter().unwrap();
    let stream = Stream::new(&current).unwrap();
    let len = bytes.len() / conversion.from.byte_len() * conversion.into.byte_len();
    let source = DeviceBuffer::holding(&current, bytes).unwrap();
    let target = DeviceBuffer::new(&current, len).unwrap();
    let converter = Converter::new(&current, conversion).unwrap();
    let voxels = Voxels { source: &source, target: &target, counts, extents, mirrored, statistics };
    converter.run(stream.handle(), &voxels).unwrap();
    stream.synchronize(&current).unwrap();
    downloaded(&current, &target, len)
}

#[test]
fn casts_are_the_host_s() {
    for from in KNOWN {
        for into in KNOWN.into_iter().filter(|&into| into != DType::Bool || from == DType::Bool) {
            let stored = voxels_of(from, 4096, 7);
            let mut expected = vec![0; 4096 * into.byte_len()];
            convert(&stored, from, &mut expected, into);
            let made = converted(&Conversion::cast(from, into), &stored, [2, 2], [4, 16, 16]);
            assert_eq!(plain(&made, into), plain(&expected, into), "{from} to {into}");
        }
    }
}

#[test]
fn stored_scales_are_the_host_s() {
    let scales = [(0.1, -7.25), (-3.0, 1e6), (1e36, 0.5), (2e-9, 0.0)];
    for (from, (slope, intercept)) in KNOWN.into_iter().flat_map(|from| scales.map(|scale| (from, scale))) {
        for through in [DType::F32, DType::F16, DType::I16, DType::U8, DType::I32, DType::I64] {
            let (bytes, scale) = (voxels_of(from, 1000, 3), Scale { slope, intercept });
            let stored = Stored {
                bytes: &bytes,
                first: 0,
                strides: &[from.byte_len() as isize],
                dtype: from,
                swapped: false,
                shuffled: None,
                scale: Some(scale),
            };
            let mut expected = vec![0; 1000 * through.byte_len()];
            let mut target =
                Target { bytes: &mut expected, dtype: through, fit: Fit::Saturate, stores: Stores::Cached };
            gather(&stored, &[&[Run { output: 0, len: 1000, source: 0, step: 1 }]], &[1000], &mut target)
                .unwrap();
            let conversion = Conversion { scale: Some(scale), ..Conversion::cast(from, through) };
            let made = converted(&conversion, &bytes, [1, 1], [1, 1, 1000]);
            assert_eq!(plain(&made, through), plain(&expected, through), "{from} to {through} by {scale:?}");
        }
    }
}

/// Both ways of a chain: by the host's program, and by the conversion that it says it is.
fn chain_is_the_host_s(json: &str, from: DType) {
    let chain = Chain::parse(json).unwrap();
    let program = Program::new(&chain, "c", (from, Fit::Exact), 1).unwrap();
    let conversion = program.conversion(from, None).unwrap_or_else(|| panic!("not for a device: {json}"));
    for seed in 0..4 {
        let stored = voxels_of(from, 600, seed);
        let (gathered, _) = program.gathered();
        let mut scratch = vec![0; 600 * gathered.byte_len()];
        convert(&stored, from, &mut scratch, gathered);
        let mut row = vec![0; 600 * program.dtype().byte_len()];
        if !program.needs_scratch() {
            row.copy_from_slice(&scratch);
        }
        program.run(&[], &mut scratch, &mut row).unwrap();
        let made = converted(&conversion, &stored, [1, 1], [6, 10, 10]);
        assert_eq!(plain(&made, program.dtype()), plain(&row, program.dtype()), "{from}: {json}");
    }
}

#[test]
fn chains_are_the_host_s() {
    let cast = |dtype: &str| {
        format!(r#"{{"name": "cast", "category": "c", "dtype": "{dtype}", "fit": "saturate"}}"#)
    };
    let steps = [
        r#"{"name": "scale", "category": "c", "slope": 0.37, "offset": -1.1}"#,
        r#"{"name": "window", "category": "c", "low": -100.3, "high": 77.7, "to": [-1, 1]}"#,
        r#"{"name": "zscore", "category": "c", "mean": 3.3, "std": 17.9}"#,
    ];
    let large = r#"{"name": "scale", "category": "c", "slope": -3000, "offset": 0.5}"#;
    let all = steps.join(", ");
    for from in [DType::U8, DType::I8, DType::U16, DType::I16, DType::I32, DType::F16, DType::F32] {
        for float in ["f32", "f16"] {
            for step in steps.iter().copied().chain([large, all.as_str()]) {
                chain_is_the_host_s(&format!("[{}, {step}]", cast(float)), from);
                for last in ["u8", "i16", "i64", "f16", "f32"] {
                    chain_is_the_host_s(&format!("[{}, {step}, {}]", cast(float), cast(last)), from);
                }
            }
        }
    }
}

#[test]
fn lookups_are_the_host_s() {
    let lookup = |default: &str| {
        format!(
            r#"{{"name": "lookup", "category": "c", "map": {{"1": 5, "2": 0, "77": 100, "3": 3}}, "default": {default}}}"#
        )
    };
    for default in ["\"keep\"", "9"] {
        for dtype in [DType::U8, DType::I8, DType::U16, DType::I16, DType::I32, DType::I64] {
            chain_is_the_host_s(&format!("[{}]", lookup(default)), dtype);
            let wider = r#"{"name": "cast", "category": "c", "dtype": "i64"}"#;
            chain_is_the_host_s(&format!("[{wider}, {}]", lookup(default)), dtype);
        }
    }
}

#[test]
fn what_could_fail_or_is_not_known_stays_on_the_host() {
    let refused = [
        (r#"[{"name": "lookup", "category": "c", "map": {"1": 5}, "default": "error"}]"#, DType::U8),
        (r#"[{"name": "cast", "category": "c", "dtype": "f16"}]"#, DType::U16),
        (r#"[{"name": "cast", "category": "c", "dtype": "u8"}]"#, DType::I16),
        (r#"[{"name": "cast", "category": "c", "dtype": "f64"}]"#, DType::I16),
        (r#"[{"name": "scale", "category": "c", "slope": 2, "offset": 0}]"#, DType::F64),
    ];
    for (json, dtype) in refused {
        let program = Program::new(&Chain::parse(json).unwrap(), "c", (dtype, Fit::Exact), 1).unwrap();
        assert_eq!(program.conversion(dtype, None), None, "{json}");
    }
}

#[test]
fn rows_are_mirrored_each_their_own_way() {
    let (from, extents) = (DType::I16, [3usize, 4, 5]);
    let stored: Vec<u8> = (0..8 * 2 * 60i16).flat_map(i16::to_ne_bytes).collect();
    let masks: Vec<u8> = (0..8).collect();
    let current = device().enter().unwrap();
    let buffer = DeviceBuffer::holding(&current, &masks).unwrap();
    let conversion = Conversion::cast(from, DType::F32);
    let counts = [8, 2];
    let each =
        converted_as(&conversion, &stored, (counts, extents), (Mirrored::Each(&buffer), Statistics::None));
    for mask in 0..8u8 {
        let all =
            converted_as(&conversion, &stored, (counts, extents), (Mirrored::All(mask), Statistics::None));
        for (place, value) in
            all.chunks_exact(4).map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap())).enumerate()
        {
            let (plane, [z, y, x]) = (place / 60, [place % 60 / 20, place % 20 / 5, place % 5]);
            let turn = |bit: u8, at: usize, extent: usize| if mask & bit == 0 { at } else { extent - 1 - at };
            let source = plane * 60 + turn(4, z, 3) * 20 + turn(2, y, 4) * 5 + turn(1, x, 5);
            assert_eq!(value, source as f32, "{mask} {place}");
        }
        let row = usize::from(mask) * 2 * 60 * 4;
        assert_eq!(each[row..row + 480], all[row..row + 480], "row {mask}");
    }
}

#[test]
fn channels_and_rows_have_their_own_statistics() {
    let current = device().enter().unwrap();
    let stored: Vec<u8> = (0..24i16).flat_map(i16::to_ne_bytes).collect();
    let numbers: Vec<f32> = (0..12).map(|k| k as f32 * 1.7 + 1.0).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let buffer = DeviceBuffer::holding(&current, &bytes).unwrap();
    let steps = vec![FloatStep::StandardiseEach];
    let conversion = Conversion { steps, ..Conversion::cast(DType::I16, DType::F32) };
    for each_row in [false, true] {
        let statistics = if each_row { Statistics::OfRows(&buffer) } else { Statistics::OfChannels(&buffer) };
        let made = converted_as(&conversion, &stored, ([3, 2], [1, 2, 2]), (Mirrored::All(0), statistics));
        for (place, value) in
            made.chunks_exact(4).map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap())).enumerate()
        {
            let set = if each_row { place / 4 } else { place / 4 % 2 };
            assert_eq!(value, (place as f32 - numbers[2 * set]) / numbers[2 * set + 1]);
        }
    }
}

#[test]
fn what_does_not_fit_its_buffers_is_refused_before_it_runs() {
    let current = device().enter().unwrap();
    let own = Stream::new(&current).unwrap();
    let stream = own.handle();
    let small = DeviceBuffer::new(&current, 100).unwrap();
    let each =
        Conversion { steps: vec![FloatStep::StandardiseEach], ..Conversion::cast(DType::U8, DType::F32) };
    let converter = Converter::new(&current, &each).unwrap();
    let voxels = |extents: [usize; 3], statistics| Voxels {
        source: &small,
        target: &small,
        counts: [2, 1],
        extents,
        mirrored: Mirrored::All(0),
        statistics,
    };
    converter.run(stream, &voxels([1, 1, 12], Statistics::OfRows(&small))).unwrap();
    converter.run(stream, &voxels([1, 1, 0], Statistics::OfRows(&small))).unwrap();
    for refused in [
        voxels([1, 1, 13], Statistics::OfRows(&small)),
        voxels([1, 1, 12], Statistics::None),
        voxels([usize::MAX, 1, 2], Statistics::OfRows(&small)),
        voxels([1 << 20, 1 << 20, 1 << 20], Statistics::OfRows(&small)),
    ] {
        converter.run(stream, &refused).unwrap_err();
    }
    // The one that was not refused still uses the buffer.
    own.synchronize(&current).unwrap();
    assert!(Converter::new(&current, &Conversion::cast(DType::F64, DType::F32)).is_err());
    let lookup = Some(LabelTable::Pairs(vec![(1, 2), (1, 3)], None));
    Converter::new(&current, &Conversion { lookup, ..Conversion::cast(DType::I16, DType::I16) }).unwrap();
}

#[test]
fn predictions_add_up_as_on_the_host() {
    // A part of (2, 3, 4, 5) of a prediction of (2, 4, 6, 7), into sums of (2, 5, 8, 9).
    let current = device().enter().unwrap();
    let stream = Stream::new(&current).unwrap();
    let (sum_strides, source_strides, extents) = ([360, 72, 9], [168, 42, 7], [2usize, 3, 4, 5]);
    let (first, begin) = (72 + 2 * 9 + 3, 42 + 7 + 1);
    let weights: Vec<f32> = (0..12).map(|k| 0.13 + k as f32 * 0.071).collect();
    let bytes: Vec<u8> = weights.iter().flat_map(|weight| weight.to_ne_bytes()).collect();
    let weight_buffer = DeviceBuffer::holding(&current, &bytes).unwrap();
    for dtype in [DType::F32, DType::F16, DType::U8] {
        let prediction = voxels_of(dtype, 336, 11);
        let mut plain_prediction = vec![0u8; 336 * 4];
        convert(&prediction, dtype, &mut plain_prediction, DType::F32);
        let values: Vec<f32> = plain_prediction
            .chunks_exact(4)
            .map(|bytes| f32::from_ne_bytes(bytes.try_into().unwrap()))
            .collect();
        let mut sums = vec![0.25f32; 720];
        let start: Vec<u8> = sums.iter().flat_map(|sum| sum.to_ne_bytes()).collect();
        let buffer = DeviceBuffer::holding(&current, &start).unwrap();
        let source = DeviceBuffer::holding(&current, &prediction).unwrap();
        // SAFETY: the buffer has these bytes and lives until the stream is done.
        let lent = unsafe { LentMemory::new(0, source.pointer().cast(), source.byte_len()) };
        let part = Part {
            sums: (&buffer, first),
            sum_strides,
            source: (lent, dtype, begin),
            source_strides,
            extents,
        };
        for how in [Adding::Put, Adding::Add, Adding::Weighted(&weight_buffer, [0, 3, 7]), Adding::Add] {
            add_part(&current, stream.handle(), &part, how).unwrap();
            for (channel, z) in (0..2).flat_map(|channel| (0..3).map(move |z| (channel, z))) {
                let sheet = Sheet {
                    rows: 4,
                    width: 5,
                    target: first + channel * 360 + z * 72,
                    target_stride: 9,
                    source: begin + channel * 168 + z * 42,
                    source_stride: 7,
                };
                match how {
                    Adding::Put => assign(&mut sums, &values, &sheet),
                    Adding::Add => add(&mut sums, &values, &sheet),
                    Adding::Weighted(..) => {
                        let weights =
                            Weights { factor: weights[z], rows: &weights[3..7], columns: &weights[7..12] };
                        add_weighted(&mut sums, &values, &sheet, &weights);
                    }
                }
            }
        }
        stream.synchronize(&current).unwrap();
        let expected: Vec<u8> = sums.iter().flat_map(|sum| sum.to_ne_bytes()).collect();
        let made = downloaded(&current, &buffer, 720 * 4);
        assert_eq!(plain(&made, DType::F32), plain(&expected, DType::F32), "{dtype}");
        for wrong in [
            Part { sums: (&buffer, first + 720), ..part },
            Part { source: (lent, dtype, begin + 336), ..part },
            Part { source: (lent, DType::F64, 0), ..part },
            Part { extents: [2, 3, 4, usize::MAX], ..part },
        ] {
            add_part(&current, stream.handle(), &wrong, Adding::Add).unwrap_err();
        }
        let short = Adding::Weighted(&weight_buffer, [0, 3, 8]);
        add_part(&current, stream.handle(), &part, short).unwrap_err();
    }
}
