//! One process of a broker: started with its order, listened to, ended.

use std::{
    collections::VecDeque,
    os::unix::process::CommandExt as _,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dispatch_model::{
    Id,
    service_broker::{Builtin, ServiceBroker},
};
use tokio::{
    io::{
        AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _,
        BufReader,
    },
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    Host,
    line::{LINE_BYTES_MAX, Order, Report},
    log::Line,
};

/// For requests under way, after the order to stop.
const STOP: Duration = Duration::from_secs(15);
/// For what it has written to be read, after its end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A longer line of its log is cut.
const LOG_LINE_BYTES_MAX: usize = 16 * 1024;
/// Reports that nobody has looked at.
const REPORTS_MAX: usize = 4;
/// So many lines, and so many characters of them, are a reason.
const WORDS_MAX: usize = 5;
const REASON_CHARS_MAX: usize = 1_000;

/// A process that runs, or has ended. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Closed, it tells the process to stop; so does the end of this server.
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<Said>>,
    readers: JoinSet<()>,
}

/// What a reason is made of.
#[derive(Debug, Default)]
struct Said {
    failure: Option<String>,
    words: VecDeque<String>,
}

impl Process {
    /// Must be called inside a tokio runtime. The error is a reason for people.
    pub(super) async fn start(
        host: &Host,
        broker: Id<ServiceBroker>,
        name: &str,
        kind: Builtin,
        order: Order,
    ) -> Result<(Self, mpsc::Receiver<Report>), String> {
        let directory = host.prepare(broker, kind);
        let directory =
            directory.map_err(|error| format!("its directory cannot be made: {error}"))?;
        let line =
            order.to_line().map_err(|error| format!("its order cannot be written: {error}"))?;
        let mut command = std::process::Command::new(&host.program);
        command
            // A link to the program may be called after a command.
            .arg0("dispatch")
            .args(["broker", kind.as_str(), "--included", "--listen", "127.0.0.1:0", "--data"])
            .arg(&directory)
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("DISPATCH_LOG", &host.log)
            // A signal from a terminal is for the server, which then stops its brokers.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = Command::from(command);
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", host.program.display()))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err("it has no pipes".to_owned());
        };
        let (send, reports) = mpsc::channel(REPORTS_MAX);
        let said = Arc::<Mutex<Said>>::default();
        let secrets = Arc::new(order);
        let mut readers = JoinSet::new();
        let logged_as = if name.is_empty() { broker.uuid().to_string() } else { name.to_owned() };
        readers.spawn(read_log(stderr, logged_as, Arc::clone(&secrets), Arc::clone(&said)));
        readers.spawn(read_reports(stdout, send, secrets, Arc::clone(&said)));
        // One that does not read its order has ended, or ends with its stdin.
        let _in_vain = timeout(STOP, stdin.write_all(&line)).await;
        Ok((Self { child, stdin: Some(stdin), said, readers }, reports))
    }

    /// Waits for its end. The error is the reason, in its own words if it has said any.
    pub(super) async fn ended(&mut self) -> Result<(), String> {
        let status = self.child.wait().await;
        let all_is_read = async { while self.readers.join_next().await.is_some() {} };
        let _in_vain = timeout(LAST_WORDS, all_is_read).await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                Err(self.said.lock().unwrap_or_else(PoisonError::into_inner).reason(status))
            }
            Err(error) => Err(format!("nothing is known of it: {error}")),
        }
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) {
        drop(self.stdin.take());
        if timeout(STOP + STOP, self.child.wait()).await.is_err() {
            let _gone = self.child.kill().await;
        }
    }
}

impl Said {
    fn reason(&self, status: ExitStatus) -> String {
        let words = self.words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        match &self.failure {
            Some(failure) => cut(failure),
            None if words.is_empty() => format!("it ended with {status}"),
            None => cut(&format!("it ended with {status}: {words}")),
        }
    }
}

fn cut(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(REASON_CHARS_MAX).collect()
}

