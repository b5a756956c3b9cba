//! Commands that write while an instance serves the same database.
//!
//! Reads continue. Writes wait for the command, and fail with `UNAVAILABLE` after the acquire
//! timeout. Counts stay exact.

use futures_util::future::join;
use indicatif::ProgressBar;
use rookery::command::doctor;
use rookery::command::import::edge_list::EdgeListOptions;
use rookery::command::import::pairs::{self, PairKind};

use crate::support::app::TestApp;

const USERS: u32 = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_unavailable_and_reads_succeed_during_a_command() {
    let app = TestApp::with(&["--database-acquire-timeout", "1"]).await;
    let actors = app.actors().await;
    let other_process = app.database_fixture().open().await;
    let command = other_process.begin_exclusive().await.unwrap();
    let follow = "mutation { follow(user: {username: \"mary\"}) { changed } }";
    assert_eq!(actors.john.error(follow).await, "UNAVAILABLE");
    let post = "mutation { createPost(input: {body: \"hello\"}) { post { id } } }";
    assert_eq!(actors.john.error(post).await, "UNAVAILABLE");
    actors.susan.timeline().await;
    command.rollback().await.unwrap();
    assert!(actors.john.follow(&actors.mary).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_after_an_import_during_follows() {
    let app = TestApp::new().await;
    let john = app.register("john").await;
    let folder = tempfile::tempdir().unwrap();
    let other_process = app.database_fixture().open().await;
    let import = async |step: u32| {
        let file = folder.path().join("follows.txt");
        let lines = (0..USERS).map(|user| format!("{user} {}\n", (user + step) % USERS));
        std::fs::write(&file, lines.collect::<String>()).unwrap();
        let options = EdgeListOptions::default();
        let progress = ProgressBar::hidden();
        pairs::run(&other_process, PairKind::Follow, &file, &options, &progress).await.unwrap();
    };
    import(1).await;
    let importing = async {
        for step in 2..6 {
            import(step).await;
        }
    };
    let following = async {
        for user in (0..USERS).step_by(10) {
            john.mutate(&format!("follow(user: {{username: \"u{user}\"}}) {{ changed }}")).await;
        }
    };
    join(importing, following).await;
    let report = doctor::run(&other_process, false, &ProgressBar::hidden()).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
