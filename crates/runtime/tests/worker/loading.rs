//! Handlers that can and cannot be loaded (contract 4.5).

use dispatch_runtime::worker::StartError;

use super::support::start;

async fn check_load(files: &[(&str, &str)], handler: &str, message: &str) {
    match start(files, handler).await {
        Err(StartError::Load(failure)) => {
            assert_eq!(failure.message, message, "{handler}");
            let trace = failure.stacktrace.join("\n");
            assert!(!trace.contains("<string>"), "frames of the worker itself: {trace}");
        }
        Err(other) => panic!("{handler}: {}", other.reason()),
        Ok(_) => panic!("{handler} was loaded"),
    }
}

#[tokio::test]
async fn a_handler_that_cannot_be_loaded_says_why() {
    let good = ("hello.py", "def handle(ctx, payload): pass\ndef one(ctx): pass\nx = 1\n");
    let three = "def handle(a, b, c): pass\nasync def later(a, b): pass\n";
    check_load(&[good], "hello.nothing", "module 'hello' has no 'nothing'").await;
    check_load(&[good], "hello.x", "hello.x is not a function").await;
    let two = "does not take exactly 2 arguments, the context and the payload";
    check_load(&[good], "hello.one", &format!("hello.one(ctx) {two}")).await;
    check_load(&[("a.py", three)], "a.handle", &format!("a.handle(a, b, c) {two}")).await;
    check_load(&[("a.py", three)], "a.later", "a.later is asynchronous; define it with def").await;
    let form = "is not of the form module.function";
    check_load(&[good], "handle", &format!("the handler 'handle' {form}")).await;
    check_load(&[good], "./hello.handle", &format!("the handler './hello.handle' {form}")).await;
    check_load(
        &[good, ("b.py", "")],
        "",
        "exactly 1 Python file is needed when no handler is given, there are 2: \
         name the handler as module.function",
    )
    .await;
    check_load(
        &[good],
        "other.handle",
        "cannot import the function: ModuleNotFoundError: No module named 'other'",
    )
    .await;
    check_load(
        &[("hello.py", "import nowhere\n")],
        "",
        "cannot import the function: ModuleNotFoundError: No module named 'nowhere'",
    )
    .await;
    check_load(
        &[("hello.py", "def handle(:\n")],
        "",
        "cannot import the function: SyntaxError: invalid syntax (hello.py, line 1)",
    )
    .await;
    check_load(
        &[("hello.py", "import sys\nsys.exit(4)\n")],
        "",
        "the module called sys.exit(4) while it was imported",
    )
    .await;
}

#[tokio::test]
async fn an_import_error_shows_the_functions_own_frames() {
    let files = [("hello.py", "import deep\n"), ("deep.py", "1 / 0\n")];
    let Err(StartError::Load(failure)) = start(&files, "hello.handle").await.map(drop) else {
        panic!("it was loaded");
    };
    let trace = failure.stacktrace.join("\n");
    assert!(trace.contains("hello.py\", line 1"), "{trace}");
    assert!(trace.contains("deep.py\", line 1"), "{trace}");
    assert!(!trace.contains("importlib"), "{trace}");
}

#[tokio::test]
async fn handlers_in_packages_callables_and_the_default_are_loaded() {
    let files = [("pkg/__init__.py", ""), ("pkg/mod.py", "def f(c, p, *more): return 'f'\n")];
    assert_eq!(start(&files, "pkg.mod.f").await.unwrap().call("1").await.0.unwrap(), "\"f\"");
    let object = "class C:\n    def __call__(self, ctx, payload): return 'c'\nhandle = C()\n";
    for (name, text) in [("my-file.py", "def handle(c, p): return 'c'\n"), ("o.py", object)] {
        let mut running = start(&[(name, text), ("data.txt", "")], "").await.unwrap();
        assert_eq!(running.call("1").await.0.unwrap(), "\"c\"", "{name}");
    }
}

#[tokio::test]
async fn a_process_that_ends_before_it_is_loaded_says_how_and_what_it_said() {
    let files = [("hello.py", "import os\nos.write(2, b'no memory\\n')\nos._exit(5)\n")];
    let Err(error) = start(&files, "").await.map(drop) else { panic!("it was loaded") };
    assert_eq!(error.reason(), "its process exited with status 5: no memory");
}
