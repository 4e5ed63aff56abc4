//! From stored voxels to a batch's in one pass, described so that a device can do it.

use crate::error::{Error, Result};
use crate::sys::Scale;
use crate::voxel::DType;

/// What is done to each float: the operations in this order, each rounded on its own, in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FloatStep {
    /// `x * slope + offset`.
    Scale {
        /// Multiplies.
        slope: f32,
        /// Is added.
        offset: f32,
    },
    /// `(x clamped to the range - low) * slope + offset`.
    Window {
        /// The lowest and the highest value.
        range: [f32; 2],
        /// Multiplies.
        slope: f32,
        /// Is added.
        offset: f32,
    },
    /// `(x - mean) / divisor`.
    Standardise {
        /// Is taken away.
        mean: f32,
        /// Divides.
        divisor: f32,
    },
    /// The same with mean and divisor of each channel.
    StandardiseEach,
}

/// What labels become.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelTable {
    /// The new byte of every byte.
    Bytes(Box<[u8; 256]>),
    /// Old and new labels, and what others become; they stay where that is none.
    Pairs(Vec<(i64, i64)>, Option<i64>),
}

/// Loaded as `from`, scaled, made `through`, put through the steps, made `into`, looked up.
///
/// What does not fit a dtype becomes the nearest value that does.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The stored dtype.
    pub from: DType,
    /// What stored numbers mean, where they are not the values.
    pub scale: Option<Scale>,
    /// The dtype that the steps are done in.
    pub through: DType,
    /// What is done to floats.
    pub steps: Vec<FloatStep>,
    /// The batch's dtype.
    pub into: DType,
    /// What labels become, in the batch's dtype.
    pub lookup: Option<LabelTable>,
}

/// The most steps that a device does at once.
pub const MOST_FLOAT_STEPS: usize = 4;

impl Conversion {
    /// From one dtype to another and nothing else.
    pub fn cast(from: DType, into: DType) -> Self {
        Self { from, scale: None, through: into, steps: Vec::new(), into, lookup: None }
    }

    /// Refuses what a device cannot do.
    ///
    /// # Errors
    /// `Unsupported` naming what that is.
    pub fn check(&self) -> Result<()> {
        let refused = |what: String| Err(Error::unsupported(format!("{what} is not done on a GPU")));
        let known = |dtype: DType| !matches!(dtype, DType::U64 | DType::F64);
        let made = |dtype: DType| known(dtype) && (dtype != DType::Bool || dtype == self.from);
        if !known(self.from) || !made(self.through) || !made(self.into) {
            return refused(format!("{} by way of {} to {}", self.from, self.through, self.into));
        }
        if self.into == DType::Bool && (self.through != DType::Bool || self.scale.is_some()) {
            return refused(format!("{} by way of {} to bool", self.from, self.through));
        }
        if self.steps.len() > MOST_FLOAT_STEPS {
            return refused(format!("more than {MOST_FLOAT_STEPS} steps at once"));
        }
        if !self.steps.is_empty() && !self.through.is_float() {
            return refused(format!("a step on {} voxels", self.through));
        }
        match &self.lookup {
            None => Ok(()),
            Some(_) if self.into.is_float() || self.into == DType::Bool => {
                refused(format!("a lookup in {} voxels", self.into))
            }
            Some(LabelTable::Bytes(_)) if self.into.byte_len() != 1 => {
                refused(format!("a lookup by bytes in {} voxels", self.into))
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether means and divisors of each channel must be told with the voxels.
    pub fn needs_statistics(&self) -> bool {
        self.steps.contains(&FloatStep::StandardiseEach)
    }

    /// Whether every value fits wherever it comes to, so that nobody need look.
    ///
    /// Steps may make infinite what was finite, as on the host: only casts are asked for here.
    pub fn always_fits(&self) -> bool {
        let loaded = self.scale.is_none() && holds(self.through, self.from);
        loaded && (self.through == self.into || (self.steps.is_empty() && holds(self.into, self.from)))
    }
}

/// Whether all finite values of one dtype lie within another's range.
fn holds(into: DType, from: DType) -> bool {
    use DType::{Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    match (from, into) {
        (Bool, _) | (_, F64) => true,
        (F16, F16 | F32) | (F32, F32) => true,
        (F16 | F32 | F64, _) => from == into,
        (_, F32) => true,
        (_, F16) => matches!(from, U8 | I8 | I16),
        (U8, I16 | U16 | I32 | U32 | I64 | U64) | (I8, I16 | I32 | I64) => true,
        (U16, I32 | U32 | I64 | U64) | (I16, I32 | I64) | (U32, I64 | U64) | (I32, I64) => true,
        _ => from == into,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn what_a_device_cannot_do_is_refused() {
        let cast = Conversion::cast(DType::I16, DType::F32);
        cast.check().unwrap();
        let refused = [
            Conversion::cast(DType::F64, DType::F32),
            Conversion::cast(DType::I16, DType::Bool),
            Conversion { through: DType::U64, ..cast.clone() },
            Conversion { steps: vec![FloatStep::StandardiseEach; 5], ..cast.clone() },
            Conversion { lookup: Some(LabelTable::Pairs(Vec::new(), None)), ..cast },
            Conversion {
                steps: vec![FloatStep::StandardiseEach],
                ..Conversion::cast(DType::I16, DType::I32)
            },
            Conversion {
                lookup: Some(LabelTable::Bytes(Box::new([0; 256]))),
                ..Conversion::cast(DType::U8, DType::I64)
            },
        ];
        for conversion in refused {
            assert_eq!(conversion.check().unwrap_err().kind(), ErrorKind::Unsupported, "{conversion:?}");
        }
    }

    #[test]
    fn values_fit_where_the_host_finds_that_they_do() {
        for from in DType::ALL {
            for into in DType::ALL {
                let extremes: Vec<f64> = vec![-1e300, 1e300, 0.0, -1.0, 1.0];
                let fits = extremes.iter().all(|value| {
                    let (mut stored, mut made) = ([0u8; 8], [0u8; 8]);
                    crate::sys::convert(
                        &value.to_ne_bytes(),
                        DType::F64,
                        &mut stored[..from.byte_len()],
                        from,
                    );
                    crate::sys::convert(&stored[..from.byte_len()], from, &mut made[..into.byte_len()], into)
                });
                if Conversion::cast(from, into).always_fits() {
                    assert!(fits, "{from} {into}");
                }
            }
        }
    }
}
