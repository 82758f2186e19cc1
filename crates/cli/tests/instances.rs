//! `dispatch … serviceinstance` and `servicebinding`, with waiting.

use crate::support::Case;

const ID: &str = "5b1f6c1e-9487-4b36-83ab-320052099d02";

/// An instance in some state. `operation` is what the broker does and says.
fn instance(status: &str, reason: &str, operation: &str, binding: &str) -> String {
    let operation = match operation {
        "" => String::new(),
        words => format!(
            r#""lastOperation":{{"type":"create","state":"in progress","description":"{words}","since":1795160033}},"#
        ),
    };
    format!(
        r#"{{"id":"{ID}","kind":"ServiceInstance","name":"azure-pg","serviceClass":"postgresql","servicePlan":"dedicated","serviceClassID":"{ID}","planID":"{ID}","broker":"pg","parameters":{{"storage":2}},"secretParameters":null,"binding":{{"secretParameters":null,"secret":"{ID}","keys":["host","password"],"status":"{binding}","reason":null}},{operation}"conditions":[],"status":"{status}","reason":{reason},"createdTime":1795160033,"tags":null}}"#
    )
}

fn ready() -> String {
    instance("READY", "null", "", "READY")
}

fn class() -> String {
    format!(
        r#"{{"id":"{ID}","kind":"ServiceClass","name":"postgresql","broker":"pg","brokerID":"{ID}","enabled":true,"plans":[],"status":"READY","reason":null,"createdTime":0,"tags":null}}"#
    )
}

/// READY, and how long the broker took to make it and to bind it.
fn timed() -> String {
    let took = |verb: &str, before: &str| {
        format!(
            r#""lastOperation":{{"type":"{verb}","state":"succeeded","description":"","since":0,"tookMs":0}},"{before}""#
        )
    };
    let ready = ready().replacen(r#""status""#, &took("bind", "status"), 1);
    ready.replace(r#""conditions""#, &took("create", "conditions"))
}

#[test]
fn who_waits_is_told_how_much_of_the_time_the_broker_had() {
    Case::new("instances/timed")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &timed())
        .run("create serviceinstance azure-pg postgresql --wait")
        .answer(200, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &timed())
        .run("retry serviceinstance azure-pg --wait")
        .check();
}

#[test]
fn an_instance_is_created_with_all_that_can_be_given() {
    Case::new("instances/create")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .run("create serviceinstance azure-pg postgresql dedicated --params '{\"storage\": 2}' -s a --secret b -P '{\"role\": \"r\"}' -S c -B k --broker pg -a shop")
        .answer(201, &ready())
        .run("create instance azure-pg postgresql --json")
        .run("create instance azure-pg postgresql --params [1]")
        .check();
}

#[test]
fn waiting_shows_the_brokers_words_once_each() {
    Case::new("instances/wait")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .unsettled(200, &instance("CREATING", "null", "cluster initialised", ""))
        .unsettled(200, &instance("CREATING", "null", "cluster initialised", ""))
        .unsettled(
            200,
            &instance("CREATING", "null", "starting \\u001b[31mon\\u0007 port 41902", ""),
        )
        .unsettled(200, &instance("READY", "null", "", "CREATING"))
        .answer(200, &ready())
        .run("create serviceinstance azure-pg postgresql dedicated --wait")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &ready())
        .run("create serviceinstance azure-pg postgresql dedicated --wait --json")
        .check();
}

#[test]
fn ctrl_c_stops_watching() {
    Case::new("instances/interrupted")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .hold()
        .interrupt("create serviceinstance azure-pg postgresql --wait")
        .check();
}