/// The text without what may not be shown, whoever wrote it there.
fn redacted(order: &Order, text: &str) -> String {
    order.secrets().fold(text.to_owned(), |text, secret| text.replace(secret, "<redacted>"))
}

async fn read_log(
    stderr: impl AsyncRead + Unpin,
    name: String,
    order: Arc<Order>,
    said: Arc<Mutex<Said>>,
) {
    let mut stderr = BufReader::new(stderr);
    while let Some(text) = line(&mut stderr, LOG_LINE_BYTES_MAX).await {
        let line = Line::read(&redacted(&order, &text));
        line.log(&name);
        let (Line::Event(tracing::Level::ERROR, words) | Line::Words(words)) = line else {
            continue;
        };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.words.len() >= WORDS_MAX {
            said.words.pop_front();
        }
        said.words.push_back(words);
    }
}

async fn read_reports(
    stdout: impl AsyncRead + Unpin,
    send: mpsc::Sender<Report>,
    order: Arc<Order>,
    said: Arc<Mutex<Said>>,
) {
    let mut stdout = BufReader::new(stdout);
    while let Some(text) = line(&mut stdout, LINE_BYTES_MAX).await {
        match serde_json::from_str(&text) {
            Ok(Report::Failed(why)) => {
                said.lock().unwrap_or_else(PoisonError::into_inner).failure =
                    Some(redacted(&order, &why));
            }
            Ok(report) => {
                // Nobody listens to one that is being stopped.
                let _in_vain = send.send(report).await;
            }
            Err(_) => {
                tracing::warn!("a broker of the server's own said something that is no report")
            }
        }
    }
}

/// The next line, cut where it is longer than that; `None` at the end.
async fn line(from: &mut (impl AsyncBufRead + Unpin), most: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let length = (&mut *from).take(limit).read_until(b'\n', &mut bytes).await.ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::included::line::{Login, Task};

    #[test]
    fn the_reason_is_what_it_said_and_otherwise_how_it_ended() {
        let killed = ExitStatus::from_raw(9);
        let mut said = Said::default();
        assert_eq!(said.reason(killed), "it ended with signal: 9 (SIGKILL)");
        said.words.extend(["thread main panicked".to_owned(), "at x.rs".to_owned()]);
        let expect = "it ended with signal: 9 (SIGKILL): thread main panicked at x.rs";
        assert_eq!(said.reason(killed), expect);
        said.failure = Some("no\n  host".to_owned() + &"x".repeat(5_000));
        let reason = said.reason(killed);
        assert!(reason.starts_with("no hostxx") && reason.chars().count() == REASON_CHARS_MAX);
    }

    #[tokio::test]
    async fn what_may_not_be_shown_is_in_no_word_of_it() {
        let mut order = Order::new(Task::Serve);
        order.token = "t0k".to_owned();
        order.login = Some(Login { username: "u".to_owned(), password: "s3cret".to_owned() });
        let (order, said) = (Arc::new(order), Arc::<Mutex<Said>>::default());
        let text: &[u8] = b"panicked with s3cret\nand t0k\n";
        read_log(text, "pg".to_owned(), Arc::clone(&order), Arc::clone(&said)).await;
        let (send, _reports) = mpsc::channel(1);
        let text: &[u8] = br#"{"failed": "s3cret is wrong"}"#;
        read_reports(text, send, order, Arc::clone(&said)).await;
        let said = said.lock().unwrap();
        assert_eq!(said.words, ["panicked with <redacted>", "and <redacted>"]);
        assert_eq!(said.failure.as_deref(), Some("<redacted> is wrong"));
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_at_its_bound() {
        let text = "x".repeat(LOG_LINE_BYTES_MAX + 1) + "\nnext\n";
        let mut from = text.as_bytes();
        let mut next = async || line(&mut from, LOG_LINE_BYTES_MAX).await.map(|line| line.len());
        assert_eq!(next().await, Some(LOG_LINE_BYTES_MAX));
        assert_eq!((next().await, next().await, next().await), (Some(1), Some(4), None));
    }
}
