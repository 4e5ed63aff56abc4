//! The shape of files: their size, their names, what `mod.rs` holds, what comments must not hold.

use std::fs;

use crate::tokens::{Kind, Source};
use crate::tree::{File, crate_files, top, written_files};

const MOST_LINES: usize = 500;

const LONG_BY_NATURE: [&str; 3] =
    ["include/voxfeed.h", "bindings/python/voxfeed.py", "bindings/julia/VoxFeed/src/lib.jl"];

const EMPTY_NAMES: [&str; 7] = ["common", "util", "utils", "helpers", "misc", "types", "manager"];

const TOP_LEVEL: [&str; 20] = [
    ".ci",
    ".git",
    ".gitignore",
    "CHANGELOG.md",
    "CMakeLists.txt",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "bindings",
    "build.rs",
    "cbindgen.toml",
    "clippy.toml",
    "include",
    "rustfmt.toml",
    "src",
    "tests",
    "x",
];

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    let exempt = LONG_BY_NATURE.contains(&file.path.as_str()) || is_data(&file.path);
    (lines > MOST_LINES && !exempt).then(|| format!("{}: {lines} lines, at most {MOST_LINES}", file.path))
}

fn is_data(path: &str) -> bool {
    [".json", ".txt", ".csv", ".svg", ".ptx"].iter().any(|ending| path.ends_with(ending))
}

fn empty_name(file: &File) -> Option<String> {
    let mut parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    parts
        .find(|part| EMPTY_NAMES.contains(part) || (*part == "core" && file.path.starts_with("src/")))
        .map(|part| format!("{}: '{part}' says nothing about what is inside", file.path))
}

/// Whatever a `mod.rs` holds besides docs, attributes, `mod` lines and `pub use`.
fn logic_in_mod(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/") || file.stem() != "mod" {
        return Vec::new();
    }
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    let mut item: Vec<&str> = Vec::new();
    let mut depth = 0_usize;
    for token in &source.code {
        match token.text.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        item.push(&token.text);
        let attribute_ends = depth == 0 && token.text == "]" && item.first() == Some(&"#");
        let block_ends = depth == 0 && token.text == "}" && !item.contains(&"use");
        if attribute_ends || block_ends || (depth == 0 && token.text == ";") {
            if !attribute_ends && !is_listing(&item) {
                wrong.push(format!(
                    "{}:{}: mod.rs holds docs, mod lines and pub use only",
                    file.path, token.line
                ));
            }
            item.clear();
        }
    }
    wrong
}

fn is_listing(item: &[&str]) -> bool {
    let public = item.first() == Some(&"pub");
    let mut rest = item.iter().skip(usize::from(public)).peekable();
    if public && rest.peek() == Some(&&"(") {
        while rest.next().is_some_and(|text| *text != ")") {}
    }
    match rest.next() {
        Some(&"mod") => item.last() == Some(&";"),
        Some(&"use") => public,
        _ => false,
    }
}

fn glob_exports(file: &File) -> Vec<String> {
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        let public = at > 0 && (source.has(at - 1, &["pub"]) || source.has(at - 1, &[")"]));
        if token.text == "use"
            && public
            && source.texts(at).take_while(|text| *text != ";").any(|text| text == "*")
        {
            wrong.push(format!("{}:{}: a glob re-export hides what a room offers", file.path, token.line));
        }
    }
    wrong
}

fn unfinished(file: &File) -> Vec<String> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];
    let mut wrong = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(mark) = words.find(|word| marks.contains(word)) {
            wrong.push(format!("{}:{}: {mark}", file.path, at + 1));
        }
    }
    if file.path.ends_with(".rs") {
        let source = Source::parse(&file.text);
        for (at, token) in source.code.iter().enumerate() {
            if ["todo", "unimplemented"].contains(&token.text.as_str()) && source.has(at + 1, &["!"]) {
                wrong.push(format!("{}:{}: {}!", file.path, token.line, token.text));
            }
        }
    }
    wrong
}

fn code_in_comments(file: &File) -> Vec<String> {
    // The header is generated from docs that this test reads too, and its first page shows a program.
    if file.path == "include/voxfeed.h" {
        return Vec::new();
    }
    let source = Source::parse(&file.text);
    let plain = source.comments.iter().filter(|token| token.kind == Kind::Comment);
    let mut wrong = Vec::new();
    for token in plain {
        for (at, line) in token.text.lines().enumerate() {
            if looks_like_code(line.trim_start_matches(['/', '*', ' ']).trim_end_matches(['/', '*', ' '])) {
                wrong.push(format!("{}:{}: commented-out code", file.path, token.line + at));
            }
        }
    }
    wrong
}

/// Prose ends in `;` at times, and speaks of `f(x)`: only both together, or a statement's keyword, count as code.
fn looks_like_code(line: &str) -> bool {
    let statement = ["let ", "use ", "pub ", "fn ", "return ", "impl ", "#[", "#include", "if (", "for ("];
    let ends = line.ends_with([';', '{', '}']);
    let marks = ["(", " = ", "::", "+= ", "->", "}"];
    ends && (statement.iter().any(|word| line.starts_with(word))
        || marks.iter().any(|mark| line.contains(mark)))
}

