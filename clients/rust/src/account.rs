//! A registered user, and what the user does.

use anyhow::{Context as _, Result, bail};
use cynic::{Id, MutationBuilder as _, QueryBuilder as _};

use crate::client::Client;
use crate::graphql::{
    AcceptFollowRequest, Block, Conversation, ConversationQuery, ConversationVariables, CreatePost,
    CreatePostInput, CreatePostPayload, CreatePostVariables, Follow, FollowPayload,
    FollowVariables, FollowerConnection, Followers, FollowersVariables, Inbox, InboxViewer, Like,
    MarkNotificationsRead, MarkNotificationsReadPayload, MarkNotificationsReadVariables,
    MarkTimelineRead, MarkTimelineReadPayload, MarkTimelineReadVariables, Mute, Node, Post,
    PostPayload, PostVariables, PrivateLists, Protection, Register, RegisterInput,
    RegisterVariables, RelationshipPayload, Repost, Search, SearchVariables, TargetVariables,
    Timeline, Unfollow, UnfollowPayload, Unlike, UpdateProfile, UpdateProfileInput,
    UpdateProfileVariables, UserBy, Viewer, ViewerLists,
};

/// A registered user and a client with the token of their session.
pub struct Account {
    pub username: String,
    pub client: Client,
}

impl Account {
    pub async fn register(address: &str, username: String) -> Result<Self> {
        let input = RegisterInput {
            username: username.clone(),
            email: format!("{username}@example.com"),
            password: "correct horse battery".to_owned(),
            display_name: None,
        };
        let anonymous = Client::new(address, None);
        let payload = anonymous.run(Register::build(RegisterVariables { input })).await?.register;
        let token = payload.token.with_context(|| format!("{:?}", payload.user_errors))?;
        Ok(Self { username, client: Client::new(address, Some(token)) })
    }

    pub async fn follow(&self, username: &str) -> Result<FollowPayload> {
        let variables = FollowVariables { user: UserBy::Username(username) };
        Ok(self.client.run(Follow::build(variables)).await?.follow)
    }

    pub async fn unfollow(&self, username: &str) -> Result<UnfollowPayload> {
        let variables = FollowVariables { user: UserBy::Username(username) };
        Ok(self.client.run(Unfollow::build(variables)).await?.unfollow)
    }

    /// Protects the user's account.
    pub async fn protect(&self) -> Result<Protection> {
        let input = UpdateProfileInput { is_protected: Some(true) };
        let operation = UpdateProfile::build(UpdateProfileVariables { input });
        let payload = self.client.run(operation).await?.update_profile;
        payload.user.with_context(|| format!("{:?}", payload.user_errors))
    }

    pub async fn accept(&self, username: &str) -> Result<RelationshipPayload> {
        let variables = TargetVariables { user: UserBy::Username(username) };
        let operation = AcceptFollowRequest::build(variables);
        Ok(self.client.run(operation).await?.accept_follow_request)
    }

    pub async fn block(&self, username: &str) -> Result<RelationshipPayload> {
        let variables = TargetVariables { user: UserBy::Username(username) };
        Ok(self.client.run(Block::build(variables)).await?.block)
    }

    pub async fn mute(&self, username: &str) -> Result<RelationshipPayload> {
        let variables = TargetVariables { user: UserBy::Username(username) };
        Ok(self.client.run(Mute::build(variables)).await?.mute)
    }

    /// The lists of requests, blocks and mutes, which only the user can read.
    pub async fn private_lists(&self) -> Result<ViewerLists> {
        let data = self.client.run(PrivateLists::build(())).await?;
        data.viewer.context("no viewer")
    }

    /// Creates a post.
    ///
    /// After an unknown outcome, such as a lost connection, call it again with the same input: with
    /// the same `idempotency_key` the server creates no other post.
    pub async fn create_post(&self, input: CreatePostInput<'_>) -> Result<CreatePostPayload> {
        let variables = CreatePostVariables { input };
        Ok(self.client.run(CreatePost::build(variables)).await?.create_post)
    }

    /// Creates a post without a key.
    pub async fn post(&self, body: &str) -> Result<Post> {
        let input = CreatePostInput { body, in_reply_to_id: None, idempotency_key: None };
        let payload = self.create_post(input).await?;
        payload.post.with_context(|| format!("{:?}", payload.user_errors))
    }

    /// Creates a reply to a post.
    pub async fn reply(&self, post: &Id, body: &str) -> Result<Post> {
        let input = CreatePostInput { body, in_reply_to_id: Some(post), idempotency_key: None };
        let payload = self.create_post(input).await?;
        payload.post.with_context(|| format!("{:?}", payload.user_errors))
    }

    pub async fn like(&self, post: &Id) -> Result<PostPayload> {
        let variables = PostVariables { post_id: post.clone() };
        Ok(self.client.run(Like::build(variables)).await?.like)
    }

    pub async fn unlike(&self, post: &Id) -> Result<PostPayload> {
        let variables = PostVariables { post_id: post.clone() };
        Ok(self.client.run(Unlike::build(variables)).await?.unlike)
    }

    pub async fn repost(&self, post: &Id) -> Result<PostPayload> {
        let variables = PostVariables { post_id: post.clone() };
        Ok(self.client.run(Repost::build(variables)).await?.repost)
    }

    pub async fn conversation(&self, post: &Id) -> Result<Conversation> {
        let variables = ConversationVariables { id: post.clone() };
        let node = self.client.run(ConversationQuery::build(variables)).await?.node;
        let Some(Node::Post(conversation)) = node else { bail!("no such post") };
        Ok(conversation)
    }

    pub async fn search(&self, variables: SearchVariables<'_>) -> Result<Search> {
        self.client.run(Search::build(variables)).await
    }

    pub async fn followers(&self, variables: FollowersVariables<'_>) -> Result<FollowerConnection> {
        let data = self.client.run(Followers::build(variables)).await?;
        Ok(data.user.context("no such user")?.followers)
    }

    /// The viewer with the first page of their timeline.
    pub async fn home(&self) -> Result<Viewer> {
        self.client.run(Timeline::build(())).await?.viewer.context("no viewer")
    }

    pub async fn mark_timeline_read(&self, cursor: String) -> Result<MarkTimelineReadPayload> {
        let variables = MarkTimelineReadVariables { cursor };
        Ok(self.client.run(MarkTimelineRead::build(variables)).await?.mark_timeline_read)
    }

    /// The first page of notifications, and the number of unread ones.
    pub async fn inbox(&self) -> Result<InboxViewer> {
        self.client.run(Inbox::build(())).await?.viewer.context("no viewer")
    }

    /// Marks all notifications as read.
    pub async fn mark_notifications_read(&self) -> Result<MarkNotificationsReadPayload> {
        let variables = MarkNotificationsReadVariables { up_to: None };
        Ok(self.client.run(MarkNotificationsRead::build(variables)).await?.mark_notifications_read)
    }
}
