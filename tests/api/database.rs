//! The tables: made and taken back step by step, in step with the entities, strict about what they
//! hold, and indexed so that no list is ever sorted.

use std::collections::BTreeMap;

use entity::{bookmark, event, follow, post, session, user};
use migration::{Migrator, MigratorTrait as _};
use rookery::app::App;
use rookery::command::migrate::{Migrate, migrate};
use rookery::database::{Database, Engine};
use sea_orm::{ConnectionTrait as _, QueryResult, Schema, TryGetable};

use crate::app::{Place, TestApp, config};

/// Tables and indexes, but for the migrations' own.
fn sql_of_all(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "SELECT name, sql FROM sqlite_master
             WHERE name NOT LIKE 'sqlite_%' AND tbl_name <> 'seaql_migrations' ORDER BY name"
        }
        Engine::Postgres => {
            "SELECT indexname::text AS name, indexdef AS sql FROM pg_indexes
             WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'
             UNION ALL SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
             WHERE connamespace = 'public'::regnamespace
             AND conrelid <> 'seaql_migrations'::regclass
             UNION ALL SELECT table_name || '.' || column_name,
             concat_ws(' ', data_type, is_nullable, collation_name, column_default)
             FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'
             ORDER BY name, sql"
        }
    }
}

fn names_of_tables(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'seaql_migrations'"
        }
        Engine::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.tables
             WHERE table_schema = 'public' AND table_name <> 'seaql_migrations'"
        }
    }
}

async fn rows(database: &Database, sql: &str) -> Vec<QueryResult> {
    database.writer().query_all_raw(database.statement(sql, [])).await.unwrap()
}

async fn column<T: TryGetable>(database: &Database, sql: &str, name: &str) -> Vec<T> {
    rows(database, sql).await.iter().map(|row| row.try_get("", name).unwrap()).collect()
}

#[tokio::test]
async fn every_step_goes_down_and_up_again() {
    let place = Place::new().await;
    let database = place.open().await;
    migrate(&database, &Migrate::Up).await.unwrap();
    let all = sql_of_all(database.engine());
    let before: Vec<Option<String>> = column(&database, all, "sql").await;
    assert!(before.len() > 5, "{before:?}");
    let mut names: Vec<String> =
        column(&database, names_of_tables(database.engine()), "name").await;
    for _ in Migrator::migrations() {
        migrate(&database, &Migrate::Down { steps: 1 }).await.unwrap();
        let left: Vec<String> = column(&database, names_of_tables(database.engine()), "name").await;
        assert!(left.iter().all(|name| names.contains(name)), "{left:?} of {names:?}");
        names = left;
    }
    assert_eq!((rows(&database, all).await.len(), names.len()), (0, 0));
    migrate(&database, &Migrate::Up).await.unwrap();
    migrate(&database, &Migrate::Up).await.unwrap();
    let after: Vec<Option<String>> = column(&database, all, "sql").await;
    assert_eq!(before, after);
}

/// Of each column: what the engine makes of its type, whether it may be null, whether it is the key.
type Columns = BTreeMap<String, (String, bool, bool)>;

async fn tables(database: &Database) -> BTreeMap<String, Columns> {
    let mut tables = BTreeMap::new();
    for table in column::<String>(database, names_of_tables(database.engine()), "name").await {
        let columns = match database.engine() {
            Engine::Sqlite => columns_in_file(database, &table).await,
            Engine::Postgres => columns_on_server(database, &table).await,
        };
        tables.insert(table, columns);
    }
    tables
}

async fn columns_in_file(database: &Database, table: &str) -> Columns {
    let columns = rows(database, &format!("PRAGMA table_info(\"{table}\")")).await;
    let column = |row: &QueryResult| {
        let (ty, not_null, key): (String, bool, bool) =
            (row.try_get_by(2).unwrap(), row.try_get_by(3).unwrap(), row.try_get_by(5).unwrap());
        (row.try_get_by(1).unwrap(), (affinity(&ty).to_owned(), !not_null, key))
    };
    columns.iter().map(column).collect()
}

