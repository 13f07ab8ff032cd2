import { defineConfig } from '@hey-api/openapi-ts';

export default defineConfig({
  input: '../../openapi/agent-api.yaml',
  output: { path: 'src', module: { extension: '.js' } },
  plugins: [
    { name: '@hey-api/client-fetch', includeInEntry: true },
    { name: '@hey-api/sdk', transformer: true },
    // Times come as Date. The contract's integers stay below 2^53, so that a number holds them.
    { name: '@hey-api/transformers', dates: true, bigInt: false },
  ],
});
