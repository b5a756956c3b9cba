//! The columns that several tables share, and what differs between the engines.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// The 64-bit primary key `id`, its value made by the service. On SQLite the type must read exactly
/// INTEGER: only then is the key the row's own address and not a second index.
pub fn id(manager: &SchemaManager) -> ColumnDef {
    let mut id = ColumnDef::new("id");
    if manager.get_database_backend() == DbBackend::Sqlite {
        id.custom("INTEGER");
    } else {
        id.big_integer();
    }
    id.not_null().primary_key().take()
}

/// Ordered by its bytes on either engine, whatever the database's language.
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

/// A foreign key to `table.id` whose rows go when the row they point to goes.
pub fn cascade(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from_col(column)
        .to(table, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
