//! Whether two answers are the same to a client: ids may be others, as long as equal ones stay equal; times too; the
//! order of members, of an Allow header, the members `error` and `faults` of an error (row "the body of an error") and
//! the member `sourceDigest` of a function (the row of that name) do not count.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use uuid::Uuid;

use super::exchange::Answered;

/// Which of our ids stands for which recorded one.
#[derive(Debug, Default)]
pub(super) struct Ids {
    ours: HashMap<String, Uuid>,
}

impl Ids {
    pub(super) fn get(&self, token: &str) -> Option<Uuid> {
        self.ours.get(token).copied()
    }

    /// The name of one of our ids in the file: the recorded one's, or a new one.
    pub(super) fn name(&mut self, id: Uuid) -> String {
        if let Some((token, _)) = self.ours.iter().find(|(_, known)| **known == id) {
            return token.clone();
        }
        let number = self.ours.keys().filter(|token| token.starts_with("<new-")).count() + 1;
        let token = format!("<new-{number}>");
        self.ours.insert(token.clone(), id);
        token
    }

    /// A recorded id and one of ours, at the same place: the same as before, or both new.
    fn is(&mut self, token: &str, id: Uuid) -> bool {
        match self.ours.get(token) {
            Some(known) => *known == id,
            None => {
                let free = !self.ours.values().any(|known| *known == id);
                free && self.ours.insert(token.to_owned(), id).is_none()
            }
        }
    }
}

pub(super) fn same(then: &Answered, now: &Answered, ids: &mut Ids) -> bool {
    let allow = |answer: &Answered| {
        let list = answer.header("Allow").map(str::to_owned).unwrap_or_default();
        list.split(',').map(|method| method.trim().to_owned()).collect::<BTreeSet<_>>()
    };
    then.status() == now.status()
        && then.header("Content-Type") == now.header("Content-Type")
        && allow(then) == allow(now)
        && same_body(then.body(), now.body(), ids)
}

fn same_body(then: &str, now: &str, ids: &mut Ids) -> bool {
    match (serde_json::from_str(then), serde_json::from_str(now)) {
        (Ok(then), Ok(now)) => same_value(&then, &now, ids),
        _ => then == now,
    }
}

fn same_value(then: &Value, now: &Value, ids: &mut Ids) -> bool {
    match (then, now) {
        (Value::String(mark), Value::Number(number)) if mark == "<time>" => number.is_i64(),
        (Value::String(mark), _) if mark == "<stack>" => true,
        (Value::String(then), Value::String(now)) => same_text(then, now, ids),
        // All of it is looked at, so that ids are known by their recorded names even where something differs.
        (Value::Array(then), Value::Array(now)) => {
            let mut equal = 0;
            for (then, now) in then.iter().zip(now) {
                equal += usize::from(same_value(then, now, ids));
            }
            equal == then.len() && equal == now.len()
        }
        (Value::Object(then), Value::Object(now)) => {
            let is_error = then.contains_key("code") && then.contains_key("message");
            let ours =
                |key: &str| is_error && matches!(key, "error" | "faults") || key == "sourceDigest";
            let mut equal = 0;
            for (key, then) in then {
                let same = now.get(key).is_some_and(|now| same_value(then, now, ids));
                equal += usize::from(same);
            }
            equal == then.len() && now.keys().all(|key| then.contains_key(key) || ours(key))
        }
        _ => then == now,
    }
}

/// Recorded text with `<id-N>` in it, and ours.
fn same_text(then: &str, now: &str, ids: &mut Ids) -> bool {
    let Some((before, rest)) = then.split_once("<id-") else {
        return methods_sorted(then) == methods_sorted(now);
    };
    let Some((number, rest)) = rest.split_once('>') else { return then == now };
    let Some(now) = now.strip_prefix(before) else { return false };
    let (Some(id), Some(after)) = (now.get(..36), now.get(36..)) else { return false };
    id.parse().is_ok_and(|id| ids.is(&format!("<id-{number}>"), id)) && same_text(rest, after, ids)
}

/// `method X is not allowed, but [B,A] are`: the list came in any order.
fn methods_sorted(text: &str) -> String {
    let parts = text.split_once(", but [").and_then(|(before, rest)| {
        let (list, after) = rest.split_once(']')?;
        let mut methods: Vec<&str> = list.split(',').collect();
        methods.sort_unstable();
        Some(format!("{before}, but [{}]{after}", methods.join(",")))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn ids_and_times_may_be_others_and_nothing_else() {
        let one = "6a7d86ec-1f64-4ea8-8d2b-1d0c1d2f4f6b";
        let two = "6a7d86ec-1f64-4ea8-8d2b-1d0c1d2f4f6c";
        let check = |then: &str, now: &str, expect: bool| {
            assert_eq!(same_body(then, now, &mut Ids::default()), expect, "{then} {now}");
        };
        check(r#"["<id-1>","x/<id-1>:y"]"#, &format!(r#"["{one}","x/{one}:y"]"#), true);
        check(r#"["<id-1>","<id-1>"]"#, &format!(r#"["{one}","{two}"]"#), false);
        check(r#"["<id-1>","<id-2>"]"#, &format!(r#"["{one}","{one}"]"#), false);
        check(r#"["<id-1>"]"#, r#"["no id"]"#, false);
        check(r#"{"t":"<time>"}"#, r#"{"t":5}"#, true);
        check(r#"{"t":"<time>"}"#, r#"{"t":"5"}"#, false);
        check(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, true);
        check(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, false);
        check(r#"{"a":1}"#, r#"{"a":1,"sourceDigest":"00"}"#, true);
        check(r#"{"a":null}"#, "{}", false);
        check(r#"{"code":1,"message":"m"}"#, r#"{"code":1,"message":"m","error":"e"}"#, true);
        check(r#"{"code":1,"message":"m"}"#, r#"{"code":1,"message":"m","hint":"e"}"#, false);
        check(r#""but, but [A,B] are""#, r#""but, but [B,A] are""#, true);
        check("", "x", false);
    }
}
