//! A copy has the same rows as its source, or none.

use entity::{bookmark, follow, like, mail, mail_token, notification, post, session, user};
use indicatif::ProgressBar;
use sea_orm::{EntityTrait, QueryOrder as _};

use super::*;
use crate::command::testing::TestDatabase;
use crate::command::{seed, token};

async fn copy(from: &TestDatabase, to: &TestDatabase) -> Result<(Summary, Report)> {
    run(&from.db, &to.db, &ProgressBar::hidden()).await
}

/// All rows of a table, ordered by `key`.
async fn rows<E: EntityTrait>(database: &TestDatabase, key: E::Column) -> Vec<E::Model> {
    E::find().order_by_asc(key).all(database.db.reader()).await.unwrap()
}

/// Adds the demo data, and rows of the tables and values that the demo data lack.
async fn fill(database: TestDatabase) -> TestDatabase {
    seed::demo(&database.db, "$argon2id$hash").await.unwrap();
    token::create(&database.db, "susan", 1).await.unwrap();
    database
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
                SELECT id, author_id, id FROM post;
            DELETE FROM "like";
            INSERT INTO "like" (id, user_id, post_id)
                SELECT id, (SELECT min(id) FROM "user" WHERE id <> author_id), id FROM post;
            UPDATE post SET likes_count = 1;
            INSERT INTO notification (id, user_id, kind, actor_id, post_id)
                SELECT "like".id, author_id, 3, user_id, post_id
                FROM "like" JOIN post ON post.id = post_id;
            UPDATE notification SET kind = 0, post_id = NULL,
                user_id = (SELECT followed_id FROM follow ORDER BY id LIMIT 1),
                actor_id = (SELECT follower_id FROM follow ORDER BY id LIMIT 1)
                WHERE id = (SELECT max(id) FROM notification);
            UPDATE "user" SET notifications_read_id = id, email_verified = true
                WHERE username <> 'mary';
            INSERT INTO mail (id, kind, email, attempts, due_at)
                VALUES (7, 1, 'john@example.com', 2, '2026-12-02T03:04:05.600+00:00');
            INSERT INTO mail_token (id, user_id, kind, email, token_hash, expires_at)
                SELECT id, user_id, 0, 'susan@example.com', token_hash, expires_at FROM session"#,
        )
        .await;
    database
}

#[tokio::test]
async fn copy_and_copy_back_keep_every_row() {
    let source = fill(TestDatabase::on_sqlite().await).await;
    let (target, back) = (TestDatabase::new().await, TestDatabase::on_sqlite().await);
    let (summary, report) = copy(&source, &target).await.unwrap();
    assert!(report.is_clean(), "{report}");
    for (table, rows) in [
        ("user", 304),
        ("session", 1),
        ("follow", 4_504),
        ("post", 2_416),
        ("bookmark", 2_416),
        ("like", 2_416),
        ("notification", 2_416),
        ("mail", 1),
        ("mail_token", 1),
    ] {
        assert_eq!(summary.rows(table), rows, "{table}");
    }
    assert_eq!(copy(&target, &back).await.unwrap().0, summary);
    for copied in [&target, &back] {
        let key = user::Column::Id;
        assert_eq!(
            rows::<user::Entity>(&source, key).await,
            rows::<user::Entity>(copied, key).await
        );
        let key = follow::Column::Id;
        let follows = rows::<follow::Entity>(&source, key).await;
        assert_eq!(follows, rows::<follow::Entity>(copied, key).await);
        let key = post::Column::Id;
        assert_eq!(
            rows::<post::Entity>(&source, key).await,
            rows::<post::Entity>(copied, key).await
        );
        let key = bookmark::Column::Id;
        let bookmarks = rows::<bookmark::Entity>(&source, key).await;
        assert_eq!(bookmarks, rows::<bookmark::Entity>(copied, key).await);
        let key = like::Column::Id;
        assert_eq!(
            rows::<like::Entity>(&source, key).await,
            rows::<like::Entity>(copied, key).await
        );
        let key = notification::Column::Id;
        let notifications = rows::<notification::Entity>(&source, key).await;
        assert_eq!(notifications, rows::<notification::Entity>(copied, key).await);
        let key = mail::Column::Id;
        assert_eq!(
            rows::<mail::Entity>(&source, key).await,
            rows::<mail::Entity>(copied, key).await
        );
        let key = mail_token::Column::Id;
        let tokens = rows::<mail_token::Entity>(&source, key).await;
        assert_eq!(tokens, rows::<mail_token::Entity>(copied, key).await);
        let key = session::Column::Id;
        let mut sessions = rows::<session::Entity>(&source, key).await;
        assert_eq!(sessions[0].lsn.take(), Some(77));
        assert_eq!(sessions, rows::<session::Entity>(copied, key).await);
    }
    // SQLite compares times as text, so their text must be the same too.
    let texts = "SELECT created_at || last_used_at || expires_at FROM session UNION ALL
        SELECT created_at || coalesce(edited_at, '') FROM post UNION ALL
        SELECT created_at || coalesce(last_seen_at, '') FROM \"user\" UNION ALL
        SELECT due_at FROM mail UNION ALL SELECT expires_at FROM mail_token UNION ALL
        SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1";
    assert_eq!(source.column(texts).await, back.column(texts).await);
}

