import { createClient, NetworkError, type RequestParams } from "graphql-sse";
import {
  Environment,
  Network,
  Observable,
  type GraphQLResponse,
  type PayloadData,
  type PayloadError,
  type RequestParameters,
  type Variables,
} from "relay-runtime";

const url = "/graphql";

/** What every transport sends: the text of the operation, or, after `npm run persist`, only its id. */
const parameters = (request: RequestParameters, variables: Variables) => ({
  query: request.text ?? undefined,
  documentId: request.id ?? undefined,
  operationName: request.name,
  variables,
});

/**
 * One environment for one viewer: another viewer sees other things behind the same ids, and gets a store of their own.
 * `onSignedOut` is called when the token is good no longer.
 */
export function createEnvironment(token: string | null, onSignedOut: () => void): Environment {
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  // Whoever subscribes resumes with the cursor of the last event; to repeat the first request would repeat its events.
  const stream = createClient({ url, headers, retryAttempts: 0 });

  async function fetchOnce(request: RequestParameters, variables: Variables): Promise<GraphQLResponse> {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "application/graphql-response+json" },
      body: JSON.stringify(parameters(request, variables)),
    });
    if (response.status === 401) onSignedOut();
    const { data, errors }: { data?: PayloadData | null; errors?: PayloadError[] } = await response.json();
    // Expected failures are data. An error is for an `onError` or an error boundary, also when only a part is missing.
    if (!data || errors) throw new Error(errors?.[0]?.message ?? response.statusText);
    return { data };
  }

  function subscribe(request: RequestParameters, variables: Variables): Observable<GraphQLResponse> {
    return Observable.create((sink) => {
      // The client's type knows no operation without a text; it sends what it is given.
      const params = parameters(request, variables) as RequestParams;
      return stream.subscribe(params, {
        next({ data, errors }) {
          if (data) sink.next({ data });
          else sink.error(new Error(errors?.[0]?.message));
        },
        error(error) {
          if (error instanceof NetworkError && error.response?.status === 401) onSignedOut();
          sink.error(error instanceof Error ? error : new Error(String(error)));
        },
        complete: () => sink.complete(),
      });
    });
  }

  return new Environment({ network: Network.create(fetchOnce, subscribe) });
}
