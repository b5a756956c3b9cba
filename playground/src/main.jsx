import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createClient } from 'graphql-sse';
import { createRoot } from 'react-dom/client';

const files = import.meta.glob('./tabs/*.graphql', { eager: true, import: 'default', query: '?raw' });

// A tab that mentions this header starts with it in its Headers pane.
const headers = '{"Authorization": "Bearer TOKEN"}';
const tabs = Object.keys(files)
  .sort()
  .map((name) => ({ query: files[name], headers: files[name].includes(headers) ? headers : null }));

const send = createGraphiQLFetcher({ url: '/graphql', enableIncrementalDelivery: false });

const isSubscription = ({ operationName }, document) =>
  document?.definitions.some(
    ({ operation, name }) => operation === 'subscription' && (!operationName || name?.value === operationName),
  );

// Subscriptions come as server-sent events, since those have headers like the tab's.
const subscribe = (params, headers = {}) => createClient({ url: '/graphql', headers }).iterate(params);

// The schema is public: reading it without the tab's headers keeps the docs working when a token has run out.
const fetcher = (params, options) => {
  if (isSubscription(params, options?.documentAST)) return subscribe(params, options.headers);
  return send(params, params.operationName === 'IntrospectionQuery' ? {} : options);
};

createRoot(document.getElementById('root')).render(
  <GraphiQL
    fetcher={fetcher}
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
    defaultTabs={tabs}
    defaultQuery=""
    defaultEditorToolsVisibility="headers"
    isHeadersEditorEnabled
  >
    <GraphiQL.Logo>Rookery</GraphiQL.Logo>
  </GraphiQL>,
);
