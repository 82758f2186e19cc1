//! Functions in real sandboxes: the pools on the product's spawner, and attacks that need it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dispatch_runtime::host::{Language, find};
use dispatch_runtime::network::Dial;
use dispatch_runtime::pool::Call;
use dispatch_runtime::revision::{Program, Revision, RevisionSpec};
use dispatch_runtime::spawn::{Endpoint, Limits, NetworkSpec};
use dispatch_runtime::worker::Interpreter;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::support::{AMBIENT, FUNCTION, call, random, text, until};
use super::workshop::{ORGANIZATION, Workshop, archive};

#[tokio::test]
async fn a_function_runs_in_a_sandbox_and_sees_itself_under_function() {
    let shop = Workshop::new();
    shop.deploy(
        "import os\n\
         def handle(ctx, payload):\n\
         \x20   if payload: raise Exception('boom')\n\
         \x20   try: open('/function/x', 'w')\n\
         \x20   except OSError as error: return [os.getcwd(), os.getuid(), error.strerror]\n",
        &[],
    )
    .await;
    let answer = text(shop.pools.call(FUNCTION, &call("null")).await);
    assert_eq!(answer, "[\"/function\",1000,\"Read-only file system\"]");
    let failed = shop.pools.call(FUNCTION, &call("1")).await.unwrap().result.unwrap_err();
    assert_eq!(failed.stacktrace[1], "  File \"/function/hello.py\", line 3, in handle");
    let workers = shop.pools.workers_with(|_| true);
    assert!(workers[0].confinement.is_some());
    shop.finish().await;
}

