//! From what pip or npm printed to the one reason that people read on an image.

use std::path::Path;

use dispatch_runtime::host::Language;

/// Longer ones are cut: a reason is a sentence, the log has the rest.
const REASON_BYTES_MAX: usize = 1_000;

/// `how` it ended, what it printed, and what its proxy refused it.
pub(super) fn reason(
    language: Language,
    executable: &Path,
    how: &str,
    printed: &[String],
    refused: &[String],
) -> String {
    let (tool, said) = match language {
        Language::Python3 if printed.iter().any(|line| line.ends_with("No module named pip")) => {
            return format!(
                "{} has no pip: install it (Debian: apt-get install python3-pip)",
                executable.display()
            );
        }
        Language::Python3 => ("pip", said_by_pip(printed)),
        Language::NodeJs => ("npm", said_by_npm(printed)),
    };
    let mut reason = said.unwrap_or_else(|| format!("{tool} {how}"));
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
fn said_by_pip(printed: &[String]) -> Option<String> {
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

/// npm's own error lines, without the code, the help that it prints and where it keeps its log.
fn said_by_npm(printed: &[String]) -> Option<String> {
    let errors = printed.iter().filter_map(|line| {
        let line = line.trim_start();
        let said = line.strip_prefix("npm error").or_else(|| line.strip_prefix("npm ERR!"))?;
        Some(said.trim()).filter(|said| !said.is_empty())
    });
    let (codes, words): (Vec<&str>, Vec<&str>) = errors.partition(|said| {
        said.starts_with("code ")
            || said.starts_with("errno ")
            || said.starts_with("A complete log")
    });
    let code = codes.iter().find_map(|said| said.strip_prefix("code "));
    match (code, words.first()) {
        (Some(code), Some(first)) if !first.starts_with(code.trim_start_matches('E')) => {
            Some(format!("{code}: {first}"))
        }
        (_, Some(first)) => Some((*first).to_owned()),
        (code, None) => code.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(printed: &str, refused: &[&str], expect: &str) {
        check_in(Language::Python3, printed, refused, expect);
    }

    fn check_in(language: Language, printed: &str, refused: &[&str], expect: &str) {
        let printed: Vec<String> = printed.lines().map(str::to_owned).collect();
        let refused: Vec<String> = refused.iter().map(|words| (*words).to_owned()).collect();
        let program = Path::new("/usr/bin/python3");
        let found = reason(language, program, "exited with status 1", &printed, &refused);
        assert_eq!(found, expect);
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
    fn the_reason_is_npms_own_error() {
        let check = |printed: &str, expect: &str| {
            check_in(Language::NodeJs, printed, &[], expect);
        };
        let missing = "npm error code E404\nnpm error 404 Not Found - GET http://r/nope - no such package\n\
                       npm error 404\nnpm error A complete log of this run can be found in: /build/tmp/x\n";
        check(missing, "404 Not Found - GET http://r/nope - no such package");
        let json = "npm ERR! code EJSONPARSE\nnpm ERR! JSON.parse Unexpected end of JSON input\n";
        check(json, "EJSONPARSE: JSON.parse Unexpected end of JSON input");
        check("npm error code ETARGET\n", "ETARGET");
        check("", "npm exited with status 1");
        check("node: bad\n", "npm exited with status 1");
    }

    #[test]
    fn a_reason_is_a_sentence_and_no_page() {
        let long = vec![format!("ERROR: {}", "x".repeat(2 * REASON_BYTES_MAX))];
        let found = reason(Language::Python3, Path::new("/x"), "ended", &long, &[]);
        assert_eq!(found.len(), REASON_BYTES_MAX + "…".len());
    }
}
