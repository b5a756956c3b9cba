//! Accounts: coming in, going out, changing the lock, leaving for good.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use entity::{bookmark, event, follow, post, session, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement, UnionType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Set,
};
use secrecy::SecretString;

use super::{Graph, text};
use crate::auth::{Account, Attempt, Client, SignedIn, Viewer, open_session};
use crate::database::Snapshot;
use crate::error::{self, Error, UserError, UserErrorKind};
use crate::key;

#[derive(Clone)]
pub struct Registration {
    pub username: String,
    pub email: String,
    pub password: SecretString,
    pub display_name: Option<String>,
}

/// A new user, signed in.
pub async fn register(graph: &Graph, new: Registration, client: Client) -> Result<SignedIn, Error> {
    let mut wrong = Vec::new();
    let password = text::password(new.password, &["input", "password"]);
    let password = password.map_err(|error| wrong.push(error)).unwrap_or_default();
    let mut keep = |result: Result<String, UserError>| {
        result.map_err(|error| wrong.push(error)).unwrap_or_default()
    };
    let username = keep(text::username(&new.username, &["input", "username"]));
    let email = keep(text::email(&new.email, &["input", "email"]));
    let display_name =
        new.display_name.map(|name| keep(text::display_name(name, &["input", "displayName"])));
    if !wrong.is_empty() {
        return Err(Error::Expected(wrong));
    }
    let attempt = graph.attempts.admit(client.network, None)?;
    let password_hash = graph.passwords.hash(password, &attempt).await?;
    let transaction = graph.db.begin().await?;
    let id = graph.keys.next();
    let user = user::ActiveModel {
        id: Set(id),
        username: Set(username),
        email: Set(email),
        display_name: Set(display_name),
        password_hash: Set(Some(password_hash)),
        created_at: Set(key::time_of(id)),
        last_seen_at: Set(Some(key::time_of(id))),
        followers_count: Set(0),
        following_count: Set(0),
        posts_count: Set(0),
        follows_day: Set(0),
        follows_made: Set(0),
        ..Default::default()
    };
    let user = user.insert(&transaction).await.map_err(error::taken)?;
    let signed_in = open_session(&transaction, user, next_session(graph), client).await?;
    graph.commit(transaction, &signed_in.viewer).await?;
    Ok(signed_in)
}

/// `name` is the username or the e-mail address. An unknown name costs the same time and gets the same
/// answer as a wrong password.
pub async fn login(
    graph: &Graph,
    name: &str,
    password: SecretString,
    client: Client,
) -> Result<SignedIn, Error> {
    let by = if name.contains('@') {
        user::Entity::find()
            .filter(user::Column::Email.eq(user::sought(&name.trim().to_lowercase())))
    } else {
        user::Entity::find_by(&user::By::Username(name.to_owned()))
    };
    let found = by.one(&**Snapshot::new(&graph.db).get().await?).await?;
    let account = found.as_ref().map(|user| Account::Of(user.id));
    let account = account.unwrap_or_else(|| Account::nobody(user::sought(name.trim())));
    let attempt = graph.attempts.admit(client.network, Some(account))?;
    let stored = found.as_ref().and_then(|user| user.password_hash.clone());
    let matches = graph.passwords.verify(password, stored, &attempt).await?;
    let Some(user) = found.filter(|_| matches) else {
        let message = "The username or the password is wrong.";
        return Err(UserErrorKind::InvalidCredentials.at(&["input"], message).into());
    };
    let transaction = graph.db.begin().await?;
    // What was verified may have changed while argon2 was at work.
    let Some(user) = unchanged(&transaction, user).await? else {
        let message = "The username or the password is wrong.";
        return Err(UserErrorKind::InvalidCredentials.at(&["input"], message).into());
    };
    let signed_in = open_session(&transaction, user, next_session(graph), client).await?;
    graph.commit(transaction, &signed_in.viewer).await?;
    Ok(signed_in)
}

/// Ends the viewer's session, or all of them; says how many.
pub async fn logout(graph: &Graph, viewer: &Viewer, everywhere: bool) -> Result<u64, Error> {
    let mine = if everywhere {
        session::Column::UserId.eq(viewer.id())
    } else {
        session::Column::Id.eq(viewer.session().id)
    };
    let transaction = graph.db.begin().await?;
    let ended = session::Entity::delete_many().filter(mine).exec(&transaction).await?;
    graph.commit(transaction, viewer).await?;
    Ok(ended.rows_affected)
}

/// Ends one of the viewer's sessions; says whether it was open.
pub async fn revoke(graph: &Graph, viewer: &Viewer, id: i64) -> Result<bool, Error> {
    let transaction = graph.db.begin().await?;
    let revoked = session::Entity::delete_many()
        .filter(session::Column::Id.eq(id))
        .filter(session::Column::UserId.eq(viewer.id()))
        .exec(&transaction)
        .await?;
    graph.commit(transaction, viewer).await?;
    Ok(revoked.rows_affected > 0)
}

