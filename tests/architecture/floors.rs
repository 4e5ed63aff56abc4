//! Which room stands on which floor, and which rooms it may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::{Kind, Source};
use crate::tree::{File, crate_files};

/// One room: its name, its floor and the rooms that it may use.
type Room = (&'static str, u8, &'static [&'static str]);

const ROOMS: [Room; 13] = [
    ("error", 1, &[]),
    ("voxel", 2, &["error"]),
    ("random", 2, &["error"]),
    ("log", 2, &["error"]),
    ("sys", 3, &["voxel", "error"]),
    ("store", 4, &["voxel", "sys", "log", "error"]),
    ("device", 4, &["sys", "voxel", "log", "error"]),
    ("plan", 5, &["store", "random", "voxel", "error"]),
    ("transform", 5, &["sys", "random", "voxel", "error"]),
    ("feed", 6, &["plan", "transform", "store", "device", "sys", "random", "voxel", "log", "error"]),
    ("assemble", 6, &["plan", "store", "device", "sys", "voxel", "log", "error"]),
    ("prepare", 6, &["store", "transform", "sys", "voxel", "error"]),
    (
        "capi",
        7,
        &[
            "feed",
            "assemble",
            "prepare",
            "plan",
            "transform",
            "store",
            "device",
            "sys",
            "voxel",
            "random",
            "log",
            "error",
        ],
    ),
];

/// What pure rooms leave to others: a room, and the parts of std that it must not touch.
const PURE: [(&str, &[&str]); 4] = [
    ("voxel", &["fs", "io", "net", "process", "thread", "time"]),
    ("random", &["fs", "io", "net", "process", "sync", "thread", "time"]),
    ("plan", &["fs", "io", "net", "process", "thread", "time"]),
    ("transform", &["fs", "io", "net", "process", "thread", "time"]),
];

/// Where each path that starts at the crate's root leads: the first name behind it, and the line.
fn names_behind_the_root(file: &File) -> Vec<(String, usize)> {
    let source = Source::parse(&file.text);
    let mut inline = Vec::new();
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for at in 0..source.code.len() {
        let mut texts = source.texts(at);
        match texts.next() {
            Some("{") => depth += 1,
            Some("}") => {
                depth = depth.saturating_sub(1);
                inline.retain(|opened| *opened < depth + 1);
            }
            Some("mod") if source.has(at + 2, &["{"]) => inline.push(depth + 1),
            Some("crate") if source.has(at + 1, &["::"]) => names.extend(first_names(&source, at + 2)),
            Some("super") if at == 0 || !source.has(at - 1, &["::"]) => {
                let supers = 1 + source
                    .texts(at + 1)
                    .collect::<Vec<_>>()
                    .chunks_exact(2)
                    .take_while(|pair| *pair == ["::", "super"])
                    .count();
                if supers == module_depth(&file.path) + inline.len() {
                    names.extend(first_names(&source, at + 2 * supers));
                }
            }
            _ => {}
        }
    }
    names
}

/// How many modules deep the file lies: 1 for `src/random.rs` and `src/feed/mod.rs`, 2 for `src/feed/ring.rs`.
fn module_depth(path: &str) -> usize {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let names = inside.split('/').count();
    if inside.ends_with("/mod.rs") { names - 1 } else { names }
}

/// The name at `start`, or the first name of each branch of the group that opens there.
fn first_names(source: &Source, start: usize) -> Vec<(String, usize)> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut expected = true;
    for token in source.code.iter().skip(start) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            "," => expected = depth == 1,
            text if expected && (token.kind == Kind::Word || text == "*") => {
                names.push((text.to_owned(), token.line));
                expected = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn uses_against_the_table(file: &File) -> Vec<String> {
    let Some(room) = file.room() else {
        return Vec::new();
    };
    let Some((_, _, allowed)) = ROOMS.iter().find(|(name, _, _)| *name == room) else {
        return vec![format!("{}: {room} is not a room of the house", file.path)];
    };
    let mut wrong = Vec::new();
    for (used, line) in names_behind_the_root(file) {
        if used != room && !allowed.contains(&used.as_str()) {
            wrong.push(format!("{}:{line}: {room} must not use crate::{used}", file.path));
        }
    }
    wrong
}

fn impure_uses(file: &File) -> Vec<String> {
    let Some((room, forbidden)) = PURE.iter().find(|(room, _)| Some(*room) == file.room()) else {
        return Vec::new();
    };
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        if token.text != "std" || token.in_tests || !source.has(at + 1, &["::"]) {
            continue;
        }
        for (name, line) in first_names(&source, at + 2) {
            if forbidden.contains(&name.as_str()) {
                wrong.push(format!("{}:{line}: {room} is pure and must not use std::{name}", file.path));
            }
        }
    }
    wrong
}

/// The rooms of one circle of uses, if there is a circle.
fn circle(files: &[File]) -> Option<Vec<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let Some(room) = file.room() else { continue };
        let names = names_behind_the_root(file).into_iter().map(|(name, _)| name).filter(|name| name != room);
        uses.entry(room.to_owned()).or_default().extend(names);
    }
    // Rooms that use nobody left can be in no circle; what cannot be taken away is one.
    while let Some(free) = uses
        .iter()
        .find(|(_, used)| used.iter().all(|name| !has_room(&uses, name)))
        .map(|(room, _)| room.clone())
    {
        uses.remove(&free);
    }
    if uses.is_empty() { None } else { Some(uses.into_keys().collect()) }
}

