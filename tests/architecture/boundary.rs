//! What may occur in one place only: unsafe code, the C door, callers' pointers, CUDA, format names.

use crate::tokens::{Kind, Source, Token};
use crate::tree::{File, crate_files};

/// Functions that read or write through a raw pointer, as far as their names tell.
const DEREFERENCES: [&str; 11] = [
    "as_uninit_mut",
    "copy_from_nonoverlapping",
    "copy_nonoverlapping",
    "copy_to_nonoverlapping",
    "from_ptr",
    "from_raw",
    "from_raw_parts",
    "from_raw_parts_mut",
    "read_unaligned",
    "write_bytes",
    "write_unaligned",
];

const FORMATS: [&str; 8] = ["nifti", "npy", "npz", "hdf5", "pymia", "medsegpy", "nnunet", "openslide"];

fn say(file: &File, token: &Token, what: &str) -> String {
    format!("{}:{}: {what}", file.path, token.line)
}

fn below(file: &File, folders: &[&str]) -> bool {
    folders.iter().any(|folder| file.path.starts_with(folder))
}

fn misplaced_unsafe(file: &File) -> Vec<String> {
    let source = Source::parse(&file.text);
    let lifts = ["src/capi/mod.rs", "src/sys/mod.rs"].contains(&file.path.as_str());
    let mut wrong = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        if token.text == "unsafe" && !below(file, &["src/capi/", "src/sys/"]) {
            wrong.push(say(file, token, "unsafe code outside capi and sys"));
        }
        if token.text == "unsafe_code" && !(lifts && at >= 2 && source.has(at - 2, &["expect", "("])) {
            wrong.push(say(
                file,
                token,
                "unsafe_code is lifted by expect, in capi/mod.rs and sys/mod.rs only",
            ));
        }
    }
    wrong
}

fn misplaced_doors(file: &File) -> Vec<String> {
    if below(file, &["src/capi/"]) {
        return Vec::new();
    }
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        if ["no_mangle", "export_name"].contains(&token.text.as_str()) {
            wrong.push(say(file, token, "exported symbol outside capi"));
        }
        if token.text == "extern" && defines_function(&source, at + 1) {
            wrong.push(say(file, token, "extern fn defined outside capi"));
        }
    }
    wrong
}

/// Whether `fn name` follows, after an optional ABI string: a type such as `extern "C" fn(u8)` has no name.
fn defines_function(source: &Source, after_extern: usize) -> bool {
    let mut tokens = source.code.iter().skip(after_extern).skip_while(|token| token.kind == Kind::Text);
    tokens.next().is_some_and(|token| token.text == "fn")
        && tokens.next().is_some_and(|token| token.kind == Kind::Word)
}

/// Dereferences in `capi/` outside its one pointer room, as far as a scan of the words can see them: a unary `*`
/// inside an unsafe block, and calls of the functions that read or write through a pointer.
fn misplaced_dereferences(file: &File) -> Vec<String> {
    if !below(file, &["src/capi/"]) || file.path == "src/capi/handle.rs" {
        return Vec::new();
    }
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    let mut unsafe_depth = 0_usize;
    for (at, token) in source.code.iter().enumerate() {
        let opens_unsafe = token.text == "{" && at > 0 && source.has(at - 1, &["unsafe"]);
        match token.text.as_str() {
            "{" if unsafe_depth > 0 || opens_unsafe => unsafe_depth += 1,
            "}" => unsafe_depth = unsafe_depth.saturating_sub(1),
            _ => {}
        }
        if token.in_tests {
            continue;
        }
        let by_star = unsafe_depth > 0 && token.text == "*" && is_unary(&source, at);
        let by_call = DEREFERENCES.contains(&token.text.as_str());
        let by_module =
            ["read", "write", "replace", "swap"].iter().any(|name| source.has(at, &["ptr", "::", name]));
        if by_star || by_call || by_module {
            wrong.push(say(file, token, "callers' pointers are dereferenced in capi/handle.rs alone"));
        }
    }
    wrong
}

fn is_unary(source: &Source, star: usize) -> bool {
    let Some(before) = star.checked_sub(1).and_then(|at| source.code.get(at)) else {
        return true;
    };
    let pointer_type = source.has(star + 1, &["const"]) || source.has(star + 1, &["mut"]);
    let after_value = match before.kind {
        Kind::Word => !["mut", "return", "in", "match", "if", "else"].contains(&before.text.as_str()),
        Kind::Mark => [")", "]", "}"].contains(&before.text.as_str()),
        _ => true,
    };
    !pointer_type && !after_value
}