fn uninvited<'a>(names: impl IntoIterator<Item = &'a str>, ignored: &str) -> Vec<String> {
    let is_ignored = |name: &str| ignored.lines().any(|line| line.trim_start_matches('/') == name);
    let known = |name: &str| TOP_LEVEL.contains(&name);
    let strangers = names.into_iter().filter(|name| !known(name) && !is_ignored(name));
    strangers.map(|name| format!("{name}: has no place at the top of the repository")).collect()
}

#[test]
fn files_stay_within_their_cap() -> crate::Outcome {
    crate::none_of(written_files()?.iter().filter_map(too_long))
}

#[test]
fn file_names_say_what_is_inside() -> crate::Outcome {
    crate::none_of(written_files()?.iter().filter_map(empty_name))
}

#[test]
fn mod_files_hold_no_logic() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(logic_in_mod))
}

#[test]
fn rooms_list_what_they_offer() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(glob_exports))
}

#[test]
fn nothing_is_left_unfinished() -> crate::Outcome {
    crate::none_of(written_files()?.iter().flat_map(unfinished))
}

#[test]
fn comments_hold_no_code() -> crate::Outcome {
    let files = written_files()?;
    let in_c_style = [".rs", ".c", ".h", ".cpp", ".hpp"];
    let code = files.iter().filter(|file| in_c_style.iter().any(|ending| file.path.ends_with(ending)));
    crate::none_of(code.flat_map(code_in_comments))
}

#[test]
fn the_top_level_is_tidy() -> crate::Outcome {
    let entries = fs::read_dir(top())?.collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let ignored = fs::read_to_string(top().join(".gitignore"))?;
    crate::none_of(uninvited(names.iter().map(String::as_str), &ignored))
}

#[test]
fn a_file_over_the_cap_is_noticed() {
    assert!(too_long(&File::new("src/a.rs", &"a\n".repeat(501))).is_some());
    assert!(too_long(&File::new("src/a.rs", &"a\n".repeat(500))).is_none());
    assert!(too_long(&File::new("include/voxfeed.h", &"a\n".repeat(501))).is_none());
}

#[test]
fn a_name_that_says_nothing_is_noticed() {
    assert!(empty_name(&File::new("src/util.rs", "")).is_some());
    assert!(empty_name(&File::new("src/feed/helpers/a.rs", "")).is_some());
    assert!(empty_name(&File::new("tests/common/mod.rs", "")).is_some());
    assert!(empty_name(&File::new("src/feed/ring.rs", "")).is_none());
}

#[test]
fn logic_in_a_mod_file_is_noticed() {
    let check = |text: &str| logic_in_mod(&File::new("src/feed/mod.rs", text)).len();
    assert_eq!(
        check("//! Docs.\nmod a;\npub mod b;\npub(crate) mod c;\npub use a::{A, B};\npub(crate) use b::C;"),
        0
    );
    assert_eq!(check("#![expect(unsafe_code, reason = \"x\")]\n#[cfg(test)]\nmod tests;"), 0);
    assert_eq!(check("mod a;\nfn f() {}"), 1);
    assert_eq!(check("pub struct A;"), 1);
    assert_eq!(check("const N: usize = 1;"), 1);
    assert_eq!(check("mod a { fn f() {} }"), 1);
    assert_eq!(check("use crate::voxel::Shape;"), 1);
    assert_eq!(check("impl A { fn f() {} }"), 1);
}

#[test]
fn a_glob_re_export_is_noticed() {
    let check = |text: &str| glob_exports(&File::new("src/feed/mod.rs", text)).len();
    assert_eq!(check("pub use ring::*;"), 1);
    assert_eq!(check("pub(crate) use ring::{Slot, state::*};"), 1);
    assert_eq!(check("pub use ring::Ring; mod tests { use super::*; }"), 0);
}

#[test]
fn unfinished_work_is_noticed() {
    let mark = concat!("TO", "DO");
    assert_eq!(unfinished(&File::new("src/a.rs", &format!("// {mark}: more"))).len(), 1);
    assert_eq!(unfinished(&File::new("bindings/a.py", &format!("x = 1\n# {mark}(me)"))).len(), 1);
    assert_eq!(unfinished(&File::new("src/a.rs", "fn f() { todo!() }")).len(), 1);
    assert_eq!(unfinished(&File::new("src/a.rs", "// what is to do here; method")).len(), 0);
}

#[test]
fn code_in_a_comment_is_noticed() {
    let check = |text: &str| code_in_comments(&File::new("src/a.rs", text)).len();
    assert_eq!(check("// let a = 1;\n// f(a);"), 2);
    assert_eq!(check("/* for (i = 0; i < n; i++) {\n   a += b;\n} */"), 3);
    assert_eq!(check("// The slot is lent;\n// f(x) is its next state, see {this}."), 0);
    assert_eq!(check("/// let a = 1;\n//! f(a);"), 0);
}

#[test]
fn a_stranger_at_the_top_is_noticed() {
    assert_eq!(uninvited(["src", "scripts", "target"], "/target\n/.x\n").len(), 1);
    assert_eq!(uninvited(["src", "x", "Cargo.toml"], "").len(), 0);
}
