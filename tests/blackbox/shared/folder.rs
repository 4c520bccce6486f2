//! To whom does the folder of a gateway belong?

use harness::Directory;

use super::{FREE, Once, launcher, launcher_with, origin};

#[tokio::test]
async fn second_gateway_on_one_folder_does_not_start_and_says_what_to_do() {
    let (origin, folder) = (origin().await, Directory::new());
    let dir = folder.path().join("var").display().to_string();
    let launcher = launcher(&origin, &format!("{{dir: '{dir}'}}"));
    let mut first = launcher.start().await;
    let once = Once::spent(&first).await;
    let second = launcher.finish("run").await.expect_code(1).stderr.join("\n");
    assert!(second.contains("farmgate: state.dir: ") && second.contains(&dir), "{second}");
    assert!(second.contains("in use by another process"), "{second}");
    assert!(second.contains("give each gateway a folder of its own"), "{second}");
    assert!(!second.contains("panicked"), "{second}");
    // The first one goes on, and what it leaves when it ends is taken over.
    once.is_refused_by(&first).await;
    first.stop().await;
    once.is_refused_by(&launcher.start().await).await;
}

#[tokio::test]
async fn nonces_that_the_disk_does_not_take_are_counted_and_refused() {
    let origin = origin().await;
    let gw = launcher(&origin, "{dir: '{dir}/var'}").start().await;
    let (nonces, away) = (gw.directory().join("var/nonces"), gw.directory().join("away"));
    std::fs::rename(&nonces, &away).unwrap();
    let once = Once::new();
    let refused = once.to(&gw).send().await.expect_status(503);
    refused.expect_json("/errors/code", "state_unavailable").expect_header("Retry-After", "1");
    assert_eq!(gw.metric("farmgate_nonce_write_failures_total", &[]).await, Some(1.0));
    std::fs::rename(&away, &nonces).unwrap();
    once.to(&gw).send().await.expect_status(200);
}

#[tokio::test]
async fn folder_that_cannot_be_written_is_named_with_what_to_do() {
    let origin = origin().await;
    // Permissions would not stop root, in whose name tests may run: a file in the way stops all.
    let states = [
        ("{dir: '{dir}/conf/gateway.yaml'}", "conf/gateway.yaml"),
        ("{dir: '{dir}/conf/gateway.yaml/var'}", "conf/gateway.yaml/var"),
        ("{dir: '{dir}/busy'}", "busy/nonces"),
    ];
    for (state, place) in states {
        let launcher = launcher(&origin, state).file("busy/nonces", "not a folder");
        let said = launcher.finish("run").await.expect_code(1).stderr.join("\n");
        assert!(said.contains("farmgate: state.dir: ") && said.contains(place), "{said}");
        assert!(said.contains("the gateway must be able to"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn folder_of_secrets_is_for_the_gateway_alone() {
    use std::os::unix::fs::PermissionsExt;
    let origin = origin().await;
    let gw = launcher_with(&origin, "state: {dir: '{dir}/made/for/it'}", &[FREE]).start().await;
    let made = std::fs::metadata(gw.directory().join("made/for/it")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o700);
}
