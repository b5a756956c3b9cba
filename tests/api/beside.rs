//! Commands beside a service: its reads go on, its writes wait or are given up, and counts stay exact.

use futures_util::future::join;
use indicatif::ProgressBar;
use rookery::command::{doctor, import::edges};

use crate::app::TestApp;

const USERS: u32 = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn while_a_command_writes_there_is_only_reading() {
    let app = TestApp::with(&["--database-acquire-timeout", "1"]).await;
    let cast = app.cast().await;
    let elsewhere = app.place().open().await;
    let command = elsewhere.begin_alone().await.unwrap();
    let follow = "mutation { follow(user: {username: \"mary\"}) { changed } }";
    assert_eq!(cast.john.error(follow).await, "UNAVAILABLE");
    let post = "mutation { createPost(input: {body: \"hello\"}) { post { id } } }";
    assert_eq!(cast.john.error(post).await, "UNAVAILABLE");
    cast.susan.timeline().await;
    command.rollback().await.unwrap();
    assert!(cast.john.follow(&cast.mary).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_service_leaves_exact_counts() {
    let app = TestApp::new().await;
    let john = app.join("john").await;
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = app.place().open().await;
    let import = async |step: u32| {
        let file = folder.path().join("edges.txt");
        let edges = (0..USERS).map(|user| format!("{user} {}\n", (user + step) % USERS));
        std::fs::write(&file, edges.collect::<String>()).unwrap();
        edges::run(&elsewhere, &file, &ProgressBar::hidden()).await.unwrap();
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
    let report = doctor::run(&elsewhere, false, &ProgressBar::hidden()).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
