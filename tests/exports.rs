//! What the shared library shows to the loader: its name, its exports, its needs.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use programs::output_of;

mod programs;

type Outcome = Result<(), Box<dyn Error>>;

/// The C library's parts and the compiler's own run-time library: present wherever a program runs at all.
const PRESENT_EVERYWHERE: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];

/// The shared library of the very build that this test belongs to: cargo puts both in one folder.
fn library() -> Result<PathBuf, Box<dyn Error>> {
    let library = std::env::current_exe()?.with_file_name("libvoxfeed.so");
    if library.is_file() { Ok(library) } else { Err(format!("{} is not built", library.display()).into()) }
}

/// What is wrong with `nm -D --defined-only` of a library.
fn strange_exports(listing: &str) -> Vec<String> {
    let names: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let mut strange: Vec<String> =
        names.iter().filter(|name| !name.starts_with("vxf_")).map(|name| format!("exports {name}")).collect();
    if names.is_empty() {
        strange.push("exports nothing".to_owned());
    }
    strange
}

/// What is wrong with `readelf -d` of a library.
fn strange_dynamics(listing: &str) -> Vec<String> {
    let mut strange = Vec::new();
    let bracketed = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    for line in listing.lines() {
        let value = bracketed(line).unwrap_or_default();
        if line.contains("(NEEDED)") && !PRESENT_EVERYWHERE.contains(&value.as_str()) {
            strange.push(format!("needs {value}"));
        }
        if line.contains("(RUNPATH)") || line.contains("(RPATH)") {
            strange.push(format!("searches {value}"));
        }
    }
    let has = |tag: &str, text: &str| listing.lines().any(|line| line.contains(tag) && line.contains(text));
    if !has("(SONAME)", "[libvoxfeed.so.0]") {
        strange.push("is not named libvoxfeed.so.0".to_owned());
    }
    if !has("(FLAGS_1)", "NODELETE") {
        strange.push("may be unloaded while its threads run".to_owned());
    }
    strange
}

fn none_of(strange: &[String]) -> Outcome {
    if strange.is_empty() { Ok(()) } else { Err(format!("the library {}", strange.join(", ")).into()) }
}

#[test]
fn only_vxf_symbols_are_exported() -> Outcome {
    let listing = output_of(Command::new("nm").args(["-D", "--defined-only"]).arg(library()?))?;
    none_of(&strange_exports(&listing))
}

#[test]
fn the_library_has_its_name_stays_loaded_and_needs_little() -> Outcome {
    let listing = output_of(Command::new("readelf").args(["-d", "-W"]).arg(library()?).env("LC_ALL", "C"))?;
    none_of(&strange_dynamics(&listing))
}

#[test]
fn a_foreign_export_is_noticed() {
    assert_eq!(
        strange_exports("0000000000001139 T vxf_abi_version\n0000000000001139 T H5open"),
        ["exports H5open"]
    );
    assert_eq!(strange_exports(""), ["exports nothing"]);
    assert!(strange_exports("0000000000001139 T vxf_abi_version").is_empty());
}

#[test]
fn a_wrong_dynamic_section_is_noticed() {
    let good = " 0x1 (NEEDED)  Shared library: [libc.so.6]\n 0xe (SONAME)  Library soname: [libvoxfeed.so.0]\n \
                0x6ffffffb (FLAGS_1)  Flags: NOW NODELETE\n";
    assert!(strange_dynamics(good).is_empty());
    assert_eq!(strange_dynamics(&good.replace("libc.so.6", "libhdf5.so.103")), ["needs libhdf5.so.103"]);
    assert_eq!(
        strange_dynamics(&good.replace("libvoxfeed.so.0", "libvoxfeed.so")),
        ["is not named libvoxfeed.so.0"]
    );
    assert_eq!(strange_dynamics(&good.replace("NODELETE", "")).len(), 1);
    let searching = format!("{good} 0x1d (RUNPATH)  Library runpath: [/opt/lib]\n");
    assert_eq!(strange_dynamics(&searching), ["searches /opt/lib"]);
}
