//! The story of a timeline.
//!
//! ```sh
//! cargo run --locked -- http://127.0.0.1:8000/graphql
//! ```

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cynic::{MutationBuilder as _, QueryBuilder as _, SubscriptionBuilder as _};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use rookery_client::client::Client;
use rookery_client::graphql::{
    CreatePost, CreatePostInput, CreatePostVariables, Follow, FollowPayload, FollowVariables,
    FollowerConnection, Followers, FollowersVariables, Post, Register, RegisterInput,
    RegisterVariables, Timeline, TimelineEvent, TimelineEvents, TimelineEventsVariables,
    TimelineReason, Unfollow, UserBy, UserError, UserErrorCode,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let address = std::env::args().nth(1).context("the address of /graphql is missing")?;
    let mut checks = Checks { failed: false };
    timeout(Duration::from_mins(1), tell(&address, &mut checks)).await??;
    Ok(if checks.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Checks {
    failed: bool,
}

impl Checks {
    fn check(&mut self, what: &str, holds: bool) {
        self.failed |= !holds;
        println!("{}ok: {what}", if holds { "" } else { "not " });
    }
}

struct Person {
    username: String,
    client: Client,
}

impl Person {
    async fn register(address: &str, name: &str) -> Result<Self> {
        let username = format!("{name}_{:016x}", fastrand::u64(..));
        let input = RegisterInput {
            username: username.clone(),
            email: format!("{username}@example.com"),
            password: "correct horse battery".to_owned(),
            display_name: None,
        };
        let anonymous = Client::new(address, None);
        let answer = anonymous.run(Register::build(RegisterVariables { input })).await?.register;
        let token = answer.token.with_context(|| format!("{:?}", answer.user_errors))?;
        Ok(Self { username, client: Client::new(address, Some(token)) })
    }

    async fn follow(&self, username: &str) -> Result<FollowPayload> {
        let variables = FollowVariables { user: UserBy::Username(username) };
        Ok(self.client.run(Follow::build(variables)).await?.follow)
    }

    async fn post(&self, body: &str) -> Result<Post> {
        let variables = CreatePostVariables { input: CreatePostInput { body } };
        let answer = self.client.run(CreatePost::build(variables)).await?.create_post;
        answer.post.with_context(|| format!("{:?}", answer.user_errors))
    }

    async fn followers(&self, variables: FollowersVariables<'_>) -> Result<FollowerConnection> {
        let answer = self.client.run(Followers::build(variables)).await?;
        Ok(answer.user.context("the user is gone")?.followers)
    }
}

async fn tell(address: &str, checks: &mut Checks) -> Result<()> {
    let john = Person::register(address, "john").await?;
    let susan = Person::register(address, "susan").await?;
    checks.check("two users registered", john.username != susan.username);
    follow_and_unfollow(&john, &susan, checks).await?;

    let mut newest_first = Vec::new();
    for n in 0..5 {
        let fan = Person::register(address, &format!("fan{n}")).await?;
        fan.follow(&susan.username).await?;
        newest_first.insert(0, fan.username);
    }
    walk_pages(&john, &susan, &newest_first, checks).await?;

    john.follow(&susan.username).await?;
    let stream_cursor = read_timeline(&john, &susan, checks).await?;
    hear_posts(&john, &susan, stream_cursor, checks).await
}

async fn follow_and_unfollow(john: &Person, susan: &Person, checks: &mut Checks) -> Result<()> {
    // The payload has everything that a screen shows differently from now on.
    let follow = john.follow(&susan.username).await?;
    checks.check("john follows susan", follow.changed && follow.user_errors.is_empty());
    let (user, viewer) = follow.user.zip(follow.follower).context("no users")?;
    checks.check("susan has one follower", user.followers_count == 1);
    checks.check("john follows one user", viewer.following_count == 1);

    let again = john.follow(&susan.username).await?;
    let is_fine = !again.changed && again.user_errors.is_empty();
    checks.check("following again is no error", is_fine);
    checks.check("and counts nothing twice", again.user.as_ref() == Some(&user));

    // What can go wrong is data, with a type of its own.
    let nobody = john.follow(&format!("nobody_{:016x}", fastrand::u64(..))).await?;
    let is_nobody = !nobody.changed && nobody.user.is_none();
    checks.check("who does not exist cannot be followed", is_nobody);
    let is_not_found = match nobody.user_errors.as_slice() {
        [UserError::NotFound(error)] => {
            error.code == UserErrorCode::NotFound && error.path == Some(vec!["user".to_owned()])
        }
        [UserError::TooManyRequests(error)] => {
            bail!("{} In {} seconds.", error.message, error.retry_after_seconds)
        }
        _ => false,
    };
    checks.check("the error is a NotFoundError", is_not_found);

    let variables = FollowVariables { user: UserBy::Username(&susan.username) };
    let unfollow = john.client.run(Unfollow::build(variables)).await?.unfollow;
    let is_done = unfollow.changed && unfollow.user_errors.is_empty();
    checks.check("john follows susan no longer", is_done);
    checks.check("susan has no follower", unfollow.user.is_some_and(|u| u.followers_count == 0));
    checks.check("the id to take out is susan's", unfollow.unfollowed_user_id == Some(user.id));
    Ok(())
}

async fn walk_pages(
    reader: &Person,
    susan: &Person,
    newest_first: &[String],
    checks: &mut Checks,
) -> Result<()> {
    let by = || UserBy::Username(&susan.username);
    let page_after = |after| {
        let (first, last, before) = (Some(2), None, None);
        reader.followers(FollowersVariables { by: by(), first, after, last, before })
    };
    let page_before = |before| {
        let (first, after, last) = (None, None, Some(2));
        reader.followers(FollowersVariables { by: by(), first, after, last, before })
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
    checks.check("forwards, from the newest follow", forwards == newest_first);
    let expected = [(false, true), (true, true), (true, false)];
    checks.check("PageInfo is right forwards", flags == expected);
    let length = usize::try_from(page.total_count)?;
    checks.check("totalCount is the length of the list", length == forwards.len());

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
    let is_reverse = backwards.iter().eq(forwards.iter().rev());
    checks.check("backwards, the same users in reverse", is_reverse);
    let expected = [(true, false), (true, true), (false, true)];
    checks.check("PageInfo is right backwards", flags == expected);
    Ok(())
}

/// The place in the stream of events up to which john has read.
async fn read_timeline(john: &Person, susan: &Person, checks: &mut Checks) -> Result<String> {
    let own = john.post("The kettle is on.").await?;
    let followed = susan.post("The dawn chorus started at 4:12 today.").await?;
    let viewer = john.client.run(Timeline::build(())).await?.viewer.context("no viewer")?;
    let timeline = viewer.user.timeline;
    let entries = timeline.edges.into_iter().map(|edge| (edge.reason, edge.node));
    let expected = [(TimelineReason::Following, followed), (TimelineReason::Own, own)];
    checks.check("own and followed posts, newest first", entries.eq(expected));
    Ok(timeline.stream_cursor)
}

async fn hear_posts(
    john: &Person,
    susan: &Person,
    stream_cursor: String,
    checks: &mut Checks,
) -> Result<()> {
    // The stream goes on where the page ended: nothing is missed in between.
    let missed = susan.post("Written before john listens.").await?;
    let variables = TimelineEventsVariables { after: Some(stream_cursor) };
    let mut events = pin!(john.client.subscribe(TimelineEvents::build(variables)).await?);
    let heard = next_post(&mut events).await?;
    checks.check("a post from before the subscription arrives", heard == missed);
    let live = susan.post("Written while he does.").await?;
    let heard = next_post(&mut events).await?;
    checks.check("a live post arrives", heard == live);
    Ok(())
}

async fn next_post(
    events: &mut (impl Stream<Item = Result<TimelineEvents>> + Unpin),
) -> Result<Post> {
    match events.next().await.context("the stream has ended")??.timeline_events {
        TimelineEvent::TimelinePostAdded(event) => Ok(event.edge.node),
        TimelineEvent::TimelineReset(_) => bail!("read the timeline anew"),
        TimelineEvent::StreamLagged(event) => bail!("go on from {:?}", event.resume_after),
        event => bail!("nobody has done this: {event:?}"),
    }
}
