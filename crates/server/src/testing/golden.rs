//! Exchanges that were recorded with the first Dispatch, played against this server. Those about services could not be
//! recorded: what stands there is what its documents promised.
//!
//! A file of `tests/golden` holds requests, what was answered then, and, where it differs, what is answered now.
//! `UPDATE=1 cargo test` rewrites what is answered now; a reviewer reads the diff. Each difference names the rows of
//! `docs/compatibility.md` that it is, so that none is there by accident.

mod broker;
mod compare;
mod exchange;
mod play;
mod tests;

use std::path::PathBuf;

use dispatch_osb::fake::FakeBroker;

use super::TestServer;
use exchange::Exchange;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Plays a file to its end against a server, and compares all of it.
async fn check(server: &TestServer, broker: Option<&FakeBroker>, name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, mut exchanges) = exchange::parse(&text);
    let mut player = play::Player::new(server, broker);
    for exchange in &mut exchanges {
        exchange.now = player.play(exchange).await;
    }
    let played = exchange::render(&head, &exchanges);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &played).unwrap();
    } else {
        for (line, (expect, found)) in text.lines().zip(played.lines()).enumerate() {
            assert_eq!(found, expect, "{name}.txt:{}: UPDATE=1 rewrites it", line + 1);
        }
        assert_eq!(played, text, "{name}.txt: UPDATE=1 rewrites it");
    }
    let rows = rows();
    for exchange in &exchanges {
        check_rows(name, exchange, &rows);
    }
}

fn check_rows(name: &str, exchange: &Exchange, known: &[String]) {
    let Exchange { title, rows, .. } = exchange;
    assert_eq!(
        exchange.now.is_some(),
        !rows.is_empty(),
        "{name}.txt, {title}: a difference names its rows of docs/compatibility.md, and nothing else does"
    );
    for row in rows {
        assert!(
            known.contains(row),
            "{name}.txt, {title}: docs/compatibility.md has no row {row:?}"
        );
    }
}

/// The first cells of all tables.
fn rows() -> Vec<String> {
    let path = folder().join("../../../../docs/compatibility.md");
    let text = std::fs::read_to_string(path).unwrap();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.map(|cell| cell.trim().to_owned()).collect()
}