#[tokio::test]
async fn a_javascript_function_runs_in_a_sandbox_with_its_packages_and_its_memory_is_bounded() {
    let shop = Workshop::new();
    let node = find(Language::NodeJs, None).unwrap();
    let packages = shop
        .layer(&[
            ("./node_modules/one/index.js", b"exports.name = 'one'"),
            ("./node_modules/two/package.json", br#"{"type": "module", "exports": "./main.js"}"#),
            ("./node_modules/two/main.js", b"export default 'two'"),
        ])
        .await;
    let code = shop
        .layer(&[(
            "./hello.js",
            b"const one = require('one');\n\
              module.exports = async (_, grow) => {\n\
              const kept = []; while (grow) kept.push('x'.repeat(1 << 20) + kept.length)\n\
              const two = await import('two');\n\
              return [process.cwd(), process.getuid(), one.name, two.default,\n\
              require('v8').getHeapStatistics().heap_size_limit >> 20] }",
        )])
        .await;
    let (layers, program) = (shop.builder.layers(), Arc::new(Program::of(&node)));
    let spec =
        RevisionSpec::new(ORGANIZATION, &node, program, layers, code, &[packages], String::new());
    shop.pools.set(FUNCTION, Arc::new(Revision::new(spec)));
    let answer = text(shop.pools.call(FUNCTION, &call("false")).await);
    let seen: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!(json!(seen[..4]), json!(["/function", 1000, "one", "two"]));
    assert!((192..256).contains(&seen[4].as_u64().unwrap()), "{answer}");
    let failed = shop.pools.call(FUNCTION, &call("true")).await.unwrap().result.unwrap_err();
    let ended = ["signal 6 (abort)", "memory limit", "signal 5", "signal 9"];
    assert!(ended.iter().any(|how| failed.message.contains(how)), "{failed:?}");
    assert_eq!(text(shop.pools.call(FUNCTION, &call("false")).await), answer);
    shop.finish().await;
}

#[tokio::test]
async fn a_base_proves_itself_by_a_hello_from_the_sandbox() {
    let shop = Workshop::new();
    let code = shop.unpack(archive(&[("./hello.py", b"")])).await.unwrap().layer.digest();
    let prove = async |argv: Vec<String>| {
        let program = Arc::new(Program::new(argv, shop.base()));
        let revision = Revision::new(RevisionSpec { program, ..shop.spec(code, &[]) });
        let spec = revision.worker_spec(Uuid::from_u64_pair(random(), random()));
        Interpreter::prove(&*shop.spawner, AMBIENT, spec, Duration::from_secs(60)).await
    };
    let hello = prove(shop.spec(code, &[]).program.argv().to_vec()).await.unwrap();
    assert_eq!(
        (hello.language.as_str(), hello.version),
        ("python3", shop.interpreter.version.clone())
    );
    let mute = ["/bin/sh", "-c", "echo not python >&2; exit 4"].map(str::to_owned).to_vec();
    let error = prove(mute).await.unwrap_err();
    assert_eq!(error.reason(), "its process exited with status 4: not python");
    let missing = prove(vec!["/usr/bin/no-such-python".to_owned()]).await.unwrap_err().reason();
    assert!(missing.contains("no-such-python"), "{missing}");
    shop.finish().await;
}

#[tokio::test]
async fn sixty_four_calls_at_once_in_sandboxes() {
    let shop = Workshop::new();
    shop.deploy("def handle(ctx, payload): return payload\n", &[]).await;
    let answers = join_all((0..64).map(|n| {
        let pools = shop.pools.clone();
        async move { (n.to_string(), text(pools.call(FUNCTION, &call(&n.to_string())).await)) }
    }))
    .await;
    assert!(answers.iter().all(|(asked, answered)| asked == answered), "{answers:?}");
    shop.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_is_held_and_goes_with_its_worker() {
    let shop = Workshop::new();
    shop.deploy(
        "import os, time\n\
         def handle(ctx, payload):\n\
         \x20   if not payload: return 'calm'\n\
         \x20   while True:\n\
         \x20       try: os.fork()\n\
         \x20       except OSError: time.sleep(0.01)\n",
        &[],
    )
    .await;
    let mut bomb = call("1");
    bomb.timeout = Duration::from_secs(2);
    let failure = shop.pools.call(FUNCTION, &bomb).await.unwrap().result.unwrap_err();
    assert_eq!(failure.message, "Function execution exceeded the timeout");
    assert_eq!(text(shop.pools.call(FUNCTION, &call("null")).await), "\"calm\"");
    shop.finish().await;
}

#[tokio::test]
async fn who_prints_without_end_after_its_call_is_ended_and_the_next_call_is_served() {
    let shop = Workshop::new();
    shop.deploy(
        "import os\n\
         def handle(ctx, payload):\n\
         \x20   if payload and os.fork() == 0:\n\
         \x20       while True: os.write(1, b'x\\n' * 32768)\n\
         \x20   return 'done'\n",
        &[],
    )
    .await;
    assert_eq!(text(shop.pools.call(FUNCTION, &call("1")).await), "\"done\"");
    let said = || shop.pools.function_log(FUNCTION).0.pop().map(|line| line.text);
    let expect = "[dispatch: ended a worker that printed more than 8 MiB while no call was open]";
    until(|| if said().as_deref() == Some(expect) { Ok(()) } else { Err(said()) }).await;
    assert_eq!(text(shop.pools.call(FUNCTION, &call("null")).await), "\"done\"");
    assert_eq!(shop.pools.counts().starts, 2);
    shop.finish().await;
}

#[tokio::test]
async fn a_module_over_its_memory_says_so_with_its_limit() {
    let shop = Workshop::new();
    let source = b"kept = bytearray(500 << 20)\ndef handle(ctx, payload): pass\n";
    let code = shop.unpack(archive(&[("./hello.py", source)])).await.unwrap().layer.digest();
    let mut spec = shop.spec(code, &[]);
    spec.limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
    shop.pools.set(FUNCTION, Arc::new(Revision::new(spec)));
    let error = shop.pools.call(FUNCTION, &call("1")).await.unwrap_err().to_string();
    let reasons = [
        "its process exceeded its memory limit of 64 MiB",
        "cannot import the function: MemoryError",
    ];
    assert!(reasons.iter().any(|reason| error.contains(reason)), "{error}");
    shop.finish().await;
}

#[tokio::test]
async fn a_function_over_its_memory_says_so_and_the_next_call_is_served() {
    let shop = Workshop::new();
    let source = "def handle(ctx, payload):\n    return len(bytearray(payload << 20))\n";
    let code =
        shop.unpack(archive(&[("./hello.py", source.as_bytes())])).await.unwrap().layer.digest();
    let mut spec = shop.spec(code, &[]);
    spec.limits = Limits { memory_bytes: 64 << 20, ..Limits::default() };
    shop.pools.set(FUNCTION, Arc::new(Revision::new(spec)));
    assert_eq!(text(shop.pools.call(FUNCTION, &call("1")).await), "1048576");
    let failure = shop.pools.call(FUNCTION, &call("500")).await.unwrap().result.unwrap_err();
    // By the kernel where there are cgroups; refused to Python where there is only a limit on data.
    let messages = [
        "the function's process exceeded its memory limit of 64 MiB during the call",
        "MemoryError",
    ];
    assert!(messages.contains(&&*failure.message), "{failure:?}");
    assert_eq!(text(shop.pools.call(FUNCTION, &call("1")).await), "1048576");
    shop.finish().await;
}

#[tokio::test]
async fn a_crash_in_a_sandbox_says_how_it_came() {
    let shop = Workshop::new();
    shop.deploy(
        "import os\n\
         def handle(ctx, payload):\n\
         \x20   if payload == 'exit': os._exit(3)\n\
         \x20   if payload == 'signal': os.kill(os.getpid(), 11)\n",
        &[],
    )
    .await;
    for (payload, how) in [
        ("\"exit\"", "exited with status 3"),
        ("\"signal\"", "was ended by signal 11 (segmentation fault)"),
    ] {
        let failure = shop.pools.call(FUNCTION, &call(payload)).await.unwrap().result.unwrap_err();
        assert_eq!(failure.message, format!("the function's process {how} during the call"));
    }
    shop.finish().await;
}

/// Every endpoint leads to one server of the test, which says who was asked for.
#[derive(Debug)]
struct OneServer(SocketAddr);

impl Dial for OneServer {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<TcpStream>> {
        async move {
            let mut stream = TcpStream::connect(self.0).await?;
            stream.write_all(format!("{}:{}\n", endpoint.host, endpoint.port).as_bytes()).await?;
            Ok(stream)
        }
        .boxed()
    }
}

/// Answers each connection with its first line.
async fn echo_server() -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut line = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    if byte == b'\n' {
                        break;
                    }
                    line.push(byte);
                }
                let _ = stream.write_all(&line).await;
            });
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_function_reaches_its_endpoints_and_those_of_the_call_and_nothing_else() {
    let (address, server) = echo_server().await;
    let shop = Workshop::dialling(Some(Arc::new(OneServer(address))));
    let source = "import atexit, socket\n\
        def handle(ctx, payload):\n\
        \x20   host, port = payload\n\
        \x20   try:\n\
        \x20       with socket.create_connection((host, port), 5) as s: return s.recv(100).decode()\n\
        \x20   except OSError as error: return 'refused'\n\
        atexit.register(lambda: print('at exit', handle(None, ('10.1.2.3', 6379)), flush=True))\n";
    let code =
        shop.unpack(archive(&[("./hello.py", source.as_bytes())])).await.unwrap().layer.digest();
    let endpoint = |host: &str, port| Endpoint { host: host.to_owned(), port };
    let mut spec = shop.spec(code, &[]);
    spec.network = NetworkSpec::Bound(vec![endpoint("db.example", 5432)]);
    shop.pools.set(FUNCTION, Arc::new(Revision::new(spec)));
    let ask = async |host: &str, port: u16, endpoints: Vec<Endpoint>| {
        let payload = serde_json::to_string(&(host, port)).unwrap();
        let call = Call { endpoints: endpoints.into(), ..call(&payload) };
        text(shop.pools.call(FUNCTION, &call).await)
    };
    assert_eq!(ask("db.example", 5432, vec![]).await, "\"db.example:5432\"");
    assert_eq!(ask("127.0.0.1", address.port(), vec![]).await, "\"refused\"");
    assert_eq!(ask("10.1.2.3", 6379, vec![]).await, "\"refused\"");
    let more = vec![endpoint("10.1.2.3", 6379)];
    assert_eq!(ask("10.1.2.3", 6379, more.clone()).await, "\"10.1.2.3:6379\"");
    assert_eq!(shop.pools.counts().starts, 1, "until here it is one worker");
    assert_eq!(ask("10.1.2.3", 6379, vec![]).await, "\"refused\"", "the reach was that call's");
    let said = || shop.pools.function_log(FUNCTION).0.pop().map(|line| line.text);
    until(|| if said().as_deref() == Some("at exit refused") { Ok(()) } else { Err(said()) }).await;
    assert_eq!(ask("10.1.2.3", 6379, more).await, "\"10.1.2.3:6379\"");
    let own = vec![endpoint("db.example", 5432)];
    assert_eq!(ask("db.example", 5432, own.clone()).await, "\"db.example:5432\"");
    assert_eq!(ask("db.example", 5432, own).await, "\"db.example:5432\"");
    let same = vec![endpoint("DB.example", 5432)];
    assert_eq!(ask("db.example", 5432, same.clone()).await, "\"db.example:5432\"");
    assert_eq!(ask("db.example", 5432, same).await, "\"db.example:5432\"", "in other words");
    let counts = shop.pools.counts();
    assert_eq!((counts.starts, counts.crashes), (3, 0), "what is reached anyway costs no worker");
    shop.finish().await;
    server.abort();
}
