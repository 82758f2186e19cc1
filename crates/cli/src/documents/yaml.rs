//! A file of documents, cut apart where YAML says so: at lines that begin with `---`. (The first command line cut at
//! every such sequence of bytes, also inside a certificate.)

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    documents::{Document, Kind},
    suggest,
};

#[derive(Debug, Default)]
pub struct Parsed {
    pub documents: Vec<Document>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
}

/// A document, or a member of one, that was passed over, and why, for people.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    pub why: String,
    /// It is a slip: a kind that nobody ever knew, a member with almost the name of one that there is.
    pub is_wrong: bool,
}

/// Kinds of v0.1.22 that are not here.
const ELSEWHERE: &[&str] = &[
    "Application",
    "Driver",
    "DriverType",
    "Organization",
    "Policy",
    "ServiceAccount",
    "Subscription",
];

/// All documents of a file. Errors are fragments that name the document and never quote it.
pub fn documents(text: &str) -> Result<Parsed, String> {
    #[derive(Deserialize, Default)]
    struct Head {
        #[serde(default)]
        kind: Option<String>,
        #[serde(default)]
        name: Option<String>,
    }
    let mut parsed = Parsed::default();
    for (index, part) in parts(text).into_iter().enumerate() {
        let at = |why: String| format!("document {}: {why}", index + 1);
        if part.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            continue;
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let head: Option<Head> =
            serde_saphyr::from_str_with_options(&part, options).map_err(|e| at(e.to_string()))?;
        let head = head.unwrap_or_default();
        let name = head.name.unwrap_or_default();
        let Some(kind) = head.kind else {
            let why = at("it has no kind".to_owned());
            parsed.skipped.push(Skipped { why, is_wrong: true });
            continue;
        };
        let Some(kind) = Kind::parse(&kind) else {
            parsed.skipped.push(unknown(&kind, at));
            continue;
        };
        let body = (kind.spec().decode)(&part).map_err(at)?;
        parsed.skipped.extend(strangers(kind, &part).into_iter().map(|(member, close)| {
            let is_wrong = close.is_some();
            let close = close.map(|close| format!("; did you mean {close}?")).unwrap_or_default();
            let kind = kind.spec().kind;
            let why = format!("a member {member:?} of {kind} is not known here{close}");
            Skipped { why: at(why), is_wrong }
        }));
        parsed.documents.push(Document { kind, name, body });
    }
    Ok(parsed)
}

fn unknown(kind: &str, at: impl Fn(String) -> String) -> Skipped {
    let known = Kind::ALL.iter().map(|kind| kind.spec().kind);
    let is_wrong = !ELSEWHERE.contains(&kind);
    let close = suggest::closest(kind, known).filter(|_| is_wrong);
    let close = close.map(|close| format!("; did you mean {close}?")).unwrap_or_default();
    Skipped { why: at(format!("kind {kind:?} is not known here{close}")), is_wrong }
}

/// Members that neither a wish nor an object of this kind has, each with the one that is close.
fn strangers(kind: Kind, text: &str) -> Vec<(String, Option<&'static str>)> {
    let options = serde_saphyr::options! { with_snippet: false };
    let given: Result<BTreeMap<String, IgnoredAny>, _> =
        serde_saphyr::from_str_with_options(text, options);
    let known = (kind.spec().members)();
    let given = given.unwrap_or_default().into_keys();
    let strange = given.filter(|member| !known.contains(&member.as_str()));
    let close = |member: &str| suggest::closest(member, known.iter().copied());
    strange.map(|member| (member.clone(), close(&member))).collect()
}

/// The documents' texts, each below as many empty lines as it has lines before it, so that errors name the right line.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let rest = line.strip_prefix("---").filter(|rest| is_end_of_marker(rest));
        let ends = line == "..." || line.starts_with("... ");
        let line = match rest {
            _ if ends => "",
            // The marker's own line may already hold something.
            Some(rest) => {
                parts.push("\n".repeat(number));
                rest
            }
            None => line,
        };
        let part = parts.last_mut().expect("it starts with one part and only grows");
        part.push_str(line);
        part.push('\n');
    }
    parts
}

