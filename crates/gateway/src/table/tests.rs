//! Who is served where: the rules of the route table, row by row.

use std::sync::Arc;

use http::Method;
use uuid::Uuid;

use super::*;
use crate::route::{self, Authentication, Function, Organization};

const ORGANIZATIONS: [&str; 3] = ["dispatch", "red", "blue"];

/// A row in short: `name organization method[,method]|* [host]/path`, later ones being newer.
/// A trailing `off` is an API that is not enabled.
fn row(text: &str, number: u128) -> Route {
    let mut words = text.split_whitespace();
    let mut word = || words.next().expect("a row has four words");
    let (name, organization, methods, place) = (word(), word(), word(), word());
    let (hosts, uri) = match place.find('/') {
        None => (vec![place.to_owned()], Vec::new()),
        Some(0) => (Vec::new(), vec![place.to_owned()]),
        Some(slash) => (vec![place[..slash].to_owned()], vec![place[slash..].to_owned()]),
    };
    let everything = place == "*";
    Route {
        id: Uuid::from_u128(number),
        name: name.into(),
        organization: Organization { id: Uuid::nil(), name: organization.into() },
        function: Function { id: None, name: Arc::from("f") },
        hosts: if everything { Vec::new() } else { hosts },
        uris: uri,
        methods: methods.split(',').filter(|m| *m != "*").filter_map(route::method).collect(),
        https_only: false,
        enabled: words.next() != Some("off"),
        cors: false,
        authentication: Authentication::Public,
    }
}

fn rows(texts: &[&str]) -> Vec<Route> {
    (1..).zip(texts).map(|(number, text)| row(text, number)).collect()
}

fn table(texts: &[&str]) -> Table {
    let (table, rejected) = Table::build("dispatch", ORGANIZATIONS, rows(texts));
    assert_eq!(rejected, []);
    table
}

/// `METHOD [host]/path` finds the API of that name, or none for "".
fn check_in(table: &Table, request: &str, expect: &str) {
    let (method, place) = request.split_once(' ').expect("a method and a place");
    let slash = place.find('/').expect("a path");
    let host = (slash > 0).then_some(&place[..slash]);
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let want = if method == "ANY" { Want::Any } else { Want::Method(&method) };
    let found = table.find(host, &place[slash..], want).map_or("", |route| &route.name);
    assert_eq!(found, expect, "{request}");
}

