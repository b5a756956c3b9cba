//! The tables: made and taken back step by step, in step with the entities, strict about what they
//! hold, and indexed so that no list is ever sorted.

use std::collections::BTreeMap;

use entity::{bookmark, follow, post, session, user};
use migration::{Migrator, MigratorTrait as _};
use rookery::app::App;
use rookery::command::migrate::{Migrate, migrate};
use rookery::database::Database;
use sea_orm::{ConnectionTrait as _, QueryResult, Schema, TryGetable};
use tempfile::TempDir;

use crate::app::{TestApp, config};

/// Tables and indexes, but for the migrations' own.
const SQL_OF_ALL: &str = "SELECT name, sql FROM sqlite_master
    WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'seaql_migrations' ORDER BY name";

async fn empty(folder: &TempDir) -> Database {
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    Database::open(&url, 1).await.unwrap()
}

async fn rows(database: &Database, sql: &str) -> Vec<QueryResult> {
    database.writer().query_all_raw(database.statement(sql, [])).await.unwrap()
}

async fn column<T: TryGetable>(database: &Database, sql: &str, name: &str) -> Vec<T> {
    rows(database, sql).await.iter().map(|row| row.try_get("", name).unwrap()).collect()
}

#[tokio::test]
async fn every_step_goes_down_and_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty(&folder).await;
    migrate(&database, &Migrate::Up).await.unwrap();
    let before: Vec<Option<String>> = column(&database, SQL_OF_ALL, "sql").await;
    assert!(before.len() > 5, "{before:?}");
    let tables =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'seaql_migrations'";
    for left in (0..Migrator::migrations().len()).rev() {
        migrate(&database, &Migrate::Down { steps: 1 }).await.unwrap();
        let tables: Vec<String> = column(&database, tables, "name").await;
        assert_eq!(tables.len(), left, "{tables:?}");
    }
    assert_eq!(rows(&database, SQL_OF_ALL).await.len(), 0);
    migrate(&database, &Migrate::Up).await.unwrap();
    migrate(&database, &Migrate::Up).await.unwrap();
    let after: Vec<Option<String>> = column(&database, SQL_OF_ALL, "sql").await;
    assert_eq!(before, after);
}

/// Of each column: what the engine makes of its type, whether it may be null, whether it is the key.
type Columns = BTreeMap<String, (&'static str, bool, bool)>;

async fn tables(database: &Database) -> BTreeMap<String, Columns> {
    let mut tables = BTreeMap::new();
    let sql = format!("SELECT name FROM ({SQL_OF_ALL}) WHERE sql LIKE 'CREATE TABLE%'");
    for table in column::<String>(database, &sql, "name").await {
        let columns = rows(database, &format!("PRAGMA table_info(\"{table}\")")).await;
        let columns = columns.iter().map(|row| {
            let (ty, not_null, key): (String, bool, bool) = (
                row.try_get_by(2).unwrap(),
                row.try_get_by(3).unwrap(),
                row.try_get_by(5).unwrap(),
            );
            (row.try_get_by(1).unwrap(), (affinity(&ty), !not_null, key))
        });
        tables.insert(table, columns.collect());
    }
    tables
}

/// By the rules of the engine.
fn affinity(ty: &str) -> &'static str {
    let ty = ty.to_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| ty.contains(word));
    match () {
        () if has(&["INT"]) => "INTEGER",
        () if has(&["CHAR", "CLOB", "TEXT"]) => "TEXT",
        () if has(&["BLOB"]) || ty.is_empty() => "BLOB",
        () if has(&["REAL", "FLOA", "DOUB"]) => "REAL",
        () => "NUMERIC",
    }
}

#[tokio::test]
async fn entities_and_tables_agree() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (migrated, described) = (empty(&one).await, empty(&other).await);
    migrated.migrate().await.unwrap();
    let schema = Schema::new(described.writer().get_database_backend());
    for table in [
        schema.create_table_from_entity(user::Entity),
        schema.create_table_from_entity(session::Entity),
        schema.create_table_from_entity(follow::Entity),
        schema.create_table_from_entity(post::Entity),
        schema.create_table_from_entity(bookmark::Entity),
    ] {
        described.writer().execute(&table).await.unwrap();
    }
    assert_eq!(tables(&migrated).await, tables(&described).await);
}

/// Three users, of whom the first follows the second, and a post with a bookmark.
async fn filled(app: &TestApp) -> &Database {
    let then = "'2026-11-23T18:30:00+00:00'";
    for sql in [
        format!(
            "INSERT INTO \"user\" (id, username, email, created_at) VALUES
             (1, 'john', 'john@example.com', {then}), (2, 'Susan', 'susan@example.com', {then}),
             (3, 'mary', 'mary@example.com', {then})"
        ),
        format!(
            "INSERT INTO session (id, user_id, token_hash, created_at, last_used_at, expires_at)
             VALUES (4, 1, x'00', {then}, {then}, {then})"
        ),
        "INSERT INTO follow (id, follower_id, followed_id) VALUES (5, 1, 2)".to_owned(),
        format!("INSERT INTO post (id, author_id, body, created_at) VALUES (6, 1, 'Hi', {then})"),
        "INSERT INTO bookmark (id, user_id, post_id) VALUES (7, 2, 6)".to_owned(),
    ] {
        app.database().writer().execute_unprepared(&sql).await.unwrap();
    }
    app.database()
}

