//! The position up to which the viewer has read their timeline.

use cynic::{QueryFragment, QueryVariables};

use super::{UserError, schema};

#[derive(QueryVariables)]
pub struct MarkTimelineReadVariables {
    /// The cursor of the newest entry that the viewer has read.
    pub cursor: String,
}

#[derive(QueryFragment)]
#[cynic(graphql_type = "Mutation", variables = "MarkTimelineReadVariables")]
pub struct MarkTimelineRead {
    #[arguments(cursor: $cursor)]
    pub mark_timeline_read: MarkTimelineReadPayload,
}

#[derive(QueryFragment)]
pub struct MarkTimelineReadPayload {
    pub changed: bool,
    pub timeline_marker: Option<String>,
    pub user_errors: Vec<UserError>,
}
