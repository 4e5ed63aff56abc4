//! What `.zarray` and `zarr.json` say of an array.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::store::numpy::numpy_dtype;
use crate::store::zarr::element;
use crate::store::zarr::pipeline::Pipeline;
use crate::voxel::DType;

/// How an array is stored.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    /// The extents of the array.
    pub(super) extents: Vec<usize>,
    /// The extents of what one file holds: a chunk, or a shard of chunks.
    pub(super) chunk: Vec<usize>,
    /// The extents of the chunks in a shard, and where the shard says they are.
    pub(super) shard: Option<Sharding>,
    /// The dtype.
    pub(super) dtype: DType,
    /// Whether its bytes are in the other order.
    pub(super) swapped: bool,
    /// A voxel that is not stored, in stored byte order.
    pub(super) fill: [u8; 8],
    /// The axes in the order in which a chunk keeps them, slowest first.
    pub(super) order: Vec<usize>,
    /// What the chunks' bytes went through.
    pub(super) pipeline: Pipeline,
    /// What the chunks' files are called.
    pub(super) keys: Keys,
    /// The names of the axes, where they have some.
    pub(super) names: Vec<String>,
}

/// How a shard is cut and where its index is.
#[derive(Debug, Clone)]
pub(super) struct Sharding {
    /// The extents of a chunk.
    pub(super) chunk: Vec<usize>,
    /// Whether the index comes before the chunks.
    pub(super) index_first: bool,
    /// Whether the index ends with a checksum.
    pub(super) checksum: bool,
    /// Whether the index has its numbers' bytes in big-endian order.
    pub(super) big_endian: bool,
}

/// What the files of chunks are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// Whether the name begins with `c`.
    prefixed: bool,
    /// What stands between the numbers.
    separator: char,
}

impl Keys {
    /// The path of a chunk's file below the array's folder.
    pub(super) fn path(&self, at: &[usize]) -> String {
        let mut path = if self.prefixed { "c".to_owned() } else { String::new() };
        for number in at {
            if !path.is_empty() {
                path.push(self.separator);
            }
            path.push_str(&number.to_string());
        }
        path
    }
}

impl Metadata {
    /// Reads version 2's `.zarray`.
    ///
    /// # Errors
    /// `Format` where it is broken, `Unsupported` where it names what is not read.
    pub(super) fn second(json: &Value) -> Result<Self> {
        version(json, 2)?;
        let extents = numbers(json, "shape")?;
        let descr = json.get("dtype").unwrap_or(&Value::Null);
        let known = descr.as_str().and_then(numpy_dtype);
        let (dtype, swapped) =
            known.ok_or_else(|| Error::unsupported(format!("dtype {descr}, expected a number's")))?;
        let axes = 0..extents.len();
        let order = match text(json, "order")? {
            "C" => axes.collect(),
            "F" => axes.rev().collect(),
            other => return Err(Error::format(format!("order \"{other}\", expected \"C\" or \"F\""))),
        };
        let mut pipeline = Pipeline::default();
        let filters = json.get("filters").and_then(Value::as_array).into_iter().flatten();
        for codec in filters.chain(json.get("compressor").filter(|codec| !codec.is_null())) {
            pipeline.push(text(codec, "id")?, codec)?;
        }
        let separator = match json.get("dimension_separator") {
            None => '.',
            Some(separator) => one_separator(separator)?,
        };
        let keys = Keys { prefixed: false, separator };
        let fill = fill(json, dtype, swapped)?;
        let chunk = numbers(json, "chunks")?;
        let names = Vec::new();
        Self { extents, chunk, shard: None, dtype, swapped, fill, order, pipeline, keys, names }.checked()
    }