#[tokio::test]
async fn the_tables_refuse_what_must_not_be() {
    let app = TestApp::new().await;
    let database = filled(&app).await;
    let insert_user = "INSERT INTO \"user\" (id, created_at, username, email) VALUES (9, 'now', ";
    for (sql, reason) in [
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 3, 3)", "CHECK"),
        ("UPDATE follow SET follower_id = followed_id", "CHECK"),
        ("UPDATE \"user\" SET followers_count = -1", "CHECK"),
        ("UPDATE \"user\" SET following_count = following_count - 1", "CHECK"),
        ("UPDATE \"user\" SET posts_count = -1 WHERE id = 3", "CHECK"),
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 1, 2)", "UNIQUE"),
        ("INSERT INTO bookmark (id, user_id, post_id) VALUES (9, 2, 6)", "UNIQUE"),
        (&format!("{insert_user} 'JOHN', 'other@example.com')"), "UNIQUE"),
        (&format!("{insert_user} 'susan', 'other@example.com')"), "UNIQUE"),
        (&format!("{insert_user} 'other', 'john@example.com')"), "UNIQUE"),
        (&format!("{insert_user} 'other', NULL)"), "NOT NULL"),
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 1, 99)", "FOREIGN KEY"),
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 99, 1)", "FOREIGN KEY"),
        ("UPDATE post SET author_id = 99", "FOREIGN KEY"),
        ("INSERT INTO bookmark (id, user_id, post_id) VALUES (9, 1, 99)", "FOREIGN KEY"),
        ("UPDATE session SET user_id = 99", "FOREIGN KEY"),
    ] {
        let refused = database.writer().execute_unprepared(sql).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("{reason} constraint failed")), "{sql}: {refused}");
    }
    let reader = database.reader().execute_unprepared("DELETE FROM follow").await;
    assert!(reader.unwrap_err().to_string().contains("readonly"), "readers do not write");
}

#[tokio::test]
async fn what_hangs_on_a_row_goes_with_it() {
    let app = TestApp::new().await;
    let database = filled(&app).await;
    database.writer().execute_unprepared("DELETE FROM \"user\" WHERE id = 1").await.unwrap();
    for table in ["session", "follow", "post", "bookmark"] {
        let left: Vec<i64> = column(database, &format!("SELECT id FROM {table}"), "id").await;
        assert_eq!(left, Vec::<i64>::new(), "{table}");
    }
    assert_eq!(database.largest_key().await.unwrap(), 3);
}

#[tokio::test]
async fn a_database_from_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty(&folder).await;
    database.migrate().await.unwrap();
    let future = "INSERT INTO seaql_migrations (version, applied_at)
        VALUES ('m20991231_000001_future', 0)";
    database.writer().execute_unprepared(future).await.unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let refused = [
        database.migrate().await.unwrap_err(),
        migrate(&database, &Migrate::Down { steps: 1 }).await.unwrap_err(),
        migrate(&database, &Migrate::Status).await.unwrap_err(),
        App::build(&config(&url, &[])).await.err().unwrap(),
    ];
    for error in refused {
        let error = error.to_string();
        assert!(error.contains("comes from a newer version of Rookery"), "{error}");
        assert!(error.contains("m20991231_000001_future"), "{error}");
    }
    assert_eq!(rows(&database, "SELECT * FROM post").await.len(), 0, "the tables are still there");
}

/// Each list is read off an index, in either direction, from any place in it.
#[tokio::test]
async fn no_list_is_sorted() {
    let app = TestApp::new().await;
    let lists = [
        ("follow", "followed_id = 1", "id", "follow_followers"),
        ("follow", "follower_id = 1", "id", "follow_following"),
        ("post", "author_id = 1", "id", "post_author"),
        ("bookmark", "user_id = 1", "id", "bookmark_user"),
        ("session", "user_id = 1", "id", "session_user"),
        ("post", "true", "id", "PRIMARY KEY"),
        ("\"user\"", "true", "lower(username)", "user_username"),
    ];
    for (table, of, order, index) in lists {
        for (beyond, direction) in [("<", "DESC"), (">", "ASC")] {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT id FROM {table} WHERE {of} AND {order} {beyond} 5
                 ORDER BY {order} {direction} LIMIT 20"
            );
            let plan: Vec<String> = column(app.database(), &sql, "detail").await;
            let [step] = plan.as_slice() else { panic!("{sql}: {plan:?}") };
            assert!(step.starts_with("SEARCH") && step.contains(index), "{sql}: {plan:?}");
        }
    }
}
