//! A category's steps made ready for its dtype and channels.

use crate::error::{Error, Result};
use crate::sys::{Conversion, Fit, FloatStep, Scale, convert};
use crate::transform::intensity::{Map, Statistics, StatisticsVoxels, ZScore};
use crate::transform::labels::Lookup;
use crate::transform::{Chain, Step};
use crate::voxel::DType;

/// A step in the dtype that the voxels have when it comes.
#[derive(Debug, Clone)]
enum Stage {
    Map(Map),
    PerChannel(Vec<(f64, f64)>),
    PerSubject,
    Lookup(Lookup),
    Cast(DType, DType, Fit),
}

/// The steps of one category, for rows of (channel, voxels).
#[derive(Debug, Clone)]
pub struct Program {
    gathered: DType,
    fit: Fit,
    stages: Vec<Stage>,
    dtype: DType,
    statistics: Option<StatisticsVoxels>,
}

impl Program {
    /// The steps that a chain has for a category whose voxels come in this dtype with this fit.
    ///
    /// # Errors
    /// `Argument` where a step needs another dtype or number of channels; `Range` where a label does not
    /// fit. The message names the category.
    pub fn new(chain: &Chain, category: &str, (dtype, fit): (DType, Fit), channels: usize) -> Result<Self> {
        let mut program = Self { gathered: dtype, fit, stages: Vec::new(), dtype, statistics: None };
        for step in chain.steps_of(category) {
            program.push(step, channels).map_err(|error| error.at(format!("category \"{category}\"")))?;
        }
        Ok(program)
    }

    fn push(&mut self, step: &Step, channels: usize) -> Result<()> {
        let float = |name: &str| {
            let dtype = self.dtype;
            let text = format!("{name} needs a floating dtype, the voxels are {dtype}: cast to f32 first");
            if dtype.is_float() { Ok(()) } else { Err(Error::argument(text)) }
        };
        let stage = match step {
            Step::Cast(dtype, fit) if self.stages.is_empty() => {
                // The gather converts in its one copy, so a cast that comes first costs nothing.
                (self.gathered, self.fit, self.dtype) = (*dtype, *fit, *dtype);
                return Ok(());
            }
            Step::Cast(dtype, fit) => {
                let from = std::mem::replace(&mut self.dtype, *dtype);
                Stage::Cast(from, *dtype, *fit)
            }
            Step::Scale(slope, offset) => float("scale").map(|()| Stage::Map(Map::Scale(*slope, *offset)))?,
            Step::Window(from, to) => float("window").map(|()| Stage::Map(Map::Window(*from, *to)))?,
            Step::ZScore(ZScore::Given(pairs)) => {
                float("zscore")?;
                match pairs.as_slice() {
                    [(mean, std)] => Stage::Map(Map::Standardise(Statistics { mean: *mean, std: *std })),
                    pairs if pairs.len() == channels => Stage::PerChannel(pairs.to_vec()),
                    pairs => {
                        let given = pairs.len();
                        let text = format!("zscore has {given} means for {channels} channels");
                        return Err(Error::argument(text));
                    }
                }
            }
            Step::ZScore(ZScore::Subject(voxels)) => {
                float("zscore")?;
                if !self.stages.is_empty() || self.statistics.is_some() {
                    return Err(Error::argument(
                        "zscore by the subject's statistics must be the first step after a cast: they are those \
                         of the stored voxels",
                    ));
                }
                self.statistics = Some(*voxels);
                Stage::PerSubject
            }
            Step::Lookup(pairs, unmapped) => Stage::Lookup(Lookup::new(self.dtype, pairs, *unmapped)?),
        };
        self.stages.push(stage);
        Ok(())
    }

    /// All of it, from the stored dtype on, as one pass that a device can do; none where it cannot.
    ///
    /// A device tells nobody that a value does not fit or a label is unknown: what could fail so is not for it.
    pub fn conversion(&self, stored: DType, scale: Option<Scale>) -> Option<Conversion> {
        let (through, into) = (self.gathered, self.dtype);
        let mut made = Conversion { from: stored, scale, through, steps: Vec::new(), into, lookup: None };
        let mut cast = None;
        for stage in &self.stages {
            if made.lookup.is_some() {
                return None;
            }
            match stage {
                Stage::Map(map) if cast.is_none() => made.steps.push(map.step()),
                Stage::PerChannel(_) | Stage::PerSubject if cast.is_none() && !made.needs_statistics() => {
                    made.steps.push(FloatStep::StandardiseEach);
                }
                Stage::Lookup(lookup) => made.lookup = Some(lookup.table()?),
                Stage::Cast(_, _, fit) if cast.is_none() => cast = Some(*fit),
                Stage::Map(_) | Stage::PerChannel(_) | Stage::PerSubject | Stage::Cast(..) => return None,
            }
        }
        let exact = Conversion { into: through, ..made.clone() };
        let gathers = self.fit == Fit::Saturate || exact.always_fits();
        let casts =
            cast.is_none_or(|fit| fit == Fit::Saturate) || Conversion::cast(through, into).always_fits();
        (gathers && casts && made.check().is_ok()).then_some(made)
    }

