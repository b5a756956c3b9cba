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

/** The parameters of a request: the text of the document or, after `npm run persist`, its id. */
const parameters = (request: RequestParameters, variables: Variables) => ({
  query: request.text ?? undefined,
  documentId: request.id ?? undefined,
  operationName: request.name,
  variables,
});

/**
 * The environment of one viewer. The values behind an id differ between viewers, so each viewer has
 * a separate store. `onSignedOut` is called when the server rejects the token.
 */
export function createEnvironment(token: string | null, onSignedOut: () => void): Environment {
  const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
  // A retry would send the first request again, and receive its events twice. `useTimelineEvents`
  // resumes after the last event.
  const stream = createClient({ url, headers, retryAttempts: 0 });

  async function fetchOnce(request: RequestParameters, variables: Variables): Promise<GraphQLResponse> {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", accept: "application/graphql-response+json" },
      body: JSON.stringify(parameters(request, variables)),
    });
    if (response.status === 401) onSignedOut();
    const { data, errors }: { data?: PayloadData | null; errors?: PayloadError[] } = await response.json();
    // Expected failures are data. Every error goes to `onError` or an error boundary, also with
    // partial data.
    if (!data || errors) throw new Error(errors?.[0]?.message ?? response.statusText);
    return { data };
  }

  function subscribe(request: RequestParameters, variables: Variables): Observable<GraphQLResponse> {
    return Observable.create((sink) => {
      // The type requires a text, but the client sends any parameters.
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
