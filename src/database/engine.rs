//! What SQLite and PostgreSQL say differently. Chosen once, when a database is opened; whoever writes a
//! statement in the engine's own words takes these parts from here.

use sea_orm::sea_query::{ArrayType, Expr};
use sea_orm::{DbBackend, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, in one file: one writer, no locks to take.
    Sqlite,
    /// A server that other instances work on too.
    Postgres,
}

impl Engine {
    /// By the scheme of an address; `None` for that of another engine.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
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

    /// Any number of keys as one parameter, so that the statement's text stays the same.
    pub fn keys(self, keys: impl IntoIterator<Item = i64>) -> Value {
        let keys = keys.into_iter();
        match self {
            Self::Sqlite => {
                let list: Vec<String> = keys.map(|key| key.to_string()).collect();
                format!("[{}]", list.join(",")).into()
            }
            Self::Postgres => list(ArrayType::BigInt, keys),
        }
    }

    /// Any number of texts as one parameter.
    pub fn texts(self, texts: impl IntoIterator<Item = String>) -> Value {
        let texts = texts.into_iter();
        match self {
            Self::Sqlite => texts.collect::<serde_json::Value>().to_string().into(),
            Self::Postgres => list(ArrayType::String, texts),
        }
    }

    /// `column` is one of the values in the list that is the parameter numbered `parameter`.
    #[must_use]
    pub fn is_in(self, column: &str, parameter: u8) -> String {
        match self {
            Self::Sqlite => format!("{column} IN (SELECT value FROM json_each(${parameter}))"),
            Self::Postgres => format!("{column} = ANY(${parameter})"),
        }
    }

    /// The same for a query of the library's.
    pub fn one_of(self, column: &str, list: Value) -> Expr {
        match self {
            Self::Sqlite => {
                let sql = format!("{column} IN (SELECT value FROM json_each(?))");
                Expr::cust_with_values(sql, [list])
            }
            Self::Postgres => Expr::cust_with_values(format!("{column} = ANY($1)"), [list]),
        }
    }

    /// The keys in the list that is the first parameter, as a table `name` with a column `value`.
    #[must_use]
    pub fn each_key(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each($1) AS {name}"),
            Self::Postgres => format!("unnest($1::bigint[]) AS {name} (value)"),
        }
    }

    /// The elements of the JSON array that is the first parameter, as a table `name`: each is a `value`,
    /// and its place, from 0, the `key`. What `value ->> 0` finds is cast to what it is to be.
    #[must_use]
    pub fn each_element(self, name: &str) -> String {
        match self {
            Self::Sqlite => format!("json_each($1) AS {name}"),
            Self::Postgres => format!(
                "(SELECT value, place - 1 AS key FROM json_array_elements($1::json) \
                 WITH ORDINALITY AS element (value, place)) AS {name}"
            ),
        }
    }

    /// A moment that `text` says, as it is stored.
    #[must_use]
    pub fn moment(self, text: &str) -> String {
        match self {
            Self::Sqlite => text.to_owned(),
            Self::Postgres => format!("CAST({text} AS timestamptz)"),
        }
    }
}

fn list<T: Into<Value>>(ty: ArrayType, values: impl Iterator<Item = T>) -> Value {
    Value::Array(ty, Some(Box::new(values.map(Into::into).collect())))
}
