//! `dispatch-bench`: takes the figures that the project is to reach, prints a table and writes them as JSON.
//!
//! It measures the real executable, on servers that it starts and stops itself. How the machine is shows in the bounds.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use dispatch_bench::{
    figures::{Found, Measurement, TABLE, Wanted},
    report::{Figure, table, write},
    stage::{Stage, Trouble, bare, cores::Cores, interrupted, note},
};

/// Takes the figures, each on servers of its own, on free loopback ports and in a temporary directory.
///
/// Exits with 0 when every figure that was asked for was taken and is met.
#[derive(Debug, Parser)]
struct Args {
    /// Only these, or all that begin with this: warm-call, wait.instance, start.second (default: all but the next two)
    figures: Vec<String>,
    /// The executable that is measured (default: the one beside this program)
    #[arg(long, value_name = "FILE")]
    dispatch: Option<PathBuf>,
    /// Where the figures are written
    #[arg(long, value_name = "FILE", default_value = "target/bench/figures.json")]
    out: PathBuf,
    /// The walkthrough's time as well
    #[arg(long)]
    demo: bool,
    /// And that from a fresh clone to its first row, which builds everything anew
    #[arg(long)]
    from_source: bool,
    /// Name the figures and end
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    // This program starts itself again as the spawn helper of its bare workers.
    dispatch_runtime::spawner::main_if_asked();
    let args = Args::parse();
    if args.list {
        list();
        return ExitCode::SUCCESS;
    }
    match take(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            note(&format!("dispatch-bench: {why}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn list() {
    for row in TABLE {
        println!("{:24}  ≤ {} {}: {}", row.name, row.goal, row.unit, row.says);
    }
}

/// Whether all is well.
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn take(args: Args) -> Result<bool, String> {
    let names = args.figures;
    let mut wanted = Wanted::by_names(&names)?;
    for (asked, name) in [(args.demo, "demo"), (args.from_source, "first-row.source")] {
        if asked {
            wanted.add(name);
        }
    }
    let program = std::env::args().next().unwrap_or_else(|| "dispatch-bench".to_owned());
    let dispatch = dispatch(args.dispatch.as_deref())?;
    // Before there are threads: the spawn helper is forked from this process.
    let directory = tempfile::Builder::new().prefix("dispatch-bench-").tempdir();
    let directory = directory.map_err(|error| format!("make a directory: {error}"))?;
    let prepared = bare::prepare(directory.path()).map_err(|trouble| trouble.to_string())?;
    let stage =
        stage(prepared, directory.path(), &dispatch).map_err(|trouble| trouble.to_string())?;
    note(&format!("measuring {} on {} cores", dispatch.display(), stage.cores.count()));
    note(&format!("bare workers are held by {}", stage.bare.confinement()));
    if cfg!(debug_assertions) {
        note(
            "this program was built without optimization: its figures are for its own development",
        );
    }
    let mut found = Vec::new();
    let mut complete = true;
    for measurement in Measurement::ALL {
        if wanted.needs(measurement) {
            complete &= measure(measurement, &stage, &wanted, &mut found);
        }
    }
    let command = |name: &str| {
        let given = args.dispatch.as_ref().map(|path| format!(" --dispatch {}", path.display()));
        format!("{program}{} {name}", given.unwrap_or_default())
    };
    let figures: Vec<Figure> = TABLE
        .iter()
        // A figure that nobody asked for is not shown, but in the list of all.
        .filter(|row| wanted.has(row.name) || names.is_empty())
        .map(|row| {
            let spread =
                found.iter().find(|(name, _)| *name == row.name).map(|(_, spread)| *spread);
            Figure::new(row.name, row.unit, row.goal, command(row.name), spread)
        })
        .collect();
    println!("{}", table(&figures));
    write(&figures, &args.out).map_err(|error| format!("write {}: {error}", args.out.display()))?;
    note(&format!("written to {}", args.out.display()));
    Ok(complete && figures.iter().all(|figure| figure.met != Some(false)))
}

fn stage(prepared: bare::Prepared, directory: &Path, dispatch: &Path) -> Result<Stage, Trouble> {
    interrupted::clean_up_when_interrupted(directory.to_owned())?;
    Ok(Stage {
        dispatch: dispatch.to_owned(),
        directory: directory.to_owned(),
        cores: Cores::find().map_err(Trouble::io("look at the cores"))?,
        bare: bare::Bare::new(prepared)?,
    })
}

/// False if it could not be made; the others still are.
fn measure(
    measurement: Measurement,
    stage: &Stage,
    wanted: &Wanted,
    found: &mut Vec<Found>,
) -> bool {
    note(&format!("{measurement:?}"));
    let outcome = measurement.run(stage, wanted, found);
    // The next measurement begins on any core, whatever became of this one.
    let everywhere = stage.cores.free();
    match outcome.and_then(|()| everywhere.map_err(Trouble::io("free the cores"))) {
        Ok(()) => true,
        Err(trouble) => {
            note(&format!("  not taken: {trouble}"));
            false
        }
    }
}

/// By its absolute path: servers run in directories of their own.
fn dispatch(given: Option<&Path>) -> Result<PathBuf, String> {
    let beside = || {
        let own = std::env::current_exe().map_err(|error| format!("find this program: {error}"))?;
        Ok::<_, String>(own.with_file_name("dispatch"))
    };
    let path = given.map_or_else(beside, |path| Ok(path.to_owned()))?;
    path.canonicalize().map_err(|error| {
        format!("find {}: {error}; build it or name it with --dispatch", path.display())
    })
}
