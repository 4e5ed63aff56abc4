//! A chain of steps as text: a JSON list of objects with a name, a category and parameters, or one of them.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::sys::Fit;
use crate::transform::StatisticsVoxels;
use crate::transform::intensity::ZScore;
use crate::transform::labels::Unmapped;
use crate::voxel::DType;

/// One step of a chain, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To another dtype.
    Cast(DType, Fit),
    /// `x * slope + offset`.
    Scale(f64, f64),
    /// Clipped to the first range, which is then mapped to the second.
    Window([f64; 2], [f64; 2]),
    /// `(x - mean) / std`.
    ZScore(ZScore),
    /// Integers by a table, and what happens to those that are not in it.
    Lookup(Vec<(i64, i64)>, Unmapped),
}

/// Steps in order, each for one category.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain {
    steps: Vec<(String, Step)>,
}

const STEPS: [(&str, &[&str]); 5] = [
    ("cast", &["dtype", "fit"]),
    ("scale", &["slope", "offset"]),
    ("window", &["low", "high", "to"]),
    ("zscore", &["mean", "std", "statistics", "voxels"]),
    ("lookup", &["map", "default"]),
];

impl Chain {
    /// Reads a chain from JSON.
    ///
    /// # Errors
    /// `Argument` where the text is not JSON or a step, key or value is unknown; the message says which
    /// step, and what is allowed.
    pub fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json)
            .map_err(|cause| Error::argument(format!("the transform is not JSON: {cause}")))?;
        let list = match value {
            Value::Array(list) => list,
            one @ Value::Object(_) => vec![one],
            _ => return Err(Error::argument("the transform is neither a JSON list of steps nor one step")),
        };
        let step = |(number, value): (usize, &Value)| {
            Object::new(value)
                .and_then(|object| object.step())
                .map_err(|error| error.at(format!("transform step {number}")))
        };
        Ok(Self { steps: list.iter().enumerate().map(step).collect::<Result<_>>()? })
    }

    /// The steps of one category, in order.
    pub fn steps_of<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a Step> + 'a {
        self.steps.iter().filter(move |(name, _)| name == category).map(|(_, step)| step)
    }

    /// The categories that it names.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|(name, _)| name.as_str())
    }
}

