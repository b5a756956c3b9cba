//! One user, or nobody, at one address: over HTTP, and over a WebSocket for what is live.

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

    /// Answers a query or a mutation.
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

    /// Says what happens, until it is dropped: that closes the socket. After an error, nothing comes any more.
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
        let answers = WebSocket::build(socket).payload(payload)?.subscribe(operation).await?;
        Ok(answers.map(|answer| data_of(answer?)))
    }
}

/// Errors at the top level are the program's, or the service's; what people do wrong is in the data.
fn data_of<Data>(answer: GraphQlResponse<Data>) -> Result<Data> {
    if let Some(error) = answer.errors.into_iter().flatten().next() {
        return Err(error.into());
    }
    answer.data.context("an answer without data")
}
