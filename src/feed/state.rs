//! A loader's place as text, to go on exactly there in another process.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::feed::ring::Place;
use crate::plan::{Order, Plan};

/// The number of the text's form.
const FORM: u64 = 1;

/// The place as text.
pub(super) fn save(plan: &Plan, at: Place) -> Result<String> {
    let mut state = identity(plan)?;
    if let Value::Object(map) = &mut state {
        map.insert("epoch".to_owned(), at.epoch.into());
        map.insert("sample".to_owned(), at.place.into());
    }
    Ok(state.to_string())
}

/// The place that a text says, after a check that it belongs to this plan.
pub(super) fn load(plan: &Plan, text: &str) -> Result<Place> {
    let damaged = || Error::argument("the state is damaged: it is not what save_state wrote");
    let state: Value = serde_json::from_str(text).map_err(|_| damaged())?;
    let Value::Object(own) = identity(plan)? else { return Err(damaged()) };
    for (key, expected) in &own {
        match state.get(key) {
            None => return Err(damaged()),
            Some(found) if found != expected => {
                let what = difference(key, found, expected);
                return Err(Error::argument(format!("the state belongs to another loader: {what}")));
            }
            Some(_) => {}
        }
    }
    let number = |key: &str| state.get(key).and_then(Value::as_u64).ok_or_else(damaged);
    // With another batch size, what is dropped or padded at the epoch's end may make it shorter: it is over then.
    Ok(Place { epoch: number("epoch")?, place: number("sample")?.min(plan.len()) })
}

/// What is not as it was, in words.
fn difference(key: &str, found: &Value, expected: &Value) -> String {
    let order = |shuffled: &Value| if shuffled.as_bool() == Some(true) { "shuffled" } else { "sequential" };
    match key {
        "sampler" => "its samples are others: other subjects, shapes, regions or seed".to_owned(),
        "samples" => format!("its epochs have {found} samples, here they have {expected}"),
        "shuffled" => format!("its order is {}, here it is {}", order(found), order(expected)),
        "voxfeed_state" => format!("its form is {found}, expected {expected}"),
        _ => format!("its {key} is {found}, here it is {expected}"),
    }
}

/// What tells this plan's epochs from those of others; batch size and threads may change.
fn identity(plan: &Plan) -> Result<Value> {
    let options = plan.options();
    Ok(json!({
        "voxfeed_state": FORM,
        "seed": options.seed,
        "shuffled": options.order == Order::Shuffled,
        "rank": options.rank,
        "world_size": options.world_size,
        "group_window": options.group_window,
        "samples": plan.sampler().len(),
        "sampler": format!("{:016x}", plan.sampler().fingerprint(options.seed)?),
    }))
}
