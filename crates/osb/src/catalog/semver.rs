//! Semantic versions 2.0: whether a text is one. Nothing here compares them.

/// `MAJOR.MINOR.PATCH`, with an optional `-pre.release` and `+build`.
pub(super) fn is_version(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| is_word(part) && !is_padded(part)))
        && build.is_none_or(|build| build.split('.').all(is_word))
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && !is_padded(part)
}

fn is_word(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A number with a zero in front.
fn is_padded(part: &str) -> bool {
    part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_follow_the_grammar() {
        for good in ["0.0.0", "1.2.3", "10.20.30-rc.1", "1.0.0-0a.b-c+001.x", "1.0.0+20-1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.02.3", "1.2.3-", "1.2.3-01", "1.2.3+"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
