//! What the bench is asked to do.

use std::path::PathBuf;

use crate::cases::{State, Task};

pub(crate) const HELP: &str = "\
./x bench storage -- OPTIONS

  --patch P        the patch: 64 is 64x64x64, 256x256 is one voxel thick, 5x256x256; default 64
  --volume V       the volumes' extents, default 128x160x160
  --chunk C        the extents of chunks in HDF5 and Zarr, default 32
  --dtype T        the stored image: u8, i16 or f32; batches are f32; default f32
  --subjects N     how many subjects, at least 4; default 16
  --formats A,B    only these: npy, nii, npz, h5, h5-gzip, h5-lzf, nii.gz, npz-deflated, zarr3, zarr2, b2nd
  --tasks T1,T2    only these of T1 (random patches), T2 (slices), T3 (patches put back into volumes)
  --states A,B     only these of plain, device, cold, half and cached
  --batch N        the samples of a batch, default 8
  --threads N      the threads of ours and of the limits, default 2, as many as the peers have
  --rounds N       how often each is measured, default 5
  --seconds S      how long at least each time, default 0.5
  --no-peers       ours and the limits alone
  --strict         stop with an error where a format or an installed peer fails
  --quick          4 subjects, 3 rounds of 0.2 seconds
";

/// The options, with their defaults.
pub(crate) struct Options {
    pub(crate) patch: [usize; 3],
    pub(crate) volume: [usize; 3],
    pub(crate) chunk: String,
    pub(crate) dtype: String,
    pub(crate) subjects: usize,
    pub(crate) formats: Vec<String>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) states: Vec<State>,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) with_peers: bool,
    /// Whether what fails is an error, and not left out.
    pub(crate) strict: bool,
    /// The Python that makes the data and has the peers.
    pub(crate) python: String,
    /// The folder for data sets.
    pub(crate) data: PathBuf,
    /// The folder for the figures.
    pub(crate) output: PathBuf,
}

impl Options {
    /// Reads the arguments; nothing where help is asked for.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let room = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let folder = |name: &str, place: &str| std::env::var_os(name).map_or(room.join(place), PathBuf::from);
        let mut options = Self {
            patch: [64; 3],
            volume: [128, 160, 160],
            chunk: "32".to_owned(),
            dtype: "f32".to_owned(),
            subjects: 16,
            formats: Vec::new(),
            tasks: Task::ALL.to_vec(),
            states: State::ALL.to_vec(),
            batch: 8,
            threads: 2,
            rounds: 5,
            seconds: 0.5,
            with_peers: true,
            strict: false,
            python: std::env::var("VXF_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned()),
            data: folder("VXF_BENCH_DATA", "bench-data"),
            output: folder("VXF_BENCH_OUTPUT", "bench-output"),
        };
        let mut given = given.peekable();
        while let Some(name) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                // Cargo says so to every bench.
                "--bench" => {}
                "--patch" => options.patch = extents(&value()?)?,
                "--volume" => options.volume = extents(&value()?)?,
                "--chunk" => options.chunk = value()?,
                "--dtype" => options.dtype = value()?,
                "--subjects" => options.subjects = count(&name, &value()?)?,
                "--formats" => options.formats = value()?.split(',').map(str::to_owned).collect(),
                "--tasks" => {
                    options.tasks = value()?.split(',').map(Task::parse).collect::<Result<_, _>>()?
                }
                "--states" => {
                    options.states = value()?.split(',').map(State::parse).collect::<Result<_, _>>()?
                }
                "--batch" => options.batch = count(&name, &value()?)?,
                "--threads" => options.threads = count(&name, &value()?)?,
                "--rounds" => options.rounds = count(&name, &value()?)?,
                "--seconds" => options.seconds = seconds(&value()?)?,
                "--no-peers" => options.with_peers = false,
                "--strict" => options.strict = true,
                "--quick" => (options.subjects, options.rounds, options.seconds) = (4, 3, 0.2),
                other => return Err(format!("there is no option '{other}'")),
            }
        }
        options.check().map(|()| Some(options))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(axis) = (0..3).find(|&axis| self.patch[axis] > self.volume[axis]) {
            let (patch, volume) = (self.patch[axis], self.volume[axis]);
            return Err(format!(
                "the patch's extent {patch} does not fit the volume's {volume}: see --volume"
            ));
        }
        if self.subjects < 4 {
            return Err("at least 4 subjects: three are kept decoded where decoding is measured".to_owned());
        }
        Ok(())
    }

    /// Whether a format is asked for.
    pub(crate) fn wants(&self, format: &str) -> bool {
        self.formats.is_empty() || self.formats.iter().any(|name| name == format)
    }

    /// The extents of a sample of a task.
    pub(crate) fn extents(&self, task: Task) -> [usize; 3] {
        if task == Task::Slices { [1, self.volume[1], self.volume[2]] } else { self.patch }
    }
}

/// Extents as `make.py` reads them: one stands for a cube, two for a slice.
fn extents(text: &str) -> Result<[usize; 3], String> {
    let wrong = || format!("'{text}' is not like 64, 256x256 or 5x256x256");
    let parts: Vec<usize> = text.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
    match *parts.as_slice() {
        _ if parts.contains(&0) => Err(wrong()),
        [all] => Ok([all; 3]),
        [y, x] => Ok([1, y, x]),
        [z, y, x] => Ok([z, y, x]),
        _ => Err(wrong()),
    }
}

fn count(name: &str, text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| format!("{name} is '{text}', expected a number"))
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|&number: &f64| number > 0.0 && number < 1000.0);
    number.ok_or_else(|| format!("--seconds is '{text}', expected a number"))
}