/// Ends every session of the viewer and opens a new one.
pub async fn change_password(
    graph: &Graph,
    (viewer, client): (&Viewer, Client),
    current: SecretString,
    new: SecretString,
) -> Result<SignedIn, Error> {
    let new = text::password(new, &["input", "newPassword"])?;
    let attempt = prove(graph, (viewer, &client), current, "currentPassword").await?;
    let password_hash = graph.passwords.hash(new, &attempt).await?;
    let transaction = graph.db.begin().await?;
    let Some(user) = unchanged(&transaction, viewer.user().clone()).await? else {
        return Err(Error::gone());
    };
    let mut user: user::ActiveModel = user.into();
    user.password_hash = Set(Some(password_hash));
    let user = user.update(&transaction).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(user.id))
        .exec(&transaction)
        .await?;
    let signed_in = open_session(&transaction, user, next_session(graph), client).await?;
    graph.commit(transaction, &signed_in.viewer).await?;
    Ok(signed_in)
}

/// Removes the viewer and everything that hangs on them; everybody else's counts follow.
pub async fn delete(
    graph: &Graph,
    (viewer, client): (&Viewer, Client),
    password: SecretString,
) -> Result<i64, Error> {
    prove(graph, (viewer, &client), password, "password").await?;
    let me = viewer.id();
    let transaction = graph.db.begin().await?;
    let us = user::Column::Id.in_subquery(circle(me));
    let locked = ids(&transaction, user::Entity::locked(us.clone())).await?;
    if unchanged(&transaction, viewer.user().clone()).await?.is_none() {
        return Err(Error::gone());
    }
    // Who has come to know the viewer while we waited for a lock is not locked yet; nobody can any more.
    let now = ids(&transaction, user::Entity::find().filter(us)).await?;
    let late = user::Column::Id.is_in(now.difference(&locked).copied());
    ids(&transaction, user::Entity::locked(late)).await?;
    for (count, them, mine) in EDGES {
        user::Entity::update_many()
            .col_expr(count, Expr::col(count).sub(1))
            .filter(user::Column::Id.in_subquery(other_end(them, mine, me)))
            .exec(&transaction)
            .await?;
    }
    let mine = Query::select()
        .column(post::Column::Id)
        .from(post::Entity)
        .and_where(post::Column::AuthorId.eq(me))
        .to_owned();
    for marks in [bookmark::Column::UserId.eq(me), bookmark::Column::PostId.in_subquery(mine)] {
        bookmark::Entity::delete_many().filter(marks).exec(&transaction).await?;
    }
    post::Entity::delete_many().filter(post::Column::AuthorId.eq(me)).exec(&transaction).await?;
    let edges = Condition::any()
        .add(follow::Column::FollowerId.eq(me))
        .add(follow::Column::FollowedId.eq(me));
    follow::Entity::delete_many().filter(edges).exec(&transaction).await?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(me))
        .exec(&transaction)
        .await?;
    user::Entity::delete_by_id(me).exec(&transaction).await?;
    graph.tell(&transaction, event::Kind::UserRemoved, (me, 0)).await?;
    graph.commit(transaction, viewer).await?;
    Ok(me)
}

/// The count of the user at one end of an edge, that end, and the other.
const EDGES: [(user::Column, follow::Column, follow::Column); 2] = [
    (user::Column::FollowersCount, follow::Column::FollowedId, follow::Column::FollowerId),
    (user::Column::FollowingCount, follow::Column::FollowerId, follow::Column::FollowedId),
];

fn other_end(them: follow::Column, mine: follow::Column, me: i64) -> SelectStatement {
    Query::select().column(them).from(follow::Entity).and_where(mine.eq(me)).to_owned()
}

/// The ids of `me` and of everybody who follows them or is followed.
fn circle(me: i64) -> SelectStatement {
    let mut circle = Query::select().expr(Expr::val(me)).to_owned();
    for (_, them, mine) in EDGES {
        circle.union(UnionType::Distinct, other_end(them, mine, me));
    }
    circle
}

async fn ids(
    transaction: &DatabaseTransaction,
    users: Select<user::Entity>,
) -> Result<HashSet<i64>, DbErr> {
    let ids = users.select_only().column(user::Column::Id).into_tuple();
    Ok(ids.all(transaction).await?.into_iter().collect())
}

/// The viewer's own sessions, newest first.
pub async fn sessions(snapshot: &Snapshot, viewer: &Viewer) -> Result<Vec<session::Model>, Error> {
    Ok(session::Entity::find()
        .filter(session::Column::UserId.eq(viewer.id()))
        .filter(session::Column::ExpiresAt.gt(Utc::now()))
        .order_by_desc(session::Column::Id)
        .all(&**snapshot.get().await?)
        .await?)
}

async fn prove(
    graph: &Graph,
    (viewer, client): (&Viewer, &Client),
    password: SecretString,
    field: &'static str,
) -> Result<Attempt, Error> {
    let attempt = graph.attempts.admit(client.network, Some(Account::Own(viewer.id())))?;
    let stored = viewer.user().password_hash.clone();
    if graph.passwords.verify(password, stored, &attempt).await? {
        return Ok(attempt);
    }
    let message = "The password is wrong.";
    Err(UserErrorKind::InvalidCredentials.at(&["input", field], message).into())
}

/// The user as they are now, locked, if they still have the password that was verified.
async fn unchanged(
    transaction: &DatabaseTransaction,
    verified: user::Model,
) -> Result<Option<user::Model>, DbErr> {
    let now = user::Entity::locked(user::Column::Id.eq(verified.id)).one(transaction).await?;
    Ok(now.filter(|now| now.password_hash == verified.password_hash))
}

/// The key of the next session, and when it is over.
fn next_session(graph: &Graph) -> (i64, DateTime<Utc>) {
    (graph.keys.next(), Utc::now() + graph.session_lifetime)
}