fn has_room(uses: &BTreeMap<String, BTreeSet<String>>, name: &str) -> bool {
    uses.contains_key(name)
}

fn rooms_that_look_up(rooms: &[Room]) -> Vec<String> {
    let floor_of = |name: &str| rooms.iter().find(|room| room.0 == name).map_or(u8::MAX, |room| room.1);
    let mut wrong = Vec::new();
    for (name, floor, allowed) in rooms {
        for used in *allowed {
            if floor_of(used) >= *floor {
                wrong.push(format!("{name} on floor {floor} may use {used} on floor {}", floor_of(used)));
            }
        }
    }
    wrong
}

#[test]
fn rooms_use_lower_floors_only() -> crate::Outcome {
    crate::none_of(rooms_that_look_up(&ROOMS))?;
    crate::none_of(crate_files()?.iter().flat_map(uses_against_the_table))
}

#[test]
fn rooms_form_no_circle() -> crate::Outcome {
    crate::none_of(circle(&crate_files()?).map(|rooms| format!("these rooms use each other: {rooms:?}")))
}

#[test]
fn pure_rooms_touch_no_machine() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(impure_uses))
}

#[test]
fn a_table_that_looks_up_is_noticed() {
    assert_eq!(rooms_that_look_up(&[("a", 1, &["b"]), ("b", 2, &["a"])]).len(), 1);
    assert_eq!(rooms_that_look_up(&[("a", 1, &[]), ("b", 1, &["a"])]).len(), 1);
}

#[test]
fn every_way_to_name_a_room_is_noticed() {
    for text in [
        "use crate::feed::Loader;",
        "use crate::{error::Error, feed::{Loader, ring}};",
        "use crate::{\n    voxel::{Shape, Region},\n    feed,\n};",
        "fn f() { crate::feed::ring::lend(); }",
        "pub(crate) use super::super::feed::Loader;",
        "use super::super::{voxel, feed};",
        "mod deep { use super::super::super::feed::Loader; }",
        "mod deep {} mod other { fn f() { super::super::super::feed::lend() } }",
        "use crate::*;",
        "use crate::Loader;",
    ] {
        let found = uses_against_the_table(&File::new("src/plan/grid.rs", text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    let in_mod = uses_against_the_table(&File::new("src/plan/mod.rs", "use super::feed::Loader;"));
    assert_eq!(in_mod.len(), 1, "{in_mod:?}");
    let neighbour = uses_against_the_table(&File::new("src/store/npy.rs", "use crate::device::Buffer;"));
    assert_eq!(neighbour.len(), 1, "{neighbour:?}");
    let unknown = uses_against_the_table(&File::new("src/tools/x.rs", ""));
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

#[test]
fn lawful_uses_pass() {
    for text in [
        "use crate::store::Volume; use crate::voxel::{Region, Shape}; use crate::plan::Sample;",
        "// use crate::feed::Loader;\nlet text = \"crate::feed\";",
        "use super::Sample; mod tests { use super::*; use super::super::Epoch; }",
        "pub(crate) fn f() {}",
    ] {
        let found = uses_against_the_table(&File::new("src/plan/grid.rs", text));
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

#[test]
fn a_circle_of_rooms_is_noticed() {
    let a = File::new("src/plan/a.rs", "use crate::store::B;");
    let b = File::new("src/store/b.rs", "use crate::sys::C;");
    let c = File::new("src/sys/c.rs", "use crate::plan::A;");
    let outside = File::new("src/error.rs", "");
    assert!(circle(&[a, b, outside]).is_none());
    let a = File::new("src/plan/a.rs", "use crate::store::B;");
    let b = File::new("src/store/b.rs", "use crate::sys::C;");
    assert_eq!(circle(&[a, b, c]).map(|rooms| rooms.len()), Some(3));
}

#[test]
fn a_pure_room_with_a_clock_is_noticed() {
    let found = impure_uses(&File::new("src/plan/epoch.rs", "use std::{fmt, time::Instant};"));
    assert_eq!(found.len(), 1, "{found:?}");
    let found = impure_uses(&File::new("src/voxel/shape.rs", "fn f() { std::thread::yield_now() }"));
    assert_eq!(found.len(), 1, "{found:?}");
    let found = impure_uses(&File::new("src/store/npy.rs", "use std::fs::File; use std::io::Read;"));
    assert!(found.is_empty(), "{found:?}");
}
