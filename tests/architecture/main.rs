//! Holds the house to its plan by reading the sources: floors, single places, files and names.

mod boundary;
mod files;
mod floors;
mod tokens;
mod tree;

use std::error::Error;

/// What a test of the house gives.
type Outcome = Result<(), Box<dyn Error>>;

/// Passes when nothing was found, and lists all that was found otherwise.
fn none_of(found: impl IntoIterator<Item = String>) -> Outcome {
    let found: Vec<String> = found.into_iter().collect();
    if found.is_empty() { Ok(()) } else { Err(format!("\n  {}\n", found.join("\n  ")).into()) }
}

#[test]
fn whatever_is_found_is_said() {
    assert!(none_of([]).is_ok());
    let said = none_of(["a".to_owned(), "b".to_owned()]).err().map(|error| error.to_string());
    assert_eq!(said.as_deref(), Some("\n  a\n  b\n"));
}
