//! The form of a golden file.
//!
//! ```text
//! === title
//! @ what happens before (see `play`)
//! > GET /v1/secret          the request
//! > -Authorization          without a header that is sent otherwise
//! > Accept: text/plain      with another one
//! > | body
//! < 200                     what was answered then
//! < Allow: GET              headers that matter
//! < | body
//! ! 404                     what is answered now, if that differs
//! ? row of docs/compatibility.md
//! ```

/// A request, and its answers.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) title: String,
    pub(super) before: Vec<String>,
    pub(super) request: Vec<String>,
    pub(super) then: Answered,
    /// `None`: the same.
    pub(super) now: Option<Answered>,
    pub(super) rows: Vec<String>,
}

/// Lines of an answer: status, headers, and the body behind `| `.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answered(pub(super) Vec<String>);

impl Answered {
    /// `None` if the connection was closed.
    pub(super) fn status(&self) -> Option<u16> {
        self.0.first()?.parse().ok()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0.iter().skip(1).filter(|line| !line.starts_with("| "));
        let mut pairs = headers.filter_map(|line| line.split_once(':'));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(super) fn body(&self) -> &str {
        self.0.iter().find_map(|line| line.strip_prefix("| ")).unwrap_or("")
    }
}

/// What stands before the first exchange, and the exchanges.
pub(super) fn parse(text: &str) -> (Vec<String>, Vec<Exchange>) {
    let (mut head, mut exchanges) = (Vec::new(), Vec::<Exchange>::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix("=== ") {
            exchanges.push(Exchange {
                title: title.to_owned(),
                before: Vec::new(),
                request: Vec::new(),
                then: Answered::default(),
                now: None,
                rows: Vec::new(),
            });
            continue;
        }
        let Some(exchange) = exchanges.last_mut() else {
            head.push(line.to_owned());
            continue;
        };
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.to_owned();
        match mark {
            "@" => exchange.before.push(rest),
            ">" => exchange.request.push(rest),
            "<" => exchange.then.0.push(rest),
            "!" => exchange.now.get_or_insert_default().0.push(rest),
            "?" => exchange.rows.push(rest),
            _ => panic!("{line:?} is no line of a golden file"),
        }
    }
    (head, exchanges)
}

pub(super) fn render(head: &[String], exchanges: &[Exchange]) -> String {
    let mut text = head.join("\n");
    text.push('\n');
    for exchange in exchanges {
        text.push_str(&format!("\n=== {}\n", exchange.title));
        let now = exchange.now.clone().unwrap_or_default();
        let blocks = [
            ("@", &exchange.before),
            (">", &exchange.request),
            ("<", &exchange.then.0),
            ("!", &now.0),
            ("?", &exchange.rows),
        ];
        for (mark, lines) in blocks {
            for line in lines {
                text.push_str(&format!("{mark} {line}\n"));
            }
        }
    }
    text
}
