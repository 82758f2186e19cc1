//! The figures, what each must be at most, and which measurement gives them.

mod command;
mod dedicated;
mod demo;
mod executable;
mod first_call;
mod first_row;
mod from_source;
mod lateness;
mod memory;
mod rotation;
mod start;
mod wait;
mod warm_call;

use crate::{
    report::Spread,
    stage::{Stage, Trouble},
};

/// One figure: what it is called, its unit, and the most that it may be.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub goal: f64,
    pub measurement: Measurement,
    /// What it says, for `--list`.
    pub says: &'static str,
}

/// What is done to get some figures. Each stands on servers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measurement {
    WarmCall,
    FirstCall,
    Wait,
    Lateness,
    Start,
    Rotation,
    Dedicated,
    Command,
    Executable,
    FirstRow,
    Demo,
    FromSource,
}

impl Measurement {
    pub const ALL: [Self; 12] = [
        Self::WarmCall,
        Self::FirstCall,
        Self::Wait,
        Self::Lateness,
        Self::Start,
        Self::Rotation,
        Self::Dedicated,
        Self::Command,
        Self::Executable,
        Self::FirstRow,
        Self::Demo,
        Self::FromSource,
    ];

    /// Measures what takes minutes, and only when it is asked for.
    const fn is_long(self) -> bool {
        matches!(self, Self::Demo | Self::FromSource)
    }

    /// Finds at least the figures that are wanted, and keeps those that were found before trouble came.
    pub fn run(
        self,
        stage: &Stage,
        wanted: &Wanted,
        found: &mut Vec<Found>,
    ) -> Result<(), Trouble> {
        match self {
            Self::WarmCall => warm_call::run(stage, wanted, found),
            Self::FirstCall => first_call::run(stage, wanted, found),
            Self::Wait => wait::run(stage, wanted, found),
            Self::Lateness => lateness::run(stage, found),
            Self::Start => start::run(stage, wanted, found),
            Self::Rotation => rotation::run(stage, found),
            Self::Dedicated => dedicated::run(stage, found),
            Self::Command => command::run(stage, found),
            Self::Executable => executable::run(stage, found),
            Self::FirstRow => first_row::run(stage, found),
            Self::Demo => demo::run(stage, found),
            Self::FromSource => from_source::run(stage, found),
        }
    }
}