    /// Reads version 3's `zarr.json`.
    ///
    /// # Errors
    /// `Format` where it is broken, `Unsupported` where it names what is not read.
    pub(super) fn third(json: &Value) -> Result<Self> {
        version(json, 3)?;
        refuse_extensions(json)?;
        let extents = numbers(json, "shape")?;
        let dtype = element::dtype(json.get("data_type").unwrap_or(&Value::Null))?;
        let (grid, about) = named(json.get("chunk_grid"), "chunk_grid")?;
        if grid != "regular" {
            return Err(Error::unsupported(format!("chunk grid \"{grid}\": a regular one is read")));
        }
        let chunk = numbers(about, "chunk_shape")?;
        let (encoding, about) = named(json.get("chunk_key_encoding"), "chunk_key_encoding")?;
        let (prefixed, usual) = match encoding {
            "default" => (true, '/'),
            "v2" => (false, '.'),
            other => {
                return Err(Error::unsupported(format!(
                    "chunk key encoding \"{other}\": default and v2 are read"
                )));
            }
        };
        let separator = about.get("separator").map_or(Ok(usual), one_separator)?;
        let keys = Keys { prefixed, separator };
        let mut chain = Chain { order: (0..extents.len()).collect(), ..Chain::default() };
        chain.read(json)?;
        let Chain { order, swapped, pipeline, shard, .. } = chain;
        let swapped = swapped && dtype.byte_len() > 1;
        let fill = fill(json, dtype, swapped)?;
        let names = json.get("dimension_names").and_then(Value::as_array).into_iter().flatten();
        let names = names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
        Self { extents, chunk, shard, dtype, swapped, fill, order, pipeline, keys, names }.checked()
    }

    /// The same after a check that its lists of extents fit each other.
    fn checked(self) -> Result<Self> {
        let ndim = self.extents.len();
        if ndim == 0 {
            return Err(Error::unsupported("a single value, not an array"));
        }
        let inner = self.shard.as_ref().map_or(&self.chunk, |shard| &shard.chunk);
        if self.chunk.len() != ndim || inner.len() != ndim {
            return Err(Error::format("its chunks have not the axes of its shape"));
        }
        let divides = |(outer, inner): (&usize, &usize)| *inner > 0 && outer.is_multiple_of(*inner);
        if !self.chunk.iter().zip(inner).all(divides) {
            return Err(Error::format(format!(
                "chunks of {inner:?} do not divide those of {:?}",
                self.chunk
            )));
        }
        let mut sorted = self.order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..ndim) {
            return Err(Error::format(format!("codec \"transpose\" of order {:?}", self.order)));
        }
        Ok(self)
    }
}

/// The codecs of version 3 as they are read one by one.
#[derive(Debug, Default)]
struct Chain {
    order: Vec<usize>,
    turned: bool,
    swapped: bool,
    pipeline: Pipeline,
    shard: Option<Sharding>,
}

impl Chain {
    fn read(&mut self, json: &Value) -> Result<()> {
        let codecs = json.get("codecs").and_then(Value::as_array);
        let codecs = codecs.ok_or_else(|| Error::format("\"codecs\" is missing or no list"))?;
        let mut as_bytes = false;
        for codec in codecs {
            let (name, about) = named(Some(codec), "codecs")?;
            match (name, as_bytes) {
                ("transpose", false) => self.turn(about)?,
                ("bytes" | "endian", false) => {
                    as_bytes = true;
                    self.swapped = big_endian(about)? == cfg!(target_endian = "little");
                }
                ("sharding_indexed", false) if self.shard.is_none() && !self.turned => {
                    as_bytes = true;
                    self.shard = Some(sharding(about)?);
                    self.read(about)?;
                }
                ("sharding_indexed", false) => {
                    return Err(Error::unsupported(
                        "codec \"sharding_indexed\" inside another, or after transpose",
                    ));
                }
                ("transpose" | "bytes" | "endian" | "sharding_indexed", true) => {
                    return Err(Error::format(format!("codec \"{name}\" behind the one that makes bytes")));
                }
                (name, false) if !name.is_empty() && !is_known_packing(name) => {
                    return self.pipeline.push(name, about);
                }
                (name, false) => {
                    return Err(Error::format(format!("codec \"{name}\" before the one that makes bytes")));
                }
                (name, true) if self.shard.is_some() && codecs.iter().any(is_sharding) => {
                    let text = format!("codec \"{name}\" over whole shards: put it into the shards' codecs");
                    return Err(Error::unsupported(text));
                }
                (name, true) => self.pipeline.push(name, about)?,
            }
        }
        if as_bytes { Ok(()) } else { Err(Error::format("no codec makes bytes of the chunks")) }
    }

