//! The committed C header is the generated one, and every C and C++ compiler mode takes it.
//!
//! Each file of `src/capi` that offers something to C is a chapter, and the `mod` lines of `src/capi/mod.rs` are their order:
//! a noun's constants, types and functions stand together, which a single run over the crate cannot do.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use programs::output_of;

mod programs;

type Outcome = Result<(), Box<dyn Error>>;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn committed() -> PathBuf {
    top().join("include/voxfeed.h")
}

/// The files behind the `mod` lines of a `mod.rs`, in their order.
fn chapters(mod_file: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let text = fs::read_to_string(mod_file).map_err(|error| format!("{}: {error}", mod_file.display()))?;
    let lines = text.lines().map(|line| line.trim_start_matches("pub ").trim_start_matches("pub(crate) "));
    let names = lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    Ok(names.map(|name| mod_file.with_file_name(format!("{name}.rs"))).collect())
}

/// What one file offers to C, without what belongs to the header as a whole.
fn chapter(config: &cbindgen::Config, file: &Path) -> Result<String, Box<dyn Error>> {
    let mut config = config.clone();
    config.header = None;
    config.include_guard = None;
    config.sys_includes.clear();
    config.after_includes = None;
    config.cpp_compat = false;
    // Without this, a type that no function of its own chapter takes would be left out.
    config.export.include = offered_types(&fs::read_to_string(file)?);
    let bindings = cbindgen::Builder::new().with_config(config).with_src(file).generate()?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = on_one_line(&String::from_utf8(text)?);
    let lines: Vec<String> = text.lines().map(with_parentheses).collect();
    Ok(lines.join("\n").trim().to_owned())
}

