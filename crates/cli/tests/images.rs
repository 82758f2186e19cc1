//! `dispatch … base-image`, `image`, seed images, and their documents.

use crate::support::Case;

const BASE: &str = r#"{"createdTime":1795160033,"dockerUrl":"dispatchframework/python3-base:0.0.9","groups":null,"id":"cad19c99-9352-4465-b28a-ed4ede1fee31","kind":"BaseImage","language":"python3","name":"python3-base","reason":null,"status":"READY","tags":null}"#;
const IMAGE: &str = r#"{"baseImageName":"python3-base","createdTime":1795160035,"groups":null,"id":"a82d0876-12e3-4406-b756-332bfe6a17e4","kind":"Image","language":"python3","name":"python3-pg","reason":null,"runtimeDependencies":{},"status":"READY","systemDependencies":{"packages":null},"tags":null}"#;

fn failed() -> String {
    IMAGE.replace(
        r#""reason":null"#,
        r#""reason":["pip ended with 1"],"buildLog":["Collecting nope","ERROR: no \u001b[31mmatching distribution"]"#,
    ).replace("READY", "ERROR")
}

#[test]
fn base_images_and_images_are_created() {
    Case::new("images/create")
        .file("requirements.txt", "psycopg2-binary\n")
        .file("system.json", r#"{"packages": [{"name": "libpq", "version": "15"}]}"#)
        .answer(201, BASE)
        .run("create base-image python3-base host:python3 --language python3")
        .answer(201, BASE)
        .run("create base-image nolang a/b:c")
        .answer(201, IMAGE)
        .run("create image python3-pg python3-base --runtime-deps requirements.txt --system-deps system.json")
        .answer(201, &IMAGE.replace("READY", "INITIALIZED"))
        .unsettled(200, &failed().replace("ERROR\",\"sys", "CREATING\",\"sys").replace(r#"["pip ended with 1"]"#, "null"))
        .answer(200, &failed())
        .run("create image python3-pg python3-base --wait")
        .answer(400, r#"{"code":400,"message":"Error fetching base image nope"}"#)
        .answer(200, "[]")
        .run("create image noimg nope")
        .answer(400, r#"{"code":400,"message":"Error fetching base image python-base"}"#)
        .answer(200, &format!("[{BASE}]"))
        .run("create image noimg python-base")
        .run("create image python3-pg python3-base --runtime-deps missing.txt")
        .run("create image python3-pg python3-base --system-deps requirements.txt")
        .check();
}

#[test]
fn base_images_and_images_are_listed_and_deleted() {
    Case::new("images/get_delete")
        .answer(200, &format!("[{BASE}]"))
        .run("get base-images")
        .answer(200, &format!("[{IMAGE}]"))
        .run("get images -o wide")
        .answer(200, &failed())
        .run("describe image python3-pg")
        .answer(200, IMAGE)
        .run("delete image python3-pg")
        .answer(409, r#"{"code":409,"message":"base image python3-base is used by image python3-pg","error":"in_use"}"#)
        .answer(200, BASE)
        .run("delete base-image python3-base")
        .check();
}

#[test]
fn seed_images_are_created_once() {
    let exists = r#"{"code":409,"message":"base image nodejs-base already exists","error":"already_exists"}"#;
    let equal =
        BASE.replace("python3-base:0.0.9", "nodejs-base:0.0.9").replace("python3", "nodejs");
    let other = BASE.replace("0.0.9", "0.0.13");
    Case::new("images/seed")
        .answer(409, exists)
        .answer(200, &equal)
        .answer(409, &exists.replace("nodejs", "python3"))
        .answer(200, &other)
        .run("create seed-images")
        // What this machine cannot have keeps nobody from the rest.
        .answer(201, BASE)
        .answer(200, BASE)
        .answer(201, BASE)
        .answer(
            200,
            &BASE.replace("READY", "ERROR").replace("\"reason\":null", "\"reason\":[\"no\"]"),
        )
        .answer(201, BASE)
        .answer(200, BASE)
        .answer(500, r#"{"code":500,"message":"and here it stops"}"#)
        .run("create seed-images --wait")
        .run("create seed -O seed.yaml")
        .note_file("seed.yaml")
        .check();
}

#[test]
fn documents_take_manifests_and_sources_from_files() {
    let file = "\
kind: Image
name: python3-pg
baseImageName: python3-base
runtimeDependencies: {manifest: '@requirements.txt'}
---
kind: Function
name: 7
sourcePath: src/hello.py
image: python3-pg
handler: hello.handle
schema: {in: {type: object, required: [num]}}
services: [db=database]
---
kind: API
name: hello
enabled: true
function: hello
methods: [GET]
uris: [/hello]
";
    Case::new("images/documents")
        .file("dir/res.yaml", file)
        .file("dir/requirements.txt", "psycopg2-binary\n")
        .file("dir/src/hello.py", "def handle(ctx, payload):\n    return payload\n")
        .file("missing.yaml", "kind: Function\nname: f\nsourcePath: nowhere.py\n")
        .answer(201, IMAGE)
        .answer(201, r#"{"name":"7"}"#)
        .answer(200, r#"{"name":"hello"}"#)
        .run("create -f res.yaml -w dir")
        .answer(200, IMAGE)
        .answer(200, r#"{"name":"7"}"#)
        .answer(200, r#"{"name":"hello"}"#)
        .run("update -f res.yaml --work-dir dir")
        .run("create -f missing.yaml")
        // Beside the document, where nothing is in the working directory; and a directory says itself what to call.
        .file("dir/beside.yaml", "kind: Function\nname: f\nimage: i\nsourcePath: src\n")
        .answer(201, r#"{"name":"f"}"#)
        .run("create -f dir/beside.yaml")
        .file("src/other.py", "def handle(ctx, payload):\n    return 1\n")
        .answer(201, r#"{"name":"f"}"#)
        .run("create -f dir/beside.yaml")
        .answer(201, r#"{"name":"f"}"#)
        .run("create -f beside.yaml -w dir")
        .check();
}
