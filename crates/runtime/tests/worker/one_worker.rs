//! One worker, good and bad functions.

use std::time::Duration;

use bytes::Bytes;
use dispatch_runtime::frame::{FailureKind, MAX_PAYLOAD_BYTES};
use dispatch_runtime::logs::MAX_CALL_LINES;
use dispatch_runtime::spawn::Exit;
use dispatch_runtime::worker::{BeginError, Outcome};

use super::support::{MEMORY, hello, input};

#[tokio::test]
async fn a_function_gets_context_and_payload_and_answers() {
    let mut running = hello(
        "def handle(ctx, payload):\n    return [ctx['timeout'], ctx['secrets'], ctx['deadline'][-1], payload]\n",
    )
    .await;
    let (answer, logs) = running.call(r#"{"num":1,"text":"é"}"#).await;
    assert_eq!(answer.unwrap(), r#"[60000,{},"Z",{"num":1,"text":"é"}]"#);
    assert_eq!((logs.stdout.len(), logs.stderr.len()), (0, 0));
    for literal in ["42", "null", "\"text\"", "[]", "true", "1.5"] {
        let (answer, _) = running.call(literal).await;
        assert!(answer.unwrap().ends_with(&format!("{literal}]")), "{literal}");
    }
}

#[tokio::test]
async fn no_return_is_null_and_no_payload_is_none() {
    let mut running = hello("def handle(ctx, payload):\n    print(payload)\n").await;
    let (answer, logs) = running.call("").await;
    assert_eq!(answer.unwrap(), "null");
    assert_eq!(logs.stdout, ["None"]);
}

#[tokio::test]
async fn state_stays_in_the_worker_between_calls() {
    let mut running =
        hello("n = 0\ndef handle(ctx, payload):\n    global n\n    n += 1\n    return n\n").await;
    assert_eq!(running.call("{}").await.0.unwrap(), "1");
    assert_eq!(running.call("{}").await.0.unwrap(), "2");
}

async fn check_failure(body: &str, kind: FailureKind, message: &str, stack: &[&str]) {
    let text = format!("import sys\ndef handle(ctx, payload):\n    {body}\n");
    let mut running = hello(&text).await;
    let failure = running.call("{}").await.0.unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (kind, message), "{body}");
    let trace = failure.stacktrace.join("\n");
    assert_eq!(trace.is_empty(), stack.is_empty(), "{body}: {trace}");
    for part in stack {
        assert!(trace.contains(part), "{body}: no {part:?} in {trace}");
    }
    assert!(!trace.contains("<string>"), "frames of the worker itself: {trace}");
    assert_eq!(running.call("{}").await.0.unwrap_err().message, message, "and it lives on");
}

#[tokio::test]
async fn exceptions_become_errors_of_the_contracts_types() {
    use FailureKind::{FunctionError, InputError};
    let here = &["Traceback (most recent call last):", "hello.py\", line 3, in handle"];
    check_failure("raise ValueError('bad input')", InputError, "bad input", here).await;
    check_failure("raise TypeError('wrong')", InputError, "wrong", here).await;
    check_failure("raise Exception('boom')", FunctionError, "boom", here).await;
    check_failure("raise KeyError('x')", FunctionError, "'x'", &["KeyError: 'x'"]).await;
    check_failure("raise RuntimeError", FunctionError, "RuntimeError", here).await;
    check_failure("sys.exit(3)", FunctionError, "the function called sys.exit(3)", here).await;
    check_failure("exit()", FunctionError, "the function called sys.exit(None)", here).await;
    check_failure("raise KeyboardInterrupt", FunctionError, "KeyboardInterrupt", here).await;
    check_failure("handle(ctx, payload)", FunctionError, "maximum recursion depth exceeded", here)
        .await;
}

#[tokio::test]
async fn errors_of_any_size_and_alphabet_reach_the_caller() {
    let long = "\u{1f600}".repeat(400);
    let text = format!(
        "def deep(n): return deep(n - 1) if n else fail() # {long}\n\
         def fail(): raise Exception('\u{1f600}' * 100000)\n\
         def handle(ctx, payload):\n\
         \x20   if payload: deep(60) # {long}\n\
         \x20   raise Exception('half \\ud83d')\n"
    );
    let mut running = hello(&text).await;
    let failure = running.call("1").await.0.unwrap_err();
    assert_eq!(failure.message, "\u{1f600}".repeat(16 << 10));
    assert!(failure.stacktrace.len() > 10, "{} lines", failure.stacktrace.len());
    assert_eq!(running.call("0").await.0.unwrap_err().message, "half ?", "and it lives on");
}

#[tokio::test]
async fn results_that_json_cannot_hold_are_function_errors() {
    use FailureKind::FunctionError;
    let cannot = "the function returned what JSON cannot hold: ";
    for (value, why) in [
        ("{1, 2}", "Object of type set is not JSON serializable"),
        ("float('nan')", "Out of range float values are not JSON compliant"),
        ("[float('inf')]", "Out of range float values are not JSON compliant"),
        ("sys", "Object of type module is not JSON serializable"),
        (
            "'\\ud800'",
            "'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed",
        ),
    ] {
        check_failure(&format!("return {value}"), FunctionError, &format!("{cannot}{why}"), &[])
            .await;
    }
}

#[tokio::test]
async fn what_is_printed_by_python_by_children_and_on_the_descriptors_is_the_calls() {
    let mut running = hello(
        "import os, sys\n\
         print('imported')\n\
         def handle(ctx, payload):\n\
         \x20   print('one'); print('two', file=sys.stderr); os.write(1, b'three\\n')\n\
         \x20   os.system('echo four; echo five >&2')\n\
         \x20   sys.stdout.write('no end')\n",
    )
    .await;
    for _ in 0..3 {
        let (_, logs) = running.call("{}").await;
        assert_eq!(logs.stdout, ["one", "three", "four", "no end"]);
        assert_eq!(logs.stderr, ["two", "five"]);
    }
    assert_eq!(running.log_until(|lines| !lines.is_empty()).await, ["imported"]);
}

#[tokio::test]
async fn a_thread_that_prints_between_calls_reaches_the_functions_log_and_no_call() {
    let mut running = hello(
        "import threading, time, os\n\
         go = threading.Event()\n\
         def later():\n\
         \x20   go.wait()\n\
         \x20   time.sleep(0.05)\n\
         \x20   os.write(1, b'between\\n')\n\
         def handle(ctx, payload):\n\
         \x20   if payload: threading.Thread(target=later, daemon=True).start(); go.set()\n\
         \x20   print('call')\n",
    )
    .await;
    assert_eq!(running.call("1").await.1.stdout, ["call"]);
    running.log_until(|lines| lines == ["between"]).await;
    assert_eq!(running.call("0").await.1.stdout, ["call"]);
}

#[tokio::test]
async fn too_much_output_is_cut_and_said_so() {
    let mut running = hello(
        "def handle(ctx, payload):\n    for n in range(payload): print('x' * 50)\n    return 'done'\n",
    )
    .await;
    let (answer, logs) = running.call("200000").await;
    assert_eq!(answer.unwrap(), "\"done\"");
    assert_eq!(logs.stdout.len(), MAX_CALL_LINES + 1);
    let last = logs.stdout.last().unwrap();
    assert!(last.starts_with("[dispatch: cut 10098000 bytes with 198000 line ends"), "{last}");
    assert_eq!(running.call("1").await.1.stdout.len(), 1, "the next call starts from nothing");
}

#[tokio::test]
async fn a_call_over_its_timeout_is_killed_and_keeps_its_output() {
    let mut running =
        hello("def handle(ctx, payload):\n    print('started')\n    while True: pass\n").await;
    let mut call = input("{}");
    call.timeout = Duration::from_millis(300);
    let finished = running.finish(call).await;
    assert!(matches!(finished.outcome, Outcome::TimedOut), "{finished:?}");
    assert_eq!(finished.logs.stdout, ["started"]);
    let failure = finished.outcome.into_result(MEMORY).unwrap_err();
    assert_eq!(failure.message, "Function execution exceeded the timeout");
    assert!(!running.worker.process().is_alive());
    assert_eq!(running.worker.begin(input("{}")), Err(BeginError::Gone));
}

async fn check_death(body: &str, message: &str) {
    let text = format!("import os, sys\ndef handle(ctx, payload):\n    {body}\n");
    let mut running = hello(&text).await;
    let finished = running.finish(input("{}")).await;
    assert!(!finished.outcome.leaves_worker());
    assert_eq!(finished.logs.stdout, ["last words"], "{body}");
    let failure = finished.outcome.into_result(MEMORY).unwrap_err();
    assert_eq!(failure.message, message, "{body}");
    assert_eq!(running.worker.process().wait().await, running.worker.process().wait().await);
}

#[tokio::test]
async fn a_death_during_a_call_says_how_it_came() {
    let say = "print('last words'); ";
    check_death(
        &format!("{say}os._exit(3)"),
        "the function's process exited with status 3 during the call",
    )
    .await;
    check_death(
        &format!("{say}os.kill(os.getpid(), 11)"),
        "the function's process was ended by signal 11 (segmentation fault) during the call",
    )
    .await;
    check_death(
        &format!("{say}os.close(3); import time; time.sleep(100)"),
        "the function closed its worker's connection (descriptor 3) during the call",
    )
    .await;
}

#[tokio::test]
async fn whoever_writes_to_descriptor_3_ends_the_worker() {
    let head = "import os, struct\n\
         def frame(kind, call, body): return struct.pack('>IBQ', 9 + len(body), kind, call) + body\n";
    for (what, body, message) in [
        ("noise", "os.write(3, b'\\x00\\x00\\x00\\x20garbage')", "a frame of unknown type 103"),
        ("huge", "os.write(3, struct.pack('>I', 2**32 - 1))", "where at most 10485760 are allowed"),
        ("foreign", "os.write(3, frame(19, 1, b'1'))", "an answer to a call that is not open"),
        (
            "error",
            "os.write(3, frame(20, 1, b'{\"type\":\"InputError\",\"message\":\"\"}'))",
            "an answer to a call that is not open",
        ),
        (
            "hello",
            "os.write(3, frame(16, 0, b'{\"protocol\":1,\"language\":\"\",\"version\":\"\"}'))",
            "a second hello",
        ),
        ("loaded", "os.write(3, frame(17, 0, b''))", "a load frame during a call"),
        ("server's", "os.write(3, frame(2, 0, b''))", "a frame of unknown type 2"),
    ] {
        let text = format!("{head}def handle(ctx, payload):\n    {body}\n    return 'mine'\n");
        let mut running = hello(&text).await;
        let failure = running.call("{}").await.0.unwrap_err();
        let expect = format!("the function's worker broke the protocol: {message}");
        assert!(
            failure.message.starts_with("the function's worker broke the protocol: ")
                && failure.message.ends_with(message),
            "{what}: {} instead of {expect}",
            failure.message
        );
        assert!(!running.worker.process().is_alive(), "{what}");
    }
}

/// Finds the open call's id in the frames of the worker's own code, as any function could.
const FORGE: &str = "import os, struct, sys\n\
    def own_call():\n\
    \x20   frame = sys._getframe()\n\
    \x20   while 'call' not in frame.f_locals: frame = frame.f_back\n\
    \x20   return frame.f_locals['call']\n\
    def send(body): os.write(3, struct.pack('>IB', 9 + len(body), 19) + own_call() + body)\n";

#[tokio::test]
async fn an_answer_that_is_not_json_never_leaves_the_runtime() {
    let text =
        format!("{FORGE}def handle(ctx, payload):\n    send(b'1}}, \"status\": \"READY\"')\n");
    let failure = hello(&text).await.call("{}").await.0.unwrap_err();
    assert!(failure.message.contains("a result that is not JSON"), "{}", failure.message);
}

#[tokio::test]
async fn a_repeated_answer_ends_the_worker_before_its_next_call() {
    let text = format!("{FORGE}def handle(ctx, payload):\n    send(b'1')\n    return 2\n");
    let mut running = hello(&text).await;
    assert_eq!(running.call("{}").await.0.unwrap(), "1", "the open call was answered");
    // The second answer may still be on its way: it is seen at one of the next calls' begin or
    // as their answer, never believed.
    match running.worker.begin(input("{}")) {
        Err(error) => assert_eq!(error, BeginError::Gone),
        Ok(()) => {
            let finished = running.worker.finish().await;
            assert!(matches!(finished.outcome, Outcome::Broke { .. }), "{finished:?}");
        }
    }
}

#[tokio::test]
async fn a_result_over_the_bound_is_an_error_and_the_worker_lives() {
    let mut running = hello("def handle(ctx, payload):\n    return 'x' * payload\n").await;
    let bound = MAX_PAYLOAD_BYTES - 2;
    let (answer, _) = running.call(bound.to_string()).await;
    assert_eq!(answer.unwrap().len(), MAX_PAYLOAD_BYTES);
    let failure = running.call((11 << 20).to_string()).await.0.unwrap_err();
    assert_eq!(
        failure.message,
        "the result is 11534338 bytes of JSON; at most 10485760 are allowed"
    );
    assert_eq!(running.call("1").await.0.unwrap(), "\"x\"");
}

#[tokio::test]
async fn a_payload_of_10_mib_goes_there_and_back_and_a_larger_one_is_refused() {
    let mut running = hello("def handle(ctx, payload):\n    return payload\n").await;
    let mut text = vec![b'y'; MAX_PAYLOAD_BYTES];
    *text.first_mut().unwrap() = b'"';
    *text.last_mut().unwrap() = b'"';
    let (answer, _) = running.call(text.clone()).await;
    assert_eq!(answer.unwrap().as_bytes(), text);
    text.push(b' ');
    let refused = running.worker.begin(input(Bytes::from(text)));
    assert!(matches!(refused, Err(BeginError::TooLarge(_))), "{refused:?}");
    assert_eq!(running.call("1").await.0.unwrap(), "1", "nothing was sent");
}

#[tokio::test]
async fn a_dropped_call_can_be_finished_later() {
    let mut running = hello(
        "import time\ndef handle(ctx, payload):\n    print('in')\n    time.sleep(payload)\n    return 'late'\n",
    )
    .await;
    running.worker.begin(input("0.3")).unwrap();
    for _ in 0..3 {
        let early = tokio::time::timeout(Duration::from_millis(20), running.worker.finish()).await;
        assert!(early.is_err(), "it answered too soon");
    }
    let finished = running.worker.finish().await;
    assert!(matches!(&finished.outcome, Outcome::Returned(bytes) if bytes == "\"late\""));
    assert_eq!(finished.logs.stdout, ["in"]);
    assert_eq!(running.call("0").await.0.unwrap(), "\"late\"");
}

#[tokio::test]
async fn a_child_that_the_function_forked_answers_nothing() {
    let mut running = hello(
        "import os\ndef handle(ctx, payload):\n    child = os.fork()\n    if child: os.waitpid(child, 0)\n    return child > 0\n",
    )
    .await;
    for _ in 0..3 {
        assert_eq!(running.call("{}").await.0.unwrap(), "true");
    }
}

#[tokio::test]
async fn an_ended_worker_runs_its_exit_handlers() {
    let running =
        hello("import atexit\natexit.register(print, 'goodbye')\ndef handle(ctx, payload): pass\n")
            .await;
    let process = running.worker.process().clone();
    let log = running.log;
    drop(running.worker);
    assert_eq!(process.wait().await, Exit::Code(0));
    for _ in 0..2000 {
        if log.lines().0.iter().any(|line| line.text == "goodbye") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the function's log was {:?}", log.lines());
}

#[tokio::test]
async fn a_worker_that_does_not_end_by_itself_is_killed_after_the_grace() {
    let running = hello(
        "import threading, time\n\
         threading.Thread(target=time.sleep, args=(1000,)).start()\n\
         def handle(ctx, payload): pass\n",
    )
    .await;
    let process = running.worker.process().clone();
    drop(running.worker);
    assert_eq!(process.wait().await, Exit::Signal(9));
}
