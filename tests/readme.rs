//! The README shows what runs: its loops are the examples, letter by letter.

use std::error::Error;
use std::fs;
use std::path::Path;

fn read(path: &str) -> Result<String, Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).map_err(|cause| format!("{}: {cause}", path.display()).into())
}

/// The first block of a language in a Markdown text.
fn block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("```{language}\n"))?;
    rest.split_once("```").map(|(block, _)| block)
}

#[test]
fn the_loops_in_the_readme_are_the_examples() -> Result<(), Box<dyn Error>> {
    let readme = read("README.md")?;
    let shown = [
        ("cpp", "bindings/cpp/examples/first_loop/main.cpp"),
        ("python", "bindings/python/examples/first_loop.py"),
        ("julia", "bindings/julia/examples/first_loop.jl"),
        ("matlab", "bindings/matlab/examples/first_loop.m"),
    ];
    for (language, example) in shown {
        assert_eq!(block(&readme, language), Some(read(example)?.as_str()), "{example}");
    }
    Ok(())
}

#[test]
fn links_in_the_readme_lead_somewhere() -> Result<(), Box<dyn Error>> {
    let readme = read("README.md")?;
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link));
    let links: Vec<&str> = links.collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link}");
    }
    Ok(())
}

#[test]
fn a_missing_block_is_noticed() {
    assert_eq!(block("text\n```cpp\nint x;\n```\n", "cpp"), Some("int x;\n"));
    assert_eq!(block("text", "cpp"), None);
}
