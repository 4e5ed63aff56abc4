//! Batches of every format through the C functions, beside what the machine can do and what other readers do.
//!
//! T1 are random patches, T2 all slices in order, T3 overlapping patches put back into volumes. Each round
//! measures ours, the limit and every peer one after the other, so that a ratio is of neighbours in time; the
//! table shows medians over the rounds. What arrives is compared, voxel by voxel, with the files that numpy
//! wrote. `./x bench storage` runs it; benches/README.md says what each limit is.
#![allow(unsafe_code, missing_docs, reason = "the bench goes through the C functions, as users do")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    reason = "a bench may stop where anything is wrong; its calls are those of the C interface with live handles"
)]

mod arguments;
mod calls;
mod cases;
mod data;
mod decode;
mod limits;
mod ours;
mod peers;
mod rows;
mod table;

use arguments::Options;
use cases::{Case, State, Task};
use data::Data;
use ours::Ours;
use peers::{Failure, Peers};
use table::{Row, Series};

fn main() {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return print!("{}", arguments::HELP),
        Err(wrong) => {
            eprintln!("storage: {wrong}\n\n{}", arguments::HELP);
            std::process::exit(2);
        }
    };
    if let Err(wrong) = run(&options) {
        eprintln!("storage: {wrong}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> Result<(), String> {
    if cfg!(debug_assertions) {
        println!("a debug build: what is read is checked, the rates of ours and of the limits mean nothing");
    }
    let data = Data::make(options)?;
    println!("{}", data.describe(options));
    if let Some(busy) = busy() {
        println!("{busy}");
    }
    let mut peers = Peers::start(options, &data)?;
    let (mut rows, mut skipped) = (Vec::new(), 0);
    for (name, why) in &data.missing {
        println!("skipped: {name}: no files, the Python package is not installed: {why}");
        skipped += 1;
    }
    for format in data.formats.iter().filter(|format| options.wants(&format.name)) {
        match measure_format(options, &data, format, &mut peers) {
            Ok(more) => rows.extend(more),
            Err(why) => {
                println!("skipped: {}: {why}", format.name);
                skipped += 1;
            }
        }
    }
    for (name, why) in peers.failures() {
        println!("no peer: {name}: {why}");
    }
    if rows.is_empty() {
        return Err(format!("nothing was measured, {skipped} formats were skipped"));
    }
    table::print(&rows);
    table::save(options, &data, &rows)?;
    let failed = peers.failures().filter(|(_, why)| matches!(why, Failure::Failed(_))).count();
    if options.strict && skipped + failed > 0 {
        return Err(format!("{skipped} formats were skipped, {failed} peers failed"));
    }
    Ok(())
}

/// What to say where other programs are at work.
fn busy() -> Option<String> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = load.split(' ').next()?.parse().ok()?;
    let cores = std::thread::available_parallelism().ok()?.get();
    let text =
        format!("other programs keep {load:.1} threads busy on {cores} cores: these are no true rates");
    (load > 0.5 * cores as f64).then_some(text)
}

/// Reads every file in a folder, so that no disk is measured: a system may have put them out of its memory.
fn read_all(folder: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path)?;
        } else {
            let mut file = std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path)?);
            std::io::copy(&mut file, &mut std::io::sink())?;
        }
    }
    Ok(())
}

/// The rows of one format. An error is one of opening it; what goes wrong later stops the bench.
fn measure_format(
    options: &Options,
    data: &Data,
    format: &data::Format,
    peers: &mut Peers,
) -> Result<Vec<Row>, String> {
    calls::open(&format.open, 0).map(drop)?;
    read_all(&format.folder).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for task in Task::ALL.into_iter().filter(|task| options.tasks.contains(task)) {
        for &state in State::of(&format.kind, task).iter().filter(|state| options.states.contains(state)) {
            let row = measure(options, data, &Case { format, task, state }, peers);
            eprintln!("  {}", row.line());
            rows.push(row);
        }
    }
    Ok(rows)
}

fn measure(options: &Options, data: &Data, case: &Case, peers: &mut Peers) -> Row {
    let (others, limit_of_peers) = peers.list(case);
    let ours = Ours::open(options, data, case);
    ours.check();
    let limit = limits::of(options, data, case);
    let limit_name = limit.as_ref().map(|(name, _)| (*name).to_owned()).or(limit_of_peers.clone());
    let mut row = Row::new(case, data, options, limit_name);
    row.peers = others.iter().map(|name| (name.clone(), Series::default())).collect();
    for _ in 0..options.rounds {
        row.ours.push(Some(ours.measure(options.seconds)));
        row.limit.push(match &limit {
            Some((_, measure)) => Some(measure(options.seconds)),
            None => limit_of_peers.as_ref().and_then(|name| peers.measure(name, options.seconds)),
        });
        for (name, series) in &mut row.peers {
            series.push(peers.measure(name, options.seconds));
        }
    }
    peers.close();
    row.peers.retain(|(_, series)| series.median().is_some());
    row
}