/// One step's JSON object.
struct Object<'a> {
    name: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn new(value: &'a Value) -> Result<Self> {
        let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        let Value::Object(map) = value else {
            return Err(Error::argument(format!("{value} is not an object with a \"name\": {known}")));
        };
        let Some(Value::String(name)) = map.get("name") else {
            return Err(Error::argument(format!("\"name\" is missing: expected one of {known}")));
        };
        let Some((_, keys)) = STEPS.iter().find(|(step, _)| step == name) else {
            return Err(Error::argument(format!("name \"{name}\" is unknown: expected one of {known}")));
        };
        let allowed = |key: &str| ["name", "category"].contains(&key) || keys.contains(&key);
        if let Some(key) = map.keys().find(|key| !allowed(key)) {
            let keys = keys.join(", ");
            return Err(Error::argument(format!(
                "{name} has no key \"{key}\": expected name, category, {keys}"
            )));
        }
        Ok(Self { name, map })
    }

    fn step(&self) -> Result<(String, Step)> {
        let Some(Value::String(category)) = self.map.get("category") else {
            return Err(self.wrong("category", "a text such as \"images\""));
        };
        let step = match self.name {
            "cast" => Step::Cast(DType::parse(self.text("dtype")?)?, self.fit()?),
            "scale" => Step::Scale(self.number_or("slope", 1.0)?, self.number_or("offset", 0.0)?),
            "window" => self.window()?,
            "zscore" => Step::ZScore(self.zscore()?),
            _ => self.lookup()?,
        };
        Ok((category.clone(), step))
    }

    fn fit(&self) -> Result<Fit> {
        match self.map.get("fit").map(Value::as_str) {
            None | Some(Some("exact")) => Ok(Fit::Exact),
            Some(Some("saturate")) => Ok(Fit::Saturate),
            _ => Err(self.wrong("fit", "\"exact\" or \"saturate\"")),
        }
    }

    fn window(&self) -> Result<Step> {
        let (low, high) = (self.number("low")?, self.number("high")?);
        if low >= high {
            return Err(Error::argument(format!("window: low {low} is not below high {high}")));
        }
        let to = match self.map.get("to") {
            None => [0.0, 1.0],
            Some(_) => match self.numbers("to")?.as_slice() {
                [from, to] => [*from, *to],
                _ => return Err(self.wrong("to", "a list of two numbers")),
            },
        };
        Ok(Step::Window([low, high], to))
    }

    fn zscore(&self) -> Result<ZScore> {
        let given = self.map.contains_key("mean") || self.map.contains_key("std");
        match (self.map.get("statistics").map(Value::as_str), given) {
            (None, true) => {
                let (means, stds) = (self.numbers("mean")?, self.numbers("std")?);
                if means.len() != stds.len() || means.is_empty() {
                    return Err(Error::argument("zscore: mean and std have different lengths"));
                }
                if let Some(bad) = stds.iter().find(|&&std| std <= 0.0) {
                    return Err(Error::argument(format!("zscore: std {bad} is not above 0")));
                }
                Ok(ZScore::Given(means.into_iter().zip(stds).collect()))
            }
            (Some(Some("subject")), false) => match self.map.get("voxels").map(Value::as_str) {
                None | Some(Some("all")) => Ok(ZScore::Subject(StatisticsVoxels::All)),
                Some(Some("nonzero")) => Ok(ZScore::Subject(StatisticsVoxels::Nonzero)),
                _ => Err(self.wrong("voxels", "\"all\" or \"nonzero\"")),
            },
            _ => Err(Error::argument("zscore: expected either mean and std, or \"statistics\": \"subject\"")),
        }
    }

    fn lookup(&self) -> Result<Step> {
        let Some(Value::Object(map)) = self.map.get("map") else {
            return Err(self.wrong("map", "an object of old to new labels, {\"2\": 1}"));
        };
        let mut pairs = Vec::with_capacity(map.len());
        for (old, new) in map {
            let pair = old.trim().parse::<i64>().ok().zip(new.as_i64());
            pairs.push(pair.ok_or_else(|| self.wrong("map", "integers, {\"2\": 1}"))?);
        }
        let unmapped = match self.map.get("default") {
            None => Unmapped::Error,
            Some(Value::String(word)) if word == "keep" => Unmapped::Keep,
            Some(Value::String(word)) if word == "error" => Unmapped::Error,
            Some(value) => match value.as_i64() {
                Some(label) => Unmapped::Label(label),
                None => return Err(self.wrong("default", "an integer, \"keep\" or \"error\"")),
            },
        };
        Ok(Step::Lookup(pairs, unmapped))
    }

    fn text(&self, key: &str) -> Result<&'a str> {
        let value = self.map.get(key).and_then(Value::as_str);
        value.ok_or_else(|| self.wrong(key, "a text"))
    }

    fn number(&self, key: &str) -> Result<f64> {
        let value = self.map.get(key).and_then(Value::as_f64);
        value.filter(|number| number.is_finite()).ok_or_else(|| self.wrong(key, "a number"))
    }

    fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        if self.map.contains_key(key) { self.number(key) } else { Ok(default) }
    }

    /// A number or a list of numbers.
    fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        match self.map.get(key) {
            Some(Value::Array(list)) => {
                let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
                numbers.ok_or_else(|| self.wrong(key, "numbers"))
            }
            _ => Ok(vec![self.number(key)?]),
        }
    }

    fn wrong(&self, key: &str, expected: &str) -> Error {
        let found = self.map.get(key).map_or_else(|| "missing".to_owned(), |value| format!("{value}"));
        Error::argument(format!("{}: \"{key}\" is {found}, expected {expected}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_read() {
        let chain = Chain::parse(
            r#"[{"name": "cast", "category": "images", "dtype": "f32", "fit": "saturate"},
                {"name": "scale", "category": "images", "slope": 2},
                {"name": "window", "category": "images", "low": -100, "high": 300},
                {"name": "zscore", "category": "images", "mean": [1, 2], "std": [3, 4]},
                {"name": "zscore", "category": "images", "statistics": "subject", "voxels": "nonzero"},
                {"name": "lookup", "category": "labels", "map": {"2": 1, "-3": 0}, "default": "keep"}]"#,
        )
        .unwrap();
        assert_eq!(chain.steps_of("images").count(), 5);
        let lookup = Step::Lookup(vec![(2, 1), (-3, 0)], Unmapped::Keep);
        let read: Vec<_> = chain.steps_of("labels").collect();
        assert!(
            matches!(read.as_slice(), [Step::Lookup(pairs, Unmapped::Keep)] if pairs.len() == 2),
            "{lookup:?}"
        );
    }

    #[test]
    fn one_step_needs_no_list() {
        let step = r#"{"name": "scale", "category": "images", "slope": 2}"#;
        assert_eq!(Chain::parse(step).unwrap(), Chain::parse(&format!("[{step}]")).unwrap());
    }

    #[test]
    fn what_is_unknown_is_named_with_what_is_allowed() {
        let cases = [
            ("{", "not JSON"),
            ("7", "neither a JSON list of steps nor one step"),
            ("{}", "step 0: \"name\" is missing"),
            (
                r#"[{"name": "blur", "category": "c"}]"#,
                "step 0: name \"blur\" is unknown: expected one of cast",
            ),
            (
                r#"[{"name": "cast", "category": "c", "type": "f32"}]"#,
                "no key \"type\": expected name, category, dtype",
            ),
            (r#"[{"name": "cast", "category": "c", "dtype": "f99"}]"#, "dtype \"f99\" is unknown"),
            (r#"[{"name": "scale"}]"#, "\"category\" is missing"),
            (r#"[{"name": "window", "category": "c", "low": 3, "high": 3}]"#, "low 3 is not below high 3"),
            (r#"[{"name": "zscore", "category": "c", "mean": 1, "std": 0}]"#, "std 0 is not above 0"),
            (r#"[{"name": "zscore", "category": "c"}]"#, "expected either mean and std"),
            (r#"[{"name": "lookup", "category": "c", "map": {"a": 1}}]"#, "\"map\" is"),
        ];
        for (json, part) in cases {
            let error = Chain::parse(json).unwrap_err();
            assert!(error.message().contains(part), "{json}: {error}");
        }
    }
}