    fn turn(&mut self, about: &Value) -> Result<()> {
        let order = numbers(about, "order")?;
        self.turned = true;
        let turned: Option<Vec<usize>> = order.iter().map(|&axis| self.order.get(axis).copied()).collect();
        let turned = turned.filter(|turned| turned.len() == self.order.len());
        self.order =
            turned.ok_or_else(|| Error::format(format!("codec \"transpose\" of order {order:?}")))?;
        Ok(())
    }
}

/// Whether a codec packs bytes and so has its place behind the one that makes them.
fn is_known_packing(name: &str) -> bool {
    Pipeline::default().push(name, &Value::Null).is_ok()
}

fn is_sharding(codec: &Value) -> bool {
    codec.get("name").and_then(Value::as_str) == Some("sharding_indexed")
}

fn sharding(about: &Value) -> Result<Sharding> {
    let index_first = match about.get("index_location").and_then(Value::as_str) {
        None | Some("end") => false,
        Some("start") => true,
        Some(other) => {
            return Err(Error::format(format!("index_location \"{other}\", expected \"start\" or \"end\"")));
        }
    };
    let codecs = about.get("index_codecs").and_then(Value::as_array);
    let codecs = codecs.ok_or_else(|| Error::format("\"index_codecs\" is missing or no list"))?;
    let mut names = Vec::new();
    let mut big = false;
    for codec in codecs {
        let (name, about) = named(Some(codec), "index_codecs")?;
        if name == "bytes" {
            big = big_endian(about)?;
        }
        names.push(name);
    }
    let checksum = match names.as_slice() {
        ["bytes"] => false,
        ["bytes", "crc32c"] => true,
        other => {
            let text = format!("index codecs {}: bytes, and crc32c behind it, are read", other.join(", "));
            return Err(Error::unsupported(text));
        }
    };
    Ok(Sharding { chunk: numbers(about, "chunk_shape")?, index_first, checksum, big_endian: big })
}

fn big_endian(about: &Value) -> Result<bool> {
    match about.get("endian").and_then(Value::as_str) {
        Some("big") => Ok(true),
        Some("little") | None => Ok(false),
        Some(other) => Err(Error::format(format!("endian \"{other}\", expected \"little\" or \"big\""))),
    }
}

/// A fill value's bytes in stored order.
fn fill(json: &Value, dtype: DType, swapped: bool) -> Result<[u8; 8]> {
    let mut fill = element::fill(json.get("fill_value").unwrap_or(&Value::Null), dtype)?;
    if let (true, Some(element)) = (swapped, fill.get_mut(..dtype.byte_len())) {
        element.reverse();
    }
    Ok(fill)
}

fn version(json: &Value, expected: u64) -> Result<()> {
    match json.get("zarr_format").and_then(Value::as_u64) {
        Some(version) if version == expected => Ok(()),
        Some(version) => Err(Error::unsupported(format!("zarr_format {version}, expected 2 or 3"))),
        None => Err(Error::format("\"zarr_format\" is missing")),
    }
}

/// Refuses what extensions ask readers to understand.
fn refuse_extensions(json: &Value) -> Result<()> {
    const KNOWN: [&str; 12] = [
        "zarr_format",
        "node_type",
        "shape",
        "data_type",
        "chunk_grid",
        "chunk_key_encoding",
        "codecs",
        "fill_value",
        "attributes",
        "dimension_names",
        "storage_transformers",
        "consolidated_metadata",
    ];
    let transformers = json.get("storage_transformers").and_then(Value::as_array);
    if let Some(transformer) = transformers.and_then(|list| list.first()) {
        return Err(Error::unsupported(format!("storage transformer {transformer}")));
    }
    let needed = |(name, value): &(&String, &Value)| {
        !KNOWN.contains(&name.as_str()) && value.get("must_understand") != Some(&Value::Bool(false))
    };
    match json.as_object().into_iter().flat_map(Map::iter).find(needed) {
        Some((name, _)) => Err(Error::unsupported(format!("the extension \"{name}\""))),
        None => Ok(()),
    }
}

fn one_separator(value: &Value) -> Result<char> {
    match value.as_str() {
        Some(".") => Ok('.'),
        Some("/") => Ok('/'),
        _ => Err(Error::format(format!("separator {value}, expected \".\" or \"/\""))),
    }
}

fn text<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Error::format(format!("\"{key}\" is missing or no text")))
}

