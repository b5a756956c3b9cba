//! The database schema: migrations, columns, constraints and indexes.
//!
//! Each migration can be reverted and applied again. The columns agree with the entities.
//! Constraints reject inconsistent rows. Every list is read in order from an index, without a sort.

use std::collections::BTreeMap;

use entity::{TABLES, event, event_part, for_each_table};
use migration::{Migrator, MigratorTrait as _};
use rookery::app::App;
use rookery::command::migrate::{Migrate, migrate};
use rookery::database::{Database, Engine};
use sea_orm::{ConnectionTrait as _, QueryResult, Schema, TryGetable};

use crate::support::app::{TestApp, TestDatabase, config};

/// A query for the schema's definitions, except those of the migrator's table.
///
/// These are tables and indexes on SQLite, and indexes, constraints and columns on PostgreSQL.
fn definitions_sql(engine: Engine) -> &'static str {
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

/// A query for the names of all tables except those of the migrator.
fn table_names_sql(engine: Engine) -> &'static str {
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
async fn reverting_and_reapplying_all_migrations_restores_the_schema() {
    let fixture = TestDatabase::new().await;
    let database = fixture.open().await;
    migrate(&database, &Migrate::Up).await.unwrap();
    let definitions = definitions_sql(database.engine());
    let before: Vec<Option<String>> = column(&database, definitions, "sql").await;
    assert!(before.len() > 5, "{before:?}");
    let mut names: Vec<String> =
        column(&database, table_names_sql(database.engine()), "name").await;
    for _ in Migrator::migrations() {
        migrate(&database, &Migrate::Down { steps: 1 }).await.unwrap();
        let remaining: Vec<String> =
            column(&database, table_names_sql(database.engine()), "name").await;
        assert!(remaining.iter().all(|name| names.contains(name)), "{remaining:?} of {names:?}");
        names = remaining;
    }
    assert_eq!((rows(&database, definitions).await.len(), names.len()), (0, 0));
    migrate(&database, &Migrate::Up).await.unwrap();
    migrate(&database, &Migrate::Up).await.unwrap();
    let after: Vec<Option<String>> = column(&database, definitions, "sql").await;
    assert_eq!(before, after);
}

/// The columns of a table by name.
///
/// Of each: the engine's type, whether it is nullable, whether it is in the primary key.
type Columns = BTreeMap<String, (String, bool, bool)>;

async fn tables(database: &Database) -> BTreeMap<String, Columns> {
    let mut tables = BTreeMap::new();
    let names = column::<String>(database, table_names_sql(database.engine()), "name").await;
    // The search indexes have no entities.
    for table in names.into_iter().filter(|name| !name.contains("_search")) {
        let columns = match database.engine() {
            Engine::Sqlite => sqlite_columns(database, &table).await,
            Engine::Postgres => postgres_columns(database, &table).await,
        };
        tables.insert(table, columns);
    }
    tables
}

async fn sqlite_columns(database: &Database, table: &str) -> Columns {
    let columns = rows(database, &format!("PRAGMA table_info(\"{table}\")")).await;
    let column = |row: &QueryResult| {
        let (ty, not_null, key): (String, bool, bool) =
            (row.try_get_by(2).unwrap(), row.try_get_by(3).unwrap(), row.try_get_by(5).unwrap());
        (row.try_get_by(1).unwrap(), (affinity(&ty).to_owned(), !not_null, key))
    };
    columns.iter().map(column).collect()
}