#[test]
fn a_path_is_served_below_its_organization_and_for_the_default_one_at_the_root() {
    let table = table(&["d dispatch * /hello", "r red * /hello", "only red * /own"]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET /hello", "d");
    check("GET /dispatch/hello", "d");
    check("GET /red/hello", "r");
    check("GET /red/own", "only");
    check("GET /own", "");
    check("GET /blue/hello", "");
    check("GET /", "");
    check("GET /nobody/hello", "");
    check("GET any.example:8081/hello", "d");
}

#[test]
fn an_organizations_name_in_front_never_means_a_path_of_the_default_one() {
    let table = table(&["all dispatch * /", "r red * /hello"]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET /", "all");
    check("GET /anything/else", "all");
    check("GET /redder", "all");
    check("GET /red/hello", "r");
    check("GET /red/nothing", "");
    check("GET /red", "");
    check("GET /blue", "");
    check("GET /dispatch/anything", "all");
    // However it is written.
    check("GET /%72ed/nothing", "");
    check("GET /r%65d/hello", "r");
}

#[test]
fn the_longest_path_wins_by_segments() {
    let table = table(&[
        "root dispatch * /",
        "a dispatch * /a",
        "abc dispatch * /a/b/c",
        "space dispatch * /no%20slash",
        "plain dispatch * /größe",
    ]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET /", "root");
    check("GET /a", "a");
    check("GET /a/", "a");
    check("GET /a/b", "a");
    check("GET /a/b/c", "abc");
    check("GET /a/b/c/d", "abc");
    check("GET /a/b/cc", "a");
    check("GET /ab", "root");
    check("GET /A", "root");
    check("GET /%61/b%2Fc", "a");
    check("GET //a", "root");
    check("GET /no%20slash", "space");
    check("GET /gr%C3%B6%C3%9Fe/x", "plain");
    check("GET /a/%zz", "a");
}

#[test]
fn what_fits_is_chosen_by_path_then_host_then_method() {
    let table = table(&[
        "short dispatch * h.example/",
        "long dispatch * /a",
        "host dispatch * h.example/a",
        "post dispatch POST /a",
        "put dispatch PUT h.example/a",
        "deep dispatch DELETE /a/b",
    ]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET h.example/x", "short");
    check("GET /a", "long");
    check("GET h.example/a", "host");
    check("POST h.example/a", "host");
    check("POST /a", "post");
    check("PUT h.example/a", "put");
    check("PUT /a", "long");
    // A path whose methods do not fit leaves the request to a shorter one.
    check("DELETE /a/b", "deep");
    check("DELETE h.example/a/b", "deep");
    check("GET h.example/a/b", "host");
    check("ANY /a/b", "deep");
}

#[test]
fn a_method_that_nobody_answers_finds_nothing_but_its_path_does() {
    let table = table(&["a dispatch GET,PUT /a", "fly red FLY /a"]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET /a", "a");
    check("PUT /a", "a");
    check("PATCH /a", "");
    check("HEAD /a", "");
    check("ANY /a", "a");
    check("FLY /red/a", "fly");
    check("ANY /b", "");
}

#[test]
fn a_host_serves_its_organization_alone_and_its_apis_nowhere_else() {
    let table = table(&[
        "red-host red GET Red.Example/hosted",
        "red-own red GET red.example/red/inside",
        "root dispatch * /",
        "d-host dispatch * d.example/x",
        "red-all red * all.example/",
        "v6 red * [::1]/six",
    ]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET red.example/hosted", "red-host");
    check("GET RED.example.:8443/hosted/below", "red-host");
    check("GET /hosted", "root");
    check("GET red.example/red/hosted", "");
    check("GET /red/hosted", "");
    check("GET red.example/red/inside", "red-own");
    // Not the default organization's root: the host is red's.
    check("GET red.example/", "");
    check("POST red.example/hosted", "");
    check("GET d.example/x", "d-host");
    check("GET d.example/y", "root");
    // An organization's name means it on every host.
    check("GET red.example/dispatch/x", "root");
    check("GET red.example/blue/hosted", "");
    check("GET all.example/what/ever", "red-all");
    check("GET all.example/red", "red-all");
    check("GET all.example/blue/x", "");
    check("GET all.example/dispatch", "root");
    check("GET [::1]:8081/six", "v6");
    check("GET [::1]/six", "v6");
}

#[test]
fn an_api_that_is_not_enabled_is_not_found_but_keeps_its_host() {
    let table = table(&["off red * h.example/a off", "gone dispatch * /a off", "x dispatch * /"]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET h.example/a", "");
    check("GET /a", "x");
    let taken = table.check(&row("new blue * h.example/b", 9));
    assert_eq!(taken, Err(ClaimError::HostTaken { host: "h.example".to_owned() }));
}

#[test]
fn empty_lists_match_anything() {
    let table = table(&["all red * *", "host dispatch * h.example"]);
    let check = |request, expect| check_in(&table, request, expect);
    check("GET /red", "all");
    check("FLY /red/x/y", "all");
    check("GET h.example/what/ever", "host");
    check("GET /", "");
}

#[test]
fn equal_claims_inside_one_organization_are_a_conflict() {
    let table = table(&[
        "a red GET,POST /a",
        "any red * /any",
        "host red GET h.example/a",
        "d dispatch GET /a",
        "off red GET /off off",
    ]);
    let check = |candidate: &str, number: u128, expect: &str| {
        let outcome = table.check(&row(candidate, number));
        let text = outcome.map_or_else(|conflict| conflict.to_string(), |()| String::new());
        assert_eq!(text, expect, "{candidate}");
    };
    check("new red POST,PUT /a", 9, "API a answers POST /red/a already");
    check("new red POST /%61/", 9, "API a answers POST /red/a already");
    check("new red PUT /a", 9, "");
    check("new red * /a", 9, "");
    check("new red GET /a/b", 9, "");
    check("new red * /any", 9, "API any answers every method of /red/any already");
    check("new red GET /any", 9, "");
    check("new red GET H.example/a", 9, "API host answers GET /a at host h.example already");
    check("new blue GET /a", 9, "");
    check("new dispatch GET /a", 9, "API d answers GET /dispatch/a already");
    check("new red GET /off", 9, "");
    check("new red POST /a off", 9, "");
    check("new blue GET h.example/zzz", 9, "host h.example belongs to another organization");
    check("new blue GET h.example/zzz off", 9, "host h.example belongs to another organization");
    // An update of an API is no rival of itself.
    check("a red GET,POST,PUT /a", 1, "");
}

#[test]
fn a_path_that_begins_with_an_organizations_name_is_refused_at_the_root() {
    let check = |candidate: &str, expect: bool| {
        let (table, _) = Table::build("dispatch", ORGANIZATIONS, Vec::new());
        let outcome = table.check(&row(candidate, 9));
        let is_refused = matches!(outcome, Err(ClaimError::OrganizationName { .. }));
        assert_eq!(is_refused, expect, "{candidate}: {outcome:?}");
    };
    check("a dispatch * /red", true);
    check("a dispatch * /red/x", true);
    check("a dispatch * /%72ed/x", true);
    check("a dispatch * /dispatch/x", true);
    check("a dispatch * /redder", false);
    check("a dispatch * /x/red", false);
    check("a dispatch * /", false);
    check("a red * /blue", false);
    check("a red * h.example/blue/x", true);
    check("a red * h.example/red/x", false);
    check("a dispatch * /red off", false);
}

#[test]
fn what_one_api_claims_is_bounded() {
    let mut deep = row("deep red * /", 1);
    let mut wide = row("wide red * /", 2);
    let (table, _) = Table::build("dispatch", ORGANIZATIONS, Vec::new());
    deep.uris = vec!["/a".repeat(64)];
    assert_eq!(table.check(&deep), Ok(()));
    deep.uris = vec!["/a".repeat(65)];
    assert_eq!(table.check(&deep), Err(ClaimError::TooDeep { api: "deep".into(), max: 64 }));
    wide.uris = (0..500).map(|n| n.to_string()).collect();
    wide.methods = vec![Method::GET, Method::PUT];
    assert_eq!(table.check(&wide), Ok(()));
    wide.uris.push("one more".to_owned());
    assert_eq!(table.check(&wide), Err(ClaimError::TooMany { api: "wide".into(), max: 1000 }));
    let (table, rejected) = Table::build("dispatch", [], vec![deep, row("ok red * /", 3), wide]);
    assert_eq!(rejected.len(), 2);
    check_in(&table, "GET /red/a", "ok");
}

#[test]
fn an_organization_that_would_take_a_path_away_is_refused() {
    let table = table(&[
        "deep dispatch * /shop/list",
        "host red * h.example/hall",
        "off dispatch * /hidden off",
        "own red * /mine",
    ]);
    let check = |name: &str, expect: &str| {
        let outcome = table.check_organization(name);
        let text = outcome.map_or_else(|conflict| conflict.to_string(), |()| String::new());
        assert_eq!(text, expect);
    };
    check("shop", "path /shop of API deep begins with the name of organization shop");
    check("hall", "path /hall of API host begins with the name of organization hall");
    check("hidden", "");
    check("mine", "");
    check("list", "");
}

#[test]
fn a_table_leaves_out_what_cannot_stand_and_reports_it() {
    let texts = [
        "first red GET /a",
        "second red GET,PUT /a",
        "root dispatch * /blue",
        "h1 red * h.example/x",
        "h2 blue * h.example/y",
    ];
    let (table, rejected) = Table::build("dispatch", ORGANIZATIONS, rows(&texts));
    let reported: Vec<_> =
        rejected.iter().map(|r| (r.api.as_u128(), r.error.to_string())).collect();
    let expect = [
        (2, "API first answers GET /red/a already"),
        (3, "path /blue of API root begins with the name of organization blue"),
        (5, "host h.example belongs to another organization"),
    ];
    assert_eq!(reported, expect.map(|(api, text)| (api, text.to_owned())));
    check_in(&table, "GET /red/a", "first");
    check_in(&table, "PUT /red/a", "second");
    check_in(&table, "GET /dispatch/blue", "root");
    check_in(&table, "GET h.example/x", "h1");
    check_in(&table, "GET h.example/y", "");
    assert_eq!(table.len(), 5);
}

#[test]
fn the_organization_of_an_api_is_one_even_if_it_was_not_listed() {
    let (table, rejected) =
        Table::build("dispatch", [], rows(&["all dispatch * /", "g green * /a"]));
    assert_eq!(rejected, []);
    check_in(&table, "GET /green/a", "g");
    check_in(&table, "GET /green/b", "");
}

#[test]
fn ten_thousand_routes_are_built_and_found() {
    let texts: Vec<String> = (0..10_000)
        .map(|n| format!("api{n} {} GET,POST /part{}/of/{n}", ORGANIZATIONS[n % 3], n % 100))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let table = table(&texts);
    assert_eq!(table.len(), 10_000);
    for n in 0..10_000 {
        let organization = ORGANIZATIONS[n % 3];
        let path = format!("GET /{organization}/part{}/of/{n}/below", n % 100);
        check_in(&table, &path, &format!("api{n}"));
    }
}
