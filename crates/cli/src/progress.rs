//! The progress line on stderr: redrawn on a terminal, elsewhere one line per change with the time first.
//! It shows what it is told; waiting is `wait`.

use std::{
    future::Future,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    clock,
    error::{CliError, Kind},
    nouns::State,
    output::{clean, time},
};

/// How often the line is redrawn while nothing changes.
const REDRAW: Duration = Duration::from_millis(100);
/// What the line's clock can show.
const LEAST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Progress {
    name: String,
    started: Instant,
    /// None where stderr is no terminal.
    line: Option<ProgressBar>,
    shown: String,
    usual: Option<Duration>,
}

impl Progress {
    pub fn new(name: &str) -> Self {
        Self::since(name, Instant::now())
    }

    /// Of what was asked for before.
    pub fn since(name: &str, started: Instant) -> Self {
        let line = io::stderr().is_terminal().then(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("  {spinner} {wide_msg}")
                .expect("the template is a constant that a test draws");
            line.set_style(style);
            line
        });
        Self { name: clean::line(name), started, line, shown: String::new(), usual: None }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether anybody watches the line, to whom it is worth a question how long it will be.
    pub fn is_watched(&self) -> bool {
        self.line.is_some()
    }

    /// How long it usually takes.
    pub fn expect(&mut self, usual: Option<Duration>) {
        self.usual = usual;
    }

    /// Waits for an answer while the line lives. Ctrl-C stops watching, not the work.
    pub async fn during<T>(
        &self,
        answer: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        tokio::pin!(answer);
        let mut redraw = tokio::time::interval(REDRAW);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = redraw.tick(), if self.line.is_some() => self.draw(),
                _ = tokio::signal::ctrl_c() => {
                    self.clear();
                    self.write(&format!("  stopped watching {}; the work goes on", self.name));
                    return Err(Kind::Said.into());
                }
            }
        }
    }

    /// What the object is doing now.
    pub fn show(&mut self, state: &State) {
        let says = if state.says.is_empty() { String::new() } else { format!("  {}", state.says) };
        if self.line.is_some() {
            self.shown = format!("{}{says}", clean::line(&state.doing));
            self.draw();
            return;
        }
        let shown = format!("{}  {}{says}", self.name, clean::line(&state.doing));
        if shown != self.shown {
            let now = clock::now().to_zoned(clock::zone()).strftime("%H:%M:%S").to_string();
            self.write(&format!("{now} {shown}"));
            self.shown = shown;
        }
    }

    /// The last line: `✓ azure-pg READY in 1.3 s (broker 1.2 s, Dispatch 11 ms)   id 5b1f6c1e…`.
    pub fn succeed(&self, outcome: &str, broker: Option<Duration>, detail: &str) {
        self.clear();
        let span = spans(self.started.elapsed(), broker);
        let detail = if detail.is_empty() { String::new() } else { format!("   {detail}") };
        self.write(&format!("  ✓ {} {outcome} in {span}{detail}", self.name));
    }

    /// The last line: `✗ azure-pg ERROR after 2 min 10 s: osba: "quota exceeded" · try again: …`.
    pub fn fail(&self, state: &State) -> CliError {
        self.clear();
        let says = if state.says.is_empty() { String::new() } else { format!(": {}", state.says) };
        let advice = state.advice.as_ref().map(|advice| format!(" · {advice}")).unwrap_or_default();
        let span = time::span(self.started.elapsed());
        self.write(&format!("  ✗ {} {} after {span}{says}{advice}", self.name, state.status));
        Kind::NotReady.into()
    }

    fn draw(&self) {
        if let Some(line) = &self.line {
            line.set_message(message(&self.name, &self.shown, self.started.elapsed(), self.usual));
            line.tick();
        }
    }

    /// Takes the line away, before something else is printed.
    pub fn clear(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    fn write(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", clean::line(text));
    }
}

/// `azure-pg  provisioning  2:10 of about 9:40   osba: "creating firewall rules"  (Ctrl-C stops watching, not the work)`
fn message(name: &str, shown: &str, elapsed: Duration, usual: Option<Duration>) -> String {
    let shown = if shown.is_empty() { "waiting" } else { shown };
    let (doing, says) = shown.split_once("  ").unwrap_or((shown, ""));
    let says = if says.is_empty() { String::new() } else { format!("   {says}") };
    let clock = time::clock(elapsed);
    let about = usual.map(|usual| format!(" of about {}", time::clock(usual.max(LEAST))));
    let about = about.unwrap_or_default();
    format!("{name}  {doing}  {clock}{about}{says}  (Ctrl-C stops watching, not the work)")
}

/// Who had how much of it. What a broker did before anybody waited here is not told.
fn spans(all: Duration, broker: Option<Duration>) -> String {
    let shares = broker.and_then(|broker| Some((broker, all.checked_sub(broker)?)));
    let shares = shares.map(|(broker, ours)| {
        format!(" (broker {}, Dispatch {})", time::span(broker), time::span(ours))
    });
    time::span(all) + &shares.unwrap_or_default()
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_and_dispatch_are_told_apart() {
        let check = |all: u64, broker: Option<u64>, expect: &str| {
            let broker = broker.map(Duration::from_millis);
            assert_eq!(spans(Duration::from_millis(all), broker), expect, "{all} {broker:?}");
        };
        check(1_300, Some(1_290), "1.3 s (broker 1.3 s, Dispatch 10 ms)");
        check(40, Some(40), "40 ms (broker 40 ms, Dispatch 0 ms)");
        check(40, None, "40 ms");
        check(2, Some(1_290), "2 ms");
    }

    #[test]
    fn the_line_names_the_object_what_is_done_for_how_long_and_who_says_what() {
        let check = |shown: &str, usual: Option<u64>, expect: &str| {
            let end = "  (Ctrl-C stops watching, not the work)";
            let (elapsed, usual) = (Duration::from_secs(130), usual.map(Duration::from_millis));
            assert_eq!(message("db", shown, elapsed, usual), format!("{expect}{end}"));
        };
        check("", None, "db  waiting  2:10");
        check("binding", None, "db  binding  2:10");
        check("provisioning  pg: \"a  b\"", None, "db  provisioning  2:10   pg: \"a  b\"");
        check("provisioning", Some(580_000), "db  provisioning  2:10 of about 9:40");
        check("provisioning", Some(30), "db  provisioning  2:10 of about 0:01");
    }
}