async fn postgres_columns(database: &Database, table: &str) -> Columns {
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

/// The type affinity in SQLite of a declared type.
///
/// Section 3.1 of <https://sqlite.org/datatype3.html> has the rules.
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
async fn migrated_tables_have_the_columns_of_the_entities() {
    let fixtures = (TestDatabase::new().await, TestDatabase::new().await);
    let (migrated, described) = (fixtures.0.open().await, fixtures.1.open().await);
    migrated.migrate().await.unwrap();
    migrate(&described, &Migrate::Down { steps: 100 }).await.unwrap();
    let schema = Schema::new(described.writer().get_database_backend());
    let mut entities = vec![
        schema.create_table_from_entity(event::Entity),
        schema.create_table_from_entity(event_part::Entity),
    ];
    for_each_table!(E, _table => { entities.push(schema.create_table_from_entity(E::default())); });
    for table in entities {
        described.writer().execute(&table).await.unwrap();
    }
    assert_eq!(tables(&migrated).await, tables(&described).await);
}

/// Inserts three users, a session, a follow, a post, a bookmark and a like.
async fn insert_rows(app: &TestApp) -> &Database {
    let at = "'2026-11-23T18:30:00+00:00'";
    for sql in [
        format!(
            "INSERT INTO \"user\" (id, username, email, created_at) VALUES
             (1, 'john', 'john@example.com', {at}), (2, 'Susan', 'susan@example.com', {at}),
             (3, 'mary', 'mary@example.com', {at})"
        ),
        format!(
            "INSERT INTO session (id, user_id, token_hash, created_at, last_used_at, expires_at)
             VALUES (4, 1, {}, {at}, {at}, {at})",
            if app.is_on_postgres() { "'\\x00'" } else { "x'00'" }
        ),
        "INSERT INTO follow (id, follower_id, followed_id) VALUES (5, 1, 2)".to_owned(),
        format!("INSERT INTO post (id, author_id, body, created_at) VALUES (6, 1, 'Hi', {at})"),
        "INSERT INTO feed_item (actor_id, id, post_id, kind) VALUES (1, 6, 6, 0)".to_owned(),
        "INSERT INTO bookmark (id, user_id, post_id) VALUES (7, 2, 6)".to_owned(),
        "INSERT INTO \"like\" (id, user_id, post_id) VALUES (8, 2, 6)".to_owned(),
    ] {
        app.database().writer().execute_unprepared(&sql).await.unwrap();
    }
    app.database()
}

#[tokio::test]
async fn constraints_reject_inconsistent_rows() {
    let app = TestApp::new().await;
    let database = insert_rows(&app).await;
    let insert_user = "INSERT INTO \"user\" (id, created_at, username, email) VALUES (9, 'now', ";
    for (sql, constraint) in [
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 3, 3)", "CHECK"),
        ("UPDATE follow SET follower_id = followed_id", "CHECK"),
        ("UPDATE \"user\" SET followers_count = -1", "CHECK"),
        ("UPDATE \"user\" SET following_count = following_count - 1", "CHECK"),
        ("UPDATE \"user\" SET posts_count = -1 WHERE id = 3", "CHECK"),
        ("INSERT INTO follow (id, follower_id, followed_id) VALUES (9, 1, 2)", "UNIQUE"),
        ("INSERT INTO bookmark (id, user_id, post_id) VALUES (9, 2, 6)", "UNIQUE"),
        ("INSERT INTO feed_item (actor_id, id, post_id, kind) VALUES (2, 6, 6, 2)", "UNIQUE"),
        ("INSERT INTO \"like\" (id, user_id, post_id) VALUES (9, 2, 6)", "UNIQUE"),
        ("INSERT INTO \"like\" (id, user_id, post_id) VALUES (9, 2, 99)", "FOREIGN KEY"),
        ("UPDATE post SET likes_count = likes_count - 1", "CHECK"),
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
        let error = database.writer().execute_unprepared(sql).await.unwrap_err().to_string();
        // "UNIQUE constraint failed" on SQLite, "violates unique constraint" on PostgreSQL.
        let constraint = if app.is_on_postgres() {
            &constraint.to_lowercase().replace("not null", "not-null")
        } else {
            constraint
        };
        assert!(error.contains(&format!("{constraint} constraint")), "{sql}: {error}");
    }
    let delete = database.reader().execute_unprepared("DELETE FROM follow").await;
    let error = delete.unwrap_err().to_string();
    assert!(error.replace('-', "").contains("readonly"), "the read pool is read-only: {error}");
}

