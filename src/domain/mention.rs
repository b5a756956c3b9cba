//! Mentions: users who are named as `@username` in the text of a post.
//!
//! A part of the writes of posts. They resolve the names of a text when it is written, so that a
//! mention outlives a change of the username. Users are notified when a text first mentions them.

use std::collections::BTreeSet;

use entity::notification::Kind;
use entity::{mention, post, user};
use sea_orm::sea_query::{LockType, Query};
use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QuerySelect as _, Set,
};

use super::notification::{self, Notice};
use super::validation::USERNAME;
use super::{Change, Services};

/// Maximum number of names of a text that are looked up.
///
/// Further names are plain text.
pub const MAX_NAMES: usize = 20;

/// A name in a text, with its position in code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The username without the `@`, as it is written in the text.
    pub username: &'a str,
    /// Position of the `@`.
    pub start: usize,
    /// Length including the `@`.
    pub length: usize,
}

/// A name in a text that is the name of a user.
#[derive(Clone, Copy, Debug)]
pub struct Mentioned {
    user: i64,
    start: i32,
    length: i32,
}

/// The names in a text, at most [`MAX_NAMES`].
///
/// A name is `@` and the longest sequence of ASCII letters, digits and underscores, if it has the
/// length of a username. A letter, a digit, an underscore or an `@` before it makes it plain text,
/// as in an e-mail address.
#[must_use]
pub fn names(text: &str) -> Vec<Name<'_>> {
    let mut names = Vec::new();
    let mut previous: Option<char> = None;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@');
    for (start, (index, character)) in text.char_indices().enumerate() {
        let is_start = character == '@' && !previous.is_some_and(is_word);
        previous = Some(character);
        if !is_start || names.len() == MAX_NAMES {
            continue;
        }
        let rest = &text[index + 1..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = rest.bytes().take_while(is_part).count();
        if USERNAME.contains(&length) {
            names.push(Name { username: &rest[..length], start, length: length + 1 });
        }
    }
    names
}

#[derive(FromQueryResult)]
struct NamedUser {
    id: i64,
    name: String,
}

/// Finds the users whom a text names.
///
/// It prevents their deletion until the end of the transaction.
///
/// Users who block the author or whom the author blocks are left out. The author is locked, so that
/// no such block is made meanwhile.
///
/// # Errors
/// Any error of the database.
pub async fn resolve(
    services: &Services,
    transaction: &DatabaseTransaction,
    author: i64,
    text: &str,
) -> Result<Vec<Mentioned>, DbErr> {
    let names = names(text);
    if names.is_empty() {
        return Ok(vec![]);
    }
    let engine = services.db.engine();
    let lock = engine.lock_sql("FOR KEY SHARE");
    let is_named = engine.in_list_sql("lower(username)", 1);
    let sql = format!(
        "SELECT id, lower(username) AS name FROM \"user\" WHERE {is_named} \
         AND (SELECT 1 FROM block WHERE blocker_id = \"user\".id AND blocked_id = $2) IS NULL \
         AND (SELECT 1 FROM block WHERE blocker_id = $2 AND blocked_id = \"user\".id) IS NULL \
         ORDER BY id {lock}"
    );
    let usernames = names.iter().map(|name| user::normalize_identifier(name.username));
    let values = [engine.bind_strings(usernames), author.into()];
    let statement = services.db.statement(&sql, values);
    let users = NamedUser::find_by_statement(statement).all(transaction).await?;
    let mentioned = names.iter().filter_map(|name| {
        let user = users.iter().find(|user| user.name.eq_ignore_ascii_case(name.username))?.id;
        let (start, length) = (i32::try_from(name.start).ok()?, i32::try_from(name.length).ok()?);
        Some(Mentioned { user, start, length })
    });
    Ok(mentioned.collect())
}

/// Prevents the deletion of the users whom a post mentions.
///
/// The locks last until the end of the transaction.
/// An edit may delete their mentions and notifications, as the deletion of an account does.
///
/// # Errors
/// Any error of the database.
pub async fn lock_mentioned(transaction: &DatabaseTransaction, post: i64) -> Result<(), DbErr> {
    let mentioned = Query::select()
        .column(mention::Column::UserId)
        .from(mention::Entity)
        .and_where(mention::Column::PostId.eq(post))
        .to_owned();
    let _: Vec<i64> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.in_subquery(mentioned))
        .lock(LockType::KeyShare)
        .into_tuple()
        .all(transaction)
        .await?;
    Ok(())
}

