//! How many names a command takes, in the words of the first command line (contract §3.1).

use crate::error::CliError;

pub fn exactly<const N: usize>(names: &[String]) -> Result<[&str; N], CliError> {
    strs(names)
        .try_into()
        .map_err(|_| CliError::arguments(format!("accepts {N} arg(s), received {}", names.len())))
}

pub fn at_most(names: &[String], most: usize) -> Result<(), CliError> {
    if names.len() <= most {
        return Ok(());
    }
    Err(CliError::arguments(format!("accepts at most {most} arg(s), received {}", names.len())))
}

/// The first `N` names; what follows them is ignored, as it always was.
pub fn at_least<const N: usize>(names: &[String]) -> Result<[&str; N], CliError> {
    let first: Vec<&str> = strs(names).into_iter().take(N).collect();
    first.try_into().map_err(|_| {
        let received = names.len();
        CliError::arguments(format!("requires at least {N} arg(s), only received {received}"))
    })
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wording_is_the_one_that_scripts_know() {
        let names = |count: usize| vec!["x".to_owned(); count];
        let check = |error: CliError, expect: &str| {
            assert_eq!(error.text(), format!("Error: {expect}\n"));
        };
        check(exactly::<2>(&names(1)).unwrap_err(), "accepts 2 arg(s), received 1");
        check(exactly::<1>(&names(2)).unwrap_err(), "accepts 1 arg(s), received 2");
        check(at_least::<2>(&names(1)).unwrap_err(), "requires at least 2 arg(s), only received 1");
        check(at_most(&names(2), 1).unwrap_err(), "accepts at most 1 arg(s), received 2");
        assert_eq!(at_least::<1>(&names(3)).unwrap(), ["x"]);
    }
}
