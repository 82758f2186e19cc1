//! What a figure is, once it was taken: a number, its bounds, what it should be, and how to take it again.

use std::{fs, io, path::Path};

use serde::Serialize;

/// Several observations of one thing, as one figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub value: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// The median. `None` without observations.
    #[must_use]
    pub fn median(observed: &[f64]) -> Option<Self> {
        let (min, max) = bounds(observed)?;
        Some(Self { value: percentile(observed, 50)?, min, max })
    }

    /// The worst, for what has to hold every time.
    #[must_use]
    pub fn worst(observed: &[f64]) -> Option<Self> {
        let (min, max) = bounds(observed)?;
        Some(Self { value: max, min, max })
    }
}

fn bounds(observed: &[f64]) -> Option<(f64, f64)> {
    let first = *observed.first()?;
    Some(observed.iter().fold((first, first), |(min, max), next| (min.min(*next), max.max(*next))))
}

/// The smallest observation that at least `share` % are not above.
#[must_use]
pub fn percentile(observed: &[f64], share: usize) -> Option<f64> {
    let mut sorted = observed.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * share).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// One row of `figures.json`. A figure that was not taken has no value, and is neither met nor missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub figure: &'static str,
    pub value: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub unit: &'static str,
    /// The most that it may be.
    pub goal: f64,
    pub met: Option<bool>,
    /// Takes this figure alone.
    pub command: String,
}

impl Figure {
    #[must_use]
    pub fn new(
        figure: &'static str,
        unit: &'static str,
        goal: f64,
        command: String,
        found: Option<Spread>,
    ) -> Self {
        Self {
            figure,
            value: found.map(|found| rounded(found.value)),
            min: found.map(|found| rounded(found.min)),
            max: found.map(|found| rounded(found.max)),
            unit,
            goal,
            met: found.map(|found| found.value <= goal),
            command,
        }
    }
}

/// Three digits after the point: what is behind them is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The table for people.
#[must_use]
pub fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|figure| figure.figure.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>10}  {:>10}  {:>10}  {:>8}  {:8}  MET\n",
        "FIGURE", "VALUE", "MIN", "MAX", "GOAL", "UNIT"
    );
    for figure in figures {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value}"));
        let met = match figure.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "not taken",
        };
        text.push_str(&format!(
            "{:width$}  {:>10}  {:>10}  {:>10}  {:>8}  {:8}  {met}\n",
            figure.figure,
            number(figure.value),
            number(figure.min),
            number(figure.max),
            format!("≤ {}", figure.goal),
            figure.unit,
        ));
    }
    text
}

/// Writes them as a JSON list; the directory is made.
pub fn write(figures: &[Figure], path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut text = serde_json::to_string_pretty(figures)?;
    text.push('\n');
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_an_observation_and_half_of_them_are_not_above_the_median() {
        let check = |observed: &[f64], share, expect| {
            assert_eq!(percentile(observed, share), expect, "{observed:?} at {share}");
        };
        check(&[], 50, None);
        check(&[3.0], 50, Some(3.0));
        check(&[2.0, 1.0], 50, Some(1.0));
        check(&[3.0, 1.0, 2.0], 50, Some(2.0));
        check(&[4.0, 3.0, 1.0, 2.0], 99, Some(4.0));
        check(&[4.0, 3.0, 1.0, 2.0], 0, Some(1.0));
    }

    #[test]
    fn the_bounds_are_shown_and_only_the_value_is_held_against_the_goal() {
        let figure = |observed: &[f64], goal| {
            Figure::new("x", "ms", goal, "run x".to_owned(), Spread::median(observed))
        };
        let noisy = figure(&[1.0, 2.0, 90.0], 2.0);
        assert_eq!((noisy.value, noisy.min, noisy.max), (Some(2.0), Some(1.0), Some(90.0)));
        assert_eq!(noisy.met, Some(true), "equal is met");
        assert_eq!(figure(&[2.01], 2.0).met, Some(false));
        assert_eq!(figure(&[], 2.0).met, None, "not taken is not met");
        let worst = Spread::worst(&[1.0, 3.0, 2.0]);
        assert_eq!(worst, Some(Spread { value: 3.0, min: 1.0, max: 3.0 }));
    }

    #[test]
    fn the_file_has_the_keys_that_are_promised() {
        let figure =
            Figure::new("x", "ms", 2.0, "run x".to_owned(), Spread::worst(&[1.0, 1.23456]));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/figures.json");
        write(&[figure], &path).unwrap();
        let found: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let expect = serde_json::json!([{
            "figure": "x", "value": 1.235, "min": 1.0, "max": 1.235, "unit": "ms", "goal": 2.0,
            "met": true, "command": "run x",
        }]);
        assert_eq!(found, expect);
    }
}
