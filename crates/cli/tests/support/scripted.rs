//! A server on loopback that answers from a script and remembers what it was asked.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Server {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// `None` holds the request until the client goes away.
    answers: VecDeque<Option<String>>,
    seen: Vec<String>,
    ended: bool,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.lock().unwrap().ended {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { port, state }
    }

    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        self.state.lock().unwrap().answers.push_back(Some(answer));
    }

    /// The next request is never answered.
    pub fn hold(&mut self) {
        self.state.lock().unwrap().answers.push_back(None);
    }

    /// What was asked since the last time, one line each.
    pub fn seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    /// Answers that were not asked for.
    pub fn left(&self) -> usize {
        self.state.lock().unwrap().answers.len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.lock().unwrap().ended = true;
        // Wakes the accept loop.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = request(&mut reader) {
        let answer = {
            let mut state = state.lock().unwrap();
            state.seen.push(request);
            state.answers.pop_front()
        };
        let unexpected = Some("HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n".to_owned());
        let Some(answer) = answer.unwrap_or(unexpected) else { continue };
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Method, path, login and body of the next request.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    let mut extra = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "cookie" if value != "cookie" => extra.push_str(&format!(" [cookie {value}]")),
            "authorization" => extra.push_str(&format!(" [{value}]")),
            "x-dispatch-org" if value != "testorg" => {
                extra.push_str(&format!(" [organization {value:?}]"));
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let line = first.trim_end().trim_end_matches(" HTTP/1.1");
    let body = if body.is_empty() { body } else { format!(" {body}") };
    Some(format!("{line}{extra}{body}"))
}
