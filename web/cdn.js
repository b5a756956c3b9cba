// The playground on files from the CDN: src/main.jsx for the last GraphiQL with ready-made browser files.
// The build script puts the texts of src/tabs before this line, as the array `documents`.
import { createFetcher } from './fetcher.js';

ReactDOM.createRoot(document.getElementById('root')).render(
  React.createElement(
    GraphiQL,
    {
      fetcher: createFetcher(GraphiQL.createFetcher, graphqlSse.createClient),
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
      defaultTabs: documents.map((query) => ({ query })),
      defaultQuery: '',
      defaultEditorToolsVisibility: false,
    },
    React.createElement(GraphiQL.Logo, null, 'Rookery'),
  ),
);
