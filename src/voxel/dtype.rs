//! The element types of stored volumes and of batches.

use crate::error::{Error, Result};

/// The type of one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 64 bits.
    U64,
    /// Signed, 64 bits.
    I64,
    /// IEEE 754 half precision.
    F16,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

impl DType {
    /// Every dtype, in the order of the table above.
    pub const ALL: [DType; 12] = [
        DType::Bool,
        DType::U8,
        DType::I8,
        DType::U16,
        DType::I16,
        DType::U32,
        DType::I32,
        DType::U64,
        DType::I64,
        DType::F16,
        DType::F32,
        DType::F64,
    ];

    /// Name, DLPack type code and bits.
    const fn row(self) -> (&'static str, i32, i32) {
        match self {
            DType::Bool => ("bool", 6, 8),
            DType::U8 => ("u8", 1, 8),
            DType::I8 => ("i8", 0, 8),
            DType::U16 => ("u16", 1, 16),
            DType::I16 => ("i16", 0, 16),
            DType::U32 => ("u32", 1, 32),
            DType::I32 => ("i32", 0, 32),
            DType::U64 => ("u64", 1, 64),
            DType::I64 => ("i64", 0, 64),
            DType::F16 => ("f16", 2, 16),
            DType::F32 => ("f32", 2, 32),
            DType::F64 => ("f64", 2, 64),
        }
    }

    /// The number at the C boundary: DLPack type code times 256, plus bits.
    pub const fn code(self) -> i32 {
        let (_, code, bits) = self.row();
        code << 8 | bits
    }

    /// The dtype of this number.
    ///
    /// # Errors
    /// `Argument` where no dtype has it.
    pub fn from_code(code: i32) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.code() == code);
        found.ok_or_else(|| {
            Error::argument(format!("dtype {code:#x} is none of voxfeed's: expected a VXF_DTYPE_ constant"))
        })
    }

    /// The dtype of this name: `u8`, `i16`, `f32` and so on; numpy's long names too.
    ///
    /// # Errors
    /// `Argument` where no dtype has it; the message lists them all.
    pub fn parse(name: &str) -> Result<Self> {
        let short = match name {
            "uint8" => "u8",
            "int8" => "i8",
            "uint16" => "u16",
            "int16" => "i16",
            "uint32" => "u32",
            "int32" => "i32",
            "uint64" => "u64",
            "int64" => "i64",
            "float16" => "f16",
            "float32" => "f32",
            "float64" => "f64",
            other => other,
        };
        Self::ALL.into_iter().find(|dtype| dtype.name() == short).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|dtype| dtype.name()).collect();
            Error::argument(format!("dtype \"{name}\" is unknown: expected one of {}", names.join(", ")))
        })
    }

    /// The short name: `u8`, `i16`, `f32` and so on.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The bytes of one voxel.
    pub const fn byte_len(self) -> usize {
        (self.row().2 / 8) as usize
    }

    /// Whether it is one of the three floating types.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::F32 | DType::F64)
    }

    /// The values that it holds exactly, as the smallest and the largest integer.
    const fn integers(self) -> (i128, i128) {
        match self {
            DType::Bool => (0, 1),
            DType::U8 => (0, u8::MAX as i128),
            DType::I8 => (i8::MIN as i128, i8::MAX as i128),
            DType::U16 => (0, u16::MAX as i128),
            DType::I16 => (i16::MIN as i128, i16::MAX as i128),
            DType::U32 => (0, u32::MAX as i128),
            DType::I32 => (i32::MIN as i128, i32::MAX as i128),
            DType::U64 => (0, u64::MAX as i128),
            DType::I64 => (i64::MIN as i128, i64::MAX as i128),
            DType::F16 => (-(1 << 11), 1 << 11),
            DType::F32 => (-(1 << 24), 1 << 24),
            DType::F64 => (-(1 << 53), 1 << 53),
        }
    }

    /// The smallest dtype that holds every value of both; f64 where only that comes near.
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        if self == other {
            return self;
        }
        let (low, high) = (self.integers(), other.integers());
        let (low, high) = (low.0.min(high.0), low.1.max(high.1));
        let float = self.is_float() || other.is_float();
        let wide = |dtype: &DType| {
            let (from, to) = dtype.integers();
            let floats =
                [self, other].iter().all(|one| !one.is_float() || one.byte_len() <= dtype.byte_len());
            from <= low && high <= to && (!float || dtype.is_float()) && floats
        };
        Self::ALL.into_iter().find(wide).unwrap_or(DType::F64)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_come_back() {
        for dtype in DType::ALL {
            assert_eq!(DType::from_code(dtype.code()).unwrap(), dtype);
            assert_eq!(DType::parse(dtype.name()).unwrap(), dtype);
        }
        assert_eq!(DType::F32.code(), 0x220);
        assert_eq!(DType::U8.code(), 0x108);
        assert!(DType::from_code(0).unwrap_err().message().contains("VXF_DTYPE_"));
        assert!(DType::parse("f31").unwrap_err().message().contains("f32"));
        assert_eq!(DType::parse("float32").unwrap(), DType::F32);
    }

    #[test]
    fn promotion_holds_every_value_of_both() {
        assert_eq!(DType::U8.promote(DType::I8), DType::I16);
        assert_eq!(DType::U8.promote(DType::Bool), DType::U8);
        assert_eq!(DType::I16.promote(DType::U16), DType::I32);
        assert_eq!(DType::U8.promote(DType::F32), DType::F32);
        assert_eq!(DType::I32.promote(DType::F32), DType::F64);
        assert_eq!(DType::U8.promote(DType::F16), DType::F16);
        assert_eq!(DType::U64.promote(DType::I8), DType::F64);
    }
}
