//! Wrong arguments, and commands that only explain themselves (contract §3.1).

use crate::support::Case;

#[test]
fn wrong_arguments_are_told_in_the_words_that_scripts_know() {
    Case::new("arguments/wrong")
        .run("nope")
        .run("gte")
        .run("list functions")
        .run("functoins")
        .run("create secret onlyname")
        .run("delete secret")
        .run("delete secret a b")
        .run("get secret a b")
        .run("create serviceinstance db")
        .run("create serviceclass postgresql")
        .run("get secret --nope")
        .run("get secret --appplication shop")
        .run("get secret -o jsn")
        .run("get secret --json=perhaps")
        .run("get secret -x")
        .run("get secret -o xml")
        .run("get secret --port http")
        .run("get secret --host")
        .run("get secret --json -o yaml")
        .run("create servicebroker b http://x --username u")
        .run("version extra")
        .run("create function python3 f f.py --timeout -1")
        .run("create -f res.yaml extra")
        .run("get secret ''")
        .run("delete function ..")
        .check();
}

#[test]
fn a_verb_without_a_noun_explains_itself_and_ends_well() {
    Case::new("arguments/help")
        .run("")
        .run("get")
        .run("get nope")
        .run("get functoin hello")
        .run("delete serviceinstence db")
        .run("manage contxt")
        .run("describe functoin hello")
        .run("rotate bindng db")
        .run("refresh nope")
        .run("broker postgres")
        .run("help")
        .run("help create secret")
        .run("help broker postgresql")
        .run("help create secert")
        .run("help nope")
        .run("create")
        .run("update function hello")
        .run("create serviceinstance --help")
        .run("server --help")
        .run("broker postgresql --help")
        .run("--version")
        .check();
}

#[test]
fn a_server_that_cannot_be_asked_is_named() {
    Case::new("arguments/unreachable")
        .run("get secret --port 1")
        .run("get secret --scheme ftp")
        .run_with("get secret", &[("DISPATCH_PORT", "x")])
        .run_with("get secret", &[("DISPATCH_CONFIG", "nowhere.json")])
        .answer(502, "<html>bad gateway</html>")
        .run("get secret")
        .answer(200, "not json")
        .run("get secret")
        .answer(401, r#"{"code":401,"message":"unauthenticated for invalid credentials"}"#)
        .run("get secret")
        .answer(422, r#"{"code":602,"message":"X-Dispatch-Org in header is required"}"#)
        .run("get secret --organization ''")
        .answer(
            403,
            r#"{"code":403,"message":"organization x does not exist, or you may not use it"}"#,
        )
        .run("get secret --organization x")
        .file("list.json", "[]")
        .run("get secret --config list.json")
        .run("get secret --config .")
        .check();
}

/// Whoever talks to loopback needs none of the machine's authorities, which take long to read.
#[test]
fn certificates_are_read_only_where_one_is_shown() {
    let nowhere = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    Case::new("arguments/authorities")
        .answer(200, "[]")
        .run_with("get secret -o name", &nowhere)
        .run_with("get secret --scheme https", &nowhere)
        .check();
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    Case::new("arguments/unread").answer(200, "[]").unread("get secret").unread("get").check();
}

#[test]
fn environment_and_flags_choose_the_login() {
    Case::new("arguments/login_of_a_call")
        .answer(200, "[]")
        .run_with("get secret --json", &[("DISPATCH_ORGANIZATION", "other")])
        .answer(200, "[]")
        .run_with("get secret", &[("DISPATCH_TOKEN", "t-1"), ("DISPATCH_JSON", "true")])
        .answer(200, "[]")
        .run("get secret --json=true --token t-2")
        .answer(200, "[]")
        .run_with("get secret --json=false", &[("DISPATCH_JSON", "true")])
        .answer(200, "[]")
        .run("get secret -o name --token t-3 --token t-4 --organization a --organization b")
        .check();
}
