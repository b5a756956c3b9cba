// How requests are sent, by both pages: the embedded one and the one on a CDN.

// The token of the last registration or login, for as long as the browser's tab is open.
export const session = {
  get: () => sessionStorage.getItem('token'),
  set(token) {
    if (token) sessionStorage.setItem('token', token);
    else sessionStorage.removeItem('token');
    window.dispatchEvent(new Event('session'));
  },
  subscribe(changed) {
    window.addEventListener('session', changed);
    return () => window.removeEventListener('session', changed);
  },
};

// What the Headers pane says comes first.
function signed(headers = {}) {
  const own = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  return own || !session.get() ? headers : { ...headers, Authorization: `Bearer ${session.get()}` };
}

function remember(answer, headers) {
  const token = Object.values(answer.data ?? {}).find((payload) => payload?.token)?.token;
  if (token) session.set(token);
  // A token that has run out would keep its owner even from logging in.
  const refused = answer.errors?.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED');
  if (refused && headers.Authorization === `Bearer ${session.get()}`) session.set(null);
  return answer;
}

const isSubscription = ({ operationName }, document) =>
  document?.definitions.some(
    ({ operation, name }) => operation === 'subscription' && (!operationName || name?.value === operationName),
  );

/** `createGraphiQLFetcher` is the toolkit's, `createClient` that of graphql-sse. */
export function createFetcher(createGraphiQLFetcher, createClient) {
  const send = createGraphiQLFetcher({ url: '/graphql', enableIncrementalDelivery: false });

  // Subscriptions come as server-sent events, since those have headers like the tab's. A refusal is shown as it came;
  // trying again unasked would hide it, and what was missed in between.
  const subscribe = (params, headers) => ({
    subscribe(observer) {
      const client = createClient({ url: '/graphql', headers, retryAttempts: 0 });
      const error = async (reason) => {
        const answer = await reason.response?.json().catch(() => null);
        if (!answer) return observer.error(reason);
        observer.next(remember(answer, headers));
        observer.complete();
      };
      return { unsubscribe: client.subscribe(params, { ...observer, error }) };
    },
  });

  return async (params, options) => {
    // The schema is public: reading it without a token keeps the docs working when the token has run out.
    if (params.operationName === 'IntrospectionQuery') return send(params, {});
    const headers = signed(options.headers);
    if (isSubscription(params, options.documentAST)) return subscribe(params, headers);
    return remember(await send(params, { ...options, headers }), headers);
  };
}