/// Writes comments of one line as one line, which a reader of many short fields is glad of.
fn on_one_line(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if let [.., opening, middle] = lines.as_slice()
            && opening.trim() == "/**"
            && line.trim() == "*/"
            && let Some(said) = middle.trim_start().strip_prefix("* ")
        {
            let indent = opening.len() - opening.trim_start().len();
            let comment = format!("{:indent$}/** {said} */", "");
            lines.truncate(lines.len() - 2);
            lines.push(comment);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

/// The names of the types that a file offers to C.
fn offered_types(text: &str) -> Vec<String> {
    let declared = text.lines().filter_map(|line| {
        let words = line.strip_prefix("pub ")?;
        ["struct ", "union ", "type "].iter().find_map(|keyword| words.strip_prefix(keyword))
    });
    let names = declared.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
    names.filter(|name| name.starts_with("vxf_")).map(str::to_owned).collect()
}

/// Puts a negative constant into parentheses, so that it survives wherever a program writes it.
fn with_parentheses(line: &str) -> String {
    match line.strip_prefix("#define ").and_then(|rest| rest.split_once(" -")) {
        Some((name, number)) if !name.contains(' ') => format!("#define {name} (-{number})"),
        _ => line.to_owned(),
    }
}

fn versions() -> String {
    let numbers = [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ];
    let defines: Vec<String> =
        numbers.iter().map(|(name, number)| format!("#define VXF_VERSION_{name} {number}")).collect();
    format!(
        "/** The version that a program is compiled with; vxf_version_string() tells what it runs with. */\n{}",
        defines.join("\n")
    )
}

/// The whole header for the given `mod.rs` of the C door.
fn generate(mod_file: &Path) -> Result<String, Box<dyn Error>> {
    let config = cbindgen::Config::from_file(top().join("cbindgen.toml"))?;
    let guard = config.include_guard.clone().ok_or("cbindgen.toml names no include guard")?;
    let includes: Vec<String> = config.sys_includes.iter().map(|name| format!("#include <{name}>")).collect();
    let mut parts = vec![
        config.header.clone().unwrap_or_default().trim().to_owned(),
        format!("#ifndef {guard}\n#define {guard}"),
        includes.join("\n"),
        config.after_includes.clone().unwrap_or_default().trim().to_owned(),
        versions(),
        "#ifdef __cplusplus\nextern \"C\" {\n#endif".to_owned(),
    ];
    for file in chapters(mod_file)? {
        parts.push(chapter(&config, &file)?);
    }
    parts.push("#ifdef __cplusplus\n}\n#endif".to_owned());
    parts.push(format!("#endif /* {guard} */\n"));
    parts.retain(|part| !part.is_empty());
    Ok(parts.join("\n\n"))
}

/// The first line in which two texts differ, told so that one sees what to do.
fn difference(committed: &str, generated: &str) -> Option<String> {
    if committed == generated {
        return None;
    }
    let (mut left, mut right) = (committed.lines(), generated.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (old, new) = (left.next(), right.next());
        if old != new || old.is_none() {
            let (old, new) = (old.unwrap_or("(the end)"), new.unwrap_or("(the end)"));
            return Some(format!(
                "include/voxfeed.h:{number} is not what src/capi says; run ./x header\n  committed: {old}\n  generated: {new}"
            ));
        }
    }
}

const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Wpadded", "-Werror"];

/// Compiles a program that includes the header in one mode of a compiler.
fn compiles(header: &Path, (compiler, standard): (&str, &str), program: &str) -> Outcome {
    let room = tempfile::tempdir()?;
    let language = if compiler == "c++" { "c++" } else { "c" };
    let source = room.path().join("program");
    let include = header.file_name().ok_or("the header has no name")?.to_string_lossy();
    fs::write(&source, program.replace("HEADER", &format!("#include \"{include}\"\n")))?;
    let mut command = Command::new(compiler);
    command.arg(format!("-std={standard}")).args(WARNINGS).args(["-fsyntax-only", "-x", language]);
    command.arg("-I").arg(header.parent().ok_or("the header lies nowhere")?).arg(&source);
    output_of(&mut command).map(drop)
}

const MODES: [(&str, &str); 9] = [
    ("cc", "c99"),
    ("cc", "c11"),
    ("cc", "c17"),
    ("cc", "c2x"),
    ("c++", "c++11"),
    ("c++", "c++14"),
    ("c++", "c++17"),
    ("c++", "c++20"),
    ("c++", "c++23"),
];

#[test]
fn the_committed_header_is_the_generated_one() -> Outcome {
    let generated = generate(&top().join("src/capi/mod.rs"))?;
    if std::env::var_os("VXF_WRITE_HEADER").is_some() {
        fs::create_dir_all(top().join("include"))?;
        fs::write(committed(), &generated)?;
    }
    let found = fs::read_to_string(committed())?;
    difference(&found, &generated).map_or(Ok(()), |difference| Err(difference.into()))
}

#[test]
fn the_header_compiles_alone_and_twice_in_every_mode() -> Outcome {
    for mode in MODES {
        compiles(&committed(), mode, "HEADER\nint main(void) { return 0; }\n")?;
        compiles(&committed(), mode, "HEADER\nHEADER\nint main(void) { return (int)vxf_abi_version(); }\n")?;
    }
    Ok(())
}

#[test]
fn the_header_stands_before_and_behind_dlpacks_own() -> Outcome {
    let other = top().join("tests/c/dlpack.h");
    let other = format!("#include \"{}\"\n", other.display());
    let main = "int main(void) { struct DLManagedTensor *legacy = 0; return vxf_batch_dlpack_legacy(0, 0, 0, 0, &legacy); }\n";
    for mode in MODES {
        compiles(&committed(), mode, &format!("HEADER\n{other}{main}"))?;
        compiles(&committed(), mode, &format!("{other}HEADER\n{main}"))?;
    }
    Ok(())
}

#[test]
fn the_header_warns_no_cautious_c_programmer() -> Outcome {
    let room = tempfile::tempdir()?;
    let source = room.path().join("program.c");
    fs::write(&source, "#include <voxfeed.h>\nint main(void) { return 0; }\n")?;
    let mut command = Command::new("cc");
    command.args([
        "-std=c99",
        "-Werror",
        "-Wc++-compat",
        "-Wstrict-prototypes",
        "-Wundef",
        "-fsyntax-only",
        "-I",
    ]);
    output_of(command.arg(top().join("include")).arg(&source)).map(drop)
}

#[test]
fn a_changed_header_is_noticed() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert!(
        difference("a\nb\n", "a\nc\n")
            .is_some_and(|text| text.contains("voxfeed.h:2") && text.contains("generated: c"))
    );
    assert!(difference("a\n", "a\nb\n").is_some_and(|text| text.contains("committed: (the end)")));
    assert!(difference("a\n", "a").is_some());
}

#[test]
fn a_header_with_a_hole_or_a_missing_type_is_refused() -> Outcome {
    let room = tempfile::tempdir()?;
    let header = room.path().join("bad.h");
    for text in ["struct a { char b; long c; };\n", "vxf_unknown f(void);\n"] {
        fs::write(&header, text)?;
        for mode in MODES {
            let refused = compiles(&header, mode, "HEADER\nint main(void) { return 0; }\n").is_err();
            assert!(refused, "{mode:?} took {text}");
        }
    }
    Ok(())
}

const STATUS: &str = "
/// What a call came to: 0 is good, positive is no error, negative is one.
#[repr(transparent)]
pub struct vxf_status(i32);

impl vxf_status {
    /// All went well.
    pub const OK: vxf_status = vxf_status(0);
    /// An argument is wrong.
    pub const ERR_ARGUMENT: vxf_status = vxf_status(-2);
}
";

const NOUN: &str = "
/// A thing.
pub struct vxf_thing { inner: u8 }

/// How to make a thing.
#[repr(C)]
pub struct vxf_thing_options {
    /// Written by vxf_thing_options_init.
    pub struct_size: u32,
    /// What to do.
    pub flags: u32,
}

/// Called with each thing.
pub type vxf_thing_callback = Option<unsafe extern \"C\" fn(thing: *mut vxf_thing, user_data: *mut c_void)>;

/// How many axes a thing has at most.
pub const VXF_MAX_NDIM: usize = 8;

/// Makes a thing.
#[unsafe(no_mangle)]
pub unsafe extern \"C\" fn vxf_thing_new(options: *const vxf_thing_options, out: *mut *mut vxf_thing) -> vxf_status {}

fn private() {}
";

const USER: &str = "
/// What speaks of other chapters' types.
#[repr(C)]
pub struct vxf_report {
    /// What the last call came to.
    pub status: vxf_status,
    /// Zero.
    pub reserved: u32,
    /// The axes.
    pub shape: [i64; VXF_MAX_NDIM],
    /// Borrowed.
    pub thing: *const vxf_thing,
    /// Called when done.
    pub done: vxf_thing_callback,
}
";

#[test]
fn a_chapter_keeps_its_noun_together_and_follows_the_mod_lines() -> Outcome {
    let room = tempfile::tempdir()?;
    let mod_file = room.path().join("mod.rs");
    fs::write(&mod_file, "//! The door.\nmod status;\npub(crate) mod thing;\nmod user;\n")?;
    fs::write(room.path().join("status.rs"), STATUS)?;
    fs::write(room.path().join("thing.rs"), NOUN)?;
    fs::write(room.path().join("user.rs"), USER)?;
    let header = generate(&mod_file)?;
    let order = [
        "#define VXF_VERSION_MAJOR",
        "typedef int32_t vxf_status;",
        "/** All went well. */\n#define VXF_STATUS_OK 0",
        "#define VXF_STATUS_ERR_ARGUMENT (-2)",
        "typedef struct vxf_thing vxf_thing;",
        "} vxf_thing_options;",
        "vxf_status vxf_thing_new(const vxf_thing_options *options, vxf_thing **out);",
        "vxf_status status;",
        "int64_t shape[VXF_MAX_NDIM];",
        "const vxf_thing *thing;",
        "} vxf_report;",
        "#endif /* VOXFEED_H */",
    ];
    // The first page shows a program, which has some of these lines too.
    let (_, body) = header.split_once("#ifndef").ok_or("no include guard")?;
    let places: Vec<Option<usize>> = order.iter().map(|text| body.find(text)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{header}");
    assert!(!header.contains("private"), "{header}");

    let file = room.path().join("voxfeed.h");
    fs::write(&file, &header)?;
    MODES.into_iter().try_for_each(|mode| {
        compiles(&file, mode, "HEADER\nHEADER\nint main(void) { return VXF_STATUS_OK; }\n")
    })
}
