import type { CodegenConfig } from '@graphql-codegen/cli'
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset'

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'src/**/*.ts',
  generates: {
    'src/gql/': {
      preset: 'client',
      // Apollo Client asks for every `__typename`; a document that has them all is sent as it is.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      presetConfig: {
        fragmentMasking: { unmaskFunctionName: 'getFragmentData' },
        // The manifest for `rookery --trusted-documents`.
        persistedDocuments: { hashAlgorithm: 'sha256' },
      },
      config: {
        // A scalar without a type here is an error, not an `any`.
        strictScalars: true,
        scalars: { ID: 'string', DateTime: 'string', URL: 'string' },
        enumType: 'string-literal',
        immutableTypes: true,
        useTypeImports: true,
      },
    },
    // Which types are behind `UserError`, `StreamEvent` and `Node`: the cache has to know.
    'src/gql/possible-types.ts': {
      plugins: ['fragment-matcher'],
      config: { apolloClientVersion: 3, useExplicitTyping: true },
    },
  },
}

export default config
