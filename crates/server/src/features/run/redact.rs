//! What of a run reaches the disk (decision 38). Pure.

use zeroize::Zeroizing;

const REDACTED: &str = "<redacted>";

/// Values of the call's secrets, blotted out.
pub(super) fn text(text: &str, values: &[Zeroizing<String>]) -> String {
    let mut text = text.to_owned();
    for value in values {
        if text.contains(value.as_str()) {
            text = text.replace(value.as_str(), REDACTED);
        }
    }
    text
}

pub(super) fn lines(lines: &[String], values: &[Zeroizing<String>]) -> Vec<String> {
    lines.iter().map(|line| text(line, values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_do_not_reach_the_disk() {
        let values = vec![Zeroizing::new("hunter2hunter2".to_owned())];
        assert_eq!(text("password=hunter2hunter2;", &values), "password=<redacted>;");
    }
}
