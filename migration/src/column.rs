//! Column definitions that several tables share or that differ between the engines.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// The primary key `id`, a 64-bit integer that the service generates.
///
/// On SQLite the type must be exactly `INTEGER`: only then is the key the rowid and not a second
/// index.
pub fn id(manager: &SchemaManager) -> ColumnDef {
    let mut id = ColumnDef::new("id");
    if manager.get_database_backend() == DbBackend::Sqlite {
        id.custom("INTEGER");
    } else {
        id.big_integer();
    }
    id.not_null().primary_key().take()
}

/// The column `username`, ordered by bytes on both engines.
///
/// On PostgreSQL the collation `C` makes the order independent of the locale of the database.
pub fn username(manager: &SchemaManager) -> ColumnDef {
    let mut username = ColumnDef::new("username");
    if manager.get_database_backend() == DbBackend::Sqlite {
        username.string();
    } else {
        username.custom("varchar COLLATE \"C\"");
    }
    username.not_null().take()
}

/// A 64-bit reference to another table's `id`.
pub fn reference(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A foreign key to `table.id` with `ON DELETE CASCADE`.
pub fn cascade(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_col(column)
        .to(table, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// A stored count of rows, at first 0.
pub fn count(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().default(0).check(Expr::col(name).gte(0)).take()
}