#[tokio::test]
async fn deleting_a_user_deletes_all_rows_that_refer_to_it() {
    let app = TestApp::new().await;
    let database = insert_rows(&app).await;
    database.writer().execute_unprepared("DELETE FROM \"user\" WHERE id = 1").await.unwrap();
    for table in TABLES.iter().map(|table| table.name).filter(|name| *name != "user") {
        let remaining: Vec<i64> =
            column(database, &format!("SELECT id FROM \"{table}\""), "id").await;
        assert_eq!(remaining, Vec::<i64>::new(), "{table}");
    }
    assert_eq!(database.max_id().await.unwrap(), 3);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_rejected_and_not_changed() {
    let fixture = TestDatabase::new().await;
    let database = fixture.open().await;
    database.migrate().await.unwrap();
    let unknown_migration = "INSERT INTO seaql_migrations (version, applied_at)
        VALUES ('m20991231_000001_future', 0)";
    database.writer().execute_unprepared(unknown_migration).await.unwrap();
    let url = fixture.url();
    let errors = [
        database.migrate().await.unwrap_err(),
        migrate(&database, &Migrate::Down { steps: 1 }).await.unwrap_err(),
        migrate(&database, &Migrate::Status).await.unwrap_err(),
        App::build(&config(&url, &[])).await.err().unwrap(),
    ];
    for error in errors {
        let error = error.to_string();
        assert!(error.contains("comes from a newer version of Rookery"), "{error}");
        assert!(error.contains("m20991231_000001_future"), "{error}");
    }
    assert_eq!(rows(&database, "SELECT * FROM post").await.len(), 0, "the tables are still there");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_database_with_another_encoding_is_refused() {
    let app = TestApp::new().await;
    let name = format!("{}_latin1", app.database_fixture().url().rsplit('/').next().unwrap());
    let create = format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    app.database().writer().execute_unprepared(&create).await.unwrap();
    let url = format!("{}_latin1", app.database_fixture().url());
    let error = Database::open(&config(&url, &[]).database).await.unwrap_err().to_string();
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    app.database().writer().execute_unprepared(&drop).await.unwrap();
    assert!(error.contains("has the encoding LATIN1"), "{error}");
    assert!(!error.contains('\n') && !error.contains("postgres@"), "{error}");
}

#[tokio::test]
async fn every_list_is_read_from_an_index_in_both_directions_without_a_sort() {
    let app = TestApp::new().await;
    let lists = [
        ("follow", "followed_id = 1", "id", "follow_followers"),
        ("follow", "follower_id = 1", "id", "follow_following"),
        ("post", "author_id = 1", "id", "post_author"),
        ("bookmark", "user_id = 1", "id", "bookmark_user"),
        ("\"like\"", "user_id = 1", "id", "like_user"),
        ("\"like\"", "post_id = 1", "id", "like_post"),
        ("notification", "user_id = 1", "id", "notification_user"),
        ("notification", "user_id = 1 AND kind = 3", "id", "notification_kind"),
        ("session", "user_id = 1", "id", "session_user"),
        ("post", "true", "id", "PRIMARY KEY"),
        ("\"user\"", "true", "lower(username)", "user_username"),
    ];
    for (table, filter, order, index) in lists {
        for (comparison, direction) in [("<", "DESC"), (">", "ASC")] {
            let value = if order == "id" { "5" } else { "'m'" };
            let sql = format!(
                "SELECT id FROM {table} WHERE {filter} AND {order} {comparison} {value}
                 ORDER BY {order} {direction} LIMIT 20"
            );
            if app.is_on_postgres() {
                let plan = postgres_plan(app.database(), &sql).await;
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

/// The query plan of PostgreSQL without sequential and bitmap scans.
///
/// The plan is then like that of a large table.
async fn postgres_plan(database: &Database, sql: &str) -> String {
    let transaction = database.begin().await.unwrap();
    let no_scans = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
    transaction.execute_unprepared(no_scans).await.unwrap();
    let explain = database.statement(&format!("EXPLAIN {sql}"), []);
    let plan = transaction.query_all_raw(explain).await.unwrap();
    let lines: Vec<String> = plan.iter().map(|row| row.try_get_by(0).unwrap()).collect();
    lines.join("\n")
}
