//! Sends what was recorded, and writes down what is answered.

use dispatch_osb::fake::FakeBroker;
use reqwest::Method;
use uuid::Uuid;

use super::{
    broker,
    compare::{Ids, same},
    exchange::{Answered, Exchange},
};
use crate::testing::TestServer;

/// Remembers ids from one exchange to the next.
pub(super) struct Player<'a> {
    server: &'a TestServer,
    /// `<broker>` in the files is its URL.
    broker: Option<&'a FakeBroker>,
    http: reqwest::Client,
    key: String,
    ids: Ids,
    /// The sources of functions, as clients send them.
    sources: [(&'static str, String); 2],
}

/// What stands in the files for texts that are too long for them.
const SOURCES: [(&str, &str); 2] = [("<source>", "hello.py"), ("<new source>", "updated.py")];
const LONG_NAME: &str = "<200 x n>";
const BROKER: &str = "<broker>";
/// Members that hold a time.
const TIMES: [&str; 9] = [
    "createdTime",
    "executedTime",
    "expiresAt",
    "expiresTime",
    "fetchedTime",
    "finishedTime",
    "nextTryTime",
    "since",
    "tookMs",
];

impl<'a> Player<'a> {
    pub(super) fn new(server: &'a TestServer, broker: Option<&'a FakeBroker>) -> Self {
        let config = server.world.directory.path().join("home/config.json");
        let config = std::fs::read_to_string(config).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let key = config["contexts"]["127-0-0-1"]["cookie"].as_str().unwrap().to_owned();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let sources = SOURCES.map(|(mark, file)| (mark, source(file)));
        Self { server, broker, http, key, ids: Ids::default(), sources }
    }

    /// What is answered, if that is not what was recorded.
    pub(super) async fn play(&mut self, exchange: &Exchange) -> Option<Answered> {
        for what in &exchange.before {
            self.prepare(what).await;
        }
        let (answered, mut body) = self.send(&exchange.request).await;
        if let Some(broker) = self.broker {
            body = body.replace(&broker.url(), BROKER);
        }
        let mut whole = answered.clone();
        whole.0.extend((!body.is_empty()).then(|| format!("| {body}")));
        if same(&exchange.then, &whole, &mut self.ids) {
            return None;
        }
        let mut shown = answered;
        shown.0.extend((!body.is_empty()).then(|| format!("| {}", self.redact(&body))));
        Some(shown)
    }

    /// `settled PATH`: it becomes READY or ERROR, and time passes as it has to. `POST PATH BODY`: it is made.
    /// `DELETE PATH`: it is deleted. `gone PATH`: it is not there any more. `none PATH`: the list is empty, in time.
    /// `quiet`: nothing is left to do now. `STATUS PATH`: it gets that status, while the time stands still. Or
    /// something at the broker.
    async fn prepare(&self, what: &str) {
        let what = self.with_ids(what);
        if self.broker.is_some_and(|fake| broker::prepare(fake, &what)) {
            return;
        }
        if what == "quiet" {
            return self.server.quiet().await;
        }
        match what.split_once(' ').unwrap() {
            ("settled", path) => drop(self.server.settled(path).await),
            ("DELETE", path) => drop(self.server.delete(path).await),
            ("gone", path) => {
                self.server.eventually(path, |answer| (answer.status == 404).then_some(())).await;
            }
            ("none", path) => {
                self.server.until(path, |answer| (answer.text == "[]").then_some(())).await;
            }
            ("POST", rest) => {
                let (path, body) = rest.split_once(' ').unwrap();
                let made = self.server.post(path, &serde_json::from_str(body).unwrap()).await;
                assert!(made.status < 300, "{what}: {}", made.text);
            }
            (status, path) => drop(self.server.becomes(path, status).await),
        }
    }

    async fn send(&self, request: &[String]) -> (Answered, String) {
        let (first, rest) = request.split_first().unwrap();
        let (method, path) = first.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let url = self.server.url(&self.with_ids(path));
        let body: Vec<&str> = rest.iter().filter_map(|line| line.strip_prefix("| ")).collect();
        let body = self.with_ids(&body.join("\n"));
        let mut headers = vec![
            ("Authorization".to_owned(), format!("Bearer {}", self.key)),
            ("X-Dispatch-Org".to_owned(), "dispatch".to_owned()),
        ];
        headers.extend(
            (!body.is_empty()).then(|| ("Content-Type".to_owned(), "application/json".to_owned())),
        );
        for line in rest.iter().filter(|line| !line.starts_with("| ")) {
            match line.strip_prefix('-') {
                Some(without) => headers.retain(|(name, _)| name != without),
                None => {
                    let (name, value) = line.split_once(':').unwrap();
                    headers.push((name.to_owned(), value.trim().replace("<key>", &self.key)));
                }
            }
        }
        let mut sent = self.http.request(method, url);
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        if !body.is_empty() {
            sent = sent.body(body);
        }
        let answer = sent.send().await.unwrap();
        let mut lines = vec![answer.status().as_u16().to_string()];
        for name in ["Allow", "Content-Type"] {
            let value = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let usual = name == "Content-Type" && value.as_deref() == Some("application/json");
            lines.extend(value.filter(|_| !usual).map(|value| format!("{name}: {value}")));
        }
        (Answered(lines), answer.text().await.unwrap())
    }

    /// Recorded text with our ids, and with what stands for longer texts.
    fn with_ids(&self, text: &str) -> String {
        let mut found = text.replace(LONG_NAME, &"n".repeat(200));
        for (mark, source) in &self.sources {
            found = found.replace(mark, source);
        }
        if let Some(broker) = self.broker {
            found = found.replace(BROKER, &broker.url());
        }
        while let Some(at) = found.find("<id-") {
            let end = at + found.get(at..).and_then(|rest| rest.find('>')).unwrap() + 1;
            let token = found.get(at..end).unwrap().to_owned();
            // An id that nobody ever had is as good as the one that was recorded.
            let id = self.ids.get(&token).unwrap_or(Uuid::nil());
            found.replace_range(at..end, &id.to_string());
        }
        found
    }

    /// Ids by name, no times, and no digests: an archive has a time in it.
    fn redact(&mut self, body: &str) -> String {
        let mut text = body.replace(&"n".repeat(200), LONG_NAME);
        let mut at = 0;
        while at < text.len() {
            let id = text.get(at..at + 36).and_then(|part| part.parse::<Uuid>().ok());
            match id {
                Some(id) => text.replace_range(at..at + 36, &self.ids.name(id)),
                None => at += 1,
            }
        }
        // Ports of loopback.
        let mut parts = text.split("127.0.0.1:");
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            without.push_str(&format!("127.0.0.1:<port>{rest}"));
        }
        text = without;
        const DIGEST: &str = "\"sourceDigest\":\"";
        let mut parts = text.split(DIGEST);
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            without.push_str(&format!("{DIGEST}<digest>{rest}"));
        }
        text = without;
        for name in TIMES {
            let start = format!("\"{name}\":");
            let mut parts = text.split(&start);
            let mut redacted = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
                let time = if rest.len() < part.len() { "\"<time>\"" } else { "" };
                redacted.push_str(&format!("{start}{time}{rest}"));
            }
            text = redacted;
        }
        text
    }
}

/// A gzip-compressed tar, in base64.
fn source(file: &str) -> String {
    let make = "
import base64, io, sys, tarfile
packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode='w:gz') as archive:
    archive.add(sys.argv[1], './hello.py')
sys.stdout.write(base64.b64encode(packed.getvalue()).decode())
";
    let python = std::process::Command::new("/usr/bin/python3")
        .args(["-I", "-S", "-c", make])
        .arg(super::folder().join(file))
        .output()
        .unwrap();
    assert!(python.status.success());
    String::from_utf8(python.stdout).unwrap()
}