    /// The mean and the divisor of each channel that [`Program::conversion`] asks for; none where it does not.
    ///
    /// `statistics` has one element a channel where [`Program::statistics`] needs them.
    pub fn row_statistics(&self, statistics: &[Statistics]) -> Vec<[f32; 2]> {
        let each = self.stages.iter().find_map(|stage| match stage {
            Stage::PerChannel(pairs) => {
                Some(pairs.iter().map(|&(mean, std)| Statistics { mean, std }.numbers()).collect())
            }
            Stage::PerSubject => Some(statistics.iter().map(|own| own.numbers()).collect()),
            _ => None,
        });
        each.unwrap_or_default()
    }

    /// The dtype and fit that the voxels are gathered with.
    pub fn gathered(&self) -> (DType, Fit) {
        (self.gathered, self.fit)
    }

    /// The dtype of the finished row.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Which voxels of a subject statistics are needed of, if any are.
    pub fn statistics(&self) -> Option<StatisticsVoxels> {
        self.statistics
    }

    /// Whether the gathered voxels are the finished row.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether the voxels are gathered elsewhere first, because a later step changes the dtype.
    pub fn needs_scratch(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Cast(..)))
    }

    /// Runs the steps on a row of (channel, voxels); `statistics` has one element a channel where needed.
    ///
    /// `scratch` holds the gathered voxels where [`Program::needs_scratch`] says so, else the row does.
    ///
    /// # Errors
    /// `Range` where a value does not fit a cast or a label is unknown.
    pub fn run(&self, statistics: &[Statistics], scratch: &mut [u8], row: &mut [u8]) -> Result<()> {
        let casts = self.stages.iter().filter(|stage| matches!(stage, Stage::Cast(..))).count();
        let mut left = casts;
        let mut dtype = self.gathered;
        let mut between;
        let mut scratch = scratch;
        for stage in &self.stages {
            let current = if left > 0 { &mut *scratch } else { &mut *row };
            match stage {
                Stage::Map(map) => map.apply(current, dtype),
                Stage::PerChannel(pairs) => {
                    for (channel, &(mean, std)) in channels(current, pairs.len()).zip(pairs) {
                        Map::Standardise(Statistics { mean, std }).apply(channel, dtype);
                    }
                }
                Stage::PerSubject => {
                    for (channel, own) in channels(current, statistics.len()).zip(statistics) {
                        Map::Standardise(*own).apply(channel, dtype);
                    }
                }
                Stage::Lookup(lookup) => lookup.apply(current)?,
                Stage::Cast(from, into, fit) => {
                    left -= 1;
                    let fits = if left == 0 {
                        convert(scratch, *from, row, *into)
                    } else {
                        let mut other = vec![0u8; scratch.len() / from.byte_len() * into.byte_len()];
                        let fits = convert(scratch, *from, &mut other, *into);
                        between = other;
                        scratch = &mut between;
                        fits
                    };
                    if !fits && *fit == Fit::Exact {
                        let text =
                            format!("a {from} value does not fit {into}: cast with \"fit\": \"saturate\"");
                        return Err(Error::range(text));
                    }
                    dtype = *into;
                }
            }
        }
        Ok(())
    }
}

/// The parts of a row that belong to each channel.
fn channels(row: &mut [u8], count: usize) -> impl Iterator<Item = &mut [u8]> {
    let part = (row.len() / count.max(1)).max(1);
    row.chunks_exact_mut(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(json: &str, dtype: DType, channels: usize) -> Result<Program> {
        Program::new(&Chain::parse(json).unwrap(), "c", (dtype, Fit::Exact), channels)
    }

    #[test]
    fn a_leading_cast_is_left_to_the_gather() {
        let made = program(r#"[{"name": "cast", "category": "c", "dtype": "f32"}]"#, DType::I16, 1).unwrap();
        assert_eq!(made.gathered(), (DType::F32, Fit::Exact));
        assert!(!made.needs_scratch());
    }

    #[test]
    fn a_cast_in_the_middle_goes_through_scratch() {
        let json = r#"[{"name": "cast", "category": "c", "dtype": "f32"},
                       {"name": "window", "category": "c", "low": 0, "high": 10, "to": [0, 255]},
                       {"name": "cast", "category": "c", "dtype": "u8"},
                       {"name": "lookup", "category": "c", "map": {"255": 9}, "default": "keep"}]"#;
        let made = program(json, DType::I16, 1).unwrap();
        assert!(made.needs_scratch());
        assert_eq!((made.gathered().0, made.dtype()), (DType::F32, DType::U8));
        let mut scratch: Vec<u8> = [-5f32, 5.0, 50.0].iter().flat_map(|value| value.to_ne_bytes()).collect();
        let mut row = [0u8; 3];
        made.run(&[], &mut scratch, &mut row).unwrap();
        assert_eq!(row, [0, 128, 9]);
    }

    #[test]
    fn channels_have_their_own_statistics() {
        let json = r#"[{"name": "zscore", "category": "c", "mean": [1, 10], "std": [1, 2]}]"#;
        let mut row: Vec<u8> = [1f32, 2.0, 10.0, 20.0].iter().flat_map(|value| value.to_ne_bytes()).collect();
        program(json, DType::F32, 2).unwrap().run(&[], &mut [], &mut row).unwrap();
        let seen: Vec<f32> = bytemuck::pod_collect_to_vec(&row);
        assert_eq!(seen, [0.0, 1.0, 0.0, 5.0]);
        assert!(program(json, DType::F32, 3).unwrap_err().message().contains("2 means for 3 channels"));
        assert!(program(json, DType::I16, 2).unwrap_err().message().contains("cast to f32 first"));
    }
}
