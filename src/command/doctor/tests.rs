//! Damage done on purpose, found and repaired.

use indicatif::ProgressBar;

use super::*;
use crate::command::testing::Bench;
use crate::command::{seed, token};

async fn demo() -> Bench {
    let bench = Bench::new().await;
    seed::demo(&bench.db, "hash").await.unwrap();
    bench
}

async fn examined(bench: &Bench, repair: bool) -> Report {
    run(&bench.db, repair, &ProgressBar::hidden()).await.unwrap()
}

fn checks(findings: &[Finding]) -> Vec<(&str, usize)> {
    findings.iter().map(|finding| (finding.check, finding.count)).collect()
}

#[tokio::test]
async fn wrong_counts_are_named_and_set_right() {
    let bench = demo().await;
    bench
        .tamper(
            r#"UPDATE "user" SET posts_count = 99 WHERE username = 'john';
            UPDATE "user" SET following_count = following_count + 1 WHERE username <> 'john'"#,
        )
        .await;
    let report = examined(&bench, false).await;
    assert_eq!(checks(&report.found), [("following_count", 303), ("posts_count", 1)]);
    let text = report.to_string();
    assert!(text.contains("john: posts_count is 99, should be 4"), "{text}");
    assert!(text.contains("susan: following_count is 2, should be 1"), "{text}");
    assert!(text.contains("\n  and 283 more\n"), "{text}");

    let report = examined(&bench, true).await;
    assert_eq!((report.found.len(), report.is_clean()), (2, true));
    assert!(report.to_string().ends_with("repaired\n"));
    assert!(examined(&bench, true).await.found.is_empty());
}

#[tokio::test]
async fn orphans_are_found_and_deleted() {
    let bench = demo().await;
    token::create(&bench.db, "david", 1).await.unwrap();
    bench
        .tamper(
            r#"INSERT INTO bookmark (id, user_id, post_id)
                SELECT 1, (SELECT id FROM "user" WHERE username = 'susan'), max(id) FROM post"#,
        )
        .await;
    let (before, after) = if bench.is_on_postgres() {
        let before = "ALTER TABLE follow DROP CONSTRAINT follow_follower_id_fkey;
            ALTER TABLE follow DROP CONSTRAINT follow_followed_id_fkey;
            ALTER TABLE post DROP CONSTRAINT post_author_id_fkey;
            ALTER TABLE session DROP CONSTRAINT session_user_id_fkey;";
        (before, "")
    } else {
        ("PRAGMA foreign_keys = OFF;", "PRAGMA foreign_keys = ON;")
    };
    let delete = r#"DELETE FROM "user" WHERE username = 'david';"#;
    bench.tamper(&format!("{before} {delete} {after}")).await;
    let report = examined(&bench, false).await;
    let [orphans] = &report.found[..] else { panic!("{report}") };
    // Two friends and the generated followers, four posts, a session; the bookmark's post is there.
    assert!(orphans.count > 2 + 70 + 4 + 1, "{report}");
    assert!(orphans.named[0].ends_with(" points to a missing user"), "{report}");

    let report = examined(&bench, true).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((bench.count("bookmark").await, bench.count("session").await), (0, 0));
    bench.assert_healthy().await;
}

#[tokio::test]
async fn every_reference_is_looked_at() {
    let bench = Bench::new().await;
    let all = if bench.is_on_postgres() {
        "SELECT concat_ws(' ', conrelid::regclass, attname, replace(confrelid::regclass::text, '\"', ''))
        FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY(conkey)
        WHERE contype = 'f'"
    } else {
        r#"SELECT name || ' ' || "from" || ' ' || "table"
        FROM sqlite_schema JOIN pragma_foreign_key_list(name) WHERE sqlite_schema.type = 'table'"#
    };
    let mut all = bench.column(all).await;
    let mut known = REFERENCES.map(|(table, column, parent)| format!("{table} {column} {parent}"));
    all.sort_unstable();
    known.sort_unstable();
    assert_eq!(all, known);
}

#[tokio::test]
async fn self_follows_are_found_and_deleted() {
    let bench = demo().await;
    let (before, after) = if bench.is_on_postgres() {
        ("ALTER TABLE follow DROP CONSTRAINT follow_check;", "")
    } else {
        ("PRAGMA ignore_check_constraints = ON;", "PRAGMA ignore_check_constraints = OFF;")
    };
    let insert = r#"INSERT INTO follow (id, follower_id, followed_id)
        SELECT 1, id, id FROM "user" WHERE username = 'mary';"#;
    bench.tamper(&format!("{before} {insert} {after}")).await;
    let report = examined(&bench, true).await;
    let found = checks(&report.found);
    assert!(found.contains(&("users follow themselves", 1)), "{report}");
    assert!(report.to_string().contains("mary: follow 1"), "{report}");
    assert!(found.contains(&("followers_count", 1)), "{report}");
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_damaged_index_is_told_of_and_not_repaired() {
    let bench = Bench::on_sqlite().await;
    seed::demo(&bench.db, "hash").await.unwrap();
    bench
        .tamper(
            "PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = 'CREATE INDEX bookmark_user ON bookmark (user_id, id)',
                rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'follow_pair')
            WHERE name = 'bookmark_user';
            PRAGMA writable_schema = RESET;",
        )
        .await;
    let report = examined(&bench, true).await;
    assert_eq!(report.found[0].check, "the file is damaged", "{report}");
    assert!(!report.is_clean());
    assert!(
        report.to_string().contains("repaired, but for this:\nthe file is damaged"),
        "{report}"
    );
}
