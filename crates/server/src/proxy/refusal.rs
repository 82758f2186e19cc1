//! What a build is answered when it does not get through.

/// A status and words, which pip shows to people: they stand in the status line too, because that is what it quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) words: String,
}

impl Refusal {
    pub(super) fn new(status: u16, words: impl Into<String>) -> Self {
        Self { status, words: words.into() }
    }

    /// The whole answer.
    pub(super) fn answer(&self) -> Vec<u8> {
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let words: String = self.words.chars().map(plain).collect();
        let length = words.len() + 1;
        format!(
            "HTTP/1.1 {} {words}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{words}\n",
            self.status
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cannot_make_a_second_header() {
        let answer = Refusal::new(403, "no\r\nSet-Cookie: é").answer();
        let text = String::from_utf8(answer).unwrap();
        assert!(text.starts_with("HTTP/1.1 403 no??Set-Cookie: ?\r\nContent-Type"), "{text}");
        assert!(
            text.contains("Content-Length: 18\r\n")
                && text.ends_with("\r\n\r\nno??Set-Cookie: ?\n")
        );
    }
}
