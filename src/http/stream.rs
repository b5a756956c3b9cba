//! Subscriptions: an answer for each event, for as long as there are events.

use std::sync::Arc;

use async_graphql::{Response as GraphQlAnswer, ServerError, Value};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::Shared;
use super::answer::Answer;
use super::execute::{Asker, Operation, named};
use super::task::caught;
use crate::auth::Who;
use crate::database::Snapshot;
use crate::schema::{Caller, take_turns};

/// An answer; or why it did not come to run.
type Answered = Result<Answer, Vec<ServerError>>;

struct Subscription {
    operation: Operation,
    shared: Shared,
    who: Who,
    caller: Arc<Caller>,
    answers: BoxStream<'static, GraphQlAnswer>,
    is_first: bool,
    is_over: bool,
}

impl Operation {
    /// Runs a subscription: an answer for each event; an error when it does not come to run. After either an error
    /// or an answer without data, which has no place to go on from, there is none.
    pub async fn stream(self, shared: Shared, asker: Asker) -> BoxStream<'static, Answered> {
        let caller = match self.admit(&shared, &asker).await {
            Ok(admitted) => admitted.caller(Snapshot::in_turn(&shared.database)).await,
            Err(error) => return stream::iter([Err(vec![error])]).boxed(),
        };
        let who = asker.who();
        drop(asker);
        // Who waits keeps no connection.
        caller.rest().await;
        let request = self.request().data(Arc::clone(&caller));
        let answers = shared.schema.stream(request, self.is_proven);
        let (is_first, is_over) = (true, false);
        let subscription =
            Subscription { operation: self, shared, who, caller, answers, is_first, is_over };
        stream::unfold(subscription, Subscription::next).boxed()
    }
}

impl Subscription {
    async fn next(mut self) -> Option<(Answered, Self)> {
        if self.is_over {
            return None;
        }
        let next = tokio::task::unconstrained(take_turns(self.answers.next()));
        let answered = match caught(next).await {
            Ok(None) => return None,
            Ok(Some(answer)) => self.answered(answer).await,
            Err(error) => Err(vec![error]),
        };
        self.is_over |= answered.is_err();
        Some((answered, self))
    }

    async fn answered(&mut self, answer: GraphQlAnswer) -> Answered {
        // What the next event shows is read anew; until then no connection is kept.
        self.caller.rest().await;
        let is_first = std::mem::take(&mut self.is_first);
        self.is_over = answer.data == Value::Null;
        if is_first && self.is_over && answer.is_err() {
            // Without a first event there is no stream.
            self.operation.note_refused(&self.shared, self.who);
            return Err(named(answer.errors));
        }
        let mut answer = self.operation.finish(&self.shared, self.who, answer)?;
        answer.share = self.caller.share(answer.data.len()).unwrap_or_default();
        if let Some(began) = self.caller.woken() {
            self.operation.note(&self.shared, &began);
        }
        Ok(answer)
    }
}
