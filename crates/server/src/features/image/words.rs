//! From what pip printed to the one reason that people read on an image.

use std::path::Path;

/// Longer ones are cut: a reason is a sentence, the log has the rest.
const REASON_BYTES_MAX: usize = 1_000;

/// `how` it ended, what it printed, and what its proxy refused it.
pub(super) fn reason(
    how: &str,
    printed: &[String],
    refused: &[String],
    interpreter: &Path,
) -> String {
    if printed.iter().any(|line| line.ends_with("No module named pip")) {
        return format!(
            "{} has no pip: install it (Debian: apt-get install python3-pip)",
            interpreter.display()
        );
    }
    let mut reason = said(printed).unwrap_or_else(|| format!("pip {how}"));
    for words in refused {
        reason.push_str("; ");
        reason.push_str(words);
    }
    if reason.len() > REASON_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.push('…');
    }
    reason
}

/// pip's own last error; of a package that does not build, what did not run and the error that it ended with.
fn said(printed: &[String]) -> Option<String> {
    let of_pip = printed.iter().rev().find_map(|line| line.trim_start().strip_prefix("ERROR: "));
    if let Some(words) = of_pip {
        return Some(words.trim_end().to_owned());
    }
    let error = printed.iter().rev().find_map(|line| line.trim_start().strip_prefix("error: "));
    let step = printed.iter().find_map(|line| line.trim_start().strip_prefix("× "));
    // Python's own last word, indented as pip quotes it: `ModuleNotFoundError: …`.
    let raised = printed.iter().rev().map(|line| line.trim()).find(|line| {
        line.split_once(": ").is_some_and(|(name, _)| {
            let is_name =
                name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'));
            is_name && (name.ends_with("Error") || name.ends_with("Exception"))
        })
    });
    let parts: Vec<&str> = [step, raised, error].into_iter().flatten().take(2).collect();
    if !parts.is_empty() {
        return Some(parts.join(" "));
    }
    printed.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(printed: &str, refused: &[&str], expect: &str) {
        let printed: Vec<String> = printed.lines().map(str::to_owned).collect();
        let refused: Vec<String> = refused.iter().map(|words| (*words).to_owned()).collect();
        let python = Path::new("/usr/bin/python3");
        assert_eq!(reason("exited with status 1", &printed, &refused, python), expect);
    }

    #[test]
    fn the_reason_is_pips_last_meaningful_words() {
        let missing = "Looking in links: /x\nERROR: Could not find a version that satisfies the requirement x \
                       (from versions: none)\nERROR: No matching distribution found for x\n";
        check(missing, &[], "No matching distribution found for x");
        let refused = ["https://a:443 is not among the hosts of build.pip"];
        let expect = "No matching distribution found for x; https://a:443 is not among the hosts of build.pip";
        check(missing, &refused, expect);
        let invalid = "ERROR: Invalid requirement: 'a b' (from line 1 of /build/input/requirements.txt)\n\
                       [notice] A new release of pip is available\n";
        let expect = "Invalid requirement: 'a b' (from line 1 of /build/input/requirements.txt)";
        check(invalid, &[], expect);
        let broken = "  error: subprocess-exited-with-error\n  \n  × python setup.py egg_info did not run successfully.\n  \
                      │ exit code: 1\n  ╰─> [6 lines of output]\n      Traceback (most recent call last):\n        \
                      File \"<string>\", line 2, in <module>\n      RuntimeError: no such luck\n      [end of output]\n  \n  \
                      note: This error originates from a subprocess.\nerror: metadata-generation-failed\n\n\
                      × Encountered error while generating package metadata.\n";
        let expect =
            "python setup.py egg_info did not run successfully. RuntimeError: no such luck";
        check(broken, &[], expect);
        check("", &[], "pip exited with status 1");
        check("strange\n\n", &[], "strange");
        let none = "/usr/bin/python3: No module named pip\n";
        let expect =
            "/usr/bin/python3 has no pip: install it (Debian: apt-get install python3-pip)";
        check(none, &[], expect);
    }

    #[test]
    fn a_reason_is_a_sentence_and_no_page() {
        let long = vec![format!("ERROR: {}", "x".repeat(2 * REASON_BYTES_MAX))];
        let found = reason("ended", &long, &[], Path::new("/x"));
        assert_eq!(found.len(), REASON_BYTES_MAX + "…".len());
    }
}
