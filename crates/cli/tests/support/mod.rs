//! One transcript: a server, a home of its own, commands, and the golden file they are compared with.

pub mod azure;
pub mod clocked;
pub mod golden;
pub mod real;
pub mod recording;
pub mod redact;
pub mod scripted;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use golden::Golden;
use redact::Redactor;

enum Server {
    Scripted(scripted::Server),
    Real(real::Server),
}

/// A case: answers are queued, commands are run, the file is compared at the end.
pub struct Case {
    name: String,
    server: Server,
    home: tempfile::TempDir,
    /// Where commands run.
    directory: PathBuf,
    redactor: Redactor,
    text: String,
}

impl Case {
    /// `name` is the file `tests/cases/<name>.txt`.
    pub fn new(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = scripted::Server::start();
        let config = format!(
            r#"{{"current": "local", "contexts": {{"local": {{"host": "127.0.0.1", "port": {}, "scheme": "http", "organization": "testorg", "cookie": "cookie"}}}}}}"#,
            server.port
        );
        fs::create_dir(home.path().join(".dispatch")).unwrap();
        fs::write(home.path().join(".dispatch/config.json"), config).unwrap();
        let port = server.port;
        Self::with(name, home, Server::Scripted(server), port)
    }

    /// The same against a server of our own, on loopback, in a directory of its own.
    pub fn real(name: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = real::Server::start(home.path());
        Self::on(name, home, server)
    }

    /// The same against a server that was started for it in that directory.
    pub fn on(name: &str, home: tempfile::TempDir, server: real::Server) -> Self {
        let port = server.port;
        let mut case = Self::with(name, home, Server::Real(server), port);
        case.redactor.of_a_real_server();
        case
    }

    fn with(name: &str, home: tempfile::TempDir, server: Server, port: u16) -> Self {
        let mut redactor = Redactor::default();
        redactor.constant(&format!("127.0.0.1:{port}"), "<server>");
        redactor.constant(&port.to_string(), "<port>");
        redactor.constant(&home.path().display().to_string(), "<home>");
        let directory = home.path().to_owned();
        Self { name: name.to_owned(), server, home, directory, redactor, text: String::new() }
    }

    /// The next request is never answered.
    pub fn hold(mut self) -> Self {
        self.scripted().hold();
        self
    }

    /// The next answer of the server, whatever it is asked.
    pub fn answer(mut self, status: u16, body: &str) -> Self {
        self.scripted().answer(status, &[], body);
        self
    }

    /// The next answer, which says that the object has not settled yet.
    pub fn unsettled(mut self, status: u16, body: &str) -> Self {
        let seen = format!("seen-{}", self.scripted().left());
        let headers = [("Dispatch-Settled", "false"), ("Dispatch-Seen", seen.as_str())];
        self.scripted().answer(status, &headers, body);
        self
    }

    /// A file in the directory in which commands run.
    pub fn file(self, name: &str, content: &str) -> Self {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Commands run in this directory of the sources from now on.
    pub fn enter(mut self, directory: &str) -> Self {
        self.directory = sources().join(directory);
        self.text.push_str(&format!("$ cd {directory}\n\n"));
        self
    }

    /// Runs `dispatch` with these arguments and notes everything.
    pub fn run(self, arguments: &str) -> Self {
        self.run_with(arguments, &[])
    }

    pub fn run_with(mut self, arguments: &str, environment: &[(&str, &str)]) -> Self {
        let output = self.command(arguments, environment).output().unwrap();
        self.note(arguments, environment, &output);
        self
    }

    /// Runs `dispatch` again and again, and notes nothing, until its output has this part: what is recorded after an
    /// answer is not there at once.
    pub fn until(self, arguments: &str, part: &str) -> Self {
        let begun = std::time::Instant::now();
        loop {
            let output = self.command(arguments, &[]).output().unwrap();
            let last = String::from_utf8_lossy(&output.stdout);
            if last.contains(part) {
                return self;
            }
            assert!(begun.elapsed().as_secs() < 60, "{arguments}: no {part} in {last}");
        }
    }

    /// Runs it until it has asked for every answer, then sends SIGINT as Ctrl-C does. The last one should be held.
    pub fn interrupt(mut self, arguments: &str) -> Self {
        let mut command = self.command(arguments, &[]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while self.scripted().left() > 0 {
            thread::yield_now();
        }
        let pid = i32::try_from(child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        self.note(arguments, &[], &output);
        self
    }

    /// Runs it with a stdout that nobody reads.
    pub fn unread(mut self, arguments: &str) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments, &[]);
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        let output = child.wait_with_output().unwrap();
        self.note(arguments, &[], &output);
        self
    }

    fn command(&self, arguments: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
        command
            .args(words(arguments))
            .current_dir(&self.directory)
            .env_clear()
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        command
    }

    fn note(&mut self, arguments: &str, environment: &[(&str, &str)], output: &Output) {
        let variables: String =
            environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        self.text.push_str(&format!("$ {variables}dispatch {arguments}\n"));
        if let Server::Scripted(server) = &mut self.server {
            for request in server.seen() {
                self.text.push_str(&format!("→ {request}\n"));
            }
        }
        self.text.push_str(&format!("exit {}\n", output.status.code().unwrap_or(-1)));
        self.section("stdout", &output.stdout);
        self.section("stderr", &output.stderr);
        self.text.push('\n');
    }

    fn scripted(&mut self) -> &mut scripted::Server {
        match &mut self.server {
            Server::Scripted(server) => server,
            Server::Real(_) => panic!("{}: the real server has no script", self.name),
        }
    }

    /// Notes a file as it is now.
    pub fn note_file(mut self, name: &str) -> Self {
        let content = fs::read(self.home.path().join(name)).unwrap();
        self.section(name, &content);
        self.text.push('\n');
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Compares, and makes sure that every answer was asked for.
    pub fn check(self) {
        let text = self.redactor.redact(&self.text);
        match self.server {
            Server::Scripted(server) => {
                assert_eq!(server.left(), 0, "{}: answers that nobody asked for", self.name);
            }
            Server::Real(server) => server.finish(),
        }
        Golden::new(&self.name).check(&text);
    }

    fn section(&mut self, title: &str, content: &[u8]) {
        if content.is_empty() {
            return;
        }
        let content = String::from_utf8_lossy(content);
        self.text.push_str(&format!("--- {title}\n{content}"));
        if !content.ends_with('\n') {
            self.text.push_str("\n(no line break at the end)\n");
        }
    }
}

/// The root of the sources that this was built from.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Splits as a shell does, as far as the cases need it: blanks, and single quotes around a word.
pub fn words(arguments: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in arguments.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