fn is_end_of_marker(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bodies(text: &str) -> Vec<Value> {
        documents(text).unwrap().documents.into_iter().map(|document| document.body).collect()
    }

    #[test]
    fn documents_are_cut_apart_at_lines_only() {
        let text = "\
# a comment
---
kind: Secret
name: tls
secrets:
  pem: |
    -----BEGIN CERTIFICATE-----
    abc --- def
    -----END CERTIFICATE-----
--- # the next
kind: Secret
name: b
...
---
---
{kind: Secret, name: c, tags: null}
";
        let names: Vec<_> =
            documents(text).unwrap().documents.into_iter().map(|d| d.name).collect();
        assert_eq!(names, ["tls", "b", "c"]);
        assert_eq!(
            bodies(text)[0]["secrets"]["pem"],
            "-----BEGIN CERTIFICATE-----\nabc --- def\n-----END CERTIFICATE-----\n"
        );
    }

    #[test]
    fn a_line_that_only_begins_like_a_marker_is_none() {
        let check = |text: &str, expect: usize| assert_eq!(parts(text).len(), expect, "{text:?}");
        check("a: 1", 1);
        check("a: 1\n---\nb: 2", 2);
        check("a: 1\n---\tb", 2);
        check("----BEGIN\n---x\n a: ---", 1);
    }

    #[test]
    fn numbers_and_truth_values_become_text_where_text_is_meant_and_stay_elsewhere() {
        let check = |text: &str, pointer: &str, expect: Value| {
            assert_eq!(bodies(text)[0].pointer(pointer), Some(&expect), "{text}");
        };
        let secret = "kind: Secret\nname: 7\nsecrets: {a: 2, b: true, c: 1.10, d: 0x1F, e: '', f: 2018-01-02}";
        check(secret, "/name", json!("7"));
        check(
            secret,
            "/secrets",
            json!({"a": "2", "b": "true", "c": "1.10", "d": "0x1F", "e": "", "f": "2018-01-02"}),
        );
        let instance = "kind: ServiceInstance\nname: db\nparameters: {storage: 2, fast: true, text: '2', deep: [{x: 1.5}]}";
        check(
            instance,
            "/parameters",
            json!({"storage": 2, "fast": true, "text": "2", "deep": [{"x": 1.5}]}),
        );
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_said() {
        let text =
            "kind: Application\nname: x\n---\nname: y\n---\n\n---\nkind: Functoin\n---\nkind: x\n";
        let parsed = documents(text).unwrap();
        assert!(parsed.documents.is_empty());
        let skipped: Vec<_> =
            parsed.skipped.iter().map(|one| (one.why.as_str(), one.is_wrong)).collect();
        assert_eq!(
            skipped,
            [
                ("document 1: kind \"Application\" is not known here", false),
                ("document 2: it has no kind", true),
                ("document 4: kind \"Functoin\" is not known here; did you mean Function?", true),
                ("document 5: kind \"x\" is not known here", true),
            ]
        );
    }

    #[test]
    fn a_member_that_is_unknown_is_said_and_one_that_is_almost_known_is_a_slip() {
        let check = |text: &str, expect: &[(&str, bool)]| {
            let parsed = documents(text).unwrap();
            let skipped: Vec<_> =
                parsed.skipped.iter().map(|one| (one.why.as_str(), one.is_wrong)).collect();
            assert_eq!(skipped, expect, "{text}");
        };
        let slip = "document 1: a member \"serviceclass\" of ServiceInstance is not known here; did you mean serviceClass?";
        check("kind: ServiceInstance\nname: db\nserviceclass: pg", &[(slip, true)]);
        let other = "document 1: a member \"colour\" of Secret is not known here";
        check("kind: Secret\nname: s\ncolour: red\nsecrets: {colour: red}", &[(other, false)]);
        // What is shown can be sent back.
        check("kind: Function\nname: f\nsourcePath: f.py\nstatus: READY\nfaasId: x", &[]);
        check("kind: ServiceBroker\nname: b\nURL: http://h\nserviceClasses: [a]", &[]);
    }

    #[test]
    fn an_error_names_the_document_and_its_line_and_quotes_nothing() {
        let check = |text: &str, parts: &[&str]| {
            let error = documents(text).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("kind: Secret\n---\nkind: Secret\nsecrets: [hunter2]\n", &["document 2: ", "line 4"]);
        check("kind: Secret\nsecrets: {a: hunter2", &["document 1: "]);
    }
}