async fn columns_on_server(database: &Database, table: &str) -> Columns {
    let sql = format!(
        "SELECT attname::text AS name, atttypid::regtype::text AS type, NOT attnotnull AS nullable,
         attnum = ANY(coalesce(conkey, '{{}}')) AS key
         FROM pg_attribute LEFT JOIN pg_constraint ON conrelid = attrelid AND contype = 'p'
         WHERE attrelid = '\"{table}\"'::regclass AND attnum > 0 AND NOT attisdropped"
    );
    let column = |row: &QueryResult| {
        let get = |name| row.try_get("", name).unwrap();
        (
            row.try_get("", "name").unwrap(),
            (row.try_get("", "type").unwrap(), get("nullable"), get("key")),
        )
    };
    rows(database, &sql).await.iter().map(column).collect()
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
    let (one, other) = (Place::new().await, Place::new().await);
    let (migrated, described) = (one.open().await, other.open().await);
    migrated.migrate().await.unwrap();
    migrate(&described, &Migrate::Down { steps: 100 }).await.unwrap();
    let schema = Schema::new(described.writer().get_database_backend());
    for table in [
        schema.create_table_from_entity(user::Entity),
        schema.create_table_from_entity(session::Entity),
        schema.create_table_from_entity(follow::Entity),
        schema.create_table_from_entity(post::Entity),
        schema.create_table_from_entity(bookmark::Entity),
        schema.create_table_from_entity(event::Entity),
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
             VALUES (4, 1, {}, {then}, {then}, {then})",
            if app.is_on_postgres() { "'\\x00'" } else { "x'00'" }
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
        // SQLite says "UNIQUE constraint failed", PostgreSQL "violates unique constraint".
        let reason = if app.is_on_postgres() {
            &reason.to_lowercase().replace("not null", "not-null")
        } else {
            reason
        };
        assert!(refused.contains(&format!("{reason} constraint")), "{sql}: {refused}");
    }
    let reader = database.reader().execute_unprepared("DELETE FROM follow").await;
    let refused = reader.unwrap_err().to_string();
    assert!(refused.replace('-', "").contains("readonly"), "readers do not write: {refused}");
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
    let place = Place::new().await;
    let database = place.open().await;
    database.migrate().await.unwrap();
    let future = "INSERT INTO seaql_migrations (version, applied_at)
        VALUES ('m20991231_000001_future', 0)";
    database.writer().execute_unprepared(future).await.unwrap();
    let url = place.url();
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
            let value = if order == "id" { "5" } else { "'m'" };
            let sql = format!(
                "SELECT id FROM {table} WHERE {of} AND {order} {beyond} {value}
                 ORDER BY {order} {direction} LIMIT 20"
            );
            if app.is_on_postgres() {
                let plan = plan_on_server(app.database(), &sql).await;
                let index = index.replace("PRIMARY KEY", &format!("{table}_pkey"));
                assert!(plan.contains(&index) && !plan.contains("Sort"), "{sql}: {plan}");
            } else {
                let sql = format!("EXPLAIN QUERY PLAN {sql}");
                let plan: Vec<String> = column(app.database(), &sql, "detail").await;
                let [step] = plan.as_slice() else { panic!("{sql}: {plan:?}") };
                assert!(step.starts_with("SEARCH") && step.contains(index), "{sql}: {plan:?}");
            }
        }
    }
}

/// As if the tables were too large to be read whole.
async fn plan_on_server(database: &Database, sql: &str) -> String {
    let transaction = database.begin().await.unwrap();
    let large = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
    transaction.execute_unprepared(large).await.unwrap();
    let explain = database.statement(&format!("EXPLAIN {sql}"), []);
    let plan = transaction.query_all_raw(explain).await.unwrap();
    let lines: Vec<String> = plan.iter().map(|row| row.try_get_by(0).unwrap()).collect();
    lines.join("\n")
}
