//! The context of a request: its viewer, its loaders and what resolvers record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::Context;
use entity::user::Model as UserRow;
use parking_lot::{Mutex, RwLock};

use super::error::user_code_of;
use super::event_source::EventSource;
use super::rate_limit::RequestCost;
use crate::auth::{Client, Viewer};
use crate::database::Snapshot;
use crate::domain::Services;
use crate::error::{Error, UserError};
use crate::events::EventHub;
use crate::limits::{MemoryPermit, ResponseReservation, WorkMeter};
use crate::loaders::Loaders;
use crate::telemetry::OperationTimer;

/// The state of one request, shared by its resolvers.
pub struct RequestContext {
    pub(super) services: Services,
    viewer: RwLock<Option<Arc<Viewer>>>,
    pub(super) loaders: Loaders,
    pub(super) client: Client,
    pub(super) cost: Option<RequestCost>,
    meter: Arc<WorkMeter>,
    /// Whether the operation is a query, which is rejected as a whole.
    is_query: bool,
    is_rejected: AtomicBool,
    reservation: Mutex<ResponseReservation>,
    /// Codes of the user errors that mutations returned.
    user_error_codes: Mutex<Vec<&'static str>>,
    has_written: AtomicBool,
    /// Started when a subscription's event arrived.
    event_timer: Mutex<Option<OperationTimer>>,
    /// Where a subscription's next event comes from.
    ///
    /// `None` before it starts, and at its end.
    event_source: Mutex<Option<EventSource>>,
}

impl RequestContext {
    /// A context whose reads all see the state of `snapshot`.
    ///
    /// `services` are those for the client's network. `meter` counts the reads.
    pub async fn new(
        services: Services,
        snapshot: Snapshot,
        meter: Arc<WorkMeter>,
        viewer: Option<Viewer>,
        client: Client,
        reservation: ResponseReservation,
    ) -> Self {
        let snapshot = snapshot.metered(Arc::clone(&meter));
        let loaders = Loaders::new(snapshot, viewer.as_ref().map(Viewer::user)).await;
        Self {
            services,
            viewer: RwLock::new(viewer.map(Arc::new)),
            loaders,
            client,
            cost: None,
            meter,
            is_query: false,
            is_rejected: AtomicBool::new(false),
            reservation: reservation.into(),
            user_error_codes: Mutex::default(),
            has_written: AtomicBool::new(false),
            event_timer: Mutex::default(),
            event_source: Mutex::default(),
        }
    }

    /// The same, for a query or not.
    #[must_use]
    pub fn with_query(self, is_query: bool) -> Self {
        Self { is_query, ..self }
    }

    /// The same, with what the operation has cost.
    #[must_use]
    pub fn with_cost(self, cost: Option<RequestCost>) -> Self {
        Self { cost, ..self }
    }

    /// The viewer at this point of the request; `login` and `logout` change it.
    pub fn viewer(&self) -> Option<Arc<Viewer>> {
        self.viewer.read().clone()
    }

    /// Whether a mutation of this request was made, or may have been.
    pub fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    pub(super) fn mark_written(&self) {
        self.has_written.store(true, Ordering::Relaxed);
    }

    pub async fn is_on_replica(&self) -> bool {
        self.loaders.snapshot.is_on_replica().await
    }

    /// The same, for the next event of a subscription.
    #[must_use]
    pub fn with_event_source(self, source: Option<EventSource>) -> Self {
        Self { event_source: Mutex::new(source), ..self }
    }

    /// Takes the source of the next event.
    pub fn take_event_source(&self) -> Option<EventSource> {
        self.event_source.lock().take()
    }

    /// Keeps the source of the next event for after the response.
    pub(super) fn keep_event_source(&self, source: EventSource) {
        *self.event_source.lock() = Some(source);
    }

    /// Charges an event and starts its resolution.
    ///
    /// `users` are rows that were loaded with the event.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the subscriber has not enough points left.
    pub(super) async fn begin_event(&self, users: &[Arc<UserRow>]) -> Result<(), Error> {
        self.meter.begin_event()?;
        *self.event_timer.lock() = Some(OperationTimer::start());
        // The viewer's row is as old as the subscription.
        self.loaders.clear().await;
        for user in users {
            self.loaders.users.prime(user.id, Arc::clone(user)).await;
        }
        Ok(())
    }

    /// Whether an event of the subscription was resolved before.
    pub(super) fn has_begun_event(&self) -> bool {
        self.meter.has_begun_event()
    }

    /// The timer of the event that is being resolved, once.
    pub fn take_event_timer(&self) -> Option<OperationTimer> {
        self.event_timer.lock().take()
    }

    /// The codes of the user errors so far.
    pub fn user_error_codes(&self) -> Vec<&'static str> {
        self.user_error_codes.lock().clone()
    }

    pub(super) fn record_user_errors(&self, errors: &[UserError]) {
        self.user_error_codes.lock().extend(errors.iter().map(user_code_of));
    }

    /// Ends and charges the response. Returns the memory that is reserved for it.
    ///
    /// `bytes` is the size of the response.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when all responses, or those of the client's network, have reached
    /// their limit.
    pub fn reserve_response(&self, bytes: usize) -> Result<Option<MemoryPermit>, Error> {
        self.meter.charge_response(bytes);
        self.reservation.lock().finish(bytes)
    }

    /// Reserves memory for a text that becomes part of the response.
    ///
    /// The first error rejects a whole query. Its further texts are then empty, so that it does not
    /// collect an error for each.
    ///
    /// # Errors
    /// [`Error::ResponseTooLarge`], [`Error::Unavailable`].
    pub(super) fn reserve_text<'a>(&self, text: &'a str) -> Result<&'a str, Error> {
        if self.is_rejected.load(Ordering::Relaxed) {
            return Ok("");
        }
        let reserved = self.reservation.lock().reserve(text.len());
        if self.is_query && reserved == Err(Error::ResponseTooLarge) {
            self.is_rejected.store(true, Ordering::Relaxed);
        }
        reserved.map(|()| text)
    }

    /// Changes the viewer for the rest of the request.
    pub(super) async fn set_viewer(&self, viewer: Option<Viewer>) {
        self.loaders.set_viewer(viewer.as_ref().map(Viewer::id)).await;
        *self.viewer.write() = viewer.map(Arc::new);
    }
}

pub(super) fn services<'a>(ctx: &Context<'a>) -> &'a Services {
    &request(ctx).services
}

pub(super) fn events<'a>(ctx: &Context<'a>) -> &'a EventHub {
    ctx.data_unchecked::<EventHub>()
}

pub(super) fn request<'a>(ctx: &Context<'a>) -> &'a RequestContext {
    ctx.data_unchecked::<Arc<RequestContext>>()
}

pub(super) fn loaders<'a>(ctx: &Context<'a>) -> &'a Loaders {
    &request(ctx).loaders
}

/// The viewer.
///
/// # Errors
/// [`Error::Unauthenticated`] for an anonymous request.
pub(super) fn viewer(ctx: &Context<'_>) -> Result<Arc<Viewer>, Error> {
    request(ctx).viewer().ok_or(Error::Unauthenticated(
        "Log in first, and send the token in the header 'Authorization: Bearer <token>'.",
    ))
}
