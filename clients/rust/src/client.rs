//! A client of one server, with the token of a user or anonymous.
//!
//! Queries and mutations use HTTP, and subscriptions a WebSocket.

use anyhow::{Context as _, Result};
use cynic::http::ReqwestExt as _;
use cynic::{GraphQlResponse, Operation, StreamingOperation};
use futures_util::{Stream, StreamExt as _};
use graphql_ws_client::Client as WebSocket;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

pub struct Client {
    http: reqwest::Client,
    address: String,
    token: Option<String>,
}

impl Client {
    pub fn new(address: &str, token: Option<String>) -> Self {
        Self { http: reqwest::Client::new(), address: address.to_owned(), token }
    }

    /// Executes a query or a mutation.
    pub async fn run<Data, Variables>(&self, operation: Operation<Data, Variables>) -> Result<Data>
    where
        Data: DeserializeOwned + 'static,
        Variables: Serialize,
    {
        let mut request = self.http.post(&self.address);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        data_of(request.run_graphql(operation).await?)
    }

    /// Subscribes. Dropping the stream closes the WebSocket. An error is the last item.
    pub async fn subscribe<Data, Variables>(
        &self,
        operation: StreamingOperation<Data, Variables>,
    ) -> Result<impl Stream<Item = Result<Data>> + use<Data, Variables>>
    where
        Data: DeserializeOwned + Send + Unpin + 'static,
        Variables: Serialize + Send + Unpin + 'static,
    {
        let mut request = self.address.replacen("http", "ws", 1).into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = connect_async(request).await?;
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let payload = json!({ "authorization": authorization });
        let responses = WebSocket::build(socket).payload(payload)?.subscribe(operation).await?;
        Ok(responses.map(|response| data_of(response?)))
    }
}

/// The data of a response, or its first top-level error.
///
/// Expected failures are in the data.
fn data_of<Data>(response: GraphQlResponse<Data>) -> Result<Data> {
    if let Some(error) = response.errors.into_iter().flatten().next() {
        return Err(error.into());
    }
    response.data.context("the response has no data")
}
