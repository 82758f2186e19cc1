//! Similar names, for what was not found.

use crate::{
    error::CliError,
    nouns::Noun,
    session::{NO_BODY, Received, Session},
};

/// For a 404 of the object itself. A list that fails is no second error.
pub async fn similar<N: Noun>(session: &Session, name: &str, error: CliError) -> CliError {
    if error.status() != Some(404) {
        return error;
    }
    meant::<N>(session, name, error).await
}

/// For a wish that was refused because what it refers to by this name is not there.
pub async fn referred<N: Noun>(session: &Session, name: &str, error: CliError) -> CliError {
    let is_missing = error.refusal().is_some_and(|refusal| {
        let words = ["does not exist", "not found", "Error fetching"];
        refusal.message.contains(name) && words.iter().any(|said| refusal.message.contains(said))
    });
    if !is_missing || !matches!(error.status(), Some(400 | 404)) {
        return error;
    }
    meant::<N>(session, name, error).await
}

/// Adds `did you mean azure-pg?`, if a list shows a name that is close, or else how to see the list.
async fn meant<N: Noun>(session: &Session, name: &str, error: CliError) -> CliError {
    let listed: Result<Received<Vec<N>>, CliError> =
        session.call(N::OPERATIONS.list, &[], &[], NO_BODY).await;
    let Ok(listed) = listed else { return error };
    let names: Vec<_> = listed.body.iter().map(Noun::name).collect();
    // It is there, and something else was not found.
    if names.iter().any(|known| known == name) {
        return error;
    }
    match closest(name, names.iter().map(AsRef::as_ref)) {
        Some(close) => error.hint(format!("did you mean {close}?")),
        None => error.hint(format!("see which there are: dispatch get {}", N::WORDS.command)),
    }
}

/// The closest name, when it is close enough to be a slip.
pub fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let nearest = known.map(|other| (distance(other), other)).min()?;
    let limit = (name.chars().count() / 3).clamp(1, 3);
    (nearest.0 <= limit).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_is_suggested() {
        let known = ["azure-pg", "orders", "db"];
        let check = |name: &str, expect: Option<&str>| {
            assert_eq!(closest(name, known.iter().copied()), expect, "{name}");
        };
        check("azure-gp", Some("azure-pg"));
        check("Azure-PG", Some("azure-pg"));
        check("order", Some("orders"));
        check("dc", Some("db"));
        check("xy", None);
        check("mysql", None);
        let long = ["orders-of-the-east"];
        assert_eq!(closest("orders-of-the-west", long.iter().copied()), Some(long[0]));
        assert_eq!(closest("orders-of-the-moon", long.iter().copied()), None);
    }
}