fn misplaced_cuda(file: &File) -> Vec<String> {
    if below(file, &["src/sys/cuda/", "src/sys/cuda.rs"]) {
        return Vec::new();
    }
    let source = Source::parse(&file.text);
    let mut wrong = Vec::new();
    for (at, token) in source.code.iter().enumerate() {
        let driver_call = token.kind == Kind::Word
            && token
                .text
                .strip_prefix("cu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        if token.text == "cudarc" || driver_call {
            wrong.push(say(file, token, "the CUDA driver is called in sys/cuda alone"));
        }
        if source.has(at, &["sys", "::", "cuda"]) && !below(file, &["src/sys/", "src/device/"]) {
            wrong.push(say(file, token, "sys::cuda is used by device alone"));
        }
    }
    wrong
}

fn misplaced_formats(file: &File) -> Vec<String> {
    if !file.path.starts_with("src/") || below(file, &["src/store/", "src/sys/"]) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for part in file.path.split('/').filter(|part| names_format(part)) {
        wrong.push(format!("{}: a format's file lies in store: {part}", file.path));
    }
    let source = Source::parse(&file.text);
    for (at, token) in source.code.iter().enumerate() {
        if token.kind != Kind::Word || token.in_tests || !names_format(&token.text) {
            continue;
        }
        let constant = !token.text.contains(|c: char| c.is_ascii_lowercase());
        let variant =
            token.text.starts_with(|c: char| c.is_ascii_uppercase()) && at > 0 && source.has(at - 1, &["::"]);
        if !(below(file, &["src/capi/"]) && (constant || variant)) {
            wrong.push(say(file, token, &format!("a format's name outside store: {}", token.text)));
        }
    }
    wrong
}

/// Whether one of the words that the name is made of is a format.
fn names_format(name: &str) -> bool {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            spaced.push('_');
        }
        spaced.push(c.to_ascii_lowercase());
        before = c;
    }
    spaced.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        FORMATS.contains(&word) || FORMATS.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()))
    })
}

#[test]
fn unsafe_code_lives_in_capi_and_sys_only() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(misplaced_unsafe))
}

#[test]
fn the_c_door_is_capi() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(misplaced_doors))
}

#[test]
fn callers_pointers_are_dereferenced_in_one_file() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(misplaced_dereferences))
}

#[test]
fn cuda_lives_in_the_cellar() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(misplaced_cuda))
}

#[test]
fn format_names_live_in_store() -> crate::Outcome {
    crate::none_of(crate_files()?.iter().flat_map(misplaced_formats))
}

fn count(check: fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
    check(&File::new(path, text)).len()
}

#[test]
fn misplaced_unsafe_is_noticed() {
    let lift = "#![expect(unsafe_code, reason = \"the cellar\")]";
    assert_eq!(count(misplaced_unsafe, "src/feed/ring.rs", "fn f() { unsafe { g() } }"), 1);
    assert_eq!(count(misplaced_unsafe, "src/feed/ring.rs", "unsafe impl Send for Ring {}"), 1);
    assert_eq!(count(misplaced_unsafe, "src/feed/mod.rs", lift), 1);
    assert_eq!(count(misplaced_unsafe, "src/lib.rs", "#[expect(unsafe_code)] mod feed;"), 1);
    assert_eq!(count(misplaced_unsafe, "src/sys/memory.rs", lift), 1);
    assert_eq!(count(misplaced_unsafe, "src/sys/mod.rs", "#![allow(unsafe_code)]"), 1);
    assert_eq!(count(misplaced_unsafe, "src/sys/mod.rs", lift), 0);
    assert_eq!(
        count(
            misplaced_unsafe,
            "src/capi/mod.rs",
            "#[expect(unsafe_code, reason = \"the door\")] mod handle;"
        ),
        0
    );
    assert_eq!(count(misplaced_unsafe, "src/sys/memory.rs", "fn f() { unsafe { g() } }"), 0);
    assert_eq!(count(misplaced_unsafe, "src/feed/ring.rs", "// unsafe\nlet a = \"unsafe\";"), 0);
}

