//! Fuzzes the import of follows.
//!
//! A failed import changes nothing, a second import adds nothing, and `doctor` finds no problem.
//!
//! The input is the file, plain or gzip. The seed inputs are in `tests/corpus/follows`.
#![no_main]

use std::sync::Mutex;

use indicatif::ProgressBar;
use libfuzzer_sys::fuzz_target;
use rookery::command::doctor;
use rookery::command::import::edge_list::EdgeListOptions;
use rookery::command::import::pairs::{self, PairKind};
use rookery_fuzz::SERVICE;

/// Serialises the imports, which share one database.
static IMPORT: Mutex<()> = Mutex::new(());

fuzz_target!(|file: &[u8]| {
    let _import = IMPORT.lock().expect("no other import panicked");
    let folder = tempfile::tempdir().expect("create a folder");
    let path = folder.path().join("follows.txt");
    std::fs::write(&path, file).expect("write the file");
    let database = &SERVICE.app.database;
    SERVICE.runtime.block_on(async {
        let progress = ProgressBar::hidden();
        let options = EdgeListOptions::default();
        let Ok(first) = pairs::run(database, PairKind::Follow, &path, &options, &progress).await
        else {
            return;
        };
        let first = first.summary;
        let second = pairs::run(database, PairKind::Follow, &path, &options, &progress).await;
        let second = second.expect("import it again").summary;
        let added = (second.pairs_read, second.users_added, second.pairs_added);
        assert_eq!(added, (first.pairs_read, 0, 0));
        let report = doctor::run(database, false, &progress).await.expect("run the checks");
        assert!(report.is_clean(), "{report}");
    });
});
