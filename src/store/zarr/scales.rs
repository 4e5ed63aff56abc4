//! What a multiscale image's group says of its levels: OME-NGFF's axes and spacings.

use serde_json::Value;

use crate::store::ChannelPlace;
use crate::voxel::Affine;

/// A multiscale image.
#[derive(Debug, Clone)]
pub(super) struct Multiscale {
    axes: Vec<Axis>,
    levels: Vec<Level>,
    whole: Transform,
}

#[derive(Debug, Clone)]
struct Axis {
    name: String,
    is_channel: bool,
    millimetres: f64,
}

/// An array of the image, the finest first.
#[derive(Debug, Clone)]
struct Level {
    path: String,
    transform: Transform,
}

/// A scale and a translation, nothing for each where there is none.
#[derive(Debug, Clone, Default)]
struct Transform {
    scale: Vec<f64>,
    translation: Vec<f64>,
}

impl Multiscale {
    /// The image that a group's attributes describe; nothing where they describe none.
    pub(super) fn of(attributes: &Value) -> Option<Self> {
        let about = attributes.get("ome").unwrap_or(attributes).get("multiscales")?.get(0)?;
        let axes = about.get("axes").and_then(Value::as_array).into_iter().flatten().map(axis).collect();
        let levels = about.get("datasets")?.as_array()?.iter();
        let level = |level: &Value| {
            let path = level.get("path")?.as_str()?.to_owned();
            Some(Level { path, transform: Transform::of(level) })
        };
        Some(Self { axes, levels: levels.map(level).collect::<Option<_>>()?, whole: Transform::of(about) })
    }

    /// The place of the finest array in the group.
    pub(super) fn finest(&self) -> Option<&str> {
        self.levels.first().map(|level| level.path.as_str())
    }

    /// Where the channel axis is; nothing where the axes do not say.
    pub(super) fn channel(&self) -> Option<ChannelPlace> {
        match self.axes.as_slice() {
            [] => None,
            [first, ..] if first.is_channel => Some(ChannelPlace::First),
            [.., last] if last.is_channel => Some(ChannelPlace::Last),
            axes if axes.iter().any(|axis| axis.is_channel) => None,
            _ => Some(ChannelPlace::None),
        }
    }

    /// Where the voxels of a level lie, in millimetres; nothing where it has not just the axes z, y and x
    /// beside the channels.
    pub(super) fn affine(&self, path: &str) -> Option<Affine> {
        let level = self.levels.iter().find(|level| level.path == path)?;
        let spatial = self.axes.iter().enumerate().filter(|(_, axis)| !axis.is_channel);
        let spatial: Vec<(usize, &Axis)> = spatial.collect();
        let [(z, depth), (y, height), (x, width)] = spatial.as_slice() else { return None };
        if [&depth.name, &height.name, &width.name] != ["z", "y", "x"] || level.transform.scale.is_empty() {
            return None;
        }
        let line = |axis: usize, about: &Axis| {
            let (own, whole) = (level.transform.along(axis), self.whole.along(axis));
            // The image's own transform comes after that of the level.
            let (scale, start) = (own.0 * whole.0, own.1 * whole.0 + whole.1);
            (scale * about.millimetres, start * about.millimetres)
        };
        let ((z, z0), (y, y0), (x, x0)) = (line(*z, depth), line(*y, height), line(*x, width));
        if [x, y, z].iter().any(|scale| *scale <= 0.0) {
            return None;
        }
        Some(Affine::from_fastest_first([[x, 0.0, 0.0, x0], [0.0, y, 0.0, y0], [0.0, 0.0, z, z0]]))
    }
}

impl Transform {
    fn of(about: &Value) -> Self {
        let mut transform = Self::default();
        let steps = about.get("coordinateTransformations").and_then(Value::as_array);
        for step in steps.into_iter().flatten() {
            let numbers = |key: &str| -> Vec<f64> {
                let numbers = step.get(key).and_then(Value::as_array).into_iter().flatten();
                numbers.map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
            };
            match step.get("type").and_then(Value::as_str) {
                Some("scale") => transform.scale = numbers("scale"),
                Some("translation") => transform.translation = numbers("translation"),
                _ => {}
            }
        }
        transform
    }

    /// The scale and the translation along an axis.
    fn along(&self, axis: usize) -> (f64, f64) {
        let at = |numbers: &[f64], usual| numbers.get(axis).copied().unwrap_or(usual);
        (at(&self.scale, 1.0), at(&self.translation, 0.0))
    }
}

fn axis(about: &Value) -> Axis {
    let text = |key: &str| about.get(key).and_then(Value::as_str);
    let name = text("name").or(about.as_str()).unwrap_or_default().to_owned();
    let is_channel = text("type").map_or(name == "c", |kind| kind == "channel");
    let millimetres = match text("unit") {
        Some("nanometer") => 1e-6,
        Some("micrometer") => 1e-3,
        Some("centimeter") => 10.0,
        Some("meter") => 1000.0,
        _ => 1.0,
    };
    Axis { name, is_channel, millimetres }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_have_their_spacing_in_millimetres() {
        let space = |name: &str| json!({"name": name, "type": "space", "unit": "micrometer"});
        let attributes = json!({"ome": {"multiscales": [{
            "axes": [{"name": "c", "type": "channel"}, space("z"), space("y"), space("x")],
            "datasets": [
                {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 500, 250, 125]}]},
                {"path": "1", "coordinateTransformations": [
                    {"type": "scale", "scale": [1, 1000, 500, 250]},
                    {"type": "translation", "translation": [0, 0, 0, 62.5]}]},
            ],
        }]}});
        let image = Multiscale::of(&attributes).unwrap();
        assert_eq!(image.finest(), Some("0"));
        assert_eq!(image.channel(), Some(ChannelPlace::First));
        let rows = image.affine("1").unwrap().fastest_first();
        assert_eq!(rows, [[0.25, 0.0, 0.0, 0.0625], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
        assert!(image.affine("2").is_none());
        assert!(Multiscale::of(&json!({"multiscales": []})).is_none());
    }
}