#[test]
fn misplaced_doors_are_noticed() {
    assert_eq!(count(misplaced_doors, "src/feed/a.rs", "pub extern \"C\" fn f() {}"), 1);
    assert_eq!(count(misplaced_doors, "src/sys/a.rs", "unsafe extern \"system\" fn f() {}"), 1);
    assert_eq!(count(misplaced_doors, "src/sys/a.rs", "extern fn f() {}"), 1);
    assert_eq!(count(misplaced_doors, "src/sys/a.rs", "#[unsafe(no_mangle)] pub fn f() {}"), 1);
    assert_eq!(count(misplaced_doors, "src/sys/a.rs", "type F = unsafe extern \"C\" fn(u8);"), 0);
    assert_eq!(count(misplaced_doors, "src/sys/a.rs", "unsafe extern \"C\" { fn dlopen(); }"), 0);
    assert_eq!(count(misplaced_doors, "src/capi/a.rs", "#[unsafe(no_mangle)] pub extern \"C\" fn f() {}"), 0);
}

#[test]
fn misplaced_dereferences_are_noticed() {
    for text in [
        "unsafe { *out = 1 };",
        "unsafe { (*out).len = 1 };",
        "let a = unsafe { &*handle };",
        "let a = unsafe { &mut *handle };",
        "unsafe { if x { *out = 1 } }",
        "let a = unsafe { CStr::from_ptr(text) };",
        "let a = unsafe { std::slice::from_raw_parts(p, n) };",
        "unsafe { std::ptr::write(out, 1) };",
        "let b = unsafe { Box::from_raw(p) };",
    ] {
        assert_eq!(count(misplaced_dereferences, "src/capi/loader.rs", text), 1, "{text}");
        assert_eq!(count(misplaced_dereferences, "src/capi/handle.rs", text), 0, "{text}");
    }
    for text in [
        "pub unsafe extern \"C\" fn f(a: *const u8, b: *mut u8) { let c = unsafe { handle::borrow(a as *mut u8) }; }",
        "let a = *safe; let b = unsafe { f(2 * n, (m) * n) };",
        "unsafe { f() }; *safe = 1;",
    ] {
        assert_eq!(count(misplaced_dereferences, "src/capi/loader.rs", text), 0, "{text}");
    }
}

#[test]
fn misplaced_cuda_is_noticed() {
    assert_eq!(count(misplaced_cuda, "src/device/buffer.rs", "use cudarc::driver;"), 1);
    assert_eq!(count(misplaced_cuda, "src/sys/memory.rs", "unsafe { cuMemAlloc(n) }"), 1);
    assert_eq!(count(misplaced_cuda, "src/feed/ring.rs", "use crate::sys::cuda::Stream;"), 1);
    assert_eq!(
        count(misplaced_cuda, "src/device/buffer.rs", "use crate::sys::cuda::Stream; let cut = custom;"),
        0
    );
    assert_eq!(count(misplaced_cuda, "src/sys/cuda/stream.rs", "use cudarc::driver; cuInit(0);"), 0);
}

#[test]
fn misplaced_format_names_are_noticed() {
    assert_eq!(count(misplaced_formats, "src/assemble/nifti.rs", ""), 1);
    assert_eq!(count(misplaced_formats, "src/assemble/nifti2/header.rs", ""), 1);
    assert_eq!(count(misplaced_formats, "src/feed/a.rs", "mod npy {}"), 1);
    assert_eq!(count(misplaced_formats, "src/assemble/a.rs", "fn save_as_nifti() {}"), 1);
    assert_eq!(count(misplaced_formats, "src/plan/a.rs", "use crate::store::NiftiVolume;"), 1);
    assert_eq!(count(misplaced_formats, "src/capi/a.rs", "fn open_hdf5() {}"), 1);
    assert_eq!(
        count(misplaced_formats, "src/capi/a.rs", "pub const NIFTI: Self = Self(1); f(Format::Nifti);"),
        0
    );
    assert_eq!(count(misplaced_formats, "src/store/nifti/header.rs", "struct NiftiHeader;"), 0);
    assert_eq!(
        count(misplaced_formats, "src/feed/a.rs", "// nifti\n#[cfg(test)] mod tests { fn npy() {} }"),
        0
    );
}
