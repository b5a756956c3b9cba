//! An import of follows: all of a file or nothing, packed or not, and the doctor has nothing to say afterwards.
#![no_main]

use std::sync::Mutex;

use indicatif::ProgressBar;
use libfuzzer_sys::fuzz_target;
use rookery::command::doctor;
use rookery::command::import::edges;
use rookery_fuzz::SERVICE;

static TURN: Mutex<()> = Mutex::new(());

fuzz_target!(|file: &[u8]| {
    let _turn = TURN.lock().expect("nobody else");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("edges.txt");
    std::fs::write(&path, file).expect("a file");
    let database = &SERVICE.app.database;
    SERVICE.runtime.block_on(async {
        let progress = ProgressBar::hidden();
        let Ok(first) = edges::run(database, &path, &progress).await else { return };
        let again = edges::run(database, &path, &progress).await.expect("what was good before");
        assert_eq!((again.edges, again.users_added, again.follows_added), (first.edges, 0, 0));
        let report = doctor::run(database, false, &progress).await.expect("a report");
        assert!(report.is_clean(), "{report}");
    });
});