/// A figure by its name.
pub type Found = (&'static str, Spread);

const fn row(
    name: &'static str,
    unit: &'static str,
    goal: f64,
    measurement: Measurement,
    says: &'static str,
) -> Row {
    Row { name, unit, goal, measurement, says }
}

/// All of them.
pub const TABLE: &[Row] = &[
    row(
        "warm-call.pinned",
        "µs",
        150.0,
        Measurement::WarmCall,
        "p50 of a warm trivial Python function through POST /v1/runs, minus p50 of a bare framed round trip to a worker like it; client on one core, server and worker on another",
    ),
    row("warm-call.unpinned", "µs", 150.0, Measurement::WarmCall, "the same, on whatever core"),
    row(
        "first-call.pinned",
        "times",
        2.0,
        Measurement::FirstCall,
        "p50 of the first call without a worker, as a multiple of p50 of starting the same interpreter and shim without a sandbox to its first answer; pinned",
    ),
    row("first-call.unpinned", "times", 2.0, Measurement::FirstCall, "the same, on whatever core"),
    row(
        "wait.instance.pinned",
        "ms",
        20.0,
        Measurement::Wait,
        "p50 from the last byte of the broker's answer to the answer of a held ?wait, instance without binding; pinned",
    ),
    row("wait.instance.unpinned", "ms", 20.0, Measurement::Wait, "the same, on whatever core"),
    row(
        "wait.binding.pinned",
        "ms",
        20.0,
        Measurement::Wait,
        "the same for one more binding of an instance; pinned",
    ),
    row("wait.binding.unpinned", "ms", 20.0, Measurement::Wait, "the same, on whatever core"),
    row(
        "wait.both.pinned",
        "ms",
        20.0,
        Measurement::Wait,
        "the same for an instance with its automatic binding: all that is not spent at the broker, from its first answer on; pinned",
    ),
    row("wait.both.unpinned", "ms", 20.0, Measurement::Wait, "the same, on whatever core"),
    row(
        "wait.instance.commits",
        "commits",
        2.0,
        Measurement::Wait,
        "the most synced commits from the broker's answer for an instance to the request for its binding, or to the answer of the ?wait",
    ),
    row(
        "wait.binding.commits",
        "commits",
        2.0,
        Measurement::Wait,
        "the most synced commits from the broker's answer for a binding to the answer of the ?wait",
    ),
    row(
        "asynchronous.lateness",
        "times",
        1.0,
        Measurement::Lateness,
        "the latest that the end of an asynchronous operation was seen, as a multiple of max(1 s, 10 % of how long it took)",
    ),
    row(
        "start.first",
        "ms",
        1000.0,
        Measurement::Start,
        "from the start of a server's process on an empty directory to its first answer",
    ),
    row("start.second", "ms", 150.0, Measurement::Start, "the same with 1,000 functions stored"),
    row(
        "memory.empty",
        "MB",
        40.0,
        Measurement::Start,
        "resident memory of an idle server after its first start, spawn helper included",
    ),
    row(
        "memory.functions",
        "MB",
        40.0,
        Measurement::Start,
        "the same after a start with 1,000 functions stored",
    ),
    row(
        "rotation.wrong",
        "answers",
        0.0,
        Measurement::Rotation,
        "wrong or failed answers during three rotations under 500 calls a second; min and max are of single rotations",
    ),
    row(
        "rotation.old-logins",
        "logins",
        0.0,
        Measurement::Rotation,
        "logins of before a rotation that PostgreSQL still accepts after it",
    ),
    row(
        "rotation.old-sessions",
        "sessions",
        0.0,
        Measurement::Rotation,
        "open sessions of such logins",
    ),
    row(
        "dedicated",
        "times",
        1.1,
        Measurement::Dedicated,
        "an instance of plan dedicated with its binding, from the request to READY, as a multiple of initdb, one sync, pg_ctl start and createdb by hand",
    ),
    row(
        "command.get-functions",
        "ms",
        20.0,
        Measurement::Command,
        "p50 of `dispatch get functions` as a whole process, with 100 functions",
    ),
    row("executable", "MB", 40.0, Measurement::Executable, "the file dispatch, in 10⁶ bytes"),
    row(
        "first-row.tarball",
        "s",
        30.0,
        Measurement::FirstRow,
        "from the tarball to the first row in an included PostgreSQL, by the README's commands",
    ),
    row(
        "first-row.commands",
        "commands",
        5.0,
        Measurement::FirstRow,
        "how many those are, unpacking and the server included",
    ),
    row("demo", "s", 90.0, Measurement::Demo, "the walkthrough of make demo, after the build"),
    row(
        "first-row.source",
        "min",
        8.0,
        Measurement::FromSource,
        "from git clone to the walkthrough's first row, with an empty cache of cargo's and nothing built",
    ),
];

/// The figures that are to be taken.
#[derive(Debug, Clone)]
pub struct Wanted(Vec<&'static str>);

impl Wanted {
    /// Each name stands for the figures that begin with it, up to a point: `warm-call`, `wait.instance`,
    /// `wait.instance.pinned`. No names: all figures but the long ones, which are asked for by name.
    pub fn by_names(names: &[String]) -> Result<Self, String> {
        let mut wanted = Vec::new();
        for name in names {
            let found = TABLE.iter().map(|row| row.name).filter(|row| begins_with(row, name));
            let before = wanted.len();
            wanted.extend(found);
            if wanted.len() == before {
                return Err(format!("there is no figure {name}; dispatch-bench --list names them"));
            }
        }
        if names.is_empty() {
            let all = TABLE.iter().filter(|row| !row.measurement.is_long());
            wanted.extend(all.map(|row| row.name));
        }
        Ok(Self(wanted))
    }

    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// That one too.
    pub fn add(&mut self, name: &'static str) {
        if !self.has(name) {
            self.0.push(name);
        }
    }

    /// Whether a measurement is to be made.
    #[must_use]
    pub fn needs(&self, measurement: Measurement) -> bool {
        TABLE.iter().any(|row| row.measurement == measurement && self.has(row.name))
    }
}

fn begins_with(row: &str, name: &str) -> bool {
    row.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_choose_whole_groups_or_single_figures() {
        let check = |names: &[&str], expect: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = Wanted::by_names(&names).map(|wanted| wanted.0);
            assert_eq!(found.as_deref(), Ok(expect), "{names:?}");
        };
        check(&["warm-call"], &["warm-call.pinned", "warm-call.unpinned"]);
        check(&["warm-call.pinned"], &["warm-call.pinned"]);
        check(&["demo", "start.first"], &["demo", "start.first"]);
        assert!(Wanted::by_names(&["warm".to_owned()]).is_err(), "half a word is no name");
        let all = Wanted::by_names(&[]).unwrap();
        assert_eq!(all.0.len(), TABLE.len() - 2);
        assert!(!all.needs(Measurement::Demo) && !all.needs(Measurement::FromSource));
    }

    #[test]
    fn names_are_different_and_every_measurement_has_a_figure() {
        let names: BTreeSet<_> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for measurement in Measurement::ALL {
            assert!(TABLE.iter().any(|row| row.measurement == measurement), "{measurement:?}");
        }
    }
}
