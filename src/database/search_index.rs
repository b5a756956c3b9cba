//! The search indexes: the words of posts, and of the names of users.
//!
//! On SQLite an index is an FTS5 table, on PostgreSQL a table with a `tsvector` and a GIN index.
//! Both have the words that [`crate::words`] separates. A write adds the words of its row in its
//! transaction. Triggers delete the words of a row that is changed or deleted. Therefore an index
//! never has outdated words, and a row without words is found by a look-up of its id.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::{Database, Engine};
use crate::words::{LEFT_OUT, words};

/// Number of rows whose words are added in one statement.
const ROWS_PER_STATEMENT: usize = 1_024;

/// A search index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchIndex {
    /// The words of the bodies of posts.
    Posts,
    /// The words of usernames and display names.
    Users,
}

impl SearchIndex {
    pub const ALL: [Self; 2] = [Self::Posts, Self::Users];

    /// The table of the index.
    #[must_use]
    pub fn table(self) -> &'static str {
        match self {
            Self::Posts => "post_search",
            Self::Users => "user_search",
        }
    }

    /// The table whose rows are indexed.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Self::Posts => "post",
            Self::Users => "user",
        }
    }

    /// The text of a user in [`Self::Users`].
    #[must_use]
    pub fn names(username: &str, display_name: Option<&str>) -> String {
        format!("{username} {}", display_name.unwrap_or_default())
    }

    /// The text of a row, as an expression of SQL.
    fn text(self) -> &'static str {
        match self {
            Self::Posts => "body",
            Self::Users => "username || ' ' || coalesce(display_name, '')",
        }
    }

    /// The column of the index with the id of the row.
    #[must_use]
    pub fn key(self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => "rowid",
            Engine::Postgres => "id",
        }
    }

    /// A table with the ids of all indexed rows.
    ///
    /// On SQLite it is a table that FTS5 keeps: a look-up there is faster than one through FTS5.
    #[must_use]
    pub fn ids(self, engine: Engine) -> String {
        match engine {
            Engine::Sqlite => format!("{}_docsize", self.table()),
            Engine::Postgres => self.table().to_owned(),
        }
    }

    /// The condition that a row of [`Self::source`] is not indexed.
    #[must_use]
    pub fn is_missing_sql(self, engine: Engine) -> String {
        let (ids, source) = (self.ids(engine), self.source());
        format!("NOT EXISTS (SELECT 1 FROM {ids} AS indexed WHERE indexed.id = \"{source}\".id)")
    }

    /// The search that a connection of SQLite makes before it checks the index.
    ///
    /// `integrity_check` uses the list of segments that the connection has read last. Writes of
    /// other connections may have changed the segments, and a search reads the list again.
    #[must_use]
    pub fn refresh_sql(self) -> String {
        let table = self.table();
        format!("SELECT rowid FROM {table} WHERE {table} MATCH '\"\"'")
    }

    /// The words as a parameter of the statement that adds them.
    ///
    /// On PostgreSQL it is the text form of a `tsvector`. Words contain neither quotes nor
    /// backslashes.
    fn stored(engine: Engine, words: &[String]) -> String {
        if engine == Engine::Sqlite {
            return words.join(" ");
        }
        let mut positions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (index, word) in words.iter().enumerate().filter(|(_, word)| *word != LEFT_OUT) {
            positions.entry(word).or_default().push((index + 1).to_string());
        }
        let lexeme =
            |(word, positions): (&str, Vec<String>)| format!("'{word}':{}", positions.join(","));
        positions.into_iter().map(lexeme).collect::<Vec<_>>().join(" ")
    }

    /// The statement that adds rows or replaces them.
    ///
    /// Its parameter is a JSON array of pairs of an id and the words.
    fn add_sql(self, engine: Engine) -> String {
        let (table, key, pairs) = (self.table(), self.key(engine), engine.unnest_json("entry"));
        let id = "CAST(value ->> 0 AS bigint)";
        match engine {
            Engine::Sqlite => format!(
                "INSERT OR REPLACE INTO {table} ({key}, words) \
                 SELECT {id}, value ->> 1 FROM {pairs}"
            ),
            Engine::Postgres => format!(
                "INSERT INTO {table} ({key}, words) \
                 SELECT {id}, CAST(value ->> 1 AS tsvector) FROM {pairs} \
                 ON CONFLICT ({key}) DO UPDATE SET words = excluded.words"
            ),
        }
    }
}

impl Database {
    /// Indexes the words of a row, as part of the transaction that writes the row.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn index_words(
        &self,
        connection: &impl ConnectionTrait,
        index: SearchIndex,
        id: i64,
        text: &str,
    ) -> Result<(), DbErr> {
        let words = SearchIndex::stored(self.engine, &words(text));
        self.add_words(connection, index, &[(id, words)]).await
    }

    /// Indexes all rows that are not indexed.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn index_missing(&self, connection: &impl ConnectionTrait) -> Result<(), DbErr> {
        for index in SearchIndex::ALL {
            let (source, text) = (index.source(), index.text());
            let is_missing = index.is_missing_sql(self.engine);
            let next = format!(
                "SELECT id, {text} AS text FROM \"{source}\" WHERE id > $1 AND {is_missing} \
                 ORDER BY id LIMIT {ROWS_PER_STATEMENT}"
            );
            let mut last = i64::MIN;
            loop {
                let rows = connection.query_all_raw(self.statement(&next, [last.into()])).await?;
                let mut entries = Vec::with_capacity(rows.len());
                for row in &rows {
                    let text: String = row.try_get("", "text")?;
                    let id: i64 = row.try_get("", "id")?;
                    entries.push((id, SearchIndex::stored(self.engine, &words(&text))));
                }
                let Some((id, _)) = entries.last() else { break };
                last = *id;
                self.add_words(connection, index, &entries).await?;
            }
        }
        Ok(())
    }

    /// Empties the damaged indexes of SQLite.
    ///
    /// [`Self::index_missing`] fills them again.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn empty_damaged_indexes(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<(), DbErr> {
        if self.engine == Engine::Postgres {
            return Ok(());
        }
        for index in SearchIndex::ALL {
            connection.query_all_raw(self.statement(&index.refresh_sql(), [])).await?;
            let table = index.table();
            let check = format!(
                "SELECT 1 AS one FROM pragma_integrity_check('{table}') \
                 WHERE integrity_check <> 'ok'"
            );
            if connection.query_one_raw(self.statement(&check, [])).await?.is_some() {
                let empty = format!("INSERT INTO {table} ({table}) VALUES ('delete-all')");
                connection.execute_unprepared(&empty).await?;
            }
        }
        Ok(())
    }

    async fn add_words(
        &self,
        connection: &impl ConnectionTrait,
        index: SearchIndex,
        entries: &[(i64, String)],
    ) -> Result<(), DbErr> {
        let entries =
            serde_json::to_string(entries).map_err(|error| DbErr::Json(error.to_string()))?;
        let statement = self.statement(&index.add_sql(self.engine), [entries.into()]);
        connection.execute_raw(statement).await.map(drop)
    }
}
