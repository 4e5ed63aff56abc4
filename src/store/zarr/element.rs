//! What one element is, and what an element of a chunk that is not stored is.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::voxel::DType;

/// The dtype of version 3's name for it.
///
/// # Errors
/// `Unsupported`, naming it, where it is no number.
pub(super) fn dtype(name: &Value) -> Result<DType> {
    let text = name.as_str().or_else(|| name.get("name").and_then(Value::as_str)).unwrap_or_default();
    let known = DType::ALL.into_iter().find(|dtype| long_name(*dtype) == text);
    known.ok_or_else(|| {
        let names: Vec<_> = DType::ALL.into_iter().map(long_name).collect();
        Error::unsupported(format!("data type {name}: {} are read", names.join(", ")))
    })
}

fn long_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::U8 => "uint8",
        DType::I8 => "int8",
        DType::U16 => "uint16",
        DType::I16 => "int16",
        DType::U32 => "uint32",
        DType::I32 => "int32",
        DType::U64 => "uint64",
        DType::I64 => "int64",
        DType::F16 => "float16",
        DType::F32 => "float32",
        DType::F64 => "float64",
    }
}

/// The bytes of a fill value in this machine's order, the first ones being the element's.
///
/// # Errors
/// `Format` where it is no value of the dtype.
pub(super) fn fill(value: &Value, dtype: DType) -> Result<[u8; 8]> {
    let refused = || Error::format(format!("fill value {value} is no {}", dtype.name()));
    let mut bytes = [0u8; 8];
    let mut put = |value: &[u8]| bytes.iter_mut().zip(value).for_each(|(byte, value)| *byte = *value);
    if value.is_null() {
        return Ok(bytes);
    }
    if dtype.is_float() {
        let bits = value.as_str().and_then(|text| text.strip_prefix("0x"));
        if let Some(bits) = bits {
            let bits = u64::from_str_radix(bits, 16).map_err(|_| refused())?;
            match dtype {
                DType::F16 => put(&u16::try_from(bits).map_err(|_| refused())?.to_ne_bytes()),
                DType::F32 => put(&u32::try_from(bits).map_err(|_| refused())?.to_ne_bytes()),
                _ => put(&bits.to_ne_bytes()),
            }
            return Ok(bytes);
        }
        let number = match value {
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            other => other.as_f64(),
        };
        let number = number.ok_or_else(refused)?;
        match dtype {
            DType::F16 => put(&half::f16::from_f64(number).to_ne_bytes()),
            DType::F32 => put(&(number as f32).to_ne_bytes()),
            _ => put(&number.to_ne_bytes()),
        }
        return Ok(bytes);
    }
    let number = match value {
        Value::Bool(flag) => Some(i128::from(*flag)),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128);
            number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)).or(whole)
        }
        _ => None,
    };
    let number = number.ok_or_else(refused)?;
    macro_rules! put_as {
        ($type:ty) => {
            put(&<$type>::try_from(number).map_err(|_| refused())?.to_ne_bytes())
        };
    }
    match dtype {
        DType::Bool => put(&[u8::from(number != 0)]),
        DType::U8 => put_as!(u8),
        DType::I8 => put_as!(i8),
        DType::U16 => put_as!(u16),
        DType::I16 => put_as!(i16),
        DType::U32 => put_as!(u32),
        DType::I32 => put_as!(i32),
        DType::U64 => put_as!(u64),
        _ => put_as!(i64),
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fill_values_are_read_in_all_their_forms() {
        let f32_of =
            |value: Value| f32::from_ne_bytes(*fill(&value, DType::F32).unwrap().first_chunk().unwrap());
        assert!(f32_of(json!("NaN")).is_nan());
        assert_eq!(f32_of(json!("-Infinity")), f32::NEG_INFINITY);
        assert_eq!(f32_of(json!("0x40490fdb")), std::f32::consts::PI);
        assert_eq!(f32_of(json!(-1.5)), -1.5);
        assert_eq!(f32_of(json!(null)), 0.0);
        assert_eq!(fill(&json!(-3), DType::I16).unwrap()[..2], (-3i16).to_ne_bytes());
        assert_eq!(fill(&json!(3.0), DType::U8).unwrap()[0], 3);
        assert_eq!(fill(&json!(true), DType::Bool).unwrap()[0], 1);
        assert_eq!(fill(&json!(u64::MAX), DType::U64).unwrap(), u64::MAX.to_ne_bytes());
        for (value, dtype) in [
            (json!(300), DType::U8),
            (json!("x"), DType::F32),
            (json!(1.5), DType::I32),
            (json!([]), DType::F64),
        ] {
            assert!(fill(&value, dtype).is_err(), "{value}");
        }
    }

    #[test]
    fn data_types_that_are_no_numbers_are_named() {
        assert_eq!(dtype(&json!("float16")).unwrap(), DType::F16);
        for name in [json!("complex64"), json!("r16"), json!({"name": "numpy.datetime64"}), json!(3)] {
            let error = dtype(&name).unwrap_err();
            assert!(error.message().contains(&name.to_string()), "{error}");
        }
    }
}
