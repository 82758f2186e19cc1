//! What holds for the whole house and belongs to no single crate: how a test is skipped, and `tests/house.rs`.
//! Development only.

/// Says that this test, or a part of it, is not done: here is not what it needs, but every CI has it. There it fails
/// (decision 43).
///
/// # Panics
/// If `CI` is `true`, as `.ci/run` sets it.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "skipped in CI: {why}");
    skip_here(why);
}

/// The same where no CI can help it: the machine itself, its kernel or its network, lacks what is needed.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub fn skip_here(why: &str) {
    eprintln!("skipped: {why}");
}
