import type { CodegenConfig } from '@graphql-codegen/cli'

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'src/**/*.ts',
  generates: {
    'src/gql/': {
      preset: 'client',
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
        // Apollo Client adds `__typename` to every selection, but not to the root.
        nonOptionalTypename: true,
        skipTypeNameForRoot: true,
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
