//! The Python process that has the other readers, asked line by line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::arguments::Options;
use crate::cases::Case;
use crate::data::{Data, script, text};

pub(crate) struct Peers {
    process: Option<Process>,
    /// What is not installed or failed, by the peer's name.
    failed: BTreeMap<String, Failure>,
}

/// Why a peer could not be measured.
pub(crate) enum Failure {
    Missing(String),
    Failed(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(why) => write!(out, "not installed: {why}"),
            Self::Failed(why) => out.write_str(why),
        }
    }
}

struct Process {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let gone = |cause: std::io::Error| format!("the Python process of the peers is gone: {cause}");
        let requests = self.requests.as_mut().expect("open until it is dropped");
        writeln!(requests, "{request}").map_err(gone)?;
        requests.flush().map_err(gone)?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(gone)?;
        serde_json::from_str(&line).map_err(|_| format!("the peers answered '{}'", line.trim_end()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends it, and its workers with it.
        self.requests = None;
        drop(self.child.wait());
    }
}

impl Peers {
    pub(crate) fn start(options: &Options, data: &Data) -> Result<Self, String> {
        let mut peers = Self { process: None, failed: BTreeMap::new() };
        if !options.with_peers {
            return Ok(peers);
        }
        let mut command = Command::new(&options.python);
        command.arg("-W").arg("ignore").arg(script("peers/serve.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|cause| format!("{} does not start: {cause}", options.python))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut process = Process { child, requests, answers };
        let open = json!({"do": "open", "data": data.path, "patch": options.patch, "batch": options.batch});
        let answer = process.ask(&open)?;
        if let Some(why) = answer.get("error").or(answer.get("missing")) {
            return Err(format!("the peers do not open the data: {why}"));
        }
        peers.process = Some(process);
        Ok(peers)
    }

    /// The names of the peers of a case, and the one that is its limit.
    pub(crate) fn list(&mut self, case: &Case) -> (Vec<String>, Option<String>) {
        let Some(process) = &mut self.process else { return (Vec::new(), None) };
        let request = json!({"do": "list", "task": case.task.name(), "format": case.format.name,
                             "state": case.state.name()});
        match process.ask(&request) {
            Ok(answer) if answer["peers"].is_array() => {
                let names: Vec<String> = answer["peers"].as_array().into_iter().flatten().map(text).collect();
                let names = names.into_iter().filter(|name| !self.failed.contains_key(name)).collect();
                (names, answer["limit"].as_str().map(str::to_owned))
            }
            Ok(answer) => self.fail("all of them", Failure::Failed(answer.to_string())),
            Err(why) => self.fail("all of them", Failure::Failed(why)),
        }
    }

    fn fail<T: Default>(&mut self, name: &str, why: Failure) -> T {
        self.failed.entry(name.to_owned()).or_insert(why);
        T::default()
    }

    /// Samples per second; nothing where the peer cannot, which is noted once.
    pub(crate) fn measure(&mut self, name: &str, seconds: f64) -> Option<f64> {
        let process = self.process.as_mut().filter(|_| !self.failed.contains_key(name))?;
        let answer = process.ask(&json!({"do": "measure", "peer": name, "seconds": seconds}));
        let why = match answer {
            Ok(answer) => match (answer["rate"].as_f64(), answer["missing"].as_str()) {
                (Some(rate), _) => return Some(rate),
                (None, Some(module)) => Failure::Missing(module.to_owned()),
                (None, None) => Failure::Failed(answer["error"].as_str().unwrap_or_default().to_owned()),
            },
            Err(why) => Failure::Failed(why),
        };
        self.fail(name, why)
    }

    /// Ends what the last case has begun.
    pub(crate) fn close(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.ask(&json!({"do": "close"})));
        }
    }

    /// The peers that could not be measured, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&String, &Failure)> {
        self.failed.iter()
    }
}
