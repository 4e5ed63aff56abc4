//! Steps on labels: a lookup from old numbers to new ones.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::sys::LabelTable;
use crate::voxel::DType;

/// What happens to a label that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unmapped {
    /// It becomes this label.
    Label(i64),
    /// It stays.
    Keep,
    /// It is a `Range` error.
    Error,
}

/// A table from old labels to new ones of the same dtype.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    dtype: DType,
    table: Table,
    unmapped: Unmapped,
}

#[derive(Debug, Clone)]
enum Table {
    /// The new byte of every old byte, none where it is unmapped.
    Bytes(Box<[Option<u8>; 256]>),
    Wide(HashMap<i64, i64>),
}

impl Lookup {
    /// The table for rows of this dtype.
    pub(super) fn new(dtype: DType, pairs: &[(i64, i64)], unmapped: Unmapped) -> Result<Self> {
        if dtype.is_float() {
            let text = format!("lookup needs an integer dtype, the voxels are {dtype}: cast first");
            return Err(Error::argument(text));
        }
        let replaced = match unmapped {
            Unmapped::Label(label) => Some(label),
            _ => None,
        };
        for label in pairs.iter().map(|&(_, new)| new).chain(replaced) {
            if to_bytes(label, dtype).is_none() {
                let text = format!("label {label} does not fit {dtype}: cast to a wider dtype first");
                return Err(Error::range(text));
            }
        }
        let wide: HashMap<i64, i64> = pairs.iter().copied().collect();
        let table = if dtype.byte_len() == 1 {
            let mut bytes = Box::new([None; 256]);
            for (old, slot) in (0u8..=255).zip(bytes.iter_mut()) {
                let label = if dtype == DType::I8 { i64::from(old as i8) } else { i64::from(old) };
                let new = match (wide.get(&label), unmapped) {
                    (Some(&new), _) | (None, Unmapped::Label(new)) => Some(new),
                    (None, Unmapped::Keep) => Some(label),
                    (None, Unmapped::Error) => None,
                };
                *slot = new.map(|new| if dtype == DType::I8 { new as i8 as u8 } else { new as u8 });
            }
            Table::Bytes(bytes)
        } else {
            Table::Wide(wide)
        };
        Ok(Self { dtype, table, unmapped })
    }

    /// The same as a table that a device can look into; none where a label may be an error.
    pub(super) fn table(&self) -> Option<LabelTable> {
        let other = match self.unmapped {
            Unmapped::Keep => None,
            Unmapped::Label(label) => Some(label),
            Unmapped::Error => return None,
        };
        match &self.table {
            Table::Bytes(bytes) => {
                let mut table = Box::new([0; 256]);
                for (into, new) in table.iter_mut().zip(bytes.iter()) {
                    *into = (*new)?;
                }
                Some(LabelTable::Bytes(table))
            }
            Table::Wide(pairs) => {
                Some(LabelTable::Pairs(pairs.iter().map(|(&old, &new)| (old, new)).collect(), other))
            }
        }
    }

    /// Replaces every label of a row.
    pub(super) fn apply(&self, row: &mut [u8]) -> Result<()> {
        match &self.table {
            Table::Bytes(table) => {
                for byte in row {
                    let new = table.get(usize::from(*byte)).copied().flatten();
                    *byte = new.ok_or_else(|| self.missing(from_bytes(&[*byte], self.dtype)))?;
                }
            }
            Table::Wide(table) => {
                let mut last: Option<(i64, i64)> = None;
                for voxel in row.chunks_exact_mut(self.dtype.byte_len()) {
                    let old = from_bytes(voxel, self.dtype);
                    // Neighbouring voxels mostly have the same label.
                    let new = match last {
                        Some((known, new)) if known == old => new,
                        _ => match (table.get(&old), self.unmapped) {
                            (Some(&new), _) | (None, Unmapped::Label(new)) => new,
                            (None, Unmapped::Keep) => old,
                            (None, Unmapped::Error) => return Err(self.missing(old)),
                        },
                    };
                    last = Some((old, new));
                    if let Some((bytes, len)) = to_bytes(new, self.dtype) {
                        voxel.copy_from_slice(bytes.get(..len).unwrap_or_default());
                    }
                }
            }
        }
        Ok(())
    }

    fn missing(&self, label: i64) -> Error {
        Error::range(format!("label {label} is not in the lookup's map: add it, or give a default"))
    }
}

fn from_bytes(bytes: &[u8], dtype: DType) -> i64 {
    let mut wide = [0u8; 8];
    crate::sys::convert(bytes, dtype, &mut wide, DType::I64);
    i64::from_ne_bytes(wide)
}

/// The bytes of a label in this dtype, none where it does not fit.
fn to_bytes(label: i64, dtype: DType) -> Option<([u8; 8], usize)> {
    let mut bytes = [0u8; 8];
    let len = dtype.byte_len();
    let known = dtype != DType::Bool || label == 0 || label == 1;
    let fits = crate::sys::convert(&label.to_ne_bytes(), DType::I64, bytes.get_mut(..len)?, dtype);
    (known && fits).then_some((bytes, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn labels_are_replaced_kept_or_refused() {
        let mut row = [0u8, 2, 3, 9];
        Lookup::new(DType::U8, &[(2, 1), (3, 1)], Unmapped::Keep).unwrap().apply(&mut row).unwrap();
        assert_eq!(row, [0, 1, 1, 9]);
        Lookup::new(DType::U8, &[(9, 7)], Unmapped::Label(5)).unwrap().apply(&mut row).unwrap();
        assert_eq!(row, [5, 5, 5, 7]);
        let error = Lookup::new(DType::U8, &[(5, 0)], Unmapped::Error).unwrap().apply(&mut row).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Range);
        assert!(error.message().contains("label 7"));
    }

    #[test]
    fn wide_and_signed_labels_work_alike() {
        let values = [-1i16, 1000, 1000, 4];
        let mut row: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let lookup = Lookup::new(DType::I16, &[(-1, 0), (1000, -7)], Unmapped::Keep).unwrap();
        lookup.apply(&mut row).unwrap();
        let seen: Vec<i16> = bytemuck::pod_collect_to_vec(&row);
        assert_eq!(seen, [0, -7, -7, 4]);
        let mut row = [255u8, 1];
        Lookup::new(DType::I8, &[(-1, -2)], Unmapped::Keep).unwrap().apply(&mut row).unwrap();
        assert_eq!(row, [254, 1]);
    }

    #[test]
    fn what_cannot_be_is_refused_when_made() {
        assert_eq!(Lookup::new(DType::F32, &[], Unmapped::Keep).unwrap_err().kind(), ErrorKind::Argument);
        assert_eq!(Lookup::new(DType::U8, &[(1, 256)], Unmapped::Keep).unwrap_err().kind(), ErrorKind::Range);
        assert_eq!(Lookup::new(DType::U8, &[], Unmapped::Label(-1)).unwrap_err().kind(), ErrorKind::Range);
    }
}
