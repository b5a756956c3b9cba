//! The differences between the SQL of SQLite and of PostgreSQL.
//!
//! The engine is chosen once, from the URL of the database. Statements that sea-query cannot
//! express are written as text and take the parts that differ from here. Lists are passed as one
//! parameter (a JSON array on SQLite, an array on PostgreSQL): the text of a statement then does
//! not depend on their length, so its prepared form is reused.

use sea_orm::sea_query::{ArrayType, Expr};
use sea_orm::{DbBackend, Value};

/// The database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, in one file, with one writer at a time and without row locks.
    Sqlite,
    /// A server, which several instances may share.
    Postgres,
}

impl Engine {
    /// The engine of a URL by its scheme; `None` if the scheme is not supported.
    #[must_use]
    pub fn from_url(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    pub(super) fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// A list of ids as one parameter.
    pub fn bind_ids(self, ids: impl IntoIterator<Item = i64>) -> Value {
        let ids = ids.into_iter();
        match self {
            Self::Sqlite => {
                let list: Vec<String> = ids.map(|id| id.to_string()).collect();
                format!("[{}]", list.join(",")).into()
            }
            Self::Postgres => array(ArrayType::BigInt, ids),
        }
    }

    /// A list of strings as one parameter.
    pub fn bind_strings(self, strings: impl IntoIterator<Item = String>) -> Value {
        let strings = strings.into_iter();
        match self {
            Self::Sqlite => strings.collect::<serde_json::Value>().to_string().into(),
            Self::Postgres => array(ArrayType::String, strings),
        }
    }

    /// The condition that `column` is in the list bound to the parameter `$parameter`.
    #[must_use]
    pub fn in_list_sql(self, column: &str, parameter: u8) -> String {
        match self {
            Self::Sqlite => format!("{column} IN (SELECT value FROM json_each(${parameter}))"),
            Self::Postgres => format!("{column} = ANY(${parameter})"),
        }
    }

    /// The condition that `column` is in `list`, as an expression of sea-query.
    pub fn in_list_expr(self, column: &str, list: Value) -> Expr {
        match self {
            Self::Sqlite => {
                let sql = format!("{column} IN (SELECT value FROM json_each(?))");
                Expr::cust_with_values(sql, [list])
            }
            Self::Postgres => Expr::cust_with_values(format!("{column} = ANY($1)"), [list]),
        }
    }

    /// A condition of SQL with the parameter `$1`, as an expression of sea-query.
    pub fn expr(self, sql: &str, value: impl Into<Value>) -> Expr {
        let value = value.into();
        match self {
            // SQLite's parameters have no numbers in an expression, so each needs its value.
            Self::Sqlite => {
                let values = vec![value; sql.matches("$1").count()];
                Expr::cust_with_values(sql.replace("$1", "?"), values)
            }
            Self::Postgres => Expr::cust_with_values(sql.to_owned(), [value]),
        }
    }

    /// The list of ids bound to `$1`, as a table `name` with the column `value`.
    #[must_use]
    pub fn unnest_ids(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each($1) AS {name}"),
            Self::Postgres => format!("unnest($1::bigint[]) AS {name} (value)"),
        }
    }

    /// The JSON array bound to `$1`, as a table `name`.
    ///
    /// Its column `value` is the element and `key` its index, from 0. On PostgreSQL `value ->> 0`
    /// is a text: cast it to the type that is needed.
    #[must_use]
    pub fn unnest_json(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each($1) AS {name}"),
            Self::Postgres => format!(
                "(SELECT value, place - 1 AS key FROM json_array_elements($1::json) \
                 WITH ORDINALITY AS element (value, place)) AS {name}"
            ),
        }
    }

    /// A clause of SELECT that locks rows. SQLite has no such clause.
    #[must_use]
    pub fn lock_sql(self, clause: &'static str) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => clause,
        }
    }

    /// An aggregate: the values of a numeric column, as the text of a JSON array.
    #[must_use]
    pub fn json_array_sql(self, column: &str) -> String {
        match self {
            Self::Sqlite => format!("json_group_array({column})"),
            Self::Postgres => format!("CAST(json_agg({column}) AS text)"),
        }
    }

    /// The SQL expression `text` as a timestamp, in the form that is stored.
    #[must_use]
    pub fn timestamp_expr(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Postgres => format!("CAST({text} AS timestamptz)"),
        }
    }
}

fn array<T: Into<Value>>(ty: ArrayType, values: impl Iterator<Item = T>) -> Value {
    Value::Array(ty, Some(Box::new(values.map(Into::into).collect())))
}
