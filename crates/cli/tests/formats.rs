//! `-o`: every verb that shows or makes something prints it as JSON, as YAML, as its name, or for people.

use crate::support::Case;

const ID: &str = "5b1f6c1e-9487-4b36-83ab-320052099d02";

fn binding() -> String {
    format!(
        r#"{{"id":"{ID}","kind":"ServiceBinding","name":"reader","instance":"db","function":"","secretParameters":null,"secret":"{ID}","keys":["host"],"credentialsVersion":1,"endpoints":[{{"host":"::1","port":5432}}],"status":"READY","reason":null,"createdTime":1795160033,"tags":null}}"#
    )
}

#[test]
fn one_thing_is_shown_in_every_format() {
    let list = format!("[{0},{0}]", binding());
    let mut case = Case::new("formats/shown");
    for format in ["json", "yaml", "wide", "name"] {
        case = case
            .answer(200, &list)
            .run(&format!("get bindings -o {format}"))
            .answer(200, &binding())
            .run(&format!("get binding reader -o {format}"))
            .answer(200, &binding())
            .run(&format!("describe binding reader -o {format}"));
    }
    case.check();
}

#[test]
fn what_was_done_is_told_in_every_format() {
    let mut case = Case::new("formats/done");
    for format in ["json", "yaml", "wide", "name"] {
        case = case
            .answer(201, &binding())
            .run(&format!("create binding reader db -o {format}"))
            .answer(200, &binding())
            .run(&format!("rotate binding reader -o {format}"))
            .answer(200, &binding())
            .run(&format!("delete binding reader -o {format}"));
    }
    let run = format!(
        r#"{{"executedTime":1795160038,"finishedTime":1795160038,"functionId":"{ID}","functionName":"hello","name":"{ID}","reason":null,"secrets":[],"services":null,"status":"READY","tags":[]}}"#
    );
    case.answer(202, &run).run("exec hello -o name").check();
}
