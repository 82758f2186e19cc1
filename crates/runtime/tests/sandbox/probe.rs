//! What `dispatch doctor` tries.

use dispatch_runtime::probe::{PROGRAM, ProbeError, base_with, run};
use dispatch_runtime::spawn::{Exit, Layer, LayerState};

use crate::support::{Lab, fresh_id, python, root};

#[tokio::test]
async fn a_program_in_a_sandbox_is_heard_and_what_held_it_is_known() {
    let program = std::env::current_exe().unwrap().canonicalize().unwrap();
    let lab = Lab::with(|config| config.base_roots.push(program.clone()));
    let answer = run(&lab.spawner, fresh_id(), root().base, python("print('here')")).await.unwrap();
    assert_eq!(answer.said, "here");
    assert!(matches!(answer.confinement.get(Layer::Namespaces), Some(LayerState::On(_))));
    // An executable from anywhere, with the libraries of the machine.
    let argv = [PROGRAM, "--exact", "no-such-test"].map(str::to_owned).to_vec();
    let answer = run(&lab.spawner, fresh_id(), base_with(&program), argv).await.unwrap();
    assert!(answer.said.contains("0 passed"), "{}", answer.said);
    lab.finish().await;
}

#[tokio::test]
async fn a_program_that_fails_or_is_not_there_is_told_apart() {
    let lab = Lab::new();
    let fails = python("raise SystemExit('broken')");
    let error = run(&lab.spawner, fresh_id(), root().base, fails).await.unwrap_err();
    match error {
        ProbeError::Ended { exit: Exit::Code(1), said } => assert_eq!(said, "broken"),
        other => panic!("{other:?}"),
    }
    let missing = vec!["/usr/bin/no-such-program".to_owned()];
    let error = run(&lab.spawner, fresh_id(), root().base, missing).await.unwrap_err();
    assert!(matches!(error, ProbeError::Spawn(_)), "{error:?}");
    lab.finish().await;
}
