//! What was measured: the table on the terminal, and the figures for the plot.

use serde_json::{Value, json};

use crate::arguments::Options;
use crate::cases::{Case, State, Task};
use crate::data::Data;

/// Samples per second, round by round.
#[derive(Default)]
pub(crate) struct Series(Vec<Option<f64>>);

impl Series {
    pub(crate) fn push(&mut self, rate: Option<f64>) {
        self.0.push(rate);
    }

    pub(crate) fn median(&self) -> Option<f64> {
        median(self.0.iter().flatten().copied())
    }

    /// The median of the ratios to another series, round by round.
    fn over(&self, other: &Self) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0);
        median(pairs.filter_map(|(own, other)| Some(own.as_ref()? / other.as_ref()?)))
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[last / 2] + sorted[last - last / 2]) / 2.0)
}

/// One line of the table.
pub(crate) struct Row {
    task: &'static str,
    title: String,
    /// The bytes of a sample, as they lie in a batch.
    sample_bytes: f64,
    limit_name: Option<String>,
    pub(crate) ours: Series,
    pub(crate) limit: Series,
    pub(crate) peers: Vec<(String, Series)>,
}

impl Row {
    pub(crate) fn new(case: &Case, data: &Data, options: &Options, limit_name: Option<String>) -> Self {
        let voxels: usize = options.extents(case.task).iter().product();
        // Predictions are made from images alone.
        let label = usize::from(case.task != Task::Assembly);
        let state = match case.state {
            State::Plain => "",
            State::Device => ", for a device",
            State::Cold => ", cold",
            State::Half => ", half cached",
            State::Cached => ", cached",
        };
        Self {
            task: case.task.name(),
            title: format!("{}{state}", case.format.title),
            sample_bytes: (voxels * (4 * data.channels + label)) as f64,
            limit_name,
            ours: Series::default(),
            limit: Series::default(),
            peers: Vec::new(),
        }
    }

    fn best_peer(&self) -> Option<&(String, Series)> {
        self.peers.iter().max_by(|a, b| a.1.median().unwrap_or(0.0).total_cmp(&b.1.median().unwrap_or(0.0)))
    }

    /// The row as a line of the table.
    pub(crate) fn line(&self) -> String {
        let ours = self.ours.median().unwrap_or(0.0);
        let number =
            |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let best = self.best_peer();
        let peer =
            best.map_or("-".to_owned(), |(name, series)| format!("{name}: {}", number(series.median(), 0)));
        format!(
            "{:<4} {:<26} {:>8} {:>7} {:>8}  {:<20} {:>8}   {:>9}  {peer}",
            self.task,
            self.title,
            number(Some(ours), 0),
            number(Some(ours * self.sample_bytes / 1e6), 0),
            number(self.limit.median(), 0),
            self.limit_name.as_deref().unwrap_or("-"),
            number(self.ours.over(&self.limit), 2),
            number(best.and_then(|(_, series)| self.ours.over(series)), 1),
        )
    }

    fn json(&self) -> Value {
        let peers = self.peers.iter().map(|(name, series)| {
            json!({"name": name, "rate": series.median(), "ratio": self.ours.over(series), "rounds": series.0})
        });
        json!({
            "task": self.task, "format": self.title, "sample_bytes": self.sample_bytes,
            "ours": {"rate": self.ours.median(), "rounds": self.ours.0},
            "limit": {"name": self.limit_name, "rate": self.limit.median(),
                      "ratio": self.ours.over(&self.limit), "rounds": self.limit.0},
            "peers": peers.collect::<Vec<_>>(),
        })
    }
}

pub(crate) fn print(rows: &[Row]) {
    println!(
        "\n{:<4} {:<26} {:>8} {:>7} {:>8}  {:<20} {:>8}   {:>9}  best peer, per second",
        "task", "format", "ours/s", "MB/s", "limit/s", "limit", "of limit", "ours/peer"
    );
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| row.task);
    sorted.iter().for_each(|row| println!("{}", row.line()));
}

/// Writes the figures to `storage.json` in the output folder.
pub(crate) fn save(options: &Options, data: &Data, rows: &[Row]) -> Result<(), String> {
    let path = options.output.join("storage.json");
    let whole = json!({
        "about": data.describe(options).lines().next(), "rounds": options.rounds, "seconds": options.seconds,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    std::fs::create_dir_all(&options.output)
        .and_then(|()| std::fs::write(&path, format!("{whole:#}\n")))
        .map_err(|cause| format!("{}: {cause}", path.display()))
}
