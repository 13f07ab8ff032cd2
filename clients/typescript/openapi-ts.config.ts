import { defineConfig } from '@hey-api/openapi-ts';

export default defineConfig({
  input: '../../openapi/agent-api.yaml',
  output: { path: 'src', module: { extension: '.js' } },
  parser: {
    patch: {
      schemas: {
        // One of its three shapes admits null already; with a fourth member that is null, the
        // generator would warn that it cannot look for dates in it, and there are none.
        DispatcherResponse: (schema) => {
          delete (schema as { nullable?: boolean }).nullable;
        },
      },
    },
  },
  plugins: [
    { name: '@hey-api/client-fetch', includeInEntry: true },
    { name: '@hey-api/sdk', transformer: true },
    // Times come as Date. The contract's integers stay below 2^53, so that a number holds them.
    { name: '@hey-api/transformers', dates: true, bigInt: false },
  ],
});
