//! The script `x` counts what it runs, takes silence for a failure, and refuses what it does not know.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use programs::output_of;

mod programs;

type Outcome = Result<(), Box<dyn Error>>;

/// Runs shell code with the functions of `x` at hand and its private folder somewhere else.
fn with_x(code: &str, room: &Path) -> Result<String, Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("x");
    let code = format!(". \"$1\"; private=$2 logs=$2/logs; cd \"$2\"; {code}");
    output_of(Command::new("bash").args(["-c", &code, "bash"]).arg(script).arg(room))
}

/// What one of the counters reads out of a log: passed, failed, skipped.
fn counted(counter: &str, log: &str) -> Result<String, Box<dyn Error>> {
    let room = tempfile::tempdir()?;
    fs::write(room.path().join("log"), log)?;
    Ok(with_x(&format!("{counter} 0 <log"), room.path())?.trim().to_owned())
}

/// What a suite adds to the sums when its command is the given code.
fn tallied(code: &str) -> Result<String, Box<dyn Error>> {
    let room = tempfile::tempdir()?;
    let script =
        format!("ran() {{ {code}; }}; suite title count_unittest ran; echo \"$passed $failed $skipped\"");
    let said = with_x(&script, room.path())?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

const CARGO: &str = "     Running tests/a.rs (target/release/deps/a-1)
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/b.rs (target/release/deps/b-1)
test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests voxfeed
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn cargo_results_are_summed_up() -> Outcome {
    assert_eq!(counted("count_cargo", CARGO)?, "5 4 1");
    Ok(())
}

#[test]
fn a_test_file_without_tests_or_without_an_end_is_a_failure() -> Outcome {
    let empty = CARGO.replace("3 passed; 0 failed; 1 ignored", "0 passed; 0 failed; 0 ignored");
    assert_eq!(counted("count_cargo", &empty)?, "2 5 0");
    let died_first = CARGO.lines().filter(|line| !line.contains("3 passed")).collect::<Vec<_>>().join("\n");
    assert_eq!(counted("count_cargo", &died_first)?, "2 5 0");
    let died_last = CARGO.lines().take(3).collect::<Vec<_>>().join("\n");
    assert_eq!(counted("count_cargo", &died_last)?, "3 1 1");
    Ok(())
}

#[test]
fn python_results_are_summed_up() -> Outcome {
    let said = |verdict: &str| format!("test_a (m.T.test_a) ... ok\n\nRan 9 tests in 0.1s\n\n{verdict}\n");
    assert_eq!(counted("count_unittest", &said("OK"))?, "9 0 0");
    assert_eq!(counted("count_unittest", &said("OK (skipped=2)"))?, "7 0 2");
    assert_eq!(counted("count_unittest", &said("FAILED (failures=1, errors=2, skipped=3)"))?, "3 3 3");
    assert_eq!(
        counted("count_unittest", &said("FAILED (expected failures=1, unexpected successes=2)"))?,
        "7 2 0"
    );
    Ok(())
}

#[test]
fn ctest_results_are_summed_up() -> Outcome {
    let log = "1/4 Test #1: a .....   Passed    0.01 sec\n2/4 Test #2: b .....***Failed    0.01 sec\n\
               3/4 Test #3: c .....***Skipped   0.00 sec\n4/4 Test #4: d .....***Exception: SegFault  0.1 sec\n";
    assert_eq!(counted("count_ctest", log)?, "1 2 1");
    Ok(())
}

#[test]
fn a_suite_that_dies_or_says_nothing_is_one_failure() -> Outcome {
    assert_eq!(tallied("echo 'Ran 3 tests in 1s'; echo OK")?, "3 0 0");
    assert_eq!(tallied("false")?, "0 1 0", "died before it counted");
    assert_eq!(tallied("true")?, "0 1 0", "said nothing");
    assert_eq!(tallied("echo 'Ran 0 tests in 1s'; echo OK")?, "0 1 0", "ran nothing");
    assert_eq!(tallied("echo 'Ran 3 tests in 1s'; echo OK; false")?, "3 1 0", "died after it counted");
    Ok(())
}

/// The status, the output and the errors of the script itself.
fn run_x(arguments: &[&str]) -> Result<(bool, String, String), Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("x");
    // Without cargo on the path, work that has begun fails.
    let output = Command::new("bash").arg(script).args(arguments).env("PATH", "/usr/bin:/bin").output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
}

#[test]
fn asking_for_help_starts_no_work() -> Outcome {
    for command in ["build", "test", "demo", "header", "install", "bench"] {
        let (done, said, complaints) = run_x(&[command, "--help"])?;
        assert!(done && complaints.is_empty(), "{command}: {complaints}");
        assert!(said.contains("./x bench [NAME...]"), "{command}: {said}");
    }
    let (_, said, _) = run_x(&["bench", "--help"])?;
    assert!(said.contains("\n  storage    Batches of every format"), "{said}");
    Ok(())
}

#[test]
fn unknown_words_are_refused_by_name() -> Outcome {
    let refused = |arguments: &[&str], expected: &str| -> Outcome {
        let (done, said, complaints) = run_x(arguments)?;
        assert!(!done && said.is_empty(), "{arguments:?}: {said}");
        assert!(complaints.contains(expected), "{arguments:?}: {complaints}");
        Ok(())
    };
    refused(&["bench", "nosuch"], "x: there is no bench 'nosuch': there are assemble ")?;
    refused(&["bench", "--patch", "32"], "x: bench does not know '--patch'")?;
    refused(&["build", "now"], "x: build takes no arguments, not 'now'")?;
    refused(&["nosuch"], "x: there is no command 'nosuch'")
}
