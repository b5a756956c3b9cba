import type { CodegenConfig } from '@graphql-codegen/cli'
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset'

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'src/**/*.ts',
  generates: {
    'src/gql/': {
      preset: 'client',
      // Apollo Client adds `__typename` to every selection. A document that has it everywhere is
      // sent unchanged.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      presetConfig: {
        fragmentMasking: { unmaskFunctionName: 'getFragmentData' },
        // The manifest for `rookery --trusted-documents`.
        persistedDocuments: { hashAlgorithm: 'sha256' },
      },
      config: {
        // A scalar without a type is an error, not an `any`.
        strictScalars: true,
        scalars: { ID: 'string', DateTime: 'string', URL: 'string' },
        enumType: 'string-literal',
        immutableTypes: true,
        useTypeImports: true,
      },
    },
    // The cache needs the types that implement `UserError`, `StreamEvent` and `Node`.
    'src/gql/possible-types.ts': {
      plugins: ['fragment-matcher'],
      config: { apolloClientVersion: 3, useExplicitTyping: true },
    },
  },
}

export default config
