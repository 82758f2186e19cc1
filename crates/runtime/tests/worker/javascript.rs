//! JavaScript workers: what may be a function, and how its calls end.

use dispatch_runtime::frame::FailureKind;
use dispatch_runtime::host::Language;
use dispatch_runtime::worker::{Outcome, StartError};

use super::support::{MEMORY, Running, input, start_in};

async fn start(files: &[(&str, &str)], handler: &str) -> Result<Running, StartError> {
    start_in(Language::NodeJs, files, handler).await
}

async fn hello(text: &str) -> Running {
    start(&[("hello.js", text)], "").await.unwrap()
}

#[tokio::test]
async fn a_function_is_what_a_file_exports() {
    let check = async |files: &[(&str, &str)], handler: &str| {
        let mut running = start(files, handler).await.unwrap();
        assert_eq!(running.call("4").await.0.unwrap(), "5", "{files:?} {handler}");
    };
    let common = "module.exports = function (context, params) { return params + 1 }";
    let module = "export default (context, params) => params + 1";
    check(&[("hello.js", common)], "").await;
    check(&[("hello.js", common)], "hello.js").await;
    check(&[("a.js", "throw 1"), ("lib/b.js", common)], "./lib/b.js").await;
    check(&[("hello.js", "module.exports = async (_, params) => params + 1")], "").await;
    let later = "module.exports = (_, params) =>\n\
                 new Promise((resolve) => setTimeout(() => resolve(params + 1), 5))";
    check(&[("hello.js", later)], "").await;
    check(&[("hello.mjs", module)], "").await;
    check(&[("hello.js", module), ("package.json", r#"{"type": "module"}"#)], "").await;
    check(&[("hello.js", "exports.default = (_, params) => params + 1")], "hello.js").await;
    let two = [("one.js", "module.exports = require('./two.js')"), ("two.js", common)];
    check(&two, "one.js").await;
    let top = "const one = await Promise.resolve(1); export default (_, params) => params + one";
    check(&[("hello.mjs", top)], "").await;
}

#[tokio::test]
async fn what_is_no_function_is_refused_in_words() {
    let check =
        async |files: &[(&str, &str)], handler: &str, expect: &str| match start(files, handler)
            .await
        {
            Err(StartError::Load(failure)) => {
                assert!(failure.message.contains(expect), "{failure:?}");
                let ours = failure.stacktrace.iter().any(|line| line.contains("[eval]"));
                assert!(!ours, "{failure:?}");
            }
            Err(error) => panic!("{}", error.reason()),
            Ok(_) => panic!("{files:?} is a function"),
        };
    let fine = "module.exports = () => 1";
    check(&[], "", "exactly 1 JavaScript file is needed when no handler is given, there are 0")
        .await;
    check(&[("a.js", fine), ("b.js", fine)], "", "there are 2: name the handler").await;
    check(&[("a.js", fine)], "b.js", "the handler 'b.js' does not exist").await;
    check(&[("a.js", fine)], "hello.handle", "the handler 'hello.handle' is not a .js file").await;
    check(&[("a.js", fine)], "../../etc/a.js", "is not a .js file of the function").await;
    check(&[("a.js", "")], "", "a.js exports no function").await;
    check(&[("a.js", "module.exports = {handle() {}}")], "", "a.js exports no function").await;
    check(&[("a.js", "module.exports = null")], "", "a.js exports no function").await;
    check(&[("a.js", "function (")], "", "cannot load the function: SyntaxError").await;
    check(&[("a.js", "throw new Error('boom')")], "", "cannot load the function: Error: boom")
        .await;
    check(&[("a.js", "throw 'text'")], "", "cannot load the function: string: text").await;
    check(&[("a.js", "require('nope')")], "", "Cannot find module 'nope'").await;
}

#[tokio::test]
async fn a_file_that_ends_the_process_while_it_is_loaded_is_told() {
    let ending = [("a.js", "console.error('bye'); process.exit(3)")];
    let error = start(&ending, "").await.err().unwrap();
    assert_eq!(error.reason(), "its process exited with status 3: bye");
}

#[tokio::test]
async fn values_come_and_go_as_json() {
    let mut echo = hello("module.exports = (context, params) => params").await;
    for text in ["null", "42", "\"ü€😀\"", "{\"a\":[1,2.5,true,null]}", "[]"] {
        assert_eq!(echo.call(text).await.0.unwrap(), text);
    }
    let long = format!("\"{}\"", "é".repeat((5 << 20) - 1));
    assert_eq!(echo.call(long.clone()).await.0.unwrap(), long);
    let longer = format!("\"{}\"", "é".repeat(5 << 20));
    assert_eq!(longer.len(), (10 << 20) + 2);
    let mut grow = hello("module.exports = (_, n) => 'x'.repeat(n)").await;
    let most = (10 << 20) - 2;
    assert_eq!(grow.call(most.to_string()).await.0.unwrap().len(), 10 << 20);
    let over = grow.call((most + 1).to_string()).await.0.unwrap_err();
    let words = "the result is 10485761 bytes of JSON; at most 10485760 are allowed";
    assert_eq!((over.kind, over.message.as_str()), (FailureKind::FunctionError, words));

    let nothing = hello("module.exports = () => {}").await.call("1").await.0.unwrap();
    assert_eq!(nothing, "null");
    let context = "module.exports = (context) =>\n\
                   [Object.keys(context).sort(), context.timeout, context.deadline.length]";
    let seen = hello(context).await.call("null").await.0.unwrap();
    assert_eq!(seen, r#"[["deadline","secrets","serviceBindings","timeout"],60000,24]"#);
}

#[tokio::test]
async fn failures_are_told_apart_and_leave_the_worker() {
    let check = async |text: &str, kind: FailureKind, message: &str, line: &str| {
        let mut running = hello(text).await;
        for _ in 0..2 {
            let failure = running.call("1").await.0.unwrap_err();
            assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{text}");
            let trace = failure.stacktrace.join("\n");
            assert!(trace.contains(line), "{trace}");
            assert!(!trace.contains("[eval]") && !trace.contains("node:"), "{trace}");
        }
    };
    let at = "hello.js:1";
    let function = FailureKind::FunctionError;
    check("module.exports = () => { throw new Error('boom') }", function, "boom", at).await;
    check("module.exports = async () => { throw new Error('boom') }", function, "boom", at).await;
    check(
        "module.exports = (_, p) => p.a.b",
        FailureKind::InputError,
        "Cannot read properties of undefined (reading 'b')",
        at,
    )
    .await;
    check(
        "module.exports = () => { throw new TypeError('no') }",
        FailureKind::InputError,
        "no",
        at,
    )
    .await;
    check("module.exports = () => { throw 'text' }", function, "text", "").await;
    check("module.exports = () => { throw undefined }", function, "undefined", "").await;
    check("module.exports = () => Promise.reject({a: 1})", function, "[object Object]", "").await;
    let caused = "module.exports = () => { throw new Error('a', {cause: new Error('deep')}) }";
    check(caused, function, "a", "caused by Error: deep").await;
    let big = "module.exports = () => { throw new Error('x'.repeat(1e6)) }";
    let failure = hello(big).await.call("1").await.0.unwrap_err();
    assert_eq!(failure.message.len(), 16 << 10);
    let none = "the function returned what JSON cannot hold: ";
    for (text, expect) in [
        ("module.exports = () => 1n", "Do not know how to serialize a BigInt"),
        ("module.exports = () => { const a = {}; a.a = a; return a }", "Converting circular"),
    ] {
        let failure = hello(text).await.call("1").await.0.unwrap_err();
        assert!(failure.message.starts_with(&format!("{none}{expect}")), "{failure:?}");
    }
}

#[tokio::test]
async fn a_function_that_never_answers_or_ends_costs_its_worker() {
    let outcome = async |text: &str, timeout_ms: u64| {
        let mut running = hello(text).await;
        let mut input = input("1");
        input.timeout = std::time::Duration::from_millis(timeout_ms);
        running.finish(input).await.outcome
    };
    let message = |outcome: Outcome| outcome.into_result(MEMORY).unwrap_err().message;
    let late = "Function execution exceeded the timeout";
    assert_eq!(message(outcome("module.exports = () => { for (;;); }", 200).await), late);
    assert_eq!(message(outcome("module.exports = () => new Promise(() => {})", 200).await), late);
    let ended = message(outcome("module.exports = () => process.exit(3)", 20_000).await);
    assert_eq!(ended, "the function's process exited with status 3 during the call");
    let uncaught =
        "module.exports = () => new Promise(() => setTimeout(() => { throw new Error('late') }))";
    assert_eq!(message(outcome(uncaught, 20_000).await), "late");
    let rejected = "module.exports = () => { Promise.reject(new Error('lost')); return new Promise(() => {}) }";
    assert_eq!(message(outcome(rejected, 20_000).await), "lost");
    let closed =
        outcome("module.exports = () => { require('fs').closeSync(3); for (;;); }", 20_000);
    assert!(!closed.await.leaves_worker());
}

#[tokio::test]
async fn what_a_call_prints_is_its_log() {
    let mut running = hello(
        "module.exports = (_, n) => {\n\
         console.log('out', n); console.error('err', n); process.stdout.write('x'.repeat(70000) + '\\n')\n\
         return n }",
    )
    .await;
    for n in ["1", "2"] {
        let (result, logs) = running.call(n).await;
        assert_eq!(result.unwrap(), n);
        let (out, err) = (logs.stdout, logs.stderr);
        assert_eq!(out[0], format!("out {n}"));
        assert!(out[1].starts_with("xxx"), "{out:?}");
        assert_eq!(err, [format!("err {n}")]);
    }
}

#[tokio::test]
async fn what_a_function_keeps_open_lives_between_calls_and_its_tricks_do_not_matter() {
    let mut running = hello(
        "let n = 0; setInterval(() => { n += 1 }, 1);\n\
         JSON.parse = JSON.stringify = () => { throw new Error('mine') };\n\
         process.exit = () => {}; Buffer.concat = null;\n\
         module.exports = () => n",
    )
    .await;
    let mut last = 0;
    for _ in 0..1000 {
        last = running.call("1").await.0.unwrap().parse().unwrap();
        if last > 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(last > 3, "the loop stood still: {last}");
}
