//! Conversations, notifications and search against a server.
//!
//! ```sh
//! ROOKERY_URL=http://127.0.0.1:8000/graphql cargo test --locked
//! ```

mod support;

use std::pin::pin;

use anyhow::{Context as _, Result, bail};
use cynic::SubscriptionBuilder as _;
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use rookery_client::graphql::{
    CreatePostInput, NotificationEvent, NotificationEvents, NotificationEventsVariables,
    NotificationType, SearchVariables, TimelineReason, UserBy, UserError, UserErrorCode,
};
use support::{EVENT_TIMEOUT, john_and_susan, register};

#[tokio::test]
async fn a_repeated_post_is_created_once() -> Result<()> {
    let john = register("john").await?;
    let key = format!("{:016x}", fastrand::u64(..));
    let input = CreatePostInput {
        body: "The kettle is on.",
        in_reply_to_id: None,
        idempotency_key: Some(&key),
    };
    let first = john.create_post(input).await?.post.context("no post")?;
    assert_eq!(john.create_post(input).await?.post, Some(first));

    let other = CreatePostInput { body: "The kettle is off.", ..input };
    match john.create_post(other).await?.user_errors.as_slice() {
        [UserError::Other(error)] => assert_eq!(error.code, UserErrorCode::IdempotencyMismatch),
        errors => bail!("unexpected errors: {errors:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_follower_sees_who_reposted() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let mary = register("mary").await?;
    john.follow(&susan.username).await?;
    let post = mary.post("Three new broods under the bridge.").await?;
    let repost = susan.repost(&post.id).await?;
    assert!(repost.changed);
    assert_eq!(repost.post.context("no post")?.reposts_count, 1);

    let edges = john.home().await?.user.timeline.edges;
    let [edge] = edges.as_slice() else { bail!("not one entry: {edges:?}") };
    assert_eq!((edge.reason, &edge.node), (TimelineReason::Repost, &post));
    let reposted_by = edge.reposted_by.as_ref().context("no user")?;
    assert_eq!(reposted_by.username, susan.username);

    let like = john.like(&post.id).await?;
    let reactions = like.post.context("no post")?;
    assert!(like.changed && reactions.viewer_has_liked && !reactions.viewer_has_reposted);
    let again = john.like(&post.id).await?;
    assert!(!again.changed && again.user_errors.is_empty());
    assert_eq!(again.post.context("no post")?.likes_count, 1);
    Ok(())
}

#[tokio::test]
async fn a_conversation_has_replies_and_mentions() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let question = susan.post("Who counts the rooks?").await?;
    let body = format!("🐦 I do, @{}!", susan.username);
    let answer = john.reply(&question.id, &body).await?;
    let conversation = john.conversation(&question.id).await?;
    assert_eq!(conversation.replies_count, 1);
    assert_eq!(conversation.replies.nodes, std::slice::from_ref(&answer));

    let conversation = susan.conversation(&answer.id).await?;
    assert_eq!(conversation.ancestors, [question]);
    let mentions = conversation.mentions;
    let [mention] = mentions.as_slice() else { bail!("not one mention: {mentions:?}") };
    let (start, length) = (usize::try_from(mention.start)?, usize::try_from(mention.length)?);
    let name: String = body.chars().skip(start).take(length).collect();
    assert_eq!(name, format!("@{}", susan.username));
    assert_eq!(mention.user.username, susan.username);
    Ok(())
}

#[tokio::test]
async fn notifications_arrive_live_and_are_marked_as_read() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let post = susan.post("Who counts the rooks?").await?;
    let inbox = susan.inbox().await?;
    assert_eq!((inbox.unread_notifications_count, inbox.notifications.nodes.len()), (0, 0));

    // No event between the page and the subscription is lost.
    john.like(&post.id).await?;
    let variables = NotificationEventsVariables { after: Some(inbox.notifications.stream_cursor) };
    let mut events = pin!(susan.client.subscribe(NotificationEvents::build(variables)).await?);
    let NotificationEvent::NotificationAdded(like) = next(&mut events).await? else {
        bail!("no notification was added")
    };
    assert_eq!((like.notification.kind, like.unread_count), (NotificationType::Like, 1));
    assert_eq!(like.notification.actor.username, john.username);
    assert_eq!(like.notification.post, Some(post.clone()));

    let reply = john.reply(&post.id, "I do.").await?;
    let NotificationEvent::NotificationAdded(added) = next(&mut events).await? else {
        bail!("no notification was added")
    };
    assert_eq!((added.notification.kind, added.unread_count), (NotificationType::Reply, 2));
    assert_eq!(added.notification.post, Some(reply));

    john.unlike(&post.id).await?;
    let NotificationEvent::NotificationRemoved(removed) = next(&mut events).await? else {
        bail!("no notification was withdrawn")
    };
    assert_eq!((removed.removed_ids, removed.unread_count), (vec![like.notification.id], 1));

    assert!(susan.mark_notifications_read().await?.changed);
    let NotificationEvent::NotificationsRead(read) = next(&mut events).await? else {
        bail!("no notification was marked")
    };
    assert_eq!((read.up_to, read.unread_count), (added.notification.id, 0));
    let list = susan.inbox().await?.notifications.nodes;
    assert!(list.len() == 1 && list.iter().all(|notification| notification.is_read));
    Ok(())
}

#[tokio::test]
async fn search_finds_posts_and_users() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let word = format!("kestrel{:016x}", fastrand::u64(..));
    let post = susan.post(&format!("A {word} in May")).await?;
    let other = john.post(&format!("Two of them: {word}!")).await?;
    let all = |query: &str| SearchVariables { query: query.to_owned(), by: None, after: None };
    let found = john.search(all(&word)).await?.search_posts.nodes;
    assert_eq!(found, [other.clone(), post.clone()]);
    let found = john.search(all(&format!("may {}*", &word[..20]))).await?.search_posts.nodes;
    assert_eq!(found, [post]);
    let by = Some(UserBy::Username(&john.username));
    let found = john.search(SearchVariables { by, ..all(&word) }).await?.search_posts.nodes;
    assert_eq!(found, [other]);

    let users = john.search(all(&susan.username)).await?.search_users;
    assert_eq!(users.first().context("no user")?.username, susan.username);
    Ok(())
}

#[tokio::test]
async fn the_timeline_marker_moves_forward_only() -> Result<()> {
    let john = register("john").await?;
    for body in ["one", "two"] {
        john.post(body).await?;
    }
    let home = john.home().await?;
    assert_eq!(home.timeline_marker, None);
    let edges = home.user.timeline.edges;
    let [two, one] = edges.as_slice() else { bail!("not two entries: {edges:?}") };
    assert!(john.mark_timeline_read(two.cursor.clone()).await?.changed);
    let mark = john.mark_timeline_read(one.cursor.clone()).await?;
    assert_eq!((mark.changed, mark.timeline_marker), (false, Some(two.cursor.clone())));
    Ok(())
}

async fn next(
    events: &mut (impl Stream<Item = Result<NotificationEvents>> + Unpin),
) -> Result<NotificationEvent> {
    let event = timeout(EVENT_TIMEOUT, events.next()).await?.context("the stream has ended")??;
    Ok(event.notification_events)
}
