//! GraphQL types of the timeline marker, which only the viewer can read.
//!
//! The field `Viewer.timelineMarker` is in viewer.rs. All conversions between the marker and a
//! cursor are here.

use async_graphql::{Context, Object};

use super::error::{UserErrorInterface, user_errors};
use super::text::ShortText;
use super::timeline::all_timeline_cursors;
use super::{Outcome, run_mutation, services, viewer};
use crate::domain;
use crate::domain::timeline_marker::MarkerChange;
use crate::error::Error;
use crate::pagination::{CursorKind, decode_cursor, encode_cursor};

/// The cursor of a marker, for the field `timeline` without a filter.
pub fn marker_cursor(marker: i64) -> String {
    encode_cursor(CursorKind::Timeline, &marker)
}

/// The position of a cursor of a timeline with any filter.
///
/// # Errors
/// [`Error::InvalidCursor`] when the text is not a cursor of a timeline.
fn marker_of(cursor: &str) -> Result<i64, Error> {
    let position = all_timeline_cursors().find_map(|list| decode_cursor(list, cursor).ok());
    position.ok_or(Error::InvalidCursor)
}

pub struct MarkTimelineReadPayload(Outcome<MarkerChange>);

/// Payload of `markTimelineRead`.
#[Object]
impl MarkTimelineReadPayload {
    /// True if the marker has moved. False if it was there or further, and on failure.
    async fn changed(&self) -> bool {
        self.0.as_ref().is_ok_and(|change| change.changed)
    }

    /// The marker, after the mutation. Null on failure.
    ///
    /// It is a cursor of `timeline` without a filter.
    async fn timeline_marker(&self) -> Option<ShortText<'_>> {
        self.0.as_ref().ok().map(|change| marker_cursor(change.marker).into())
    }

    /// Expected failures. Empty on success.
    async fn user_errors(&self) -> Vec<UserErrorInterface> {
        user_errors(&self.0)
    }
}

#[derive(Default)]
pub struct TimelineMarkerMutation;

#[Object]
impl TimelineMarkerMutation {
    /// Marks the viewer's timeline as read up to an entry.
    ///
    /// The marker only moves to newer entries: the cursor of an older one succeeds with
    /// `changed: false`. The entry may have been deleted.
    ///
    /// Errors: `UNAUTHENTICATED`, `INVALID_CURSOR`.
    async fn mark_timeline_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The cursor of the newest entry that the viewer has read, in a timeline \
                    with any filter."
        )]
        cursor: String,
    ) -> Result<MarkTimelineReadPayload, Error> {
        let (viewer, position) = (viewer(ctx)?, marker_of(&cursor)?);
        let write = || domain::timeline_marker::advance(services(ctx), &viewer, position);
        Ok(MarkTimelineReadPayload(run_mutation(ctx, write).await?))
    }
}