/// Stores the mentions of a new post.
///
/// # Errors
/// Any error of the database.
pub async fn insert(
    services: &Services,
    transaction: &DatabaseTransaction,
    post: i64,
    mentioned: &[Mentioned],
) -> Result<(), DbErr> {
    if mentioned.is_empty() {
        return Ok(());
    }
    let rows = mentioned.iter().map(|mentioned| mention::ActiveModel {
        id: Set(services.ids.next()),
        post_id: Set(post),
        user_id: Set(mentioned.user),
        start: Set(mentioned.start),
        length: Set(mentioned.length),
    });
    mention::Entity::insert_many(rows).exec_without_returning(transaction).await.map(drop)
}

/// Replaces the mentions of a post whose text has changed.
///
/// Users who are mentioned newly are notified, and the notifications of those who are not mentioned
/// any more are withdrawn. Returns these changes.
///
/// # Errors
/// Any error of the database.
pub(super) async fn replace(
    services: &Services,
    transaction: &DatabaseTransaction,
    post: &post::Model,
    mentioned: &[Mentioned],
) -> Result<Vec<Change>, DbErr> {
    #[derive(FromQueryResult)]
    struct Deleted {
        user_id: i64,
    }
    let delete = "DELETE FROM mention WHERE post_id = $1 RETURNING user_id";
    let delete = services.db.statement(delete, [post.id.into()]);
    let old = Deleted::find_by_statement(delete).all(transaction).await?;
    let old: BTreeSet<i64> = old.into_iter().map(|row| row.user_id).collect();
    insert(services, transaction, post.id, mentioned).await?;
    let new: BTreeSet<i64> = mentioned.iter().map(|mentioned| mentioned.user).collect();
    let post = (post.author_id, post.id);
    let ended = notices(post, old.difference(&new).copied());
    let added = notices(post, new.difference(&old).copied());
    let mut changes = notification::withdraw(services, transaction, &ended).await?;
    changes.extend(notification::notify(services, transaction, &added).await?);
    Ok(changes)
}

/// The notices of the mentions in a new post. Users who are named twice get one.
pub(super) fn notices_of_new(author: i64, post: i64, mentioned: &[Mentioned]) -> Vec<Notice> {
    let users: BTreeSet<i64> = mentioned.iter().map(|mentioned| mentioned.user).collect();
    notices((author, post), users)
}

fn notices((actor, post): (i64, i64), users: impl IntoIterator<Item = i64>) -> Vec<Notice> {
    let notice = |recipient| Notice { recipient, kind: Kind::Mention, actor, post: Some(post) };
    users.into_iter().map(notice).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<(&str, usize, usize)> {
        names(text).into_iter().map(|name| (name.username, name.start, name.length)).collect()
    }

    #[test]
    fn names_begin_after_a_character_that_is_no_part_of_a_word() {
        assert_eq!(
            found("@susan and (@John_5), @a."),
            [("susan", 0, 6), ("John_5", 12, 7), ("a", 22, 2)]
        );
        assert_eq!(found("a/@b -@c\n@d"), [("b", 2, 2), ("c", 6, 2), ("d", 9, 2)]);
        for text in
            ["", "@", "@@susan", "me@example.com", "\u{e9}@b", "1@b", "_@b", "@-b", "@\u{e9}"]
        {
            assert!(found(text).is_empty(), "{text}");
        }
        assert_eq!(found("@susan@example.com"), [("susan", 0, 6)]);
    }

    #[test]
    fn names_have_the_length_of_a_username() {
        let text = format!("@{} @{}", "x".repeat(30), "y".repeat(31));
        assert_eq!(found(&text), [(&*"x".repeat(30), 0, 31)]);
    }

    #[test]
    fn positions_are_in_code_points() {
        assert_eq!(found("\u{1F426}\u{1F426} @susan"), [("susan", 3, 6)], "emoji");
        assert_eq!(found("e\u{301} @susan"), [("susan", 3, 6)], "a combining accent");
        let text = "\u{5e9}\u{5dc}\u{5d5}\u{5dd} @susan, \u{5d5} @john";
        assert_eq!(found(text), [("susan", 5, 6), ("john", 15, 5)], "from right to left");
    }

    #[test]
    fn names_beyond_the_maximum_are_plain_text() {
        assert_eq!(names(&"@a ".repeat(25)).len(), MAX_NAMES);
    }

    proptest! {
        #[test]
        fn each_name_is_the_text_at_its_position(text in "([@a_Z9 .\u{e9}\u{301}\u{1F426}]|\\PC){0,80}") {
            let characters: Vec<char> = text.chars().collect();
            let mut end = 0;
            for Name { username, start, length } in names(&text) {
                prop_assert!(start >= end, "names do not overlap");
                end = start + length;
                let written: String = characters[start..end].iter().collect();
                prop_assert_eq!(written, format!("@{username}"));
                prop_assert!(USERNAME.contains(&username.len()));
                let next = characters.get(end);
                prop_assert!(!next.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_'));
            }
        }
    }
}
