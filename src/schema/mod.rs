//! The GraphQL types, noun by noun.
//!
//! A resolver is one of three things: a stored value, one `loader.load(key)`, or one
//! `domain::noun::verb(..)`; so each line shows its cost. This file assembles the schema; what
//! resolvers reach for is in `context`.

mod account;
mod block;
mod bookmark;
mod connection;
mod context;
mod eager;
mod email_verification;
mod error;
mod event_source;
mod federation;
mod follow;
mod follow_list;
mod follow_many;
mod follow_request;
mod like;
mod mention;
mod mutation;
mod mute;
mod node;
mod notification;
mod notification_event;
mod password_reset;
mod post;
mod post_list;
mod profile;
mod rate_limit;
mod reaction;
mod relationship;
mod reply;
mod repost;
mod scalar;
mod search;
mod stream_event;
mod subscription;
mod suggestion;
mod text;
mod timeline;
mod timeline_event;
mod timeline_marker;
mod user;
mod user_list;
mod viewer;

use async_graphql::{MergedObject, ObjectType, SDLExportOptions, SchemaBuilder, ValidationMode};

pub use context::RequestContext;
use context::{events, loaders, request, services, viewer};
pub use error::{code, code_of, server_error, with_code};
pub use event_source::EventSource;
pub use federation::{SubgraphQuery, subgraph_sdl};
use mutation::{Outcome, run_mutation};
pub use rate_limit::RequestCost;
use subscription::Subscription;

/// A schema that can execute documents.
pub type Executable<Q> = async_graphql::Schema<Q, Mutation, Subscription>;

/// Read operations. All data of one response comes from one database snapshot.
#[derive(Default, MergedObject)]
pub struct Query(
    node::NodeQuery,
    viewer::ViewerQuery,
    user::UserQuery,
    relationship::RelationshipQuery,
    post::PostQuery,
    rate_limit::RateLimitQuery,
    search::SearchQuery,
);

/// Write operations.
///
/// If the requested state already holds, a mutation succeeds with `changed: false`. Expected
/// failures are in `userErrors`. Then `changed` is false, where the payload has it, and all other
/// fields are null. Every mutation except those of the account can fail with `EMAIL_NOT_VERIFIED`,
/// if the operator requires verified addresses. After the response, every later read sees the
/// change. If the operator uses read replicas, reads of other sessions may see it later.
#[derive(Default, MergedObject)]
pub struct Mutation(
    account::AccountMutation,
    email_verification::EmailVerificationMutation,
    password_reset::PasswordResetMutation,
    profile::ProfileMutation,
    follow::FollowMutation,
    follow_many::FollowManyMutation,
    follow_request::FollowRequestMutation,
    block::BlockMutation,
    mute::MuteMutation,
    suggestion::SuggestionMutation,
    post::PostMutation,
    bookmark::BookmarkMutation,
    like::LikeMutation,
    repost::RepostMutation,
    notification::NotificationMutation,
    timeline_marker::TimelineMarkerMutation,
);

/// A schema to which the executor adds its data.
///
/// It executes operations in normal form only. These are valid, so it does not validate them, and
/// the limits of documents bound their depth.
pub fn builder<Q: Default + ObjectType + 'static>() -> SchemaBuilder<Q, Mutation, Subscription> {
    Executable::build(Q::default(), Mutation::default(), Subscription)
        .validation_mode(ValidationMode::Fast)
        .limit_recursive_depth(usize::MAX)
        .register_output_type::<node::Node>()
        .register_output_type::<error::UserErrorInterface>()
        .register_output_type::<stream_event::StreamEvent>()
}

/// The schema in the Schema Definition Language, as checked in at `schema.graphql`.
pub fn sdl() -> String {
    sdl_of::<Query>()
}

fn sdl_of<Q: Default + ObjectType + 'static>() -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .use_space_ident()
        .prefer_single_line_descriptions();
    builder::<Q>().finish().sdl_with_options(options)
}
