//! The definitions of tables, columns, indexes, constraints and triggers.
//!
//! The migrations are run in an empty database in memory, or on PostgreSQL in a schema that is
//! rolled back. Their result is compared with the database. What an operator has added is ignored.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait, FromQueryResult, Statement};

use crate::database::{Database, Engine, Snapshot};

/// A part of the schema.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Definition {
    /// Its kind and its name, as in `index post_author`.
    name: String,
    /// What must be equal.
    content: String,
    /// SQL that creates it, if it can be created without a loss.
    create: Option<String>,
}

/// A difference between the migrations and the database.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What differs, as a line.
    pub line: String,
    /// SQL that corrects it, if there is any.
    pub repair: Option<String>,
    /// Whether a table or a column is missing, so that other checks would fail.
    pub is_fatal: bool,
}

/// Compares the schema of the database with the migrations.
///
/// If the role of PostgreSQL may not create a schema, nothing is compared, with a warning.
///
/// # Errors
/// Any error of the database.
pub async fn differences(db: &Database, snapshot: &Snapshot) -> Result<Vec<Difference>> {
    let expected = expected(db).await.context("cannot run the migrations for comparison")?;
    let Some(expected) = expected else {
        tracing::warn!("the schema was not compared: the role may not create a schema");
        return Ok(vec![]);
    };
    let actual: Vec<Definition> = snapshot.all_unmetered(definitions_sql(db.engine())).await?;
    let actual: BTreeMap<_, _> = actual.into_iter().map(|part| (part.name, part.content)).collect();
    let difference = |part: Definition| {
        let Definition { name, content, create } = part;
        match actual.get(&name) {
            None => Some(Difference {
                line: format!("{name} is missing"),
                repair: create,
                is_fatal: name.starts_with("column"),
            }),
            Some(found) if *found != content => Some(Difference {
                line: format!("{name} is \"{found}\", should be \"{content}\""),
                repair: None,
                is_fatal: false,
            }),
            Some(_) => None,
        }
    };
    Ok(expected.into_iter().filter_map(difference).collect())
}

/// The definitions that the migrations create.
///
/// `None` without the right to create a schema.
async fn expected(db: &Database) -> Result<Option<Vec<Definition>>> {
    if db.engine() == Engine::Postgres {
        let transaction = db.begin().await?;
        let schema = "CREATE SCHEMA rookery_doctor; SET LOCAL search_path TO rookery_doctor";
        let created = transaction.execute_unprepared(schema).await;
        if created.as_ref().is_err_and(|error| error.to_string().contains("permission denied")) {
            return Ok(None);
        }
        created?;
        Migrator::up(&*transaction, None).await?;
        let definitions = read(&transaction, db.engine()).await?;
        transaction.rollback().await?;
        return Ok(Some(definitions));
    }
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    let empty = sea_orm::Database::connect(options).await?;
    Migrator::up(&empty, None).await?;
    let definitions = read(&empty, db.engine()).await?;
    empty.close().await?;
    Ok(Some(definitions))
}

async fn read(connection: &impl ConnectionTrait, engine: Engine) -> Result<Vec<Definition>> {
    let backend = connection.get_database_backend();
    let statement = Statement::from_string(backend, definitions_sql(engine));
    Ok(Definition::find_by_statement(statement).all(connection).await?)
}

/// SQL that selects the definitions in the current schema.
///
/// Quotes, spaces and case in the text of an index are not compared. An index of a constraint is
/// created with the constraint.
fn definitions_sql(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            r#"SELECT type || ' ' || name AS name, sql AS "create",
                lower(replace(replace(replace(sql, '"', ''), ' ', ''), char(10), '')) AS content
            FROM sqlite_schema
            WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
                AND tbl_name <> 'seaql_migrations'
            UNION ALL SELECT 'column ' || sqlite_schema.name || '.' || "column".name, NULL,
                concat_ws(' ', lower("column".type), iif("column"."notnull", 'not null', 'null'),
                    'default ' || dflt_value, iif(pk, 'primary key', NULL))
            FROM sqlite_schema JOIN pragma_table_info(sqlite_schema.name) AS "column"
            WHERE sqlite_schema.type = 'table' AND sqlite_schema.name <> 'seaql_migrations'"#
        }
        Engine::Postgres => {
            r#"WITH constraints AS (
                SELECT conname::text AS name, relname::text AS "table",
                    pg_get_constraintdef(pg_constraint.oid) AS definition
                FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
                WHERE connamespace = current_schema()::regnamespace
                    AND relname <> 'seaql_migrations' AND contype <> 'n')
            SELECT 'constraint ' || name AS name, definition AS content,
                format('ALTER TABLE %I ADD CONSTRAINT %I %s', "table", name, definition)
                    AS "create"
            FROM constraints
            UNION ALL SELECT 'index ' || indexname,
                replace(indexdef, quote_ident(current_schema()) || '.', ''),
                replace(indexdef, quote_ident(current_schema()) || '.', '')
            FROM pg_indexes WHERE schemaname = current_schema()
                AND tablename <> 'seaql_migrations'
                AND indexname NOT IN (SELECT name FROM constraints)
            UNION ALL SELECT 'function ' || proname, prosrc,
                replace(pg_get_functiondef(oid), quote_ident(current_schema()) || '.', '')
            FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
                AND prorettype = 'trigger'::regtype
            UNION ALL SELECT 'trigger ' || tgname,
                replace(pg_get_triggerdef(pg_trigger.oid),
                    quote_ident(current_schema()) || '.', ''),
                replace(pg_get_triggerdef(pg_trigger.oid),
                    quote_ident(current_schema()) || '.', '')
            FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
            WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
            UNION ALL SELECT 'column ' || table_name || '.' || column_name,
                concat_ws(' ', data_type, is_nullable, collation_name, column_default), NULL
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name <> 'seaql_migrations'"#
        }
    }
}
