//! There and back again: equal rows, or none.

use indicatif::ProgressBar;
use sea_orm::{EntityTrait, QueryOrder as _};

use super::*;
use crate::command::testing::Bench;
use crate::command::{seed, token};

async fn copied(from: &Bench, to: &Bench) -> Result<(Summary, Report)> {
    run(&from.db, &to.db, &ProgressBar::hidden()).await
}

async fn rows<E: EntityTrait>(bench: &Bench, key: E::Column) -> Vec<E::Model> {
    E::find().order_by_asc(key).all(bench.db.reader()).await.unwrap()
}

/// The demonstration, and one of everything that it lacks.
async fn filled(bench: Bench) -> Bench {
    seed::demo(&bench.db, "hash").await.unwrap();
    token::create(&bench.db, "susan", 1).await.unwrap();
    bench
        .tamper(
            r#"UPDATE session SET lsn = 77, user_agent = NULL,
                expires_at = '2031-02-03T04:05:06.789012+00:00';
            UPDATE "user" SET display_name = 'Дэвид 🐦', about_me = 'it''s "me"'
                WHERE username = 'david';
            UPDATE "user" SET last_seen_at = '2026-02-03T04:05:06.700+00:00'
                WHERE username = 'mary';
            UPDATE post SET body = 'ærlig \ {"tab":	1}', edited_at = '2026-02-03T04:05:06+00:00'
                WHERE id = (SELECT max(id) FROM post);
            INSERT INTO bookmark (id, user_id, post_id)
                SELECT id, author_id, id FROM post"#,
        )
        .await;
    bench
}

#[tokio::test]
async fn there_and_back_again_every_row_is_the_same() {
    let one = filled(Bench::on_sqlite().await).await;
    let (two, three) = (Bench::new().await, Bench::on_sqlite().await);
    let (summary, report) = copied(&one, &two).await.unwrap();
    assert!(report.is_clean(), "{report}");
    let expected =
        Summary { users: 304, sessions: 1, follows: 4_504, posts: 2_416, bookmarks: 2_416 };
    assert_eq!(summary, expected);
    assert_eq!(copied(&two, &three).await.unwrap().0, expected);
    for copy in [&two, &three] {
        let key = user::Column::Id;
        assert_eq!(rows::<user::Entity>(&one, key).await, rows::<user::Entity>(copy, key).await);
        let key = follow::Column::Id;
        let follows = rows::<follow::Entity>(&one, key).await;
        assert_eq!(follows, rows::<follow::Entity>(copy, key).await);
        let key = post::Column::Id;
        assert_eq!(rows::<post::Entity>(&one, key).await, rows::<post::Entity>(copy, key).await);
        let key = bookmark::Column::Id;
        let bookmarks = rows::<bookmark::Entity>(&one, key).await;
        assert_eq!(bookmarks, rows::<bookmark::Entity>(copy, key).await);
        let key = session::Column::Id;
        let mut sessions = rows::<session::Entity>(&one, key).await;
        assert_eq!(sessions[0].lsn.take(), Some(77));
        assert_eq!(sessions, rows::<session::Entity>(copy, key).await);
    }
    // To the letter, as moments are compared as text there.
    let letters = "SELECT created_at || last_used_at || expires_at FROM session UNION ALL
        SELECT created_at || coalesce(edited_at, '') FROM post UNION ALL
        SELECT created_at || coalesce(last_seen_at, '') FROM \"user\" UNION ALL
        SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1";
    assert_eq!(one.column(letters).await, three.column(letters).await);
}

#[tokio::test]
async fn a_target_with_rows_is_left_as_it_is() {
    let one = filled(Bench::on_sqlite().await).await;
    let two = Bench::new().await;
    let time = "2020-01-01T00:00:00+00:00";
    two.tamper(&format!(
        r#"INSERT INTO "user" (id, username, email, created_at)
            VALUES (5, 'eve', 'eve@example.com', '{time}')"#
    ))
    .await;
    let error = copied(&one, &two).await.unwrap_err().to_string();
    assert!(error.starts_with("the target's table 'user' has 1 rows: "), "{error}");
    assert_eq!((two.count("user").await, two.count("follow").await), (1, 0));
}

#[tokio::test]
async fn half_of_a_copy_is_taken_back() {
    let one = filled(Bench::on_sqlite().await).await;
    one.tamper(
        "PRAGMA foreign_keys = OFF;
        UPDATE bookmark SET user_id = 1 WHERE id = (SELECT max(id) FROM bookmark);
        PRAGMA foreign_keys = ON;",
    )
    .await;
    let two = Bench::new().await;
    let error = format!("{:#}", copied(&one, &two).await.unwrap_err());
    assert!(error.starts_with("nothing was copied: cannot write the table 'bookmark'"), "{error}");
    assert_eq!(error.lines().count(), 1);
    for table in ["user", "session", "follow", "post", "bookmark"] {
        assert_eq!(two.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_copy_has_the_faults_of_its_source_and_says_so() {
    let one = filled(Bench::new().await).await;
    one.tamper(r#"UPDATE "user" SET posts_count = 99 WHERE username = 'john'"#).await;
    let two = Bench::new().await;
    let (_, report) = copied(&one, &two).await.unwrap();
    assert!(report.to_string().contains("john: posts_count is 99, should be 4"), "{report}");
    assert_eq!(two.count("post").await, 2_416);
}

/// On PostgreSQL other instances write to the source meanwhile; on SQLite a service does.
#[tokio::test]
async fn a_copy_is_of_one_moment() {
    let (one, two) = (filled(Bench::new().await).await, Bench::new().await);
    let writing = async {
        for _ in 0..50 {
            let write = r#"UPDATE "user" SET posts_count = posts_count - 1 WHERE id =
                    (SELECT author_id FROM post ORDER BY id LIMIT 1);
                DELETE FROM post WHERE id = (SELECT min(id) FROM post)"#;
            one.tamper(&format!("BEGIN; {write}; COMMIT")).await;
        }
    };
    let (result, ()) = tokio::join!(copied(&one, &two), writing);
    let (_, report) = result.unwrap();
    assert!(report.is_clean(), "{report}");
}