#[test]
fn an_error_ends_the_wait_with_the_brokers_words_and_what_to_do() {
    Case::new("instances/wait_fails")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &instance("ERROR", r#"["quota exceeded in westus"]"#, "old words", ""))
        .run("create serviceinstance azure-pg postgresql dedicated --wait")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &instance("READY", "null", "", "ERROR"))
        .run("create serviceinstance azure-pg postgresql dedicated --wait")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(200, &instance("CREATING", "null", "", ""))
        .run("create serviceinstance azure-pg postgresql dedicated --wait")
        .answer(201, &instance("INITIALIZED", "null", "", ""))
        .answer(404, r#"{"code":404,"message":"service instance azure-pg not found"}"#)
        .run("create serviceinstance azure-pg postgresql dedicated --wait")
        .answer(200, &instance("CREATING", "null", "", ""))
        .answer(200, &ready())
        .run("retry serviceinstance azure-pg --wait")
        .check();
}

#[test]
fn refused_parameters_are_listed_with_what_to_do_next() {
    let faults = r#"{"code":422,"message":"serviceinstance azure-pg: 2 faults in the parameters for postgresql/dedicated","error":"invalid_parameters","faults":[{"path":"/storage","message":"\"10GB\" is not an integer; GiB from 1 to 64, default 1"},{"path":"/storge","message":"unknown; did you mean /storage?"}]}"#;
    let no_class = r#"{"code":400,"message":"Service class postgres does not exist"}"#;
    Case::new("instances/refused")
        .answer(422, faults)
        .run("create serviceinstance azure-pg postgresql dedicated --params '{\"storage\": \"10GB\", \"storge\": 1}'")
        .answer(400, no_class)
        .answer(200, &format!("[{}]", class()))
        .run("create serviceinstance azure-pg postgres")
        .answer(400, no_class)
        .answer(200, "[]")
        .run("create serviceinstance azure-pg postgres")
        .check();
}

#[test]
fn instances_are_listed_with_their_bindings_status() {
    let list = format!("[{},{}]", ready(), instance("READY", "null", "", "CREATING"));
    Case::new("instances/get")
        .answer(200, &list)
        .run("get serviceinstances")
        .answer(200, &instance("ERROR", r#"["quota exceeded"]"#, "creating", ""))
        .run("get instance azure-pg -o wide")
        .answer(200, &ready())
        .run("describe instance azure-pg")
        .answer(200, &list)
        .run("get instance -o name")
        .check();
}

#[test]
fn deleting_waits_until_it_is_gone_and_warns_when_it_was_used() {
    let in_use = r#"{"code":409,"message":"service instance azure-pg is used by function pg-example","error":"in_use"}"#;
    let gone = r#"{"code":404,"message":"service instance azure-pg not found"}"#;
    let failed = instance("ERROR", r#"["still has replicas"]"#, "", "");
    Case::new("instances/delete")
        .answer(200, &instance("DELETING", "null", "", ""))
        .run("delete serviceinstance azure-pg")
        .answer(409, in_use)
        .answer(200, &instance("DELETING", "null", "", ""))
        .run("delete serviceinstance azure-pg")
        .answer(409, in_use)
        .run("delete serviceinstance azure-pg --if-unused")
        .answer(200, &instance("DELETING", "null", "", ""))
        .run("delete serviceinstance azure-pg --yes --purge")
        .answer(200, &instance("DELETING", "null", "", ""))
        .unsettled(200, &instance("DELETING", "null", "", ""))
        .answer(404, gone)
        .run("delete serviceinstance azure-pg --wait")
        .answer(200, &instance("DELETING", "null", "", ""))
        .answer(200, &failed)
        .run("delete serviceinstance azure-pg --wait")
        .answer(200, &instance("DELETING", "null", "", ""))
        .answer(200, &instance("DELETING", "null", "", ""))
        .run("delete serviceinstance azure-pg --wait")
        .check();
}

fn binding(status: &str, version: u64) -> String {
    format!(
        r#"{{"id":"{ID}","kind":"ServiceBinding","name":"azure-pg","instance":"azure-pg","function":"","secretParameters":null,"secret":"{ID}","keys":["host","password"],"credentialsVersion":{version},"endpoints":[{{"host":"10.0.0.5","port":5432}}],"lastOperation":{{"type":"bind","state":"succeeded","description":"bound pg_5b1f_2","since":0}},"status":"{status}","reason":null,"createdTime":1795160033,"tags":null}}"#
    )
}

#[test]
fn a_binding_is_made_listed_and_rotated() {
    Case::new("instances/bindings")
        .answer(400, r#"{"code":400,"message":"Service instance azur-pg does not exist"}"#)
        .answer(200, &format!("[{}]", ready()))
        .run("create servicebinding reader azur-pg")
        .answer(201, &binding("READY", 1))
        .run("create servicebinding azure-pg azure-pg --params '{}' -s a")
        .answer(200, &format!("[{}]", binding("READY", 1)))
        .run("get bindings -o wide")
        .answer(200, &binding("UPDATING", 1))
        .run("rotate servicebinding azure-pg")
        .answer(200, &binding("UPDATING", 1))
        .unsettled(200, &binding("UPDATING", 1))
        .answer(200, &binding("READY", 2))
        .run("rotate binding azure-pg --wait")
        .answer(200, "[]")
        .run("get orphans")
        .check();
}