/// A list of extents.
fn numbers(json: &Value, key: &str) -> Result<Vec<usize>> {
    let broken = || Error::format(format!("\"{key}\" is missing or no list of numbers"));
    let number =
        |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok()).ok_or_else(broken);
    json.get(key).and_then(Value::as_array).ok_or_else(broken)?.iter().map(number).collect()
}

/// The name and the configuration of an extension point.
fn named<'a>(value: Option<&'a Value>, key: &str) -> Result<(&'a str, &'a Value)> {
    let value = value.unwrap_or(&Value::Null);
    let name = value.as_str().or_else(|| value.get("name").and_then(Value::as_str));
    let name = name.ok_or_else(|| Error::format(format!("\"{key}\" has an item without a name")))?;
    Ok((name, value.get("configuration").unwrap_or(&Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use serde_json::json;

    fn third() -> Value {
        json!({
            "zarr_format": 3, "node_type": "array", "shape": [4, 6], "data_type": "int16", "fill_value": 1,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
            "chunk_key_encoding": {"name": "default"},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        })
    }

    #[test]
    fn chunks_are_named_as_the_array_says() {
        let keys = Metadata::third(&third()).unwrap().keys;
        assert_eq!(keys.path(&[1, 0]), "c/1/0");
        let second = json!({
            "zarr_format": 2, "shape": [4, 6], "chunks": [2, 3], "dtype": ">f4", "fill_value": null,
            "order": "F", "filters": null, "compressor": {"id": "zlib", "level": 1},
        });
        let second = Metadata::second(&second).unwrap();
        assert_eq!(second.keys.path(&[1, 0]), "1.0");
        assert_eq!(second.order, [1, 0]);
        assert_eq!(second.swapped, cfg!(target_endian = "little"));
    }

    #[test]
    fn what_is_not_read_is_refused_by_its_name() {
        let shards = |inner: Value| {
            json!([{"name": "sharding_indexed", "configuration": {
                "chunk_shape": [1, 3], "codecs": inner, "index_codecs": [{"name": "bytes"}]}}])
        };
        for (key, value, name) in [
            ("codecs", json!([{"name": "bytes"}, {"name": "pcodec"}]), "pcodec"),
            ("codecs", json!([{"name": "zfp"}]), "zfp"),
            ("codecs", shards(shards(json!([{"name": "bytes"}]))), "sharding_indexed"),
            ("codecs", json!([{"name": "bytes"}, {"name": "gzip"}, {"name": "zstd"}]), "zstd"),
            ("data_type", json!("complex64"), "complex64"),
            ("chunk_grid", json!({"name": "rectilinear"}), "rectilinear"),
            ("chunk_key_encoding", json!({"name": "fanout"}), "fanout"),
            ("storage_transformers", json!([{"name": "cloud"}]), "cloud"),
            ("novelty", json!({"name": "new"}), "novelty"),
            ("zarr_format", json!(4), "4"),
        ] {
            let mut json = third();
            json[key] = value;
            let error = Metadata::third(&json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.message().contains(name), "{error}");
        }
        let mut json = third();
        json["novelty"] = json!({"must_understand": false});
        Metadata::third(&json).unwrap();
    }

    #[test]
    fn broken_metadata_are_format_errors() {
        for (key, value) in [
            ("shape", json!([4, -6])),
            ("shape", json!([4])),
            ("fill_value", json!("x")),
            ("codecs", json!([])),
            ("codecs", json!([{"name": "gzip"}, {"name": "bytes"}])),
            ("codecs", json!([{"name": "bytes"}, {"name": "transpose", "configuration": {"order": [0, 1]}}])),
            ("codecs", json!([{"name": "transpose", "configuration": {"order": [0, 0]}}, {"name": "bytes"}])),
            ("codecs", json!([{"name": "transpose", "configuration": {"order": [2, 0]}}, {"name": "bytes"}])),
            ("codecs", json!([{}])),
            ("chunk_grid", json!({"name": "regular", "configuration": {"chunk_shape": [0, 3]}})),
            ("chunk_key_encoding", json!({"name": "default", "configuration": {"separator": "-"}})),
            ("zarr_format", json!("3")),
        ] {
            let mut json = third();
            json[key] = value.clone();
            let error = Metadata::third(&json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{key}: {value}: {error}");
        }
    }
}
