//! What everybody begins with, against the real server: the documents of the post of 2018, and `seed-images`.

use crate::support::{Case, real::Server};

const READY: &str = r#""status": "READY""#;
const ERROR: &str = r#""status": "ERROR""#;

#[test]
fn the_posts_eleven_documents_are_created_and_all_but_powershell_answer() {
    let mut case = Case::real("seed/documents").enter("examples").run("create -f seed.yaml");
    for (noun, status) in [
        ("base-image powershell-base", ERROR),
        ("image powershell", ERROR),
        ("function hello-py", READY),
        ("function http-py", READY),
        ("function hello-js", READY),
    ] {
        case = case.until(&format!("get {noun} --json"), status);
    }
    // What waits has been told of its image's end.
    case.until("get function hello-ps1 --json", "its image powershell failed")
        .run("get base-images")
        .run("get images")
        .run("get functions")
        .run("get base-image powershell-base --json")
        .run("get image powershell --json")
        .run("get function hello-ps1 --json")
        .run("get secret open-sesame --all")
        .run("exec hello-py --wait --input '{\"name\": \"Jon\"}'")
        .run("exec hello-js --wait --input '{\"name\": \"Jon\"}'")
        .run("exec http-py --wait")
        .run("exec hello-ps1 --wait")
        .check();
}

#[test]
fn seed_images_are_created_by_the_real_server_and_the_second_time_nothing_changes() {
    let home = tempfile::tempdir().unwrap();
    // Its packages are nobody's concern here.
    let nowhere = [("PIP_INDEX_URL", "http://127.0.0.1:1/simple/")];
    let server = Server::start_with(home.path(), &nowhere);
    Case::on("seed/images", home, server)
        .run("create seed-images")
        .until("get base-image nodejs-base --json", READY)
        .until("get base-image python3-base --json", READY)
        .until("get base-image powershell-base --json", ERROR)
        .until("get base-image java-base --json", ERROR)
        .run("get base-images -o wide")
        .run("create seed")
        .check();
}
