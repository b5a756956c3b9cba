//! The client against a server.
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
    Author, FollowState, FollowersVariables, Post, TimelineEvent, TimelineEvents,
    TimelineEventsVariables, TimelineReason, UserBy, UserError, UserErrorCode,
};
use support::{EVENT_TIMEOUT, john_and_susan, register};

#[tokio::test]
async fn two_registrations_create_two_users() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    assert_ne!(john.username, susan.username);
    Ok(())
}

#[tokio::test]
async fn a_follow_updates_the_counts_of_both_users() -> Result<()> {
    let (john, susan) = john_and_susan().await?;

    // The payload has every value that a screen has to update.
    let follow = john.follow(&susan.username).await?;
    assert!(follow.changed && follow.user_errors.is_empty());
    let (user, follower) = follow.user.zip(follow.follower).context("no users")?;
    assert_eq!(user.followers_count, 1);
    assert_eq!(follower.following_count, 1);
    Ok(())
}

#[tokio::test]
async fn a_second_follow_changes_nothing() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let user = john.follow(&susan.username).await?.user.context("no user")?;
    let second = john.follow(&susan.username).await?;
    assert!(!second.changed && second.user_errors.is_empty());
    assert_eq!(second.user, Some(user));
    Ok(())
}

#[tokio::test]
async fn following_an_unknown_user_returns_a_not_found_error() -> Result<()> {
    let john = register("john").await?;

    // An expected failure is data, with a type of its own.
    let follow = john.follow(&format!("unknown_{:016x}", fastrand::u64(..))).await?;
    assert!(!follow.changed && follow.user.is_none());
    match follow.user_errors.as_slice() {
        [UserError::NotFound(error)] => {
            assert_eq!(error.code, UserErrorCode::NotFound);
            assert_eq!(error.path, Some(vec!["user".to_owned()]));
        }
        [UserError::TooManyRequests(error)] => {
            bail!("{} In {} seconds.", error.message, error.retry_after_seconds)
        }
        errors => bail!("unexpected errors: {errors:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn an_unfollow_restores_the_counts() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let user = john.follow(&susan.username).await?.user.context("no user")?;
    let unfollow = john.unfollow(&susan.username).await?;
    assert!(unfollow.changed && unfollow.user_errors.is_empty());
    assert_eq!(unfollow.user.context("no user")?.followers_count, 0);
    assert_eq!(unfollow.unfollowed_user_id, Some(user.id));
    Ok(())
}

#[tokio::test]
async fn a_protected_user_accepts_a_request() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let post = susan.post("For followers.").await?;
    assert!(susan.protect().await?.is_protected);

    let follow = john.follow(&susan.username).await?;
    let (user, relationship) = follow.user.zip(follow.relationship).context("no user")?;
    assert!(follow.changed && !user.viewer_can_see);
    assert_eq!(user.followers_count, 0);
    assert_eq!(relationship.follow_state, FollowState::Requested);
    assert!(john.home().await?.user.timeline.edges.is_empty());
    let [sent, received] = [
        john.private_lists().await?.sent_follow_requests,
        susan.private_lists().await?.follow_requests,
    ]
    .map(|list| list.edges.into_iter().map(|edge| edge.node.username).collect::<Vec<_>>());
    assert_eq!(sent, [susan.username.as_str()]);
    assert_eq!(received, [john.username.as_str()]);

    let accept = susan.accept(&john.username).await?;
    assert!(accept.changed && accept.relationship.context("no relationship")?.followed_by);
    assert!(john.private_lists().await?.sent_follow_requests.edges.is_empty());
    let [edge] =
        <[_; 1]>::try_from(john.home().await?.user.timeline.edges).ok().context("not one post")?;
    assert_eq!(edge.node, post);
    Ok(())
}

#[tokio::test]
async fn a_mute_changes_the_timeline_and_a_block_ends_the_follow() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let listed = |name: &str| vec![Author { username: name.to_owned() }];
    john.follow(&susan.username).await?;
    susan.post("The dawn chorus started at 4:12 today.").await?;

    let mute = john.mute(&susan.username).await?.relationship.context("no relationship")?;
    assert!(mute.muting && mute.follow_state == FollowState::Following);
    assert!(john.home().await?.user.timeline.edges.is_empty());
    assert_eq!(john.private_lists().await?.muted_users.nodes, listed(&susan.username));

    let block = susan.block(&john.username).await?.relationship.context("no relationship")?;
    assert!(block.blocking && !block.followed_by);
    assert_eq!(susan.private_lists().await?.blocked_users.nodes, listed(&john.username));
    match john.follow(&susan.username).await?.user_errors.as_slice() {
        [UserError::Blocked(error)] => assert_eq!(error.code, UserErrorCode::Blocked),
        errors => bail!("unexpected errors: {errors:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn pages_list_all_followers_in_both_directions() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    let mut newest_first = Vec::new();
    for n in 0..5 {
        let fan = register(&format!("fan{n}")).await?;
        fan.follow(&susan.username).await?;
        newest_first.insert(0, fan.username);
    }
    let by = || UserBy::Username(&susan.username);
    let page_after = |after| {
        let (first, last, before) = (Some(2), None, None);
        john.followers(FollowersVariables { by: by(), first, after, last, before })
    };
    let page_before = |before| {
        let (first, after, last) = (None, None, Some(2));
        john.followers(FollowersVariables { by: by(), first, after, last, before })
    };

    let (mut forwards, mut flags) = (Vec::new(), Vec::new());
    let mut page = page_after(None).await?;
    loop {
        forwards.extend(page.edges.into_iter().map(|edge| edge.node.username));
        flags.push((page.page_info.has_previous_page, page.page_info.has_next_page));
        if !page.page_info.has_next_page {
            break;
        }
        page = page_after(page.page_info.end_cursor).await?;
    }
    assert_eq!(forwards, newest_first);
    assert_eq!(flags, [(false, true), (true, true), (true, false)]);
    assert_eq!(usize::try_from(page.total_count)?, forwards.len());

    let (mut backwards, mut flags) = (Vec::new(), Vec::new());
    let mut page = page_before(None).await?;
    loop {
        backwards.extend(page.edges.into_iter().rev().map(|edge| edge.node.username));
        flags.push((page.page_info.has_previous_page, page.page_info.has_next_page));
        if !page.page_info.has_previous_page {
            break;
        }
        page = page_before(page.page_info.start_cursor).await?;
    }
    backwards.reverse();
    assert_eq!(backwards, forwards);
    assert_eq!(flags, [(true, false), (true, true), (false, true)]);
    Ok(())
}

#[tokio::test]
async fn the_timeline_has_own_and_followed_posts_newest_first() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    john.follow(&susan.username).await?;
    let own = john.post("The kettle is on.").await?;
    let followed = susan.post("The dawn chorus started at 4:12 today.").await?;
    let edges =
        john.home().await?.user.timeline.edges.into_iter().map(|edge| (edge.reason, edge.node));
    let expected = [(TimelineReason::Following, followed), (TimelineReason::Own, own)];
    assert!(edges.eq(expected));
    Ok(())
}

#[tokio::test]
async fn a_subscription_resumes_at_the_stream_cursor_of_the_page() -> Result<()> {
    let (john, susan) = john_and_susan().await?;
    john.follow(&susan.username).await?;
    let stream_cursor = john.home().await?.user.timeline.stream_cursor;

    // No event between the page and the subscription is lost.
    let before = susan.post("Written before the subscription.").await?;
    let variables = TimelineEventsVariables { after: Some(stream_cursor) };
    let mut events = pin!(john.client.subscribe(TimelineEvents::build(variables)).await?);
    assert_eq!(next_post(&mut events).await?, before);

    let live = susan.post("Written during the subscription.").await?;
    assert_eq!(next_post(&mut events).await?, live);
    Ok(())
}

async fn next_post(
    events: &mut (impl Stream<Item = Result<TimelineEvents>> + Unpin),
) -> Result<Post> {
    let event = timeout(EVENT_TIMEOUT, events.next()).await?.context("the stream has ended")??;
    match event.timeline_events {
        TimelineEvent::TimelinePostAdded(event) => Ok(event.edge.node),
        TimelineEvent::TimelineReset(_) => bail!("the timeline must be read again"),
        TimelineEvent::StreamLagged(event) => bail!("resume after {:?}", event.resume_after),
        event => bail!("unexpected event: {event:?}"),
    }
}
