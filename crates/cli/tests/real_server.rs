//! The same command line against the real server, so that the two agree on more than a script.

use crate::support::Case;

const BROKER: &str = "\
kind: Secret
name: login
secrets: {username: u, password: p}
---
kind: ServiceBroker
name: applied
url: http://127.0.0.1:1
authentication: {secret: login}
parameters: {size: 1}
";
const RESOURCES: &str = "\
kind: BaseImage
name: python3-base
dockerUrl: host:python3
language: python3
---
kind: Image
name: python3
baseImageName: python3-base
---
kind: Secret
name: greeting
secrets: {text: hello}
---
kind: Function
name: hello
image: python3
sourcePath: hello.py
secrets: [greeting]
schema: {in: {type: object}}
---
kind: API
name: hello
function: hello
enabled: true
methods: [GET]
uris: [/hello]
";

#[test]
fn secrets_are_kept_by_the_real_server() {
    Case::real("real/secrets")
        .file("secret.json", r#"{"password": "OpenSesame"}"#)
        .file("res.yaml", "kind: Secret\nname: open-sesame\nsecrets: {pin: 4711}\n")
        .run("version")
        .run("get secrets")
        .run("create secret open-sesame secret.json")
        .run("create secret open-sesame secret.json")
        .run("create secret 'bad name' secret.json")
        .run("get secret open-sesame")
        .run("update -f res.yaml")
        .run("get secret open-sesame --all")
        .run("get secret open-seasme")
        .run("get secret --organization ''")
        .run("get secret --organization nobody")
        .run("get secret --token wrong")
        .run("delete secret open-sesame --wait")
        .run("delete secret open-sesame")
        .check();
}

#[test]
fn a_broker_that_does_not_answer_is_said_so_by_the_real_server() {
    Case::real("real/brokers")
        .file("pw", "s3cret\n")
        .run("create broker b http://127.0.0.1:1 --username u --password-file pw")
        .run("get broker b -o wide")
        .run("create broker b http://127.0.0.1:1 --username u --password-file pw")
        .run("create broker c ftp://nowhere")
        .run("create instance db postgresql")
        .run("get classes")
        .file("broker.yaml", BROKER)
        .run("apply -f broker.yaml")
        .run("apply -f broker.yaml")
        .file("broker.yaml", &BROKER.replace("size: 1", "size: 2"))
        .run("apply -f broker.yaml")
        .run("delete -f broker.yaml --wait")
        .run("catalog")
        .run("delete broker b --wait")
        .run("get broker b")
        .run("get orphans")
        .check();
}

#[test]
fn a_function_is_built_and_called_by_the_real_server() {
    Case::real("real/functions")
        .file(
            "hello.py",
            "def handle(ctx, payload):\n    print('called')\n    return {'hello': payload['name']}\n",
        )
        .file("in.json", r#"{"type": "object", "required": ["name"]}"#)
        .run("create base-image python3-base host:python3 --language python3 --wait")
        .run("create image python3 python3-base --wait")
        .run("create image other nope")
        .run("create function python3 hello hello.py --schema-in in.json --wait")
        .run("get functions")
        .file("res.yaml", RESOURCES)
        .run("apply -f res.yaml --wait")
        .run("apply -f res.yaml")
        .file("hello.py", "def handle(ctx, payload):\n    print('again')\n    return {'hello': 'you'}\n")
        .run("apply -f res.yaml --wait")
        .run("exec hello --wait --input '{\"name\": \"Jon\"}'")
        .run("exec helo --wait")
        .until("get runs hello -o name", "-")
        .run("logs hello --json")
        .run("get function hello -o name")
        .run("delete -f res.yaml --wait")
        .run("get function hello")
        .check();
}