#[tokio::test]
async fn target_with_rows_is_rejected_and_unchanged() {
    let source = fill(TestDatabase::on_sqlite().await).await;
    let target = TestDatabase::new().await;
    let time = "2020-01-01T00:00:00+00:00";
    target
        .tamper(&format!(
            r#"INSERT INTO "user" (id, username, email, created_at)
            VALUES (5, 'eve', 'eve@example.com', '{time}')"#
        ))
        .await;
    let error = copy(&source, &target).await.unwrap_err().to_string();
    assert!(error.starts_with("the target's table 'user' has 1 rows: "), "{error}");
    assert_eq!((target.count("user").await, target.count("follow").await), (1, 0));
}

#[tokio::test]
async fn failed_copy_is_rolled_back() {
    let source = fill(TestDatabase::on_sqlite().await).await;
    source
        .tamper(
            "PRAGMA foreign_keys = OFF;
            UPDATE bookmark SET user_id = 1 WHERE id = (SELECT max(id) FROM bookmark);
            PRAGMA foreign_keys = ON;",
        )
        .await;
    let target = TestDatabase::new().await;
    let error = format!("{:#}", copy(&source, &target).await.unwrap_err());
    assert!(error.starts_with("nothing was copied: cannot write the table 'bookmark'"), "{error}");
    assert_eq!(error.lines().count(), 1);
    for table in TABLES.iter().map(|table| table.name) {
        assert_eq!(target.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn problems_of_the_source_are_copied_and_reported() {
    let source = fill(TestDatabase::new().await).await;
    source.tamper(r#"UPDATE "user" SET posts_count = 99 WHERE username = 'john'"#).await;
    let target = TestDatabase::new().await;
    let (_, report) = copy(&source, &target).await.unwrap();
    assert!(report.to_string().contains("john: posts_count is 99, should be 4"), "{report}");
    assert_eq!(target.count("post").await, 2_416);
}

/// The servers of the source may write meanwhile, on SQLite and on PostgreSQL.
#[tokio::test]
async fn copy_during_writes_is_consistent() {
    let (source, target) = (fill(TestDatabase::new().await).await, TestDatabase::new().await);
    let writing = async {
        for _ in 0..50 {
            let write = r#"UPDATE "user" SET posts_count = posts_count - 1 WHERE id =
                    (SELECT author_id FROM post ORDER BY id LIMIT 1);
                DELETE FROM feed_item WHERE id = (SELECT min(id) FROM post);
                DELETE FROM post WHERE id = (SELECT min(id) FROM post)"#;
            source.tamper(&format!("BEGIN; {write}; COMMIT")).await;
        }
    };
    let (result, ()) = tokio::join!(copy(&source, &target), writing);
    let (_, report) = result.unwrap();
    assert!(report.is_clean(), "{report}");
}
