// Sends the requests of the playground. The embedded page and the CDN page share this file.

// The token of the last registration or login, until the browser's tab is closed.
export const session = {
  get: () => sessionStorage.getItem('token'),
  set(token) {
    if (token) sessionStorage.setItem('token', token);
    else sessionStorage.removeItem('token');
    window.dispatchEvent(new Event('session'));
  },
  subscribe(onChange) {
    window.addEventListener('session', onChange);
    return () => window.removeEventListener('session', onChange);
  },
};

// Adds the token, unless the Headers pane has an authorization header.
function withToken(headers = {}) {
  const isSet = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  if (isSet || !session.get()) return headers;
  return { ...headers, Authorization: `Bearer ${session.get()}` };
}

// Stores the token of a response, or removes a token that the server has rejected.
function updateSession(response, headers) {
  const token = Object.values(response.data ?? {}).find((payload) => payload?.token)?.token;
  if (token) session.set(token);
  // With an expired token, every request is rejected, even a login.
  const isRejected = response.errors?.some(
    ({ extensions }) => extensions?.code === 'UNAUTHENTICATED',
  );
  if (isRejected && headers.Authorization === `Bearer ${session.get()}`) session.set(null);
  return response;
}

const isSubscription = ({ operationName }, document) =>
  document?.definitions.some(
    ({ operation, name }) =>
      operation === 'subscription' && (!operationName || name?.value === operationName),
  );

/**
 * Creates GraphiQL's fetcher, from `createGraphiQLFetcher` of its toolkit and `createClient` of
 * graphql-sse.
 */
export function createFetcher(createGraphiQLFetcher, createClient) {
  const send = createGraphiQLFetcher({ url: '/graphql', enableIncrementalDelivery: false });

  // Subscriptions use server-sent events, because a browser cannot send headers with a WebSocket.
  // There are no retries: they would hide an error, and that events were missed meanwhile.
  const subscribe = (params, headers) => ({
    subscribe(observer) {
      const client = createClient({ url: '/graphql', headers, retryAttempts: 0 });
      const error = async (reason) => {
        const response = await reason.response?.json().catch(() => null);
        if (!response) return observer.error(reason);
        observer.next(updateSession(response, headers));
        observer.complete();
      };
      return { unsubscribe: client.subscribe(params, { ...observer, error }) };
    },
  });

  return async (params, options) => {
    // The schema is public. It is read without a token, so that an expired token does no harm.
    if (params.operationName === 'IntrospectionQuery') return send(params, {});
    const headers = withToken(options.headers);
    if (isSubscription(params, options.documentAST)) return subscribe(params, headers);
    return updateSession(await send(params, { ...options, headers }), headers);
  };
}
