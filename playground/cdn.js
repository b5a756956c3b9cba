// The playground on files from the CDN: src/main.jsx for the last GraphiQL with ready-made browser files.
// The build script puts the texts of src/tabs before this line, as the array `documents`.
const headers = '{"Authorization": "Bearer TOKEN"}';
const defaultTabs = documents.map((query) => ({ query, headers: query.includes(headers) ? headers : null }));

const send = GraphiQL.createFetcher({ url: '/graphql', enableIncrementalDelivery: false });
const fetcher = (params, options) =>
  send(params, params.operationName === 'IntrospectionQuery' ? {} : options);

ReactDOM.createRoot(document.getElementById('root')).render(
  React.createElement(
    GraphiQL,
    {
      fetcher,
      plugins: [GraphiQLPluginExplorer.explorerPlugin()],
      defaultTabs,
      defaultQuery: '',
      defaultEditorToolsVisibility: 'headers',
      isHeadersEditorEnabled: true,
    },
    React.createElement(GraphiQL.Logo, null, 'Rookery'),
  ),
);
