// The embedded page: GraphiQL with the documents of `tabs/`, and a button that forgets the token.
import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import '@graphiql/plugin-explorer/style.css';
import { explorerPlugin } from '@graphiql/plugin-explorer';
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createClient } from 'graphql-sse';
import { useEffect, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { createFetcher, session } from './fetcher.js';

const files = import.meta.glob('./tabs/*.graphql', {
  eager: true,
  import: 'default',
  query: '?raw',
});
const tabs = Object.keys(files)
  .sort()
  .map((name) => ({ query: files[name] }));

const fetcher = createFetcher(createGraphiQLFetcher, createClient);

function ForgetToken() {
  const token = useSyncExternalStore(session.subscribe, session.get);
  if (!token) return null;
  return (
    <button type="button" className="graphiql-button session" onClick={() => session.set(null)}>
      Forget token
    </button>
  );
}

// Updates the theme of the editors when the system's theme changes. GraphiQL reads it only once.
function SystemTheme() {
  const theme = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const update = () => setTheme(theme);
    dark.addEventListener('change', update);
    return () => dark.removeEventListener('change', update);
  }, [theme, setTheme]);
  return null;
}

createRoot(document.getElementById('root')).render(
  <GraphiQL
    fetcher={fetcher}
    plugins={[HISTORY_PLUGIN, explorerPlugin()]}
    defaultTabs={tabs}
    defaultQuery=""
    defaultEditorToolsVisibility={false}
  >
    <GraphiQL.Logo>
      <ForgetToken />
      Rookery
    </GraphiQL.Logo>
    <SystemTheme />
  </GraphiQL>,
);
