//! `dispatch … function`, `exec`, `run`, `api`. Answers are recordings of v0.1.22, with `services` added.

use crate::support::Case;

const HELLO: &str = r#"{"createdTime":1795160036,"faasId":"1d44e618-d348-48d2-bb2e-cc88d0782d33","id":"d960c50b-ef94-4aca-90de-9c5c527b4b39","image":"python3","functionImageURL":"dispatch/func-1d44e618-d348-48d2-bb2e-cc88d0782d33:latest","kind":"Function","handler":"hello.handle","name":"hello","reason":null,"schema":{},"secrets":null,"services":["azure-pg"],"status":"READY","tags":null}"#;
const RUN: &str = r#"{"blocking":true,"executedTime":1795160038,"faasId":"1d44e618-d348-48d2-bb2e-cc88d0782d33","finishedTime":1795160038,"functionId":"d960c50b-ef94-4aca-90de-9c5c527b4b39","functionName":"hello","input":{"name":"Jon","n":1.10},"logs":{"stderr":null,"stdout":["log \u001b[31mline"]},"name":"2eb726f9-b05d-48e5-b1a1-3835a83f9bc9","output":{"myField":"Hello"},"reason":null,"secrets":[],"services":null,"status":"READY","tags":[]}"#;
const FAILED: &str = r#"{"blocking":true,"error":{"message":"no","stacktrace":null,"type":"FunctionError"},"executedTime":1795160041,"finishedTime":-62135596800,"functionId":"d960c50b-ef94-4aca-90de-9c5c527b4b39","functionName":"hello","input":42,"name":"b4e96eab-7d42-48ae-a13d-cb277433064e","reason":["error running function: hello: no"],"secrets":[],"services":null,"status":"ERROR","tags":[]}"#;
const API: &str = r#"{"authentication":"public","enabled":true,"function":"hello","hosts":null,"id":"9f9f2b8f-704b-4a2b-93de-607567781292","kind":"API","methods":["GET","POST"],"name":"api-test","protocols":["http","https"],"status":"READY","tags":null,"uris":["/testorg/hello"]}"#;

const PYTHON3: &str = r#"[{"baseImageName":"b","createdTime":1,"groups":null,"id":"9f9f2b8f-704b-4a2b-93de-607567781292","kind":"Image","name":"python3","reason":null,"runtimeDependencies":{},"status":"READY","systemDependencies":{"packages":null},"tags":null}]"#;

fn hello(status: &str) -> String {
    HELLO.replace("READY", status)
}

#[test]
fn a_function_is_created_in_the_form_of_the_blog_and_in_that_of_v0_1_22() {
    Case::new("functions/create")
        .file("hello.py", "def handle(ctx, payload):\n    return payload\n")
        .file("in.json", r#"{"type": "object"}"#)
        .file("dir/rows.py", "")
        .file("dir/requirements.txt", "requests\n")
        .file("two/a.py", "")
        .file("two/b.py", "")
        .answer(201, &hello("INITIALIZED"))
        .run("create function python3 hello hello.py --service azure-pg --service b=c --secret s --schema-in in.json --timeout 500")
        .answer(201, &hello("INITIALIZED"))
        .run("create function hello hello.py --image=python3 --handler=hello.other -a shop")
        .answer(201, &hello("INITIALIZED"))
        .unsettled(200, &hello("CREATING"))
        .answer(200, HELLO)
        .run("create function python3 hello dir --wait")
        .answer(400, r#"{"code":400,"message":"Error fetching image pyton3: it does not exist"}"#)
        .answer(200, PYTHON3)
        .run("create function pyton3 hello hello.py")
        .answer(400, r#"{"code":400,"message":"name is bad"}"#)
        .run("create function python3 hello hello.py")
        .run("create function python3 hello two")
        .run("create function hello hello.py")
        .run("create function hello")
        .run("create function a b c --image i")
        .run("create function python3 hello nodir")
        .run("create function python3 hello helo.py")
        .run("create function python3 hello dir/row.py")
        .run("create function python3 hello hello.py --schema-in hello.py")
        .check();
}

#[test]
fn a_run_is_printed_as_the_server_sent_it_and_a_failed_one_too() {
    let not_ready = r#"{"code":404,"message":"function hello is not READY"}"#;
    let not_found = r#"{"code":404,"message":"function helo not found"}"#;
    Case::new("functions/exec")
        .answer(200, RUN)
        .run("exec hello --wait --input '{\"name\": \"Jon\", \"n\": 1.10}' --secret a --service azure-pg=db")
        .answer(200, FAILED)
        .run("exec hello --input -42 --wait --all --json")
        .run("exec hello '{\"name\": 1}'")
        .answer(202, &RUN.replace(r#""blocking":true,"#, ""))
        .run("exec hello -o yaml")
        .answer(404, not_ready)
        .run("exec hello --wait")
        .answer(404, not_found)
        .answer(200, &format!("[{HELLO}]"))
        .run("exec helo --wait")
        .run("exec hello --input {bad --wait")
        .file("input.json", "{\"n\": 1}\n")
        .answer(202, RUN)
        .run("exec hello --input @input.json -o yaml")
        .run("exec hello --input @nowhere.json")
        .run("exec")
        .check();
}

#[test]
fn runs_are_listed_and_the_last_one_is_found() {
    let list = format!("[{RUN},{FAILED}]");
    Case::new("functions/runs")
        .answer(200, "[]")
        .run("get runs")
        .answer(200, &list)
        .run("get runs hello")
        .answer(200, &list)
        .run("get runs hello --last")
        .answer(200, "[]")
        .run("get runs --last")
        .answer(200, RUN)
        .run("get run hello 2eb726f9-b05d-48e5-b1a1-3835a83f9bc9 -o wide")
        .answer(200, &list)
        .run("get run -o name")
        .run("get run a b c")
        .hold()
        .interrupt("get runs hello --follow")
        .check();
}

#[test]
fn functions_are_listed_described_and_deleted() {
    let failed = HELLO.replace(r#""reason":null"#, r#""reason":["image python3 is not READY"]"#);
    Case::new("functions/get_delete")
        .answer(200, &format!("[{HELLO},{}]", failed.replace("READY\"", "ERROR\"")))
        .run("get functions")
        .answer(200, HELLO)
        .run("get function hello --json")
        .answer(200, HELLO)
        .run("describe function hello")
        .answer(200, &hello("DELETING"))
        .run("delete function hello")
        .answer(200, &hello("DELETING"))
        .run("delete function hello --json")
        .check();
}

#[test]
fn an_api_is_created_listed_and_deleted() {
    Case::new("functions/api")
        .answer(200, API)
        .run("create api post-pg-example pg-example --https-only --method POST --path /postgres/demo --auth public")
        .answer(200, API)
        .run("create api api-test hello -m GET -m POST -p /hello -d a.example -d b.example --disable --cors -a shop")
        .answer(200, API)
        .run("create api api-test hello --wait")
        .answer(200, &API.replace("READY", "CREATING"))
        .run("create api api-test hello --wait")
        .answer(200, &format!("[{API},{API}]"))
        .run("get apis")
        .answer(200, API)
        .run("get api api-test -f hello --json")
        .answer(200, API)
        .run("delete api api-test")
        .answer(200, API)
        .run("delete api api-test --wait")
        .check();
}
