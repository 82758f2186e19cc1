//! pip's configuration files: sections of `key = value`, where indented lines go on with the value before.

use std::collections::BTreeMap;

/// Keys by section, both as pip compares them: lower case, with dashes.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Longer files are not pip's.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads what can be read; lines that are neither are passed over, as a file with one odd line is still somebody's
/// configuration.
pub(super) fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let (mut section, mut key) = (String::new(), None::<String>);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some(key) = &key
        {
            let values = sections.entry(section.clone()).or_default();
            let value = values.entry(key.clone()).or_default();
            value.push('\n');
            value.push_str(trimmed);
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
            key = None;
            continue;
        }
        let Some((name, value)) = trimmed.split_once(['=', ':']) else { continue };
        let name = normal(name);
        sections.entry(section.clone()).or_default().insert(name.clone(), value.trim().to_owned());
        key = Some(name);
    }
    sections
}

/// `--Index_URL` is `index-url`.
pub(super) fn normal(key: &str) -> String {
    key.trim().trim_start_matches("--").to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_pip_reads_it() {
        let text = "# mine\n[global]\nindex-url = https://a/simple\nextra_index_url: https://b\n    https://c\n\n\
                    ; more\n[install]\nno-index = true\nodd line\n[Download]\n--Trusted-Host=a b\n";
        let found = parse(text);
        let check = |section: &str, key: &str, expect: &str| {
            let value = found.get(section).and_then(|keys| keys.get(key));
            assert_eq!(value.map(String::as_str), Some(expect), "{section}.{key}");
        };
        check("global", "index-url", "https://a/simple");
        check("global", "extra-index-url", "https://b\nhttps://c");
        check("install", "no-index", "true");
        check("download", "trusted-host", "a b");
        assert_eq!(parse("  indented first\nodd line\n"), Sections::new());
    }
}
